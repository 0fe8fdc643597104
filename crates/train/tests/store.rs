//! Saved heads: the round trip, and files that are not what they should be.
#![allow(clippy::unwrap_used)]

mod common;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use train::{
    DenseRows, FitConfig, HEAD_JSON, HEAD_TENSORS, Head, HeadError, HeadFolder, HeadManifest,
    Split, Trainer,
};
use util::Hint as _;

fn saved(classes: usize) -> (tempfile::TempDir, Head, HeadManifest) {
    let (values, labels) = common::data(30, 20, classes, 0.5, 1);
    let features = DenseRows::new(values, 20);
    let split = Split { features: &features, labels: &labels };
    let config = FitConfig { hidden: vec![7], epochs: 2, ..FitConfig::default() };
    let fitted = Trainer::new(&config).fit_head(classes, &split, Some(&split)).unwrap();
    let names = (0..classes).map(|c| format!("class {c}")).collect();
    let manifest = HeadManifest::of_head(
        &fitted,
        &config,
        names,
        json!({"backbone": "vgg16", "image_size": [150, 150]}),
    );
    let dir = tempfile::tempdir().unwrap();
    let folder = HeadFolder::open(&dir.path().join("a/head")).unwrap();
    fitted.head.save(&folder, &manifest).unwrap();
    (dir, fitted.head, manifest)
}

/// `head.json`.
fn manifest(dir: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(dir.join(HEAD_JSON)).unwrap()).unwrap()
}

fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refusal(dir: &Path) -> String {
    match Head::load(dir) {
        Err(e @ (HeadError::Format { .. } | HeadError::Io { .. })) => {
            assert!(e.hint().is_some());
            e.to_string()
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("loaded"),
    }
}

#[test]
fn what_is_saved_is_loaded_bit_by_bit() {
    for classes in [2, 3] {
        let (dir, head, manifest) = saved(classes);
        let dir = dir.path().join("a/head");
        let (again, read) = Head::load(&dir).unwrap();
        let tensors = read.tensors.clone();
        assert_eq!((again, read), (head.clone(), HeadManifest { tensors, ..manifest.clone() }));
        let names: Vec<_> =
            std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "no temporary file is left: {names:?}");
        let data = std::fs::read(dir.join(HEAD_TENSORS)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&data).unwrap();
        let mut names = tensors.names();
        names.sort_unstable();
        assert_eq!(names, ["dense/bias", "dense/kernel", "dense_1/bias", "dense_1/kernel"]);
        assert_eq!(tensors.tensor("dense/kernel").unwrap().shape(), [20, 7]);
        // Saving over an older head works.
        head.save(&HeadFolder::open(&dir).unwrap(), &manifest).unwrap();
        Head::load(&dir).unwrap();
    }
}

#[test]
fn weights_of_another_head_are_refused() {
    let (dir, ..) = saved(2);
    let dir = dir.path().join("a/head");
    let path = dir.join(HEAD_TENSORS);
    let mut weights = std::fs::read(&path).unwrap();
    let last = weights.len() - 4;
    weights[last] ^= 1;
    std::fs::write(&path, &weights).unwrap();
    let refused = refusal(&dir);
    assert!(refused.contains(HEAD_TENSORS) && refused.contains(&sha256(&weights)), "{refused}");
    weights.push(0);
    std::fs::write(&path, &weights).unwrap();
    assert!(refusal(&dir).contains(&format!("found {}", weights.len())));
}

#[test]
fn heads_larger_than_the_memory_are_refused_by_their_sizes() {
    let (dir, head, _) = saved(2);
    let dir = dir.path().join("a/head");
    let needed = 8 * head.parameter_count() as u64 + (1 << 20);
    assert!(Head::load_within(needed, &dir).is_ok());
    match Head::load_within(needed - 1, &dir) {
        Err(e @ HeadError::Memory { .. }) => assert!(e.hint().is_some()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_manifest_is_not_saved() {
    let (_two, head, _) = saved(2);
    let (dir, _, manifest) = saved(3);
    let folder = HeadFolder::open(&dir.path().join("b")).unwrap();
    assert!(matches!(head.save(&folder, &manifest), Err(HeadError::Format { .. })));
    drop(folder);
    assert!(!dir.path().join("b").exists());
}

#[test]
fn hostile_manifests_are_refused() {
    let (dir, ..) = saved(2);
    let dir = dir.path().join("a/head");
    let text = manifest(&dir);
    let with = |path: &str, value: serde_json::Value| {
        let mut changed = text.clone();
        *changed.pointer_mut(path).unwrap() = value;
        std::fs::write(dir.join(HEAD_JSON), changed.to_string()).unwrap();
        refusal(&dir)
    };
    assert!(with("/format_version", json!(99)).contains("from 1 to 3, found 99"));
    assert!(with("/format_version", json!(0)).contains("found 0"));
    assert!(with("/format_version", json!(1)).contains("no 'tensors'"));
    assert!(with("/tensors", json!(null)).contains("'tensors'"));
    assert!(with("/tensors/bytes", json!(u64::MAX)).contains("bytes of weights"));
    assert!(with("/tensors/bytes", json!(0)).contains("bytes of weights"));
    assert!(with("/tensors/sha256", json!("../x")).contains("sha256 ../x"));
    assert!(with("/classes", json!(["a", "a"])).contains("twice"));
    assert!(with("/classes", json!(["a", "b".repeat(5000)])).contains("4096 bytes"));
    assert!(with("/features", json!("a".repeat(70_000))).contains("65536 bytes"));
    assert!(with("/classes", json!(["one"])).contains("at least 2 classes"));
    assert!(with("/classes", json!(["a", "b", "c"])).contains("does not fit 3 classes"));
    assert!(with("/layers", json!([])).contains("at least one layer"));
    assert!(with("/layers/0/inputs", json!(u64::MAX)).contains("weights"));
    assert!(with("/layers/0/inputs", json!(0)).contains("widths above 0"));
    assert!(with("/layers/1/inputs", json!(8)).contains("7 inputs"));
    assert!(with("/layers/0/name", json!("../../x")).contains("the name 'dense'"));
    assert!(with("/layers/0/activation", json!("sigmoid")).contains("does not fit"));
    assert!(with("/layers/0/activation", json!("tanh")).contains("tanh"));
    assert!(with("/layers/0/inputs", json!(21)).contains("[21, 7]"));
    for broken in ["", "{", "[]", "null", "\u{0}", &"[".repeat(100_000)] {
        std::fs::write(dir.join(HEAD_JSON), broken).unwrap();
        refusal(&dir);
    }
    std::fs::remove_file(dir.join(HEAD_JSON)).unwrap();
    assert!(refusal(&dir).contains("cannot read"));
}

#[test]
fn hostile_tensors_are_refused() {
    let (dir, _, _) = saved(2);
    let dir = dir.path().join("a/head");
    let path = dir.join(HEAD_TENSORS);
    let whole = std::fs::read(&path).unwrap();
    // As somebody makes them who knows the format: the text goes with the weights. So it always does in version 1.
    let attempt = |data: &[u8]| {
        std::fs::write(&path, data).unwrap();
        let mut text = manifest(&dir);
        text["tensors"] = json!({ "bytes": data.len(), "sha256": sha256(data) });
        text["format_version"] = 2.into();
        std::fs::write(dir.join(HEAD_JSON), text.to_string()).unwrap();
        let bound = refusal(&dir);
        text.as_object_mut().unwrap().remove("tensors");
        text["format_version"] = 1.into();
        std::fs::write(dir.join(HEAD_JSON), text.to_string()).unwrap();
        format!("{bound} {}", refusal(&dir))
    };
    for cut in [0, 1, 7, 8, 100, whole.len() - 1] {
        attempt(&whole[..cut]);
    }
    attempt(&[whole.as_slice(), &[0]].concat());
    attempt(&[0xFF; 64]);
    attempt(&vec![0; 4 << 20]);
    let mut nan = whole.clone();
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(attempt(&nan).contains("finite"));
    let renamed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = whole.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut data = whole.clone();
        data[at..at + to.len()].copy_from_slice(to.as_bytes());
        data
    };
    assert!(attempt(&renamed("dense_1/bias", "dense_2/bias")).contains("dense_2/bias"));
    assert!(attempt(&renamed("\"F32\"", "\"I32\"")).contains("to be F32"));
    assert!(attempt(&renamed("[20,7]", "[7,20]")).contains("[20, 7]"));
    std::fs::write(&path, &whole).unwrap();
    assert!(Head::load(&dir).is_ok());
}
