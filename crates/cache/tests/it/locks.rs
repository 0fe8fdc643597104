//! Two writers, killed writers, and locks that were left behind. A child process is this test program itself.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::{compute, many, run, settings, snapshot, writer};
use cache::{CacheError, Dtype, Existing, OpenOptions, State, info, open};
use util::Hint as _;

const ROW: usize = 16;

/// What the child does: opens, says so, computes rows at leisure, and finishes.
#[test]
#[ignore = "run by the other tests as a child process"]
fn child() {
    let Ok(dir) = std::env::var("CACHE_TEST_DIR") else { return };
    let dir = Path::new(&dir);
    let pause = std::env::var("CACHE_TEST_PAUSE").unwrap().parse().unwrap();
    let files = listed(dir);
    let w = writer(open(
        &dir.join("out"),
        "train",
        settings(&[ROW], Dtype::F32),
        files,
        OpenOptions::default(),
    ));
    println!("ready {}", w.pending().len());
    for &position in w.pending() {
        compute(&w, position, ROW).unwrap();
        std::thread::sleep(Duration::from_micros(pause));
    }
    w.finish(Default::default()).unwrap();
}

/// The inputs below `dir/data`, which exist already.
fn listed(dir: &Path) -> Vec<cache::Input> {
    let mut files = Vec::new();
    for (class, name) in ["cats", "dogs"].iter().enumerate() {
        for entry in fs::read_dir(dir.join("data").join(name)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            files.push(cache::Input { name: format!("{name}/{file}"), path, class });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

/// Starts a child and waits until it has opened the split; gives how many rows it had to do.
fn start(dir: &Path, pause: u64) -> (Child, usize) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "locks::child", "--ignored", "--nocapture"])
        .env("CACHE_TEST_DIR", dir)
        .env("CACHE_TEST_PAUSE", pause.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.find_map(|l| l.unwrap().split("ready ").nth(1).map(str::to_owned)).unwrap();
    (child, line.trim().parse().unwrap())
}

#[test]
fn the_second_writer_is_refused_and_a_dead_one_s_lock_taken() {
    let dir = tempfile::tempdir().unwrap();
    let files = many(&dir.path().join("data"), 50);
    let out = dir.path().join("out");
    let (mut child, todo) = start(dir.path(), 10_000_000);
    assert_eq!(todo, 50);
    let error = run(&out, &settings(&[ROW], Dtype::F32), &files, Existing::Overwrite).unwrap_err();
    assert!(matches!(&error, CacheError::Locked { pid, .. } if *pid == child.id()), "{error}");
    assert!(error.to_string().contains(&child.id().to_string()), "{error}");
    let found = info(&out).unwrap();
    assert_eq!(found[0].writer.as_ref().unwrap().0, child.id());
    assert!(matches!(found[0].state, State::Unfinished { inputs: 50, .. }));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(fs::read_to_string(out.join("train.lock")).unwrap().contains(&child.id().to_string()));
    assert_eq!(info(&out).unwrap()[0].writer, None);
    let (manifest, done) =
        run(&out, &settings(&[ROW], Dtype::F32), &files, Existing::Refuse).unwrap();
    assert!(done < 50 && manifest.run.sessions == 2, "{done}");
    assert!(!out.join("train.lock").exists());
}

#[test]
fn killed_at_any_moment_it_goes_on_without_doing_rows_again() {
    let dir = tempfile::tempdir().unwrap();
    let files = many(&dir.path().join("data"), 300);
    let out = dir.path().join("out");
    let (mut kills, mut before) = (0, 300);
    loop {
        let (mut child, todo) = start(dir.path(), 200);
        // On a busy machine it may be killed before it has done one.
        assert!(todo <= before, "{todo} rows to do, {before} before");
        before = todo;
        std::thread::sleep(Duration::from_millis(7 + kills));
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        // The child fails to do anything once the cache is complete; so end before.
        if todo < 60 || kills == 30 {
            break;
        }
    }
    run(&out, &settings(&[ROW], Dtype::F32), &files, Existing::Refuse).unwrap();
    let undisturbed = tempfile::tempdir().unwrap();
    run(undisturbed.path(), &settings(&[ROW], Dtype::F32), &files, Existing::Refuse).unwrap();
    assert_eq!(snapshot(&out), snapshot(undisturbed.path()), "after {kills} kills");
}

#[test]
fn locks_in_the_same_process_and_of_other_hosts() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = many(data.path(), 2);
    let settings = settings(&[ROW], Dtype::F32);
    let again = |existing| run(dir.path(), &settings, &files, existing);
    let w =
        writer(open(dir.path(), "train", settings.clone(), files.clone(), OpenOptions::default()));
    assert!(
        matches!(again(Existing::Refuse), Err(CacheError::Locked { pid, .. }) if pid == std::process::id())
    );
    drop(w);
    let lock = dir.path().join("train.lock");
    assert!(!lock.exists());
    // A process on another host, of which only the text tells.
    let elsewhere = r#"{"pid":7,"host":"elsewhere.example","started_unix":1,"system_lock":false}"#;
    fs::write(&lock, elsewhere).unwrap();
    let error = again(Existing::Overwrite).unwrap_err();
    assert!(error.to_string().contains("process 7 on another host, elsewhere.example"), "{error}");
    assert!(error.hint().unwrap().contains("train.lock"));
    // Dead processes, of this host or of a container that had another name, and emptiness are no obstacle, nor is a number
    // that lives again: the system gave its lock.
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let own = format!(r#"{{"pid":1,"host":"{}","started_unix":1}}"#, host.trim());
    let container = own.replace(host.trim(), "killed-container");
    for text in ["", own.as_str(), container.as_str()] {
        fs::write(&lock, text).unwrap();
        again(Existing::Overwrite).unwrap();
    }
    fs::write(&lock, "{").unwrap();
    let error = again(Existing::Overwrite).unwrap_err();
    assert!(matches!(error, CacheError::ForeignLock { .. }) && error.hint().is_some(), "{error}");
    assert_eq!(fs::read(&lock).unwrap(), b"{");
}

#[test]
fn a_writer_whose_files_were_replaced_gives_no_names() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = many(data.path(), 3);
    let settings = settings(&[ROW], Dtype::F32);
    let start = |existing| {
        let options = OpenOptions { existing, ..OpenOptions::default() };
        writer(open(dir.path(), "train", settings.clone(), files.clone(), options))
    };
    let first = start(Existing::Refuse);
    (0..3).for_each(|position| compute(&first, position, ROW).unwrap());
    // A second writer that took no notice of the first: here somebody removed its lock.
    fs::remove_file(dir.path().join("train.lock")).unwrap();
    let second = start(Existing::Overwrite);
    compute(&second, 0, ROW).unwrap();
    let error = first.finish(Default::default()).unwrap_err();
    assert!(matches!(error, CacheError::OutputVanished { .. }), "{error}");
    assert!(!dir.path().join("train.json").exists());
    // Nor did it take the second's lock with it.
    assert!(dir.path().join("train.lock").exists());
    (1..3).for_each(|position| compute(&second, position, ROW).unwrap());
    assert_eq!(second.finish(Default::default()).unwrap().rows, 3);
    // Only the lock was replaced: the files are still the first's, but that may end at any moment.
    let third = start(Existing::Overwrite);
    (0..3).for_each(|position| compute(&third, position, ROW).unwrap());
    fs::remove_file(dir.path().join("train.lock")).unwrap();
    assert!(matches!(third.finish(Default::default()), Err(CacheError::OutputVanished { .. })));
}
