//! Files of a head's folder that are removed, replaced and locked.

use super::*;

#[test]
fn only_what_an_earlier_run_wrote_is_removed() {
    let root = temp();
    let (_, features, head) = own(root.path());
    fs::create_dir_all(head.join("predictions_folder.csv")).unwrap();
    for name in ["predictions_mine.csv", "predictions_.csv", "predictions_validation.csv.csv"] {
        fs::write(head.join(name), b"mine").unwrap();
    }
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    assert_eq!(fs::read(head.join("predictions_mine.csv")).unwrap(), b"mine");
    // A split that is no longer there takes its predictions along.
    for name in
        ["test.json", "test.stamps", "test_features.npy", "test_index.csv", "test_labels.npy"]
    {
        fs::remove_file(features.join(name)).unwrap();
    }
    assert!(head.join("predictions_test.csv").exists());
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    assert!(!head.join("predictions_test.csv").exists());
    for name in ["predictions_mine.csv", "predictions_.csv", "predictions_validation.csv.csv"] {
        assert_eq!(fs::read(head.join(name)).unwrap(), b"mine");
    }
    assert!(head.join("predictions_folder.csv").is_dir());
}

#[cfg(unix)]
#[test]
fn a_list_of_files_to_remove_is_not_believed_blindly() {
    let root = temp();
    let (_, features, head) = own(root.path());
    fs::create_dir_all(&head).unwrap();
    let mine = root.path().join("predictions_mine.csv");
    fs::write(&mine, b"mine").unwrap();
    fs::create_dir_all(head.join("predictions_x")).unwrap();
    std::os::unix::fs::symlink(&mine, head.join("predictions_link.csv")).unwrap();
    fs::create_dir_all(head.join("predictions_folder.csv")).unwrap();
    let splits = json!({
        "x/../../predictions_mine": {}, "link": {}, "folder": {}, "": {}, "..": {}, "a\0b": {},
        mine.with_extension("").to_str().unwrap(): {},
    });
    for text in [
        json!({ "format_version": 1, "splits": splits }).to_string(),
        "[".repeat(100_000),
        String::new(),
        json!({ "splits": ["link"] }).to_string(),
    ] {
        fs::write(head.join("metrics.json"), text).unwrap();
        fit_head(&features, &head).flags("--epochs 1").run().exits(0);
        assert_eq!(fs::read(&mine).unwrap(), b"mine");
        assert!(fs::symlink_metadata(head.join("predictions_link.csv")).unwrap().is_symlink());
        assert!(head.join("predictions_folder.csv").is_dir());
    }
}

#[cfg(unix)]
#[test]
fn links_in_the_heads_folder_are_replaced_and_not_followed() {
    let root = temp();
    let (_, features, head) = own(root.path());
    fs::create_dir_all(&head).unwrap();
    let written = names(&shared().head);
    for name in &written {
        let target = root.path().join(format!("mine-{name}"));
        fs::write(&target, b"mine").unwrap();
        std::os::unix::fs::symlink(&target, head.join(name)).unwrap();
    }
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    assert_eq!(names(&head), written);
    for name in &written {
        assert_eq!(fs::read(root.path().join(format!("mine-{name}"))).unwrap(), b"mine");
        assert!(fs::symlink_metadata(head.join(name)).unwrap().is_file(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn the_lock_is_no_link_and_no_file_of_somebody_else() {
    let root = temp();
    let (_, features, head) = own(root.path());
    fs::create_dir_all(&head).unwrap();
    let (lock, mine) = (head.join("head.lock"), root.path().join("mine"));
    fs::write(&mine, b"mine").unwrap();
    std::os::unix::fs::symlink(&mine, &lock).unwrap();
    fit_head(&features, &head).flags("--epochs 1").run().refuses(&["head.lock", "link"]);
    fs::remove_file(&lock).unwrap();
    fs::write(&lock, b"mine").unwrap();
    fit_head(&features, &head).flags("--epochs 1").run().refuses(&["head.lock"]);
    assert_eq!(
        (fs::read(&lock).unwrap(), fs::read(&mine).unwrap()),
        (b"mine".into(), b"mine".into())
    );
    assert_eq!(names(&head), ["head.lock"]);
    // That of a run that was killed holds nobody.
    fs::write(&lock, br#"{"pid":1,"host":"elsewhere","started_unix":1}"#).unwrap();
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    assert!(!lock.exists());
}

/// Waits for a child's first line on standard output, and holds it there.
#[cfg(unix)]
fn held_while_training(features: &Path, head: &Path) -> Child {
    use std::io::{BufRead as _, BufReader};
    let mut child = fit_head(features, head).flags("--epochs 100000").spawn();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Epoch") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "it ended before the first epoch");
    }
    signal(&child, "STOP");
    child
}

#[cfg(unix)]
#[test]
fn the_second_fit_head_on_a_folder_is_refused() {
    let root = temp();
    let (_, features, head) = own(root.path());
    let mut first = held_while_training(&features, &head);
    let pid = first.id().to_string();
    let second = fit_head(&features, &head).flags("--epochs 1").run();
    first.kill().unwrap();
    first.wait().unwrap();
    let outcome = second.refuses(&[&format!("process {pid}"), "--head"]);
    assert!(!outcome.out.contains("Epoch"), "before any training: {}", outcome.text());
    // The lock of a dead process holds nobody, and nothing of it stays.
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    assert_eq!(names(&head), names(&shared().head));
    predict(&head).arg(shared().data.join("test")).run().exits(0);
}
