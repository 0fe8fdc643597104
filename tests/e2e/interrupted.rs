//! Runs that are killed or stopped, and go on.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::drawing::{Picture, Random, TWO, split};
use crate::support::*;

/// Flags under which an image takes some hundredths of a second.
const SLOW: &str = "--image-size 64 --batch-size 1 --threads 1";

/// Starts a run of many images, waits until rows are coming, and holds it: [`go_on`] lets it go.
pub fn begun(data: &Path, features: &Path) -> Child {
    let child = extract(data, features).flags(SLOW).spawn();
    let journal = features.join("train.journal");
    // Some lines beyond the list of inputs.
    let inputs = files(data).len();
    wait_for("the first rows", || {
        let lines = |text: Vec<u8>| text.iter().filter(|b| **b == b'\n').count();
        fs::read(&journal).is_ok_and(|text| lines(text) > inputs + 3)
    });
    signal(&child, "STOP");
    assert!(!features.join("train.json").exists(), "it was over too soon");
    child
}

pub fn go_on(child: &Child) {
    signal(child, "CONT");
}

/// The command that goes on from [`begun`].
pub fn slow(data: &Path, features: &Path) -> Tool {
    extract(data, features).flags("--image-size 64")
}

/// Enough images that a run of [`begun`] is not over when something happens to it.
pub fn many(root: &Path) -> (PathBuf, PathBuf) {
    let (data, features) = (root.join("data"), root.join("features"));
    split(&data, "train", &TWO, 12);
    (data, features)
}

#[test]
fn a_killed_run_goes_on_and_ends_the_same() {
    let root = temp();
    let (data, whole) = (root.path().join("data"), root.path().join("whole"));
    split(&data, "train", &TWO, 10);
    fs::write(data.join("train/dogs/bad.jpg"), b"hello").unwrap();
    let start = Instant::now();
    quick(&data, &whole).flags("--batch-size 1").run().exits(3);
    let longest = start.elapsed().as_micros() as u64;
    let mut random = Random(longest);
    let features = root.path().join("features");
    for _ in 0..6 {
        let mut child = quick(&data, &features).flags("--batch-size 1").spawn();
        std::thread::sleep(Duration::from_micros(random.below(longest)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let batch = 1 + random.below(5);
    quick(&data, &features).flags(&format!("--batch-size {batch}")).run().exits(3);
    assert_same(&whole, &features, "train");
    assert_complete(&features, &["train"]);
}

#[test]
fn ctrl_c_finishes_what_is_in_hand_and_says_how_to_go_on() {
    for name in ["INT", "TERM"] {
        let root = temp();
        let (data, features) = many(root.path());
        let child = begun(&data, &features);
        signal(&child, name);
        go_on(&child);
        let outcome = Outcome::of(child.wait_with_output().unwrap());
        let _ =
            outcome.exits(130).complains(&["stopped after", "hint: run the same command again"]);
        assert!(!features.join("train.json").exists());
        cache("info", &features).run().exits(0).says(&["train: unfinished, "]);
        let head = root.path().join("head");
        fit_head(&features, &head).run().refuses(&["train", "run the same command again"]);
        if name == "TERM" {
            continue;
        }
        let resumed = slow(&data, &features).run().exits(0);
        let _ = resumed.says(&["done before"]);
        let reused = manifest(&features, "train")["run"]["rows_reused"].as_u64().unwrap();
        assert!(reused >= 3, "{reused}");
        assert_eq!(rows_computed(&features, "train") + reused, 24);
        assert_complete(&features, &["train"]);
        cache("verify", &features).run().exits(0);
        let fresh = root.path().join("fresh");
        slow(&data, &fresh).flags("--batch-size 9").run().exits(0);
        assert_same(&features, &fresh, "train");
    }
}

#[test]
fn a_stopped_json_run_says_so_in_json() {
    let root = temp();
    let (data, features) = many(root.path());
    let child = extract(&data, &features).flags(SLOW).flags("--json").spawn();
    wait_for("the journal", || features.join("train.journal").exists());
    signal(&child, "INT");
    let outcome = Outcome::of(child.wait_with_output().unwrap()).exits(130);
    assert_eq!(outcome.json()["splits"][0]["state"], "interrupted");
}

#[test]
fn an_unfinished_run_of_other_settings_is_not_mixed_in() {
    let root = temp();
    let (data, features) = many(root.path());
    let mut child = begun(&data, &features);
    child.kill().unwrap();
    child.wait().unwrap();
    let other = slow(&data, &features).flags("--interpolation nearest");
    other.run().refuses(&["interpolation", "--overwrite"]);
    Picture::random(8, 20, 20).save(&data.join("train/cats/0.png"));
    slow(&data, &features).run().refuses(&["cats/0.png", "--update"]);
}

#[test]
fn the_second_of_two_writers_is_refused() {
    let root = temp();
    let (data, features) = many(root.path());
    let mut child = begun(&data, &features);
    let pid = child.id().to_string();
    slow(&data, &features).run().refuses(&[&format!("process {pid}"), "--features"]);
    cache("info", &features).run().exits(0).says(&[&format!("being written by process {pid}")]);
    child.kill().unwrap();
    child.wait().unwrap();
    // The lock of a dead process holds nobody.
    assert!(features.join("train.lock").exists());
    slow(&data, &features).run().exits(0);
    assert_complete(&features, &["train"]);
}

#[test]
fn a_stopped_training_leaves_no_head() {
    let it = crate::shared::shared();
    let root = temp();
    let head = root.path().join("head");
    let mut child = fit_head(&it.features, &head).flags("--epochs 100000").spawn();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Epoch") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "it ended before the first epoch");
    }
    signal(&child, "INT");
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    Outcome::of(child.wait_with_output().unwrap()).exits(130);
    assert!(!head.exists());
}
