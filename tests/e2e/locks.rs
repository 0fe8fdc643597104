//! What is at the place of a lock.

use std::fs;

use crate::drawing::{TWO, split};
use crate::support::*;

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_a_working_file_does_not_lead_to_a_precious_one() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    fs::create_dir_all(&features).unwrap();
    let precious = root.path().join("precious");
    fs::write(&precious, b"precious").unwrap();
    let link = features.join("train.lock");
    std::os::unix::fs::symlink(&precious, &link).unwrap();
    for flags in ["", "--update", "--overwrite"] {
        let outcome = quick(&data, &features).flags(flags).run();
        outcome.refuses(&["train.lock", "a symbolic link"]);
        assert_eq!(fs::read(&precious).unwrap(), b"precious");
        assert!(link.is_symlink());
    }
    fs::remove_file(&link).unwrap();
    // Somebody's file of that name is no lock either.
    fs::write(&link, b"precious").unwrap();
    quick(&data, &features).run().refuses(&["train.lock", "not a lock"]);
    assert_eq!(fs::read(&link).unwrap(), b"precious");
    fs::remove_file(&link).unwrap();

    // An unfinished run whose files were exchanged for links.
    for name in ["train.journal", "train_features.npy.part"] {
        let features = root.path().join(format!("links-{name}"));
        let (data, _) = crate::interrupted::many(&root.path().join(name));
        let mut child = crate::interrupted::begun(&data, &features);
        child.kill().unwrap();
        child.wait().unwrap();
        let (path, moved) = (features.join(name), root.path().join(format!("moved-{name}")));
        fs::rename(&path, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &path).unwrap();
        let before = fs::read(&moved).unwrap();
        crate::interrupted::slow(&data, &features).run().refuses(&[name, "a symbolic link"]);
        assert!(fs::read(&moved).unwrap() == before, "{name} was written through a link");
    }
}

#[test]
fn a_lock_of_a_killed_container_holds_nobody() {
    let root = temp();
    let (data, features) = crate::interrupted::many(root.path());
    let mut child = crate::interrupted::begun(&data, &features);
    child.kill().unwrap();
    child.wait().unwrap();
    // The same folder, seen from a container with another name.
    let lock = features.join("train.lock");
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&lock).unwrap()).unwrap();
    text["host"] = "a-container-that-is-gone".into();
    text["pid"] = 1.into();
    fs::write(&lock, text.to_string()).unwrap();
    crate::interrupted::slow(&data, &features).run().exits(0);
    assert_complete(&features, &["train"]);
}
