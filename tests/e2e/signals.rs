//! The first SIGTERM or SIGINT ends every tool within its grace time, whatever it does just then.
#![cfg(unix)]

use std::process::Child;
use std::time::{Duration, Instant};

use crate::drawing::{Random, TWO, split};
use crate::shared::shared;
use crate::support::*;

/// The longest grace time is 5 seconds; the rest is for a busy machine.
const LONGEST: Duration = Duration::from_secs(15);

/// Sends one signal and waits for the end.
#[track_caller]
fn ends(mut child: Child, name: &str) -> Outcome {
    signal(&child, name);
    let sent = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if sent.elapsed() > LONGEST {
            child.kill().unwrap();
            panic!("it went on after SIG{name}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Outcome::of(child.wait_with_output().unwrap())
}

#[test]
fn a_batch_that_takes_too_long_is_not_waited_for() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 16);
    // All images in one batch, of minutes.
    let flags = "--image-size 640 --batch-size 64 --threads 1 --isa portable";
    let child = extract(&data, &features).flags(flags).spawn();
    wait_for("the journal", || features.join("train.journal").exists());
    let outcome = ends(child, "TERM").exits(130);
    let _ = outcome.complains(&["stopped", "hint: run the same command again"]);
    assert!(!features.join("train.json").exists());
    cache("info", &features).run().exits(0).says(&["train: unfinished"]);
}

#[test]
fn a_prediction_of_many_ends_promptly() {
    let it = shared();
    let file = it.data.join("test/cats/0.png");
    let flags = "--batch-size 4096 --threads 1";
    let many = (0..4096).fold(predict(&it.head).flags(flags), |tool, _| tool.arg(&file));
    let child = many.spawn();
    std::thread::sleep(Duration::from_secs(2));
    ends(child, "INT").exits(130);
}

#[test]
fn every_tool_ends_whenever_the_signal_comes() {
    let root = temp();
    let it = shared();
    let head = root.path().join("head");
    let mut random = Random(11);
    let starts: [&dyn Fn() -> Child; 4] = [
        &|| quick(&it.data, &root.path().join("features")).flags("--overwrite").spawn(),
        &|| fit_head(&it.features, &head).flags("--epochs 3000").spawn(),
        &|| predict(&it.head).arg(it.data.join("test")).spawn(),
        &|| cache("verify", &it.features).spawn(),
    ];
    for start in starts {
        for name in ["TERM", "INT", "TERM"] {
            let child = start();
            std::thread::sleep(Duration::from_millis(random.below(400)));
            let outcome = ends(child, name);
            // By the signal itself only before the tool listens.
            assert!(matches!(outcome.code, None | Some(0 | 130)), "{}", outcome.text());
            assert!(!outcome.err.contains("panicked"), "{}", outcome.text());
        }
    }
}
