//! Folders and disks that fail: a clear error, nothing lost that was finished, and the same command goes on.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::drawing::{Picture, TWO, split};
use crate::folders::{as_ordinary_user, is_root};
use crate::interrupted::{begun, go_on, many, slow};
use crate::support::*;

#[test]
fn a_file_where_a_folder_is_needed() {
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 1);
    let file = root.path().join("file");
    fs::write(&file, b"mine").unwrap();
    quick(&data, &file).run().refuses(&["features folder", "found a file", "--features"]);
    quick(&data, &file.join("below")).run().refuses(&["file/below", "--features"]);
    quick(&file, &root.path().join("features")).run().refuses(&["data folder"]);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_folder_where_a_file_is_needed() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    for name in ["train_features.npy", "train.json", "train_features.npy.part", "train.lock"] {
        fs::create_dir_all(features.join(name)).unwrap();
        quick(&data, &features).run().exits(1).complains(&["error: ", name]);
        fs::remove_dir(features.join(name)).unwrap();
    }
    quick(&data, &features).run().exits(0);
}

#[cfg(unix)]
#[test]
fn a_pipe_where_a_file_is_needed_is_not_waited_for() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    fs::create_dir_all(&features).unwrap();
    for name in ["train_features.npy", "train.json", "train.journal", "train.lock"] {
        let pipe = features.join(name);
        if !Command::new("mkfifo").arg(&pipe).status().is_ok_and(|s| s.success()) {
            println!("skipped: no mkfifo");
            return;
        }
        quick(&data, &features).run().exits(1).complains(&["error: ", name]);
        for command in ["info", "verify"] {
            let outcome = cache(command, &features).run();
            assert!(matches!(outcome.code, Some(0 | 1)), "{}", outcome.text());
        }
        let outcome = fit_head(&features, &root.path().join("head")).run();
        assert_eq!(outcome.code, Some(1), "{}", outcome.text());
        fs::remove_file(pipe).unwrap();
    }
}

#[test]
fn somebody_elses_file_is_not_replaced_unasked() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    fs::create_dir_all(&features).unwrap();
    fs::write(features.join("train_features.npy"), b"mine").unwrap();
    quick(&data, &features).run().refuses(&["train_features.npy", "--overwrite"]);
    assert_eq!(fs::read(features.join("train_features.npy")).unwrap(), b"mine");
    quick(&data, &features).flags("--overwrite").run().exits(0);
    assert_complete(&features, &["train"]);
}

#[test]
fn an_output_folder_that_is_deleted_while_running() {
    let root = temp();
    let (data, features) = many(root.path());
    let child = begun(&data, &features);
    fs::remove_dir_all(&features).unwrap();
    go_on(&child);
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    outcome.refuses(&["features", "removed or replaced while this run wrote to it"]);
    assert!(!features.join("train.json").exists());
    slow(&data, &features).run().exits(0);
    assert_complete(&features, &["train"]);
}

#[test]
fn an_image_that_vanishes_while_running_is_listed() {
    let root = temp();
    let (data, features) = many(root.path());
    let child = begun(&data, &features);
    fs::remove_file(data.join("train/dogs/9.jpg")).unwrap();
    go_on(&child);
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    let _ = outcome.exits(3).complains(&["dogs/9.jpg: cannot read: No such file"]);
    assert_eq!(index(&features, "train").iter().filter(|l| l.row.is_none()).count(), 1);
    // The next run sees that it is gone.
    slow(&data, &features).run().refuses(&["1 file removed (dogs/9.jpg)", "--update"]);
}

#[test]
fn an_image_that_changes_after_it_was_read_is_noticed_by_the_next_run() {
    let root = temp();
    let (data, features) = many(root.path());
    let child = begun(&data, &features);
    Picture::random(77, 33, 33).save(&data.join("train/cats/0.png"));
    go_on(&child);
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    assert!(matches!(outcome.code, Some(0 | 1)), "{}", outcome.text());
    slow(&data, &features).run().refuses(&["cats/0.png", "--update"]);
    slow(&data, &features).flags("--update").run().exits(0);
    let fresh = root.path().join("fresh");
    slow(&data, &fresh).run().exits(0);
    assert_same(&features, &fresh, "train");
}

#[cfg(unix)]
#[test]
fn a_limit_on_file_sizes_is_an_error_that_can_be_mended() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 4);
    let limited = |blocks: u32, tool: Tool| {
        let shell =
            Tool::new("sh").arg("-c").arg(format!("ulimit -f {blocks}; exec \"$@\"")).arg("sh");
        tool.words().into_iter().fold(shell, Tool::arg).run()
    };
    // A row has 32 kB; blocks have 512 bytes, or 1024 in some shells.
    for blocks in [1, 20, 200] {
        let outcome = limited(blocks, quick(&data, &features));
        let _ = outcome.refuses(&["error: ", "ulimit -f"]);
        assert!(!features.join("train.json").exists());
    }
    quick(&data, &features).run().exits(0);
    let fresh = root.path().join("fresh");
    quick(&data, &fresh).run().exits(0);
    assert_same(&features, &fresh, "train");
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 1);
    let closed = root.path().join("closed");
    fs::create_dir_all(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    for features in [closed.clone(), closed.join("below")] {
        let Some(outcome) = as_ordinary_user(quick(&data, &features), &[root.path()]) else {
            return;
        };
        outcome.refuses(&["closed", "Permission denied", "--features"]);
    }
    assert_eq!(names(&closed), [""; 0]);
}

/// A file system of its own; unmounted at the end.
pub struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    /// `None`, with a line that says so, where this may not be done.
    pub fn tmpfs(at: &'a Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        if !is_root() {
            println!("skipped: only root may mount");
            return None;
        }
        let options = format!("size={size},mode=777");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "feature-cache-test"]).arg(at);
        match mount.output() {
            Ok(out) if out.status.success() => Some(Self(at)),
            other => {
                println!("skipped: cannot mount a tmpfs here ({other:?})");
                None
            }
        }
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(self.0).status();
        assert!(status.unwrap().success(), "{options}");
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_an_error_and_room_is_enough_to_go_on() {
    let root = temp();
    let (data, disk) = (root.path().join("data"), root.path().join("disk"));
    split(&data, "train", &TWO, 6);
    // Twelve rows need 393 kB, and room for all is asked for before the first is computed.
    let Some(mount) = Mount::tmpfs(&disk, "200k") else { return };
    let features = disk.join("features");
    let outcome = quick(&data, &features).flags("--batch-size 1").run();
    outcome.refuses(&["No space left on device", "make room", "goes on from there"]);
    assert!(!features.join("train.json").exists());
    mount.remount("size=4m");
    quick(&data, &features).run().exits(0);
    let fresh = root.path().join("fresh");
    quick(&data, &fresh).run().exits(0);
    assert_same(&features, &fresh, "train");
    assert_complete(&features, &["train"]);

    // A head needs room as well.
    mount.remount("size=900k");
    let head = disk.join("head");
    let outcome = fit_head(&features, &head).flags("--epochs 1").run();
    let _ = outcome.exits(1).complains(&["error: ", "No space left on device"]);
    assert!(!head.join("head.json").exists());
}

#[test]
fn a_read_only_disk_can_be_read() {
    let root = temp();
    let (data, disk) = (root.path().join("data"), root.path().join("disk"));
    split(&data, "train", &TWO, 2);
    let Some(mount) = Mount::tmpfs(&disk, "4m") else { return };
    let features = disk.join("features");
    quick(&data, &features).run().exits(0);
    mount.remount("ro");
    cache("info", &features).run().exits(0);
    cache("verify", &features).run().exits(0);
    fit_head(&features, &root.path().join("head")).flags("--epochs 1").run().exits(0);
    let other = quick(&data, &disk.join("other")).run();
    other.refuses(&["Read-only file system", "--features"]);
    let overwrite = quick(&data, &features).flags("--overwrite").run();
    overwrite.refuses(&["Read-only file system"]);
}
