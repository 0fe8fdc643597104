//! Wrong usage and wrong settings: exit codes, one error, a hint, and nothing left behind.

use std::fs;

use crate::drawing::{TWO, split};
use crate::shared::shared;
use crate::support::*;

#[test]
fn wrong_flags_are_wrong_usage() {
    for flags in [
        "--nope",
        "--threads 0",
        "--batch-size 0",
        "--shard 0/3",
        "--shard 4/3",
        "--overwrite --update",
        "--image-size 0",
        "--image-size axb",
        "--dtype f64",
        "--pooling sum",
        "--interpolation cubic",
        "--precision exact",
        "--device gpu",
        "--device candle-cpu",
        "--engine torch",
        "--on-error ignore",
        "--profile book",
        "--backbone vgg99",
    ] {
        let outcome = Tool::new(EXTRACT).flags(flags).run().exits(2);
        assert!(outcome.out.is_empty() && outcome.err.starts_with("error: "), "{}", outcome.text());
    }
    for (tool, flags) in [
        (FIT_HEAD, "--optimizer adamw"),
        (FIT_HEAD, "--repeats 0"),
        (PREDICT, ""),
        (PREDICT, "--json --csv a.png"),
        (PREDICT, "--top 0 a.png"),
        (CACHE, ""),
        (CACHE, "nonsense"),
    ] {
        Tool::new(tool).flags(flags).run().exits(2);
    }
}

#[test]
fn every_tool_has_help_and_a_version() {
    for tool in [EXTRACT, FIT_HEAD, PREDICT, CACHE] {
        Tool::new(tool).flags("--help").run().exits(0).says(&["Usage:", "Exit codes:"]);
        Tool::new(tool).flags("--version").run().exits(0).says(&[env!("CARGO_PKG_VERSION")]);
    }
}

#[test]
fn a_layer_that_is_not_there_lists_those_that_are() {
    let it = shared();
    let root = temp();
    let features = root.path().join("features");
    let layer = extract(&it.data, &features).flags("--layer block5_pol").run();
    layer.refuses(&["block5_pol", "block1_conv1", "block5_pool", "extract summary"]);
    let small = extract(&it.data, &features).flags("--image-size 31x40").run();
    small.refuses(&["31x40", "32x32", "--image-size 32"]);
    assert!(!features.exists());
}

#[test]
fn folders_that_are_not_there_or_hold_nothing() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    let run = || quick(&data, &features);
    run().run().refuses(&["data folder", "--data"]);
    fs::create_dir_all(&data).unwrap();
    run().run().refuses(&["train", "empty folder"]);
    fs::create_dir_all(data.join("train")).unwrap();
    run().run().refuses(&["class", "train"]);
    fs::write(data.join("train/a.png"), b"").unwrap();
    run().run().refuses(&["class", "train"]);
    split(&data, "validation", &TWO, 1);
    fs::create_dir_all(data.join("val")).unwrap();
    run().run().refuses(&["'validation' and 'val'", "--split"]);
    run().flags("--split nowhere").run().refuses(&["nowhere", "--split"]);
    assert!(!features.exists());
}

#[test]
fn a_split_cannot_lead_out_of_the_folders() {
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 1);
    split(root.path(), "outside", &TWO, 1);
    let features = root.path().join("features/inner");
    for name in ["../outside", "train/", ".", ""] {
        let outcome = quick(&data, &features).arg("--split").arg(name).run();
        assert!(matches!(outcome.code, Some(1 | 2)), "{name}: {}", outcome.text());
        assert!(!outcome.err.contains("panicked"));
    }
    assert!(!root.path().join("features/outside_features.npy").exists());
    assert!(!features.join(".json").exists());
}

#[cfg(not(any(feature = "cuda", feature = "metal")))]
#[test]
fn a_device_that_is_missing_is_an_error_and_never_replaced() {
    let (root, it) = (temp(), shared());
    let features = root.path().join("features");
    for device in ["cuda", "cuda:1", "metal"] {
        let outcome = quick(&it.data, &features).flags(&format!("--device {device}")).run();
        outcome.refuses(&["device", device.split(':').next().unwrap(), "--features"]);
    }
    // Said before weights are fetched for it.
    let early = Tool::new(EXTRACT)
        .path("--data", &it.data)
        .path("--features", &features)
        .flags("--device cuda --weights /not/there.npz")
        .run();
    early.refuses(&["device cuda"]);
    assert!(!features.exists());
}

/// A precision is what it says, or an error: never another one.
#[test]
fn a_precision_that_the_device_lacks_is_an_error() {
    let (root, it) = (temp(), shared());
    let features = root.path().join("features");
    let run = |flags: &str| quick(&it.data, &features).flags(flags).run();
    run("--device cpu --precision tf32").refuses(&["precision tf32", "cpu", "--device cuda"]);
    if cfg!(feature = "candle") {
        for precision in ["high", "tf32", "medium"] {
            let flags = format!("--engine candle --precision {precision}");
            run(&flags).refuses(&[precision, "candle", "--device cpu"]);
        }
        run("--engine candle --isa avx2").refuses(&["instruction set"]);
    } else {
        run("--engine candle").refuses(&["candle", "--engine auto"]);
    }
    assert!(!features.exists());
}

#[test]
fn weights_that_cannot_be_had_say_what_was_tried() {
    let (root, it) = (temp(), shared());
    let features = root.path().join("features");
    let run = |spec: &str| {
        Tool::new(EXTRACT)
            .path("--data", &it.data)
            .path("--features", &features)
            .path("--models", &root.path().join("models"))
            .flags("--offline --weights")
            .arg(spec)
            .run()
    };
    run("random:x").refuses(&["random:x"]);
    run("what is this?").refuses(&["what is this?"]);
    run("timm/vgg16.tv_in1k").refuses(&["timm/vgg16.tv_in1k", "offline"]);
    run("mirror").refuses(&["mirror", "offline"]);
    run("/not/there.safetensors").refuses(&["/not/there.safetensors"]);
    for name in ["bad.safetensors", "bad.pth", "bad.npz", "bad.h5", "bad.ckpt"] {
        let path = root.path().join(name);
        fs::write(&path, b"neither weights nor anything else").unwrap();
        run(path.to_str().unwrap()).refuses(&[name]);
    }
    assert!(!features.exists());
}

#[test]
fn changed_settings_are_refused_by_name() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    let run = |flags: &str| extract(&data, &features).flags(flags);
    run("--image-size 32 --layer block1_pool").run().exits(0);
    let before = fs::read(features.join("train.json")).unwrap();
    for (flags, field) in [
        ("--image-size 40x32 --layer block1_pool", "image_size"),
        ("--image-size 32 --layer block1_pool --interpolation nearest", "interpolation"),
        ("--image-size 32 --layer block1_pool --dtype f16", "dtype"),
        ("--image-size 32 --layer block1_pool --precision medium", "precision"),
    ] {
        run(flags).run().refuses(&[field, "--overwrite", "--features"]);
    }
    // Rows of other settings cannot be kept, so --update does not help.
    run("--image-size 32 --layer block1_conv2 --update").run().refuses(&["layer", "--overwrite"]);
    let other = Tool::new(EXTRACT)
        .path("--data", &data)
        .path("--features", &features)
        .flags("--image-size 32 --layer block1_pool --weights random:1");
    other.run().refuses(&["weights.sha256", "--overwrite"]);
    assert_eq!(fs::read(features.join("train.json")).unwrap(), before);
    assert_complete(&features, &["train"]);

    run("--image-size 32 --layer block1_pool --dtype f16 --overwrite").run().exits(0);
    assert_eq!(manifest(&features, "train")["settings"]["dtype"], "f16");
    assert_complete(&features, &["train"]);
}
