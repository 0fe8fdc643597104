//! Saved heads: the round trip, and files that are not what they should be.
#![allow(clippy::unwrap_used)]

mod common;

use head::{
    DenseRows, FitConfig, HEAD_JSON, HEAD_TENSORS, Head, HeadError, HeadManifest, Split, fit,
};
use serde_json::json;
use std::ops::ControlFlow;
use std::path::Path;

fn saved(classes: usize) -> (tempfile::TempDir, Head, HeadManifest) {
    let (values, labels) = common::data(30, 20, classes, 0.5, 1);
    let features = DenseRows::new(values, 20);
    let split = Split { features: &features, labels: &labels };
    let config = FitConfig { hidden: vec![7], epochs: 2, ..FitConfig::default() };
    let fitted =
        fit(&split, Some(&split), classes, &config, &mut |_| ControlFlow::Continue(())).unwrap();
    let names = (0..classes).map(|c| format!("class {c}")).collect();
    let manifest = HeadManifest::new(
        &fitted,
        &config,
        names,
        json!({"backbone": "vgg16", "image_size": [150, 150]}),
    );
    let dir = tempfile::tempdir().unwrap();
    fitted.head.save(&dir.path().join("a/head"), &manifest).unwrap();
    (dir, fitted.head, manifest)
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
        assert_eq!((again, read), (head.clone(), manifest.clone()));
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
        head.save(&dir, &manifest).unwrap();
    }
}

#[test]
fn another_manifest_is_not_saved() {
    let (_two, head, _) = saved(2);
    let (dir, _, manifest) = saved(3);
    assert!(matches!(head.save(&dir.path().join("b"), &manifest), Err(HeadError::Format { .. })));
    assert!(!dir.path().join("b").exists());
}

#[test]
fn hostile_manifests_are_refused() {
    let (dir, _, manifest) = saved(2);
    let dir = dir.path().join("a/head");
    let text = serde_json::to_value(&manifest).unwrap();
    let with = |path: &str, value: serde_json::Value| {
        let mut changed = text.clone();
        *changed.pointer_mut(path).unwrap() = value;
        std::fs::write(dir.join(HEAD_JSON), changed.to_string()).unwrap();
        refusal(&dir)
    };
    assert!(with("/format_version", json!(99)).contains("expected format_version 1, found 99"));
    assert!(with("/classes", json!(["one"])).contains("at least 2 classes"));
    assert!(with("/classes", json!(["a", "b", "c"])).contains("does not fit 3 classes"));
    assert!(with("/layers", json!([])).contains("at least one layer"));
    assert!(with("/layers/0/inputs", json!(u64::MAX)).contains("weights"));
    assert!(with("/layers/0/inputs", json!(0)).contains("widths above 0"));
    assert!(with("/layers/1/inputs", json!(8)).contains("7 inputs"));
    assert!(with("/layers/0/name", json!("../../x")).contains("to be named 'dense'"));
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
    let attempt = |data: &[u8]| {
        std::fs::write(&path, data).unwrap();
        refusal(&dir)
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
