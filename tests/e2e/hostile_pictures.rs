//! What is named like a picture and gives no row: it never goes missing, and is never bad for good when it isn't.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::drawing::{Picture, TWO, split};
use crate::folders::{as_ordinary_user, is_root};
use crate::interrupted::{begun, go_on, many, slow};
use crate::support::*;

fn bad(features: &Path) -> Vec<(String, String)> {
    let lines = index(features, "train").into_iter().filter(|l| l.row.is_none());
    lines.map(|l| (l.file, l.reason)).collect()
}

fn bytes(folder: &Path) -> Vec<Vec<u8>> {
    files(folder).iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn what_cannot_be_opened_is_counted_and_listed() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    let cats = data.join("train/cats");
    symlink(root.path().join("nowhere.jpg"), cats.join("broken.jpg")).unwrap();
    symlink("self.png", cats.join("self.png")).unwrap();
    symlink(&data, cats.join("up.gif")).unwrap();
    assert!(Command::new("mkfifo").arg(cats.join("waits.png")).status().unwrap().success());
    let said = ["broken.jpg: cannot read: No such file", "self.png: cannot read: Too many levels"];
    let run = || quick(&data, &features);
    let _ = run().run().exits(3).complains(&said).complains(&["4 files were skipped"]);
    let expected = [
        ("cats/broken.jpg", "cannot read: No such file or directory"),
        ("cats/self.png", "cannot read: Too many levels of symbolic links"),
        ("cats/up.gif", "expected a regular file, found a folder"),
        ("cats/waits.png", "expected a regular file, found a pipe, socket or device"),
    ];
    for ((file, reason), (name, begin)) in bad(&features).iter().zip(expected) {
        assert!(file == name && reason.starts_with(begin), "{file}: {reason}");
    }
    assert_eq!(bad(&features).len(), expected.len());
    // Still so, and still no success.
    let _ = run().run().exits(3).says(&["up to date"]);
    let other = root.path().join("other");
    quick(&data, &other).flags("--on-error fail").run().refuses(&["cats/broken.jpg"]);
}

#[test]
fn a_picture_whose_link_breaks_is_changed_and_not_removed() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    let (link, away) = (data.join("train/cats/far.png"), root.path().join("disk"));
    Picture::random(3, 20, 20).save(&away.join("far.png"));
    symlink(away.join("far.png"), &link).unwrap();
    quick(&data, &features).run().exits(0);
    let whole = bytes(&features);
    fs::rename(&away, root.path().join("unmounted")).unwrap();
    quick(&data, &features).run().refuses(&["1 file changed (cats/far.png)"]);
    assert!(bytes(&features) == whole);
    quick(&data, &features).flags("--update").run().exits(3);
    assert_eq!(bad(&features)[0].0, "cats/far.png");
    fs::rename(root.path().join("unmounted"), &away).unwrap();
    // It is tried again without being asked.
    quick(&data, &features).run().exits(0);
    assert_eq!(rows_computed(&features, "train"), 1);
    let fresh = root.path().join("fresh");
    quick(&data, &fresh).run().exits(0);
    assert_same(&features, &fresh, "train");
}

#[test]
fn what_may_be_a_folder_of_pictures_ends_the_run() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    quick(&data, &features).run().exits(0);
    let whole = bytes(&features);
    for place in ["train/cats/more", "train/mice", "test"] {
        symlink(root.path().join("unmounted"), data.join(place)).unwrap();
        for flags in ["", "--update", "--overwrite"] {
            let outcome = quick(&data, &features).flags(flags).run();
            outcome.refuses(&["cannot tell what", place, "No such file", "link"]);
        }
        assert!(bytes(&features) == whole, "{place}");
        fs::remove_file(data.join(place)).unwrap();
    }
    let it = crate::shared::shared();
    symlink("unmounted", data.join("train/cats/more")).unwrap();
    predict(&it.head).arg(data.join("train")).run().refuses(&["cannot tell what", "more"]);
}

#[test]
fn a_folder_that_cannot_be_listed_ends_the_run() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    Picture::random(3, 20, 20).save(&data.join("train/dogs/closed/a.png"));
    quick(&data, &features).run().exits(0);
    let whole = bytes(&features);
    let closed = data.join("train/dogs/closed");
    fs::set_permissions(&features, fs::Permissions::from_mode(0o777)).unwrap();
    for file in files(&features) {
        fs::set_permissions(file, fs::Permissions::from_mode(0o666)).unwrap();
    }
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let outcome = as_ordinary_user(quick(&data, &features).flags("--update"), &[root.path()]);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    let Some(outcome) = outcome else { return };
    outcome.refuses(&[
        "error: split 'train': cannot list the folder",
        "closed",
        "Permission denied",
    ]);
    assert!(bytes(&features) == whole);
}

#[test]
fn what_another_user_may_read_is_not_bad_for_good() {
    if !is_root() {
        println!("skipped: only root can be two users");
        return;
    }
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    fs::create_dir_all(&features).unwrap();
    fs::set_permissions(&features, fs::Permissions::from_mode(0o777)).unwrap();
    let private = data.join("train/cats/0.png");
    fs::set_permissions(private, fs::Permissions::from_mode(0o600)).unwrap();
    let Some(outcome) = as_ordinary_user(quick(&data, &features), &[root.path()]) else { return };
    let _ = outcome.exits(3).complains(&["cats/0.png: cannot read: Permission denied"]);
    let reason = &bad(&features)[0].1;
    assert!(reason.ends_with("; the next run tries again"), "{reason}");
    // Not a bit of the file changed, nor a time of it.
    quick(&data, &features).run().exits(0);
    assert_eq!(bad(&features), []);
    let fresh = root.path().join("fresh");
    quick(&data, &fresh).run().exits(0);
    assert_same(&features, &fresh, "train");
}

/// Takes from a process the right to open anything more.
#[cfg(target_os = "linux")]
fn no_more_files(child: &std::process::Child) -> bool {
    let pid = child.id().to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, "--nofile=3:3"]).status();
    done.is_ok_and(|status| status.success())
}

#[cfg(target_os = "linux")]
#[test]
fn too_few_open_files_stop_the_run_and_spoil_nothing() {
    let root = temp();
    let (data, features) = many(root.path());
    let mut child = begun(&data, &features);
    if !no_more_files(&child) {
        child.kill().unwrap();
        child.wait().unwrap();
        println!("skipped: no prlimit");
        return;
    }
    go_on(&child);
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    outcome.refuses(&["Too many open files", "ulimit -n", "the same command goes on"]);
    cache("info", &features).run().exits(0).says(&["train: unfinished"]);
    slow(&data, &features).run().exits(0).says(&["done before"]);
    let fresh = root.path().join("fresh");
    slow(&data, &fresh).run().exits(0);
    assert_same(&features, &fresh, "train");

    let it = crate::shared::shared();
    let mut child = predict(&it.head)
        .flags("--batch-size 1 --threads 1")
        .with(|command| {
            command.args(vec![it.data.join("test/cats/0.png"); 2000]);
        })
        .spawn();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(no_more_files(&child));
    Outcome::of(child.wait_with_output().unwrap()).refuses(&["Too many open files", "ulimit -n"]);
}

/// Sixteen of the largest pictures on sixteen threads: `cargo test -p cli --test e2e -- --ignored largest`. It takes a minute,
/// and half a gigabyte for each that is held at a time.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes a minute and 4 GB"]
fn the_largest_pictures_stay_below_the_documented_limit() {
    use std::io::Write as _;
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    let folder = data.join("train/large");
    fs::create_dir_all(&folder).unwrap();
    let mut encoder =
        png::Encoder::new(fs::File::create(folder.join("0.png")).unwrap(), 13_377, 13_377);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    let mut rows = writer.stream_writer().unwrap();
    for _ in 0..13_377 {
        rows.write_all(&vec![7; 13_377 * 6]).unwrap();
    }
    rows.finish().unwrap();
    writer.finish().unwrap();
    for i in 1..16 {
        fs::hard_link(folder.join("0.png"), folder.join(format!("{i}.png"))).unwrap();
    }
    let flags = "--threads 16 --batch-size 16 --json";
    let mut child = quick(&data, &features).flags(flags).spawn();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0u64;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        most = most.max(peak.and_then(|kb| kb.trim().parse().ok()).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    println!("peak of the resident memory: {} MiB", most / 1024);
    Outcome::of(child.wait_with_output().unwrap()).exits(0);
    assert!(most > 512 << 10, "nothing was measured: {most} kB");
    // 2 GiB of images, half of that at most for all else.
    assert!(most < 3 << 20, "{most} kB");
}
