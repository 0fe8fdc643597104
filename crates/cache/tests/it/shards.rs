//! What merging refuses, and that it makes the files of one run.

use std::fs;
use std::path::Path;

use crate::common::{compute, many, run, settings, snapshot, with};
use cache::{
    CacheError, Dtype, Existing, Input, OpenOptions, Opened, Rules, RunStats, Settings, Shard,
    merge, open,
};
use util::Hint as _;

fn shard(dir: &Path, settings: &Settings, files: &[Input], index: usize, count: usize) {
    let options = OpenOptions { shard: Some(Shard { index, count }), ..OpenOptions::default() };
    let Opened::Writer(w) = open(dir, "train", settings.clone(), files.to_vec(), options).unwrap()
    else {
        return;
    };
    let pending = w.pending().to_vec();
    pending.iter().for_each(|&p| compute(&w, p, settings.row_elements().unwrap()).unwrap());
    w.finish(RunStats { seconds: 1.5, ..RunStats::default() }).unwrap();
}

fn refusal(dir: &Path) -> String {
    let error = merge(dir, "train", Existing::Refuse, Rules::default()).unwrap_err();
    assert!(matches!(error, CacheError::Shards { .. } | CacheError::Damaged { .. }), "{error}");
    assert!(error.hint().is_some());
    error.to_string()
}

#[test]
fn shards_become_one() {
    let (dir, data, whole) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut files = many(data.path(), 11);
    fs::write(&files[7].path, "bad").unwrap();
    files[3].name = "cats/with, \"comma\"".to_owned();
    for dtype in [Dtype::F32, Dtype::F16] {
        let settings = settings(&[3, 5], dtype);
        run(whole.path(), &settings, &files, Existing::Overwrite).unwrap();
        let shards = tempfile::tempdir().unwrap();
        for index in [2, 4, 1, 3] {
            shard(shards.path(), &settings, &files, index, 4);
        }
        let manifest = merge(shards.path(), "train", Existing::Refuse, Rules::default()).unwrap();
        assert_eq!((manifest.rows, manifest.run.extra["shard_seconds"].as_f64()), (10, Some(6.0)));
        let keep = |dir: &Path| {
            let mut all = snapshot(dir);
            all.retain(|name, _| !name.contains("shard") && !name.ends_with("stamps"));
            all
        };
        assert_eq!(keep(shards.path()), keep(whole.path()));
        // Again: nothing to do. And extract finds it complete.
        merge(shards.path(), "train", Existing::Refuse, Rules::default()).unwrap();
        assert_eq!(run(shards.path(), &settings, &files, Existing::Refuse).unwrap().1, 0);
    }
    assert!(refusal(dir.path()).contains("there are none"));
}

#[test]
fn missing_double_and_foreign_shards_are_refused() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = many(data.path(), 9);
    let good = settings(&[2], Dtype::F32);
    shard(dir.path(), &good, &files, 1, 3);
    shard(dir.path(), &good, &files, 3, 3);
    let text = refusal(dir.path());
    assert!(text.contains("missing: 2/3") && !text.contains("1/3"), "{text}");
    // Another one's files under the missing name.
    for end in ["_features.npy", "_labels.npy", "_index.csv", ".json"] {
        let name = |i| dir.path().join(format!("train.shard-{i}-of-3{end}"));
        fs::copy(name(3), name(2)).unwrap();
    }
    assert!(refusal(dir.path()).contains("train.shard-2-of-3"));
    for end in ["_features.npy", "_labels.npy", "_index.csv", ".json"] {
        fs::remove_file(dir.path().join(format!("train.shard-2-of-3{end}"))).unwrap();
    }
    // Of other settings, and of another list.
    let other = with(&good, "precision", serde_json::json!("medium"));
    shard(dir.path(), &other, &files, 2, 3);
    let text = refusal(dir.path());
    assert!(text.contains("train.shard-2-of-3 has another precision"), "{text}");
    fs::remove_file(dir.path().join("train.shard-2-of-3.json")).unwrap();
    for end in ["_features.npy", "_labels.npy", "_index.csv"] {
        fs::remove_file(dir.path().join(format!("train.shard-2-of-3{end}"))).unwrap();
    }
    shard(dir.path(), &good, &files[..8], 2, 3);
    assert!(refusal(dir.path()).contains("another list of files"));
    shard(dir.path(), &good, &files, 1, 2);
    assert!(refusal(dir.path()).contains("different counts"));
}
