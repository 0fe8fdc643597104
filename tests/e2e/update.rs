//! A second run: nothing to do, or only what changed.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::drawing::{Picture, TWO, split};
use crate::shared::shared;
use crate::support::*;

#[test]
fn an_up_to_date_cache_is_left_alone() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 3);
    quick(&data, &features).run().exits(0);
    let state = || -> Vec<_> {
        let changed = |path: &std::path::PathBuf| fs::metadata(path).unwrap().modified().unwrap();
        files(&features).into_iter().map(|path| (changed(&path), fs::read(path).unwrap())).collect()
    };
    let before = state();
    let again = quick(&data, &features).flags("--batch-size 2 --threads 1").run().exits(0);
    let _ = again.says(&["up to date"]);
    let json = quick(&data, &features).flags("--json --update").run().exits(0).json();
    assert_eq!(json["splits"][0]["state"], "up-to-date");
    assert!(state() == before);
}

#[test]
fn overwrite_computes_everything_anew() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 2);
    quick(&data, &features).run().exits(0);
    quick(&data, &features).flags("--overwrite").run().exits(0);
    assert_eq!(rows_computed(&features, "train"), 4);
    assert_eq!(manifest(&features, "train")["run"]["rows_reused"], 0);
}

/// Changes the data, expects to be refused with the change named, updates, and compares with a run from scratch.
fn changes(change: impl FnOnce(&Path), said: &str, computed: u64) {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 4);
    quick(&data, &features).run().exits(0);
    change(&data.join("train"));
    quick(&data, &features).run().refuses(&[said, "--update", "--overwrite"]);
    quick(&data, &features).flags("--update").run().exits(0);
    assert_eq!(rows_computed(&features, "train"), computed, "{said}");
    assert_complete(&features, &["train"]);
    let fresh = root.path().join("fresh");
    quick(&data, &fresh).run().exits(0);
    assert_same(&features, &fresh, "train");
}

#[test]
fn an_added_file_alone_is_computed() {
    let add = |train: &std::path::Path| Picture::random(1, 30, 20).save(&train.join("cats/00.png"));
    changes(add, "1 file added (cats/00.png)", 1);
}

#[test]
fn a_removed_file_costs_nothing() {
    let remove = |train: &std::path::Path| fs::remove_file(train.join("cats/1.jpg")).unwrap();
    changes(remove, "1 file removed (cats/1.jpg)", 0);
}

#[test]
fn a_changed_file_alone_is_computed() {
    let change =
        |train: &std::path::Path| Picture::random(2, 30, 20).save(&train.join("dogs/2.png"));
    changes(change, "1 file changed (dogs/2.png)", 1);
}

#[test]
fn a_renamed_file_keeps_its_row() {
    let rename = |train: &std::path::Path| {
        fs::rename(train.join("dogs/0.png"), train.join("dogs/z.png")).unwrap();
    };
    changes(rename, "dogs/z.png", 0);
}

#[test]
fn a_new_class_is_another_setting() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    quick(&data, &features).run().exits(0);
    split(&data, "train", &["ants"], 1);
    quick(&data, &features).run().refuses(&["classes", "ants"]);
}

#[test]
fn a_touched_file_is_not_a_changed_one() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    quick(&data, &features).run().exits(0);
    let path = data.join("train/cats/0.png");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    quick(&data, &features).run().exits(0).says(&["up to date"]);
}

/// The manifest as format version 1 had it.
fn as_of_version_1(features: &Path, split: &str) {
    let mut manifest = manifest(features, split);
    manifest["format_version"] = json!(1);
    let run = manifest["run"].as_object_mut().unwrap();
    run.remove("host").unwrap();
    let version = run.remove("tool_version").unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let settings = manifest["settings"].as_object_mut().unwrap();
    settings.insert("tool_version".to_owned(), json!("0.0.7"));
    settings.insert("augmentation".to_owned(), json!(null));
    settings.insert("seed".to_owned(), json!(0));
    let text = serde_json::to_vec_pretty(&manifest).unwrap();
    fs::write(features.join(format!("{split}.json")), text).unwrap();
}

#[test]
fn what_the_first_version_wrote_is_up_to_date() {
    let (root, it) = (temp(), shared());
    let features = root.path().join("features");
    copy_dir(&it.features, &features);
    as_of_version_1(&features, "train");
    let again = extract(&it.data, &features).flags("--image-size 32").run().exits(0);
    again.says(&["train: up to date", "validation: up to date"]);
    cache("info", &features).run().exits(0).says(&["by version 0.0.7"]);
    // Old and new splits go together, without a warning, and give the same head.
    let head = root.path().join("head");
    let run = fit_head(&features, &head).flags("--epochs 8 --lr 1e-3").run().exits(0);
    assert!(!run.err.contains("train and"), "{}", run.text());
    let read = |head: &Path, name: &str| fs::read(head.join(name)).unwrap();
    assert!(read(&head, "head.safetensors") == read(&it.head, "head.safetensors"));
    let said = |head: &Path| {
        let json: Value = serde_json::from_slice(&read(head, "head.json")).unwrap();
        json["features"].clone()
    };
    assert_eq!(said(&head), said(&it.head));
    assert_eq!(said(&head)["backbone"], "vgg16");
    // With other settings it is refused as ever.
    let other = extract(&it.data, &features).flags("--image-size 40").run();
    other.refuses(&["train.json", "image_size was [32,32], is now [40,40]"]);
}
