//! `predict` with a head that is damaged or made to harm: one clear error, whatever was done to it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::shared::shared;
use crate::support::*;

#[track_caller]
fn refused(head: &Path, what: &str) {
    let picture = shared().data.join("test/cats/0.png");
    let outcome = predict(head).arg(picture).run();
    assert_eq!(outcome.code, Some(1), "{what}: {}", outcome.text());
    assert!(outcome.out.is_empty(), "{what}: {}", outcome.text());
    assert_eq!(outcome.err.matches("error: ").count(), 1, "{what}: {}", outcome.text());
    assert!(!outcome.err.contains("panicked"), "{what}: {}", outcome.text());
}

/// A copy of the shared head whose `head.json` was changed.
fn with_json(dir: &Path, change: impl FnOnce(&mut Value)) {
    let it = shared();
    fs::create_dir_all(dir).unwrap();
    fs::copy(it.head.join("head.safetensors"), dir.join("head.safetensors")).unwrap();
    let mut json = serde_json::from_slice(&fs::read(it.head.join("head.json")).unwrap()).unwrap();
    change(&mut json);
    fs::write(dir.join("head.json"), serde_json::to_vec(&json).unwrap()).unwrap();
}

#[test]
fn a_head_that_is_not_there() {
    let root = temp();
    refused(&root.path().join("nowhere"), "no folder");
    refused(root.path(), "an empty folder");
    let file = shared().data.join("test/cats/0.png");
    predict(root.path()).arg(file).run().refuses(&["head.json", "fit-head"]);
}

#[test]
fn damaged_weights() {
    let (root, it) = (temp(), shared());
    let good = fs::read(it.head.join("head.safetensors")).unwrap();
    let mut header = good.clone();
    header[20] ^= 0x40;
    let mut long = good.clone();
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut nan = good.clone();
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    for (what, bytes) in [
        ("empty", &[][..]),
        ("cut", &good[..good.len() - 1]),
        ("halved", &good[..good.len() / 2]),
        ("longer", &[&good[..], &[0; 64]].concat()),
        ("a header that is no JSON", &header),
        ("a header of 2^64 bytes", &long),
        ("text", b"hello, I am a head"),
        ("a weight that is no number", &nan),
    ] {
        let head = root.path().join(what);
        with_json(&head, |_| ());
        fs::write(head.join("head.safetensors"), bytes).unwrap();
        refused(&head, what);
    }
}

#[test]
fn damaged_manifests() {
    let root = temp();
    let good = fs::read(shared().head.join("head.json")).unwrap();
    for (what, bytes) in [
        ("empty", &[][..]),
        ("cut", &good[..good.len() / 2]),
        ("a list", b"[]"),
        ("deep", &[b'['; 200_000][..]),
        ("no UTF-8", b"{\"format_version\": \"\xff\"}"),
    ] {
        let head = root.path().join(what);
        with_json(&head, |_| ());
        fs::write(head.join("head.json"), bytes).unwrap();
        refused(&head, what);
    }
}

#[test]
fn manifests_that_lie() {
    let root = temp();
    let changes: [(&str, &str, Value); 15] = [
        ("a later version", "/format_version", 99.into()),
        ("no classes", "/classes", Value::Array(vec![])),
        ("one class", "/classes", serde_json::json!(["cats"])),
        ("three classes", "/classes", serde_json::json!(["a", "b", "c"])),
        ("no layers", "/layers", Value::Array(vec![])),
        ("a wider layer", "/layers/0/inputs", 1024.into()),
        ("a huge layer", "/layers/0/inputs", u64::MAX.into()),
        ("an empty layer", "/layers/0/outputs", 0.into()),
        ("another base", "/features/backbone", "vgg19".into()),
        ("no such layer", "/features/layer", "block9_pool".into()),
        ("another layer", "/features/layer", "block4_pool".into()),
        ("a huge image", "/features/image_size", serde_json::json!([4_000_000_000u32, 32])),
        ("an empty image", "/features/image_size", serde_json::json!([0, 0])),
        ("no such resize", "/features/interpolation", "magic".into()),
        ("no such precision", "/features/precision", "exact".into()),
    ];
    for (what, pointer, value) in changes {
        let head = root.path().join(what);
        with_json(&head, |json| {
            *json.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        });
        refused(&head, what);
    }
}
