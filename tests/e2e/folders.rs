//! What is in a data folder beside images in class folders.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::drawing::{Picture, TWO, split};
use crate::support::*;

fn indexed(features: &Path) -> Vec<String> {
    index(features, "train").into_iter().map(|line| line.file).collect()
}

#[test]
fn hidden_and_stray_files_are_left_out() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    let picture = Picture::random(5, 20, 20);
    for path in [
        ".hidden/a.png",
        "cats/.a.png",
        "cats/.git/b.png",
        "stray.png",
        "cats/notes.txt",
        "cats/deep/er/c.png",
        "dogs/a b, \"c\" 'd'.png",
        "dogs/größe 猫.png",
        "dogs/SHOUT.PNG",
    ] {
        picture.save(&data.join("train").join(path));
    }
    fs::create_dir_all(data.join("train/empty")).unwrap();
    fs::create_dir_all(data.join(".ignored/cats")).unwrap();
    let outcome = quick(&data, &features).run().exits(0);
    let _ = outcome.complains(&["stray.png", "train/empty: class folder without images"]);
    let expected = [
        "cats/0.png",
        "cats/deep/er/c.png",
        "dogs/0.png",
        "dogs/SHOUT.PNG",
        "dogs/a b, \"c\" 'd'.png",
        "dogs/größe 猫.png",
    ];
    assert_eq!(indexed(&features), expected);
    let classes = &manifest(&features, "train")["settings"]["classes"];
    assert_eq!(*classes, serde_json::json!(["cats", "dogs", "empty"]));
    assert_eq!(manifest(&features, "train")["class_counts"], serde_json::json!([2, 4, 0]));
    let head = root.path().join("head");
    fit_head(&features, &head).run().refuses(&["train", "'empty'"]);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_escaped() {
    use std::os::unix::ffi::OsStrExt as _;
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    for name in [&b"a\xffb.png"[..], b"new\nline.png", b"back\\slash.png"] {
        let picture = Picture::random(u64::from(name[0]), 20, 20);
        picture.save(&data.join("train/cats").join(OsStr::from_bytes(name)));
    }
    // A class of such a name, too.
    Picture::random(9, 20, 20)
        .save(&data.join("train").join(OsStr::from_bytes(b"\xfe")).join("a.png"));
    quick(&data, &features).run().exits(0);
    let expected = [
        "cats/0.png",
        "cats/a\\xffb.png",
        "cats/back\\\\slash.png",
        "cats/new\\x0aline.png",
        "dogs/0.png",
        "\\xfe/a.png",
    ];
    assert_eq!(indexed(&features), expected);
    quick(&data, &features).run().exits(0).says(&["up to date"]);
    quick(&data, &features).flags("--json").run().exits(0).json();
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_loops_are_not() {
    use std::os::unix::fs::symlink;
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    let cats = data.join("train/cats");
    Picture::random(3, 20, 20).save(&root.path().join("elsewhere/far.png"));
    symlink(root.path().join("elsewhere/far.png"), cats.join("link.png")).unwrap();
    symlink(&cats, cats.join("loop")).unwrap();
    symlink(data.join("train"), cats.join("up")).unwrap();
    let outcome = quick(&data, &features).run().exits(0);
    let _ = outcome.complains(&["loop: symbolic link loop", "up: symbolic link loop"]);
    assert_eq!(indexed(&features), ["cats/0.png", "cats/link.png", "dogs/0.png"]);
}

/// Runs `tool` as an ordinary user; `None`, with a line that says so, where that can't be had.
#[cfg(unix)]
pub fn as_ordinary_user(tool: Tool, needed: &[&Path]) -> Option<Outcome> {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65534;
    if is_root() {
        for path in needed {
            let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o755));
        }
        let demoted = tool.with(|command| {
            command.uid(NOBODY).gid(NOBODY).current_dir("/");
        });
        return match demoted.try_run() {
            Ok(outcome) if outcome.code != Some(127) => Some(outcome),
            other => {
                println!("skipped: cannot run as an ordinary user ({other:?})");
                None
            }
        };
    }
    Some(tool.run())
}

#[cfg(unix)]
pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

#[cfg(unix)]
#[test]
fn what_may_not_be_read_is_listed_with_the_reason() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 2);
    fs::create_dir_all(&features).unwrap();
    fs::set_permissions(&features, fs::Permissions::from_mode(0o777)).unwrap();
    let mode = |path: &str, mode| {
        let path = data.join("train").join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("cats/0.png", 0o000);
    let outcome = as_ordinary_user(quick(&data, &features), &[root.path()]);
    let Some(outcome) = outcome else { return };
    let _ = outcome.exits(3).complains(&["cats/0.png: cannot read: Permission denied"]);
    let lines = index(&features, "train");
    let bad: Vec<&Line> = lines.iter().filter(|l| l.row.is_none()).collect();
    assert_eq!(bad.len(), 1);
    assert!(bad[0].reason.contains("Permission denied"), "{:?}", bad[0]);
}
