//! Checkpoints that are damaged, hostile, or of something else: refused with the file and what was expected.
#![allow(clippy::unwrap_used)]

#[path = "common/nets.rs"]
mod nets;

use nets::{LAYERS, Rows, bits, net, net_of};
use proptest::prelude::*;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use train::convnet::{Checkpoint, ConvNet};
use train::{FitConfig, HeadError, Optimizer, Trainer};
use util::Hint as _;

const KEY: &str = "feature-cache.training";
const ROWS: usize = 20;

fn run() -> Value {
    json!({ "seed": 3, "network": { "layers": 8 }, "epochs": 4 })
}

fn config() -> FitConfig {
    FitConfig {
        epochs: 4,
        batch_size: 6,
        learning_rate: 1e-3,
        optimizer: Optimizer::Adam,
        ..FitConfig::default()
    }
}

/// A folder with a checkpoint of two epochs with validation.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let rows = Rows::new(ROWS, 1);
        let mut save = |made: Checkpoint| made.save(&folder.path(), &run());
        let config = FitConfig { epochs: 2, ..config() };
        Trainer::new(&config)
            .on_checkpoint(2, &mut save)
            .fit_network(&mut net(1), rows.labelled(), Some(rows.labelled()))
            .unwrap();
        folder
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("checkpoint.safetensors")
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }

    /// What loading it into this network and going on says.
    fn says_of(&self, net: &mut ConvNet, run: &Value) -> String {
        let rows = Rows::new(ROWS, 1);
        let load = Checkpoint::load(&self.path(), net, run);
        let error = load.and_then(|checkpoint| {
            let config = config();
            Trainer::new(&config).resume(Some(checkpoint)).fit_network(net, rows.labelled(), None)
        });
        let error = error.map(|fitted| fitted.history).unwrap_err();
        assert!(matches!(error, HeadError::Checkpoint { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(&self.path().display().to_string()), "{message}");
        assert!(!message.contains('\n') && error.hint().is_some(), "{message}");
        message
    }

    fn says(&self) -> String {
        self.says_of(&mut net(2), &run())
    }

    /// The same after the file's bytes were changed.
    fn says_with(bytes: &[u8]) -> String {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::write(folder.path(), bytes).unwrap();
        folder.says()
    }
}

/// A file's parts, to be changed and put together again.
struct Parts {
    record: Value,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Parts {
    fn of(file: &[u8]) -> Self {
        let (_, header) = SafeTensors::read_metadata(file).unwrap();
        let record = &header.metadata().as_ref().unwrap()[KEY];
        let tensors = SafeTensors::deserialize(file).unwrap();
        let part = |(name, view): (String, TensorView<'_>)| {
            (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        };
        Self {
            record: serde_json::from_str(record).unwrap(),
            tensors: tensors.tensors().into_iter().map(part).collect(),
        }
    }

    fn file(&self) -> Vec<u8> {
        let views = self.tensors.iter().map(|(name, (dtype, shape, data))| {
            (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        let metadata = HashMap::from([(KEY.to_owned(), self.record.to_string())]);
        safetensors::serialize(views, Some(metadata)).unwrap()
    }
}

/// What is said of a checkpoint that was changed.
fn says_after(change: impl FnOnce(&mut Parts)) -> String {
    let mut parts = Parts::of(&Folder::new().bytes());
    change(&mut parts);
    Folder::says_with(&parts.file())
}

#[track_caller]
fn assert_says(message: &str, expected: &str) {
    assert!(message.contains(expected), "expected {expected:?} in {message:?}");
}

#[test]
fn a_file_put_together_again_is_the_same_checkpoint() {
    let folder = Folder::new();
    std::fs::write(folder.path(), Parts::of(&folder.bytes()).file()).unwrap();
    let checkpoint = Checkpoint::load(&folder.path(), &net(2), &run()).unwrap();
    let (rows, config, mut net) = (Rows::new(ROWS, 1), config(), net(2));
    let trainer = Trainer::new(&config).resume(Some(checkpoint));
    assert_eq!(trainer.fit_network(&mut net, rows.labelled(), None).unwrap().history.len(), 4);
}

#[test]
fn files_that_are_no_checkpoints() {
    assert_says(&Folder::says_with(b""), "expected a checkpoint");
    assert_says(&Folder::says_with(b"# not a checkpoint"), "expected a checkpoint");
    assert_says(&Folder::says_with(&[0xff; 100]), "expected a checkpoint");
    let weights = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
    let weights = safetensors::serialize([("a", weights)], None).unwrap();
    assert_says(&Folder::says_with(&weights), "expected a checkpoint, found another file");
    let other = |record: &str| {
        let none: [(&str, TensorView<'_>); 0] = [];
        let metadata = HashMap::from([(KEY.to_owned(), record.to_owned())]);
        Folder::says_with(&safetensors::serialize(none, Some(metadata)).unwrap())
    };
    assert_says(&other("[]"), "expected a checkpoint");
    assert_says(&other("{"), "expected a checkpoint");
    assert_says(&says_after(|parts| parts.record["format_version"] = json!(7)), "found 7");
}

#[test]
fn truncated_files() {
    let bytes = Folder::new().bytes();
    for length in [0, 4, 8, 9, 100, bytes.len() / 2, bytes.len() - 1] {
        assert_says(&Folder::says_with(&bytes[..length]), "expected a checkpoint");
    }
    let longer = [&bytes[..], &[0; 4]].concat();
    assert_says(&Folder::says_with(&longer), "expected a checkpoint");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let folder = Folder::new();
    let file = std::fs::OpenOptions::new().write(true).open(folder.path()).unwrap();
    // Sparse: it takes no room.
    file.set_len(1 << 40).unwrap();
    let error = Checkpoint::load(&folder.path(), &net(2), &run()).unwrap_err();
    assert_says(&error.to_string(), "checkpoint.safetensors");
}

#[test]
fn checkpoints_of_other_runs_and_networks() {
    let folder = Folder::new();
    let mut other = run();
    other["network"]["layers"] = json!(9);
    let message = folder.says_of(&mut net(2), &other);
    assert_says(&message, "expected a checkpoint of this run");
    assert_says(&message, "network: layers: expected 9, found 8");
    let wider = LAYERS.replace("units = 6", "units = 7");
    let message = folder.says_of(&mut net_of(&wider, 2, &[]), &run());
    assert_says(&message, "values/dense/kernel: expected f32 of [45, 7], found F32 of [45, 6]");
    let renamed = LAYERS.replace("name = \"dense\"", "name = \"other\"");
    let message = folder.says_of(&mut net_of(&renamed, 2, &[]), &run());
    assert_says(&message, "expected the tensor values/other/kernel, found none");
    // A layer more in the file.
    let fewer = LAYERS.replace("op = \"batch-norm\"", "op = \"activation\"\nactivation = \"relu\"");
    let message = folder.says_of(&mut net_of(&fewer, 2, &[]), &run());
    assert_says(&message, "expected tensors of the network, found best/norm/beta");
    // The optimizer's state is that of the layers that were trained.
    let message = folder.says_of(&mut net_of(LAYERS, 2, &["conv"]), &run());
    assert_says(&message, "conv/kernel: expected 0 arrays of the optimizer, found 2");
}

#[test]
fn tensors_that_are_missing_or_of_another_kind() {
    for name in ["values/dense/bias", "best/norm/moving_mean"] {
        let message = says_after(|parts| drop(parts.tensors.remove(name)));
        assert_says(&message, &format!("expected the tensor {name}, found none"));
    }
    for name in ["state0/dense/kernel", "state1/dense/kernel"] {
        let message = says_after(|parts| drop(parts.tensors.remove(name)));
        assert_says(&message, "dense/kernel: expected 2 arrays of the optimizer, found 1");
    }
    let message = says_after(|parts| parts.tensors.retain(|name, _| !name.starts_with("state")));
    assert_says(&message, "expected 2 arrays of the optimizer, found 0");
    for name in ["values/dense/bias", "state1/dense/bias", "best/dense/bias"] {
        let message = says_after(|parts| parts.tensors.get_mut(name).unwrap().0 = Dtype::I32);
        assert_says(&message, &format!("{name}: expected f32 of [6], found I32 of [6]"));
        let message = says_after(|parts| parts.tensors.get_mut(name).unwrap().1 = vec![2, 3]);
        assert_says(&message, &format!("{name}: expected f32 of [6], found F32 of [2, 3]"));
    }
}

#[test]
fn records_that_contradict_themselves() {
    let record = |pointer: &str, value: Value| {
        says_after(|parts| *parts.record.pointer_mut(pointer).unwrap() = value)
    };
    // 20 rows in batches of 6: 4 steps an epoch.
    assert_says(&record("/step", json!(7)), "expected 8 steps, found 7");
    assert_says(&record("/step", json!(u32::MAX)), "expected 8 steps, found 4294967295");
    assert_says(&record("/step", json!(-1)), "expected a checkpoint");
    assert_says(&record("/history", json!([])), "expected at least one epoch");
    assert_says(&record("/history/1/epoch", json!(5)), "expected epoch 2 in the history, found 5");
    for best in [json!([9, 0.5]), json!([0, 0.5]), json!([1, 0.5]), json!([u64::MAX, 0.5])] {
        assert_says(&record("/best", best), "expected the best epoch to be one of the history");
    }
    let message = says_after(|parts| {
        let history = parts.record["history"].as_array_mut().unwrap();
        for epoch in 3..=5 {
            let mut more = history[0].clone();
            more["epoch"] = json!(epoch);
            history.push(more);
        }
    });
    assert_says(&message, "expected at most 4 epochs, found 5");
}

#[test]
fn a_checkpoint_that_is_refused_leaves_the_network_as_it_was() {
    let folder = Folder::new();
    let mut parts = Parts::of(&folder.bytes());
    parts.record["step"] = json!(7);
    std::fs::write(folder.path(), parts.file()).unwrap();
    let mut net = net(2);
    let before = bits(&net);
    folder.says_of(&mut net, &run());
    assert_eq!(bits(&net), before);
}

#[test]
fn a_checkpoint_in_memory_is_checked_too() {
    let rows = Rows::new(ROWS, 1);
    let (config, mut made) = (config(), None);
    let mut keep = |checkpoint: Checkpoint| {
        made = Some(checkpoint);
        Ok(())
    };
    let trainer = Trainer::new(&config).on_checkpoint(1, &mut keep);
    trainer.fit_network(&mut net(1), rows.labelled(), None).unwrap();
    let wider = LAYERS.replace("units = 6", "units = 7");
    let mut wider = net_of(&wider, 2, &[]);
    let error = Trainer::new(&config).resume(made).fit_network(&mut wider, rows.labelled(), None);
    let message = error.map(|fitted| fitted.history).unwrap_err().to_string();
    assert_says(&message, "dense/kernel of [45, 7], found [45, 6]");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    /// Any bytes: no panic, and an error or a checkpoint.
    #[test]
    fn damaged_bytes_do_not_panic(at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        thread_local!(static FILE: (Folder, Vec<u8>) = { let f = Folder::new(); let b = f.bytes(); (f, b) });
        FILE.with(|(folder, bytes)| {
            let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let mut bytes = bytes.clone();
            let at = at.index(header);
            bytes[at] = byte;
            if cut {
                bytes.truncate(at);
            }
            std::fs::write(folder.path(), &bytes).unwrap();
            let mut net = net(2);
            if let Ok(checkpoint) = Checkpoint::load(&folder.path(), &net, &run()) {
                let (rows, config) = (Rows::new(ROWS, 1), config());
                let _ = Trainer::new(&config).resume(Some(checkpoint)).fit_network(&mut net, rows.labelled(), None);
            }
        });
    }
}
