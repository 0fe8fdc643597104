//! What is printed, where, and what happens when nobody reads it.

use std::process::Stdio;

use crate::drawing::{TWO, split};
use crate::npy::Npy;
use crate::shared::shared;
use crate::support::*;

#[test]
fn json_is_all_that_goes_to_standard_output() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    for name in ["train", "validation", "test"] {
        split(&data, name, &TWO, 2);
    }
    std::fs::write(data.join("test/cats/bad.jpg"), b"hello").unwrap();
    let done = quick(&data, &features).flags("--json").run().exits(3);
    let _ = done.json();
    let value = done.complains(&["warning: ", "bad.jpg"]).json();
    assert_eq!(value["splits"].as_array().unwrap().len(), 3);
    assert_eq!(value["splits"][2]["skipped"], 1);
    assert_eq!(value["splits"][0]["shape"], serde_json::json!([4, 8, 8, 128]));
    let head = root.path().join("head");
    let fitted =
        fit_head(&features, &head).flags("--json --epochs 2 --repeats 2").run().exits(0).json();
    assert_eq!(fitted["history"].as_array().unwrap().len(), 2);
    assert!(fitted["metrics"]["test"]["accuracy"].is_number());
    for command in ["info", "verify"] {
        let all = cache(command, &features).flags("--json").run().exits(0).json();
        assert_eq!(all.as_array().unwrap().len(), 3, "{command}");
    }
    let leaks = cache("leaks", &features).flags("--json").run().exits(0).json();
    assert_eq!(leaks, serde_json::json!([]));
    let predicted = predict(&head).flags("--json").arg(data.join("test")).run().exits(3).json();
    assert_eq!(predicted.as_array().unwrap().len(), 5);
}

#[test]
fn quiet_leaves_warnings_and_errors() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 2);
    let done = quick(&data, &features).flags("--quiet").run().exits(0);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("", ""));
    std::fs::write(data.join("train/cats/bad.jpg"), b"hello").unwrap();
    let done = quick(&data, &features).flags("-q --update").run().exits(3);
    assert!(done.out.is_empty() && done.err.contains("bad.jpg"), "{}", done.text());
    let head = root.path().join("head");
    let done = fit_head(&features, &head).flags("-q --epochs 1").run().exits(0);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("", ""));
}

#[test]
fn what_runs_is_said_and_recorded() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    let done = quick(&data, &features).flags("--threads 2").run().exits(0);
    let settings = &manifest(&features, "train")["settings"];
    let isa = settings["isa_or_gpu"].as_str().unwrap();
    let precision = format!("precision {}", settings["precision"].as_str().unwrap());
    let _ = done.says(&["vgg16 up to block2_pool", "32x32", isa, &precision, "2 threads"]);
}

#[test]
fn random_weights_are_said_loudly() {
    let (root, it) = (temp(), shared());
    let outcome = quick(&it.data, &root.path().join("f")).flags("--split test").run().exits(0);
    let _ = outcome.complains(&["WARNING", "random"]);
}

#[test]
fn the_lessons_table() {
    let table = Tool::new(EXTRACT).flags("summary").run().exits(0);
    let _ = table.says(&[
        "block1_conv1 (Conv2D)        (None, 150, 150, 64)      1792",
        "block5_pool (MaxPooling2D)   (None, 4, 4, 512)         0",
        "Total params: 14,714,688",
    ]);
}

#[test]
fn every_base_is_summarised() {
    let summary = |flags: &str| Tool::new(EXTRACT).flags(&format!("summary {flags}")).run();
    let _ = summary("--backbone resnet50 --include-top").exits(0).says(&[
        "conv2_block1_add (Add)          (None, 56, 56, 256)  0           conv2_block1_0_bn[0][0]",
        "Total params: 25,636,712\nTrainable params: 25,583,592\nNon-trainable params: 53,120",
    ]);
    let _ = summary("--backbone mobilenet_v2 --layer block_13_expand_relu --image-size 160")
        .exits(0)
        .says(&["block_13_expand_relu (ReLU)     (None, 10, 10, 576)"]);
    let _ = summary("--backbone vgg16 --include-top").exits(0).says(&["138,357,544"]);
    summary("--backbone xception --image-size 70x71").refuses(&["70x71", "at least 71x71"]);
    summary("--backbone vgg16 --include-top --pooling avg").exits(2);
}

#[test]
fn a_closed_pipe_is_no_failure_and_no_panic() {
    for (tool, flags) in [(EXTRACT, "summary"), (EXTRACT, "--help"), (CACHE, "--help")] {
        let mut child = Tool::new(tool).flags(flags).spawn();
        drop(child.stdout.take());
        Outcome::of(child.wait_with_output().unwrap()).exits(0);
    }
    let it = shared();
    let mut child = predict(&it.head).flags("--csv").arg(it.data.join("test")).spawn();
    drop(child.stdout.take());
    Outcome::of(child.wait_with_output().unwrap()).exits(0);
}

#[test]
fn a_run_whose_text_nobody_reads_still_does_its_work() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 2);
    let mut child = quick(&data, &features).spawn();
    drop(child.stdout.take());
    Outcome::of(child.wait_with_output().unwrap()).exits(0);
    assert_eq!(Npy::features(&features, "train").shape[0], 4);
    let head = root.path().join("head");
    let mut child = fit_head(&features, &head).flags("--epochs 2").spawn();
    drop(child.stdout.take());
    Outcome::of(child.wait_with_output().unwrap()).exits(0);
    assert!(head.join("head.json").is_file());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_a_failure_and_no_panic() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let to_full = |command: &mut std::process::Command| {
        command.stdout(Stdio::from(full));
    };
    let outcome = Tool::new(EXTRACT).flags("summary").with(to_full).run();
    let _ = outcome.exits(1).complains(&["error: ", "No space left on device"]);
}
