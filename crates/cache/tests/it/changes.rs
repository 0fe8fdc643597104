//! What changed is noticed and reported; `update` and `overwrite` do what they say.

use std::fs;
use std::path::Path;

use crate::common::{RULES, compute, inputs, many, run, settings, snapshot, with, writer};
use cache::{
    CacheError, Dtype, Existing, Input, OnError, OpenOptions, Opened, Rules, RunStats, Settings,
    Skip, SplitReader, check_compatible, open,
};
use serde_json::json;
use util::Hint as _;

const FILES: &[(&str, &str)] =
    &[("cats/a", "1"), ("cats/b", "2"), ("dogs/c", "3"), ("dogs/d", "bad")];

#[test]
fn a_complete_cache_is_not_touched() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = inputs(data.path(), FILES);
    let settings = settings(&[2], Dtype::F32);
    run(dir.path(), &settings, &files, Existing::Refuse).unwrap();
    let before = fs::metadata(dir.path().join("train_features.npy")).unwrap().modified().unwrap();
    for existing in [Existing::Refuse, Existing::Update] {
        assert_eq!(run(dir.path(), &settings, &files, existing).unwrap().1, 0);
    }
    // New times, same content; without the stamps, too.
    let again = inputs(data.path(), FILES);
    assert_eq!(run(dir.path(), &settings, &again, Existing::Refuse).unwrap().1, 0);
    fs::remove_file(dir.path().join("train.stamps")).unwrap();
    assert_eq!(run(dir.path(), &settings, &again, Existing::Refuse).unwrap().1, 0);
    assert_eq!(
        fs::metadata(dir.path().join("train_features.npy")).unwrap().modified().unwrap(),
        before
    );
    assert_eq!(run(dir.path(), &settings, &files, Existing::Overwrite).unwrap().1, 4);
}

#[test]
fn what_decides_nothing_makes_nothing_stale_but_other_numerics_do() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = inputs(data.path(), FILES);
    let old = settings(&[2], Dtype::F32);
    let newer = with(&old, "by", json!("99.0"));
    let options = |existing| OpenOptions { existing, rules: RULES, ..OpenOptions::default() };
    let opened = |settings: &Settings, existing| {
        open(dir.path(), "train", settings.clone(), files.clone(), options(existing))
    };
    // An unfinished run goes on under another version, and the manifest tells of the one that finished it.
    let w = writer(opened(&old, Existing::Refuse));
    (0..2).for_each(|position| compute(&w, position, 2).unwrap());
    w.abandon().unwrap();
    let w = writer(opened(&newer, Existing::Refuse));
    assert_eq!(w.pending(), [2, 3]);
    (2..4).for_each(|position| compute(&w, position, 2).unwrap());
    let stats = RunStats { tool_version: "99.0".to_owned(), ..RunStats::default() };
    let manifest = w.finish(stats).unwrap();
    assert_eq!(manifest.settings.recipe.fields()["by"], "99.0");
    assert_eq!(manifest.run.tool_version, "99.0");
    for settings in [&old, &newer] {
        for existing in [Existing::Refuse, Existing::Update] {
            assert!(matches!(opened(settings, existing).unwrap(), Opened::UpToDate(_)));
        }
    }
    let other = with(&newer, "numerics", json!(2));
    let error = opened(&other, Existing::Update).unwrap_err();
    assert!(error.to_string().contains("numerics was 1, is now 2"), "{error}");
    // A manifest from before there was such a field.
    let path = dir.path().join("train.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("    \"numerics\": 1,\n", "")).unwrap();
    let error = opened(&old, Existing::Refuse).unwrap_err();
    assert!(error.to_string().contains("numerics was absent, is now 1"), "{error}");
    SplitReader::open(dir.path(), "train").unwrap();
}

#[test]
fn what_changed_is_told() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = inputs(data.path(), FILES);
    let old = settings(&[2], Dtype::F32);
    run(dir.path(), &old, &files, Existing::Refuse).unwrap();
    let told = |settings, files: &[_]| {
        let e = run(dir.path(), settings, files, Existing::Refuse).unwrap_err();
        (e.to_string(), e.hint().unwrap())
    };
    let new = with(&old, "weights", json!({ "name": "w", "sha256": "cd" }));
    let new = with(&new, "layer", json!("block4_pool"));
    let (text, hint) = told(&new, &files);
    assert!(text.contains(r#"layer was "block5_pool", is now "block4_pool""#), "{text}");
    assert!(text.contains(r#"weights.sha256 was "ab", is now "cd""#), "{text}");
    assert!(hint.contains("overwrite") && !hint.contains("update"), "{hint}");
    let error = run(dir.path(), &new, &files, Existing::Update).unwrap_err();
    assert!(matches!(error, CacheError::Changed { .. }), "{error}");

    let (text, hint) = told(&old, &files[1..]);
    assert!(text.contains("1 file removed (cats/a)") && hint.contains("update"), "{text}");
    let more = inputs(
        data.path(),
        &[FILES[0], FILES[1], FILES[2], FILES[3], ("dogs/e", "5"), ("dogs/f", "6")],
    );
    assert!(told(&old, &more).0.contains("2 files added (dogs/e, dogs/f)"));
    // Same size, other content; and a bad file that was fixed.
    fs::write(&files[1].path, "9").unwrap();
    fs::write(&files[3].path, "good now").unwrap();
    assert!(told(&old, &files).0.contains("2 files changed (cats/b, dogs/d)"));
    // Nothing of this has touched the old cache.
    SplitReader::open(dir.path(), "train").unwrap().verify_full(|_| ()).unwrap();
    let (manifest, done) = run(dir.path(), &old, &files, Existing::Update).unwrap();
    assert_eq!(
        (done, manifest.rows, manifest.run.rows_reused, manifest.run.rows_computed),
        (2, 4, 2, 2)
    );
    let fresh = tempfile::tempdir().unwrap();
    run(fresh.path(), &old, &files, Existing::Refuse).unwrap();
    assert_eq!(snapshot(dir.path()), snapshot(fresh.path()));
}

#[test]
fn an_interrupted_run_goes_on_or_tells_what_changed() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = many(data.path(), 9);
    let settings = settings(&[2], Dtype::F32);
    let w =
        writer(open(dir.path(), "train", settings.clone(), files.clone(), OpenOptions::default()));
    for position in [1, 4, 6] {
        compute(&w, position, 2).unwrap();
    }
    assert!(compute(&w, 4, 2).unwrap_err().to_string().contains("done already"));
    assert!(matches!(
        w.finish(RunStats::default()),
        Err(CacheError::Incomplete { missing: 6, total: 9, .. })
    ));
    assert!(matches!(SplitReader::open(dir.path(), "train"), Err(CacheError::Missing { .. })));
    let other = with(&settings, "layer", json!("block4_pool"));
    let error = run(dir.path(), &other, &files, Existing::Refuse).unwrap_err().to_string();
    assert!(error.contains("train.journal") && error.contains("layer"), "{error}");
    let w =
        writer(open(dir.path(), "train", settings.clone(), files.clone(), OpenOptions::default()));
    assert_eq!((w.pending(), w.reused(), w.total()), (&[0, 2, 3, 5, 7, 8][..], 3, 9));
    w.abandon().unwrap();
    // A done file that changed is refused, or computed again.
    fs::write(&files[4].path, "other").unwrap();
    let error = run(dir.path(), &settings, &files, Existing::Refuse).unwrap_err().to_string();
    assert!(error.contains("1 file changed (cats/00004)"), "{error}");
    let (manifest, done) = run(dir.path(), &settings, &files, Existing::Update).unwrap();
    assert_eq!((done, manifest.run.rows_reused), (7, 2));
}

#[test]
fn update_mends_a_damaged_cache() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = many(data.path(), 40);
    // 16 rows a block.
    let settings = settings(&[256, 256], Dtype::F32);
    run(dir.path(), &settings, &files, Existing::Refuse).unwrap();
    let good = snapshot(dir.path());
    let path = dir.path().join("train_features.npy");
    let cut = fs::OpenOptions::new().write(true).open(&path).unwrap();
    cut.set_len(9_000_000).unwrap();
    let error = run(dir.path(), &settings, &files, Existing::Refuse).unwrap_err();
    assert!(
        matches!(error, CacheError::Damaged { .. }) && error.hint().unwrap().contains("update"),
        "{error}"
    );
    assert!(matches!(SplitReader::open(dir.path(), "train"), Err(CacheError::Damaged { .. })));
    assert_eq!(run(dir.path(), &settings, &files, Existing::Update).unwrap().1, 8);
    assert_eq!(snapshot(dir.path()), good);
}

#[test]
fn fail_stops_at_a_bad_file() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options = OpenOptions { on_error: OnError::Fail, ..OpenOptions::default() };
    let files = inputs(data.path(), FILES);
    let w = writer(open(dir.path(), "train", settings(&[2], Dtype::F32), files, options));
    let error = w.skip(3, &Skip::judged("not a\npicture", b"bad")).unwrap_err();
    assert_eq!(error.to_string(), "dogs/d: not a picture");
}

#[test]
fn wrong_arguments_are_told() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = inputs(data.path(), FILES);
    let good = settings(&[2], Dtype::F32);
    let try_open = |split: &str, settings, files: Vec<_>| {
        open(dir.path(), split, settings, files, OpenOptions::default())
    };
    for split in ["../x", "a/b", ".hidden", "", "train.shard-1-of-2"] {
        assert!(
            matches!(try_open(split, good.clone(), files.clone()), Err(CacheError::Usage(_))),
            "{split}"
        );
    }
    for shape in [&[][..], &[0], &[1 << 40, 1 << 40], &[1; 9]] {
        assert!(matches!(
            try_open("t", settings(shape, Dtype::F32), files.clone()),
            Err(CacheError::Usage(_))
        ));
    }
    let mut twice = files.clone();
    twice[1] = twice[0].clone();
    assert!(matches!(try_open("t", good.clone(), twice), Err(CacheError::Usage(_))));
    let mut classless = files;
    classless[0].class = 2;
    assert!(matches!(try_open("t", good, classless), Err(CacheError::Usage(_))));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn splits_that_do_not_belong_together_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let files = inputs(data.path(), FILES);
    let base = settings(&[2], Dtype::F32);
    let manifest = |settings: Settings| {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), &settings, &files, Existing::Refuse).unwrap().0
    };
    let a = manifest(base.clone());
    let b = manifest(with(&with(&base, "by", json!("2")), "numerics", json!(2)));
    check_compatible(&a, &b, RULES).unwrap();
    let harmless = a.settings.harmless(&b.settings, RULES);
    assert_eq!(harmless.iter().map(|d| d.field.as_str()).collect::<Vec<_>>(), ["numerics"]);
    assert!(check_compatible(&a, &b, Rules::default()).is_err());
    for other in [
        with(&base, "layer", json!("block4_pool")),
        with(&base, "weights", json!({ "name": "w", "sha256": "ff" })),
        with(&base, "unheard", json!(null)),
        Settings { classes: vec!["kittens".to_owned(), "dogs".to_owned()], ..base.clone() },
        Settings { row_shape: vec![1, 2], ..base.clone() },
        Settings { dtype: Dtype::F16, ..base.clone() },
    ] {
        assert!(matches!(
            check_compatible(&a, &manifest(other), RULES),
            Err(CacheError::Incompatible { .. })
        ));
    }
    let error = check_compatible(&a, &manifest(with(&base, "layer", json!("x"))), RULES);
    let text = error.unwrap_err().to_string();
    assert!(text.contains(r#"layer is "block5_pool" in the first, "x" in the second"#), "{text}");
}

#[test]
fn an_empty_split_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let w = writer(open(
        dir.path(),
        "train",
        settings(&[2], Dtype::F32),
        Vec::new(),
        OpenOptions::default(),
    ));
    assert_eq!(w.finish(RunStats::default()).unwrap().shape, [0, 2]);
    let reader = SplitReader::open(dir.path(), "train").unwrap();
    reader.verify_full(|_| ()).unwrap();
    assert!(reader.is_empty() && reader.features_f32().unwrap().is_empty());
    let again =
        open(dir.path(), "train", settings(&[2], Dtype::F32), Vec::new(), OpenOptions::default())
            .unwrap();
    assert!(matches!(again, Opened::UpToDate(_)));
}

/// A run in which `unread` cannot be read, as under a passing error of the device.
fn run_without(dir: &Path, files: &[Input], unread: &str) {
    let w = writer(open(
        dir,
        "train",
        settings(&[2], Dtype::F32),
        files.to_vec(),
        OpenOptions::default(),
    ));
    for &position in w.pending() {
        if w.input(position).unwrap().name == unread {
            w.skip(position, &Skip::passing("cannot read: Input/output error")).unwrap();
        } else {
            compute(&w, position, 2).unwrap();
        }
    }
    w.finish(RunStats::default()).unwrap();
}

#[test]
fn a_file_that_could_not_be_read_is_tried_again_once_it_can_be() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = inputs(data.path(), FILES);
    let settings = settings(&[2], Dtype::F32);
    for existing in [Existing::Refuse, Existing::Update] {
        let fresh = dir.path().join(existing.name());
        run_without(&fresh, &files, "cats/b");
        let bad = SplitReader::open(&fresh, "train").unwrap().index().unwrap().swap_remove(1);
        assert_eq!((bad.row, bad.bytes, bad.sha256), (None, None, None));
        assert!(
            fs::read_to_string(fresh.join("train.stamps")).unwrap().lines().nth(2) == Some("-")
        );
        // The same file, untouched: its row is computed, and nothing else.
        let (manifest, done) = run(&fresh, &settings, &files, existing).unwrap();
        assert_eq!((done, manifest.rows, manifest.run.rows_reused), (2, 3, 2), "{existing}");
        assert_eq!(run(&fresh, &settings, &files, existing).unwrap().1, 0);
        let never = dir.path().join("never").join(existing.name());
        run(&never, &settings, &files, Existing::Refuse).unwrap();
        assert_eq!(snapshot(&fresh), snapshot(&never));
    }
}

#[test]
fn a_file_that_still_cannot_be_read_costs_nothing_and_stays_listed() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = inputs(data.path(), FILES);
    let settings = settings(&[2], Dtype::F32);
    let path = &files[1].path;
    fs::remove_file(path).unwrap();
    std::os::unix::fs::symlink(path.with_extension("gone"), path).unwrap();
    run_without(dir.path(), &files, "cats/b");
    let before = snapshot(dir.path());
    for existing in [Existing::Refuse, Existing::Update] {
        assert_eq!(run(dir.path(), &settings, &files, existing).unwrap().1, 0);
        assert_eq!(snapshot(dir.path()), before);
    }
    // An unfinished run of something else isn't given up for it.
    fs::write(path.with_extension("gone"), "2").unwrap();
    let other = with(&settings, "seed", json!(9));
    let options = OpenOptions { existing: Existing::Overwrite, ..OpenOptions::default() };
    let w = writer(open(dir.path(), "train", other, files.clone(), options));
    compute(&w, 0, 2).unwrap();
    w.abandon().unwrap();
    let journal = fs::read(dir.path().join("train.journal")).unwrap();
    assert_eq!(run(dir.path(), &settings, &files, Existing::Refuse).unwrap().1, 0);
    assert_eq!(fs::read(dir.path().join("train.journal")).unwrap(), journal);
    assert_eq!(run(dir.path(), &settings, &files, Existing::Update).unwrap().1, 2);
}

#[test]
fn a_row_whose_file_cannot_be_read_any_more_is_not_dropped_in_silence() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = inputs(data.path(), FILES);
    let settings = settings(&[2], Dtype::F32);
    run(dir.path(), &settings, &files, Existing::Refuse).unwrap();
    fs::remove_file(&files[0].path).unwrap();
    std::os::unix::fs::symlink("nowhere", &files[0].path).unwrap();
    let error = run(dir.path(), &settings, &files, Existing::Refuse).unwrap_err().to_string();
    assert!(error.contains("1 file changed (cats/a)"), "{error}");
    // Under update the caller is asked for it again, and what it says is in the index.
    let options = OpenOptions { existing: Existing::Update, ..OpenOptions::default() };
    let w = writer(open(dir.path(), "train", settings, files, options));
    assert_eq!(w.pending(), [0, 3]);
    w.skip(0, &Skip::passing("a broken link")).unwrap();
    compute(&w, 3, 2).unwrap();
    let manifest = w.finish(RunStats::default()).unwrap();
    assert_eq!((manifest.rows, manifest.skipped, manifest.inputs), (2, 2, 4));
    let line = SplitReader::open(dir.path(), "train").unwrap().index().unwrap().swap_remove(0);
    assert_eq!((line.file.as_str(), line.reason.as_str()), ("cats/a", "a broken link"));
}

#[test]
fn what_is_kept_of_a_bad_file_is_of_the_bytes_that_were_judged() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = inputs(data.path(), FILES);
    let settings = settings(&[2], Dtype::F32);
    let w =
        writer(open(dir.path(), "train", settings.clone(), files.clone(), OpenOptions::default()));
    (0..3).for_each(|position| compute(&w, position, 2).unwrap());
    // It is replaced between the look at it and the note.
    fs::write(&files[3].path, "good").unwrap();
    w.skip(3, &Skip::judged("no picture", b"bad")).unwrap();
    w.finish(RunStats::default()).unwrap();
    let line = SplitReader::open(dir.path(), "train").unwrap().index().unwrap().swap_remove(3);
    assert_eq!((line.bytes, line.sha256), (Some(3), Some(crate::common::source(b"bad").sha256)));
    let error = run(dir.path(), &settings, &files, Existing::Refuse).unwrap_err().to_string();
    assert!(error.contains("1 file changed (dogs/d)"), "{error}");
}
