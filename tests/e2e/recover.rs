//! `cache recover`: a run that was killed when only the names were missing.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::drawing::{TWO, split};
use crate::support::*;

/// Makes of a complete split what a kill leaves after the first of its names: the old manifest is gone, the features have
/// their name, the rest is complete under temporary names, and the journal says so.
fn kill_between_names(features: &Path, name: &str) {
    let manifest = manifest(features, name);
    let mut journal = String::new();
    let mut line = |json: Value| {
        let json = json.to_string();
        let sum: String =
            Sha256::digest(json.as_bytes())[..8].iter().map(|b| format!("{b:02x}")).collect();
        journal += &format!("{sum} {json}\n");
    };
    line(json!({ "head": {
        "version": 1, "split": name, "shard": null, "settings": manifest["settings"],
        "inputs_total": manifest["inputs_total"], "inputs_sha256": manifest["inputs_sha256"],
        "begun_by": "refuse",
    } }));
    for one in index(features, name) {
        line(json!({ "input": [one.file, one.label] }));
    }
    line(json!({ "session": { "started_unix": 1 } }));
    line(json!("commit"));
    fs::write(features.join(format!("{name}.journal")), journal).unwrap();
    for end in ["_labels.npy", "_index.csv", ".stamps", ".json"] {
        let path = features.join(format!("{name}{end}"));
        fs::rename(&path, path.with_file_name(format!("{name}{end}.part"))).unwrap();
    }
}

#[test]
fn a_cache_that_was_killed_between_its_names_needs_neither_data_nor_weights() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 3);
    split(&data, "test", &TWO, 1);
    quick(&data, &features).run().exits(0);
    let whole = root.path().join("whole");
    copy_dir(&features, &whole);
    kill_between_names(&features, "train");
    fs::remove_dir_all(&data).unwrap();
    let head = root.path().join("head");
    fit_head(&features, &head).flags("--epochs 1").run().refuses(&["train", "cache recover"]);

    // Another split is named: this one is left as it is.
    cache("recover", &features).flags("--split test").run().exits(0).says(&["test: complete"]);
    assert!(!features.join("train.json").exists());
    cache("recover", &features).flags("--split other").run().refuses(&["other"]);

    let outcome = cache("recover", &features).run().exits(0);
    let _ = outcome.says(&["train: recovered, 6 rows", "test: complete, 2 rows"]);
    assert_same(&whole, &features, "train");
    assert_complete(&features, &["test", "train"]);
    cache("verify", &features).run().exits(0);
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    let again = cache("recover", &features).flags("--json").run().exits(0).json();
    let states: Vec<_> = again.as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["complete", "complete"]);
}

#[test]
fn rows_that_are_missing_stay_missing_and_damage_is_told() {
    let root = temp();
    let (data, features) = crate::interrupted::many(root.path());
    let mut child = crate::interrupted::begun(&data, &features);
    let pid = child.id().to_string();
    cache("recover", &features).run().exits(1).complains(&[&format!("process {pid}")]);
    child.kill().unwrap();
    child.wait().unwrap();
    let outcome = cache("recover", &features).flags("--json").run().exits(0);
    assert_eq!(outcome.json()[0]["state"], "unfinished");
    assert_eq!(outcome.json()[0]["inputs"], 24);
    cache("recover", &features).run().exits(0).says(&["train: unfinished", "same command again"]);

    let complete = root.path().join("complete");
    split(&root.path().join("few"), "train", &TWO, 1);
    quick(&root.path().join("few"), &complete).run().exits(0);
    kill_between_names(&complete, "train");
    fs::remove_file(complete.join("train_labels.npy.part")).unwrap();
    cache("recover", &complete).run().exits(1).complains(&["train: ", "labels", "hint: "]);
    cache("recover", &root.path().join("nowhere")).run().refuses(&["nowhere"]);
}
