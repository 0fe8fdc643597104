//! What every parser promises about any bytes at all. Each function here is one fuzz target (`targets/`), and
//! `tests/fuzz_seeds.rs` of the main workspace runs the same functions on the committed seeds.
//!
//! No function may panic, take more memory than the fuzzer allows, or accept what does not come back the same. Each says
//! whether it accepted the bytes.

mod images_decode;
mod weights;

pub use self::weights::{hdf5, npz, numpy_pickle, safetensors, torch_legacy, torch_zip};
pub use images_decode::images;

use graph::description::Description;
use std::path::Path;

/// What an architecture is tried on.
const CHANNELS: usize = 3;
const IMAGE: [usize; 2] = [40, 32];

fn expect(outcome: cache::parsers::Outcome) -> bool {
    outcome.unwrap_or_else(|why| panic!("{why}"))
}

/// The header of a `.npy` file.
pub fn npy_header(data: &[u8]) -> bool {
    expect(cache::parsers::npy_header(data))
}

/// `<split>_labels.npy`.
pub fn labels(data: &[u8]) -> bool {
    expect(cache::parsers::labels(data))
}

/// `<split>_index.csv`.
pub fn index(data: &[u8]) -> bool {
    expect(cache::parsers::index(data))
}

/// `<split>.json`.
pub fn manifest(data: &[u8]) -> bool {
    expect(cache::parsers::manifest(data))
}

/// `<split>.journal`, as it is and with its checksums put right.
pub fn journal(data: &[u8]) -> bool {
    let raw = expect(cache::parsers::journal(data));
    expect(cache::parsers::journal_lines(data)) || raw
}

/// `head.json`, a NUL, `head.safetensors`; as they are, and with the sha256 put right, which no fuzzer would guess.
pub fn head(data: &[u8]) -> bool {
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (json, tensors) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let bound = head_of(json, tensors);
    // The first format has no sha256, and is otherwise the same.
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(json) else { return bound };
    let Some(object) = value.as_object_mut() else { return bound };
    if object.remove("tensors").is_none() {
        return bound;
    }
    object.insert("format_version".to_owned(), 1.into());
    head_of(value.to_string().as_bytes(), tensors) || bound
}

fn head_of(json: &[u8], tensors: &[u8]) -> bool {
    let (head, manifest) = match train::SavedModel::from_bytes(json, tensors) {
        Ok((train::SavedModel::Head(head), manifest)) => (head, manifest),
        // Of a network's tensors each has as many values as its layer needs.
        Ok((model @ train::SavedModel::Network(_), manifest)) => {
            assert!(manifest.network.is_some() && model.inputs() > 0);
            assert!(model.into_tensors().iter().all(|(_, values)| !values.is_empty()));
            return true;
        }
        Err(_) => return false,
    };
    let (json, tensors) =
        head.to_bytes(Path::new(""), &manifest).expect("what was read is written");
    let again = train::Head::from_bytes(&json, &tensors).expect("what was written is read");
    // Always written in the newest format.
    let (format_version, record) = (again.1.format_version, again.1.tensors.clone());
    let manifest = train::HeadManifest { format_version, tensors: record, ..manifest };
    assert!(again == (head, manifest), "a head came back as another");
    let (head, _) = again;
    let probabilities = head.predict(&vec![1.0; head.inputs()]).expect("a row of the right width");
    assert_eq!(probabilities.len(), head.classes());
    true
}

/// Names of files in an index, which must come back as the same path.
pub fn names(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(path) = images::parse_name(text) else { return false };
    let again = images::parse_name(&images::display_name(&path));
    assert_eq!(again.as_ref(), Ok(&path));
    true
}

/// A network's description, as `--architecture` takes it: with the graph that it builds, which must come back as the same, and the
/// sizes of that.
pub fn architecture(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(described) = Description::from_toml(text) else { return false };
    let json = serde_json::to_string(&described).expect("what was read is written");
    let again: Description = serde_json::from_str(&json).expect("what was written is read");
    assert!(again == described, "a description came back as another");
    let Ok(graph) = described.build(CHANNELS) else { return false };
    let again = Description::of(&graph).build(CHANNELS).expect("a graph is described");
    assert!(again == graph, "a graph came back as another");
    let (shapes, params) = (graph.shapes(IMAGE), graph.params(IMAGE));
    // An image may be too small for a network; then it is so for all of its sizes.
    assert_eq!(shapes.is_ok(), params.is_ok());
    assert!(shapes.is_err() || graph.multiplications(IMAGE).is_ok());
    true
}
