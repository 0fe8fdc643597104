//! `cache merge` after the shards changed: no row of an older picture stays.

use std::fs;
use std::path::{Path, PathBuf};

use crate::drawing::{Picture, TWO, split};
use crate::support::*;

/// Two shards of a small split in `parts`, and the same files as one run in `whole`.
struct Setup {
    _root: tempfile::TempDir,
    data: PathBuf,
    parts: PathBuf,
    whole: PathBuf,
}

fn setup() -> Setup {
    let root = temp();
    let at = |name: &str| root.path().join(name);
    let (data, parts, whole) = (at("data"), at("parts"), at("whole"));
    split(&data, "train", &TWO, 3);
    shards(&data, &parts, "");
    Setup { _root: root, data, parts, whole }
}

fn shards(data: &Path, parts: &Path, flags: &str) {
    for i in 1..=2 {
        quick(data, parts).flags(&format!("--shard {i}/2 {flags}")).run().exits(0);
    }
}

#[test]
fn a_picture_that_changed_between_two_merges_has_its_new_row() {
    let Setup { data, parts, whole, .. } = &setup();
    cache("merge", parts).run().exits(0);
    Picture::random(99, 40, 30).save(&data.join("train/cats/0.png"));
    shards(data, parts, "--update");
    // What is there was made from another picture: refused, and nothing changed.
    let before = fs::read(parts.join("train_features.npy")).unwrap();
    cache("merge", parts).run().refuses(&["1 file changed (cats/0.png)", "--update"]);
    assert!(fs::read(parts.join("train_features.npy")).unwrap() == before);
    cache("merge", parts).flags("--update").run().exits(0);
    quick(data, whole).run().exits(0);
    assert_same(whole, parts, "train");
    cache("verify", parts).run().exits(0);
    // Nothing is left to do, whichever way it is asked.
    for flags in ["", "--update"] {
        cache("merge", parts).flags(flags).run().exits(0);
    }
    assert_eq!(rows_computed(parts, "train"), 1);
}

#[test]
fn a_merge_that_was_interrupted_notices_that_the_shards_changed() {
    let Setup { data, parts, whole, .. } = &setup();
    // An unfinished merge is what a run over the whole list is: the same journal and part.
    let child = quick(data, parts).flags("--batch-size 1 --threads 1").spawn();
    let journal = parts.join("train.journal");
    wait_for("the first rows", || {
        fs::read(&journal).is_ok_and(|text| text.iter().filter(|b| **b == b'\n').count() > 9)
    });
    signal(&child, "KILL");
    child.wait_with_output().unwrap();
    assert!(!parts.join("train.json").exists(), "it was over too soon");
    Picture::random(98, 40, 30).save(&data.join("train/cats/0.png"));
    shards(data, parts, "--update");
    cache("merge", parts).run().refuses(&["1 file changed (cats/0.png)", "--update"]);
    cache("merge", parts).flags("--update").run().exits(0);
    quick(data, whole).run().exits(0);
    assert_same(whole, parts, "train");
    cache("verify", parts).run().exits(0);
}
