//! What the system may do to a run: nothing that was finished is lost, and the message says what to do.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{compute, many, run, settings, snapshot, writer};
use cache::{
    CacheError, Dtype, Existing, OpenOptions, RunStats, SplitReader, info, list_splits, open,
};
use util::Hint as _;

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_pipe_or_a_folder_where_a_file_is_expected() {
    let data = tempfile::tempdir().unwrap();
    let files = many(data.path(), 3);
    let settings = settings(&[2], Dtype::F32);
    let names = [
        "train_features.npy",
        "train_features.npy.part",
        "train_labels.npy",
        "train_index.csv.part",
        "train.json",
        "train.journal",
        "train.lock",
        "train.stamps",
    ];
    for name in names {
        for make in [fifo as fn(&Path), |p| fs::create_dir(p).unwrap()] {
            let dir = tempfile::tempdir().unwrap();
            make(&dir.path().join(name));
            for existing in Existing::ALL {
                let error = run(dir.path(), &settings, &files, *existing).unwrap_err();
                let text = error.to_string();
                assert!(text.contains(name) && text.contains("expected a regular file"), "{text}");
            }
            // Readers do not hang either.
            assert!(SplitReader::open(dir.path(), "train").is_err());
            let _ = info(dir.path());
        }
    }
    // And with a finished cache, for its readers.
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &settings, &files, Existing::Refuse).unwrap();
    for name in ["train_features.npy", "train_labels.npy", "train.json"] {
        let (path, aside) = (dir.path().join(name), dir.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        fifo(&path);
        assert!(SplitReader::open(dir.path(), "train").unwrap_err().to_string().contains(name));
        fs::rename(&aside, &path).unwrap();
    }
    // A pipe among the inputs is not opened when content is compared.
    fs::remove_file(&files[1].path).unwrap();
    fifo(&files[1].path);
    let error = run(dir.path(), &settings, &files, Existing::Refuse).unwrap_err().to_string();
    assert!(error.contains("1 file changed"), "{error}");
}

#[test]
fn the_folder_goes_away_while_it_is_written() {
    let (base, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = many(data.path(), 3);
    let dir = base.path().join("features");
    let w = writer(open(
        &dir,
        "train",
        settings(&[2], Dtype::F32),
        files.clone(),
        OpenOptions::default(),
    ));
    compute(&w, 0, 2).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    compute(&w, 1, 2).unwrap();
    let error = w.checkpoint().unwrap_err();
    assert!(
        matches!(error, CacheError::OutputVanished { .. }) && error.hint().is_some(),
        "{error}"
    );
    compute(&w, 2, 2).unwrap();
    assert!(matches!(w.finish(RunStats::default()), Err(CacheError::OutputVanished { .. })));
    assert!(!dir.exists());
    assert_eq!(run(&dir, &settings(&[2], Dtype::F32), &files, Existing::Refuse).unwrap().1, 3);
}

#[test]
fn a_file_where_the_folder_should_be() {
    let (base, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = base.path().join("features");
    fs::write(&dir, "x").unwrap();
    let error = run(&dir, &settings(&[2], Dtype::F32), &many(data.path(), 1), Existing::Refuse)
        .unwrap_err();
    assert!(error.to_string().contains("features"), "{error}");
}

#[test]
fn a_folder_that_may_not_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(dir.path().join("probe"), "").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    let error =
        run(dir.path(), &settings(&[2], Dtype::F32), &many(data.path(), 1), Existing::Refuse)
            .unwrap_err();
    assert!(
        error.to_string().contains("train.lock") && error.hint().unwrap().contains("--features"),
        "{error}"
    );
}

#[test]
fn links_do_not_lead_writes_elsewhere() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = data.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    for name in [
        "train_features.npy.part",
        "train_labels.npy.part",
        "train.json",
        "train_index.csv",
        "train.journal",
    ] {
        std::os::unix::fs::symlink(&victim, dir.path().join(name)).unwrap();
    }
    run(dir.path(), &settings(&[2], Dtype::F32), &many(data.path(), 2), Existing::Overwrite)
        .unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    SplitReader::open(dir.path(), "train").unwrap().verify_full(|_| ()).unwrap();
}

#[test]
fn hostile_manifests_indices_and_journals() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = many(data.path(), 4);
    let settings = settings(&[2], Dtype::F32);
    run(dir.path(), &settings, &files, Existing::Refuse).unwrap();
    let good = snapshot(dir.path());
    let path = dir.path().join("train.json");
    let text = fs::read_to_string(&path).unwrap();
    let refused = |text: &str| {
        fs::write(&path, text).unwrap();
        assert!(SplitReader::open(dir.path(), "train").is_err(), "{text}");
        assert!(run(dir.path(), &settings, &files, Existing::Refuse).is_err());
        let _ = info(dir.path()).unwrap();
    };
    for (from, to) in [
        (r#""rows": 4"#, r#""rows": 18446744073709551615"#),
        (r#""rows": 4"#, r#""rows": 3"#),
        (r#""inputs": 4"#, r#""inputs": 4000000000000"#),
        (r#""block_rows": "#, r#""block_rows": 0"#),
        (r#""block_rows": "#, r#""block_rows": 9999999999"#),
        (r#""data_offset": 128"#, r#""data_offset": 64"#),
        ("train_features.npy", "../../etc/passwd"),
        (r#""format_version": 2"#, r#""format_version": 3"#),
        (r#""format": "feature-cache""#, r#""format": "other""#),
        (r#""split": "train""#, r#""split": "test""#),
        (r#""dtype": "f32""#, r#""dtype": "f16""#),
        (r#""dtype": "f32""#, r#""dtype": "f32", "views": 0"#),
        (r#""dtype": "f32""#, r#""dtype": "f32", "views": 2"#),
        (r#""dtype": "f32""#, r#""dtype": "f32", "views": 9223372036854775808"#),
        (r#""shard": null"#, r#""shard": {"index": 9, "count": 0}"#),
    ] {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text, "{from}");
        refused(&bad);
    }
    for text in ["", "{}", "[", &"[".repeat(100_000), "null", &text[..text.len() / 2]] {
        refused(text);
    }
    fs::write(&path, &text).unwrap();
    let index = dir.path().join("train_index.csv");
    let csv = fs::read_to_string(&index).unwrap();
    for (from, to) in
        [("\n0,", "\n1,"), (",ok,", ",ko,"), ("cats,0,", "cats,9,"), ("row,file", "row,name")]
    {
        fs::write(&index, csv.replacen(from, to, 1)).unwrap();
        let read = SplitReader::open(dir.path(), "train").and_then(|r| r.index());
        assert!(matches!(read, Err(CacheError::Damaged { .. })), "{from}");
    }
    fs::write(&index, &csv).unwrap();
    // Garbage for a journal beside a complete cache disturbs nobody; without one it is reported.
    fs::write(dir.path().join("train.journal"), "garbage\n").unwrap();
    fs::write(dir.path().join("train_features.npy.part"), "garbage").unwrap();
    SplitReader::open(dir.path(), "train").unwrap();
    let error = run(dir.path(), &settings, &files, Existing::Refuse).unwrap_err();
    assert!(error.to_string().contains("train.journal"), "{error}");
    run(dir.path(), &settings, &files, Existing::Overwrite).unwrap();
    assert_eq!(snapshot(dir.path()), good);
}

#[test]
fn what_lies_in_a_folder() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert!(list_splits(&dir.path().join("none")).unwrap().is_empty());
    let files = many(data.path(), 4);
    for name in ["notes.json", "x.txt", ".hidden.json"] {
        fs::write(dir.path().join(name), "{}").unwrap();
    }
    fs::remove_file(dir.path().join("notes.json")).unwrap();
    run(dir.path(), &settings(&[2], Dtype::F32), &files, Existing::Refuse).unwrap();
    let w =
        writer(open(dir.path(), "test", settings(&[2], Dtype::F32), files, OpenOptions::default()));
    compute(&w, 2, 2).unwrap();
    drop(w);
    assert_eq!(list_splits(dir.path()).unwrap(), ["train"]);
    let found = info(dir.path()).unwrap();
    assert_eq!(found.iter().map(|i| i.split.as_str()).collect::<Vec<_>>(), ["test", "train"]);
    assert_eq!(found[0].state, cache::State::Unfinished { rows: 1, inputs: 4 });
    assert!(matches!(found[1].state, cache::State::Complete(_)));
}
