//! What `extract` writes, and that a row depends on its file alone.

use std::fs;

use half::f16;

use crate::drawing::{Picture, TWO, class_folder, split};
use crate::npy::{Npy, relative_difference};
use crate::shared::{COUNTS, shared};
use crate::support::*;

/// Two instruction sets sum in other orders: each is within 5e-6 of the largest feature of the exact value.
const ISA_TOLERANCE: f32 = 1e-5;
/// `high` is within 5e-5 of the exact value, `highest` within 5e-6; random weights get twice that.
const HIGH_TOLERANCE: f32 = 1e-4;
/// `medium` is within 2e-2 of the exact value with trained weights; random ones get twice that.
const MEDIUM_TOLERANCE: f32 = 4e-2;
/// A mean of 64 values in f32, in another order.
const MEAN_TOLERANCE: f32 = 1e-6;

#[test]
fn features_labels_and_index_agree() {
    let it = shared();
    assert_complete(&it.features, &COUNTS.map(|(name, _)| name));
    for (name, n) in COUNTS {
        let n = n as usize;
        let features = Npy::features(&it.features, name);
        assert_eq!(
            (features.descr.as_str(), &features.shape[..]),
            ("<f4", &[2 * n, 1, 1, 512][..])
        );
        assert!(features.f32s().iter().all(|v| v.is_finite() && *v >= 0.0), "after ReLU");
        let labels = Npy::labels(&it.features, name);
        let index = index(&it.features, name);
        assert_eq!((labels.len(), index.len()), (2 * n, 2 * n));
        for (row, (line, label)) in index.iter().zip(labels).enumerate() {
            assert_eq!((line.row, line.status.as_str(), line.label), (Some(row), "ok", label));
            assert_eq!(line.class, TWO[label as usize]);
            assert!(line.file.starts_with(&format!("{}/", line.class)), "{line:?}");
            assert!(it.data.join(name).join(&line.file).is_file(), "{line:?}");
        }
        let files: Vec<&str> = index.iter().map(|line| line.file.as_str()).collect();
        assert!(files.is_sorted(), "{files:?}");
        let manifest = manifest(&it.features, name);
        assert_eq!(manifest["shape"], serde_json::json!([2 * n, 1, 1, 512]));
        assert_eq!(manifest["class_counts"], serde_json::json!([n, n]));
        assert_eq!(manifest["settings"]["classes"], serde_json::json!(TWO));
    }
}

#[test]
fn a_row_depends_on_its_file_alone() {
    let (root, it) = (temp(), shared());
    let data = root.path().join("data");
    for name in ["cats/3.jpg", "dogs/0.png"] {
        let to = data.join("train").join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(it.data.join("train").join(name), to).unwrap();
    }
    let features = root.path().join("features");
    extract(&data, &features).flags("--image-size 32").run().exits(0);
    let all = index(&it.features, "train");
    let (few, many) = (Npy::features(&features, "train"), Npy::features(&it.features, "train"));
    for line in index(&features, "train") {
        let there = all.iter().find(|l| l.file == line.file).unwrap();
        let same = few.row(line.row.unwrap()) == many.row(there.row.unwrap());
        assert!(same, "{}", line.file);
    }
}

#[test]
fn batch_size_and_threads_change_no_bit() {
    let (root, it) = (temp(), shared());
    for (batch, threads) in [(1, 1), (3, 2), (20, 3)] {
        let features = root.path().join(format!("{batch}-{threads}"));
        let flags =
            format!("--image-size 32 --batch-size {batch} --threads {threads} --split test");
        extract(&it.data, &features).flags(&flags).run().exits(0);
        assert_same(&it.features, &features, "test");
    }
}

#[test]
fn width_comes_before_height_in_the_flag_and_after_it_in_the_shape() {
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 2);
    let features = root.path().join("features");
    let flags = "--image-size 40x32 --layer block2_pool";
    extract(&data, &features).flags(flags).run().exits(0).says(&["40x32", "(4, 8, 10, 128)"]);
    assert_eq!(Npy::features(&features, "train").shape, [4, 8, 10, 128]);
    assert_eq!(manifest(&features, "train")["settings"]["image_size"], serde_json::json!([40, 32]));
    Tool::new(EXTRACT)
        .flags("summary --image-size 40x32")
        .run()
        .exits(0)
        .says(&["(None, 32, 40, 64)", "(None, 1, 1, 512)"]);
}

#[test]
fn pooling_is_the_mean_or_the_largest_of_the_layer() {
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 2);
    let run = |kind: &str| {
        let features = root.path().join(kind);
        quick(&data, &features).flags(&format!("--pooling {kind}")).run().exits(0);
        Npy::features(&features, "train")
    };
    let (none, avg, max) = (run("none"), run("avg"), run("max"));
    assert_eq!(none.shape[1..], QUICK_ROW);
    assert_eq!((&avg.shape[..], &max.shape[..]), (&[4, 128][..], &[4, 128][..]));
    let values = none.f32s();
    let (mut means, mut most) = (Vec::new(), Vec::new());
    for (row, c) in (0..4).flat_map(|row| (0..128).map(move |c| (row, c))) {
        let of_channel = (0..64).map(|at| values[(row * 64 + at) * 128 + c]);
        means.push((of_channel.clone().map(f64::from).sum::<f64>() / 64.0) as f32);
        most.push(of_channel.fold(f32::NEG_INFINITY, f32::max));
    }
    assert_eq!(max.f32s(), most);
    let difference = relative_difference(&avg.f32s(), &means);
    assert!(difference <= MEAN_TOLERANCE, "{difference}");
}

#[test]
fn f16_is_the_nearest_half_of_the_f32_value() {
    let (root, it) = (temp(), shared());
    let features = root.path().join("features");
    let flags = "--image-size 32 --dtype f16 --split test";
    extract(&it.data, &features).flags(flags).run().exits(0);
    let (half, full) = (Npy::features(&features, "test"), Npy::features(&it.features, "test"));
    assert_eq!((half.descr.as_str(), &half.shape), ("<f2", &full.shape));
    let rounded = full.f32s().into_iter().flat_map(|v| f16::from_f32(v).to_le_bytes());
    assert!(half.data == rounded.collect::<Vec<u8>>());
}

#[test]
fn every_layer_can_be_kept() {
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 1);
    for (layer, shape) in [
        ("block1_conv1", [2, 32, 32, 64]),
        ("block3_conv2", [2, 8, 8, 256]),
        ("block5_conv3", [2, 2, 2, 512]),
    ] {
        let features = root.path().join(layer);
        let flags = format!("--image-size 32 --layer {layer}");
        extract(&data, &features).flags(&flags).run().exits(0);
        assert_eq!(Npy::features(&features, "train").shape, shape, "{layer}");
        assert_eq!(manifest(&features, "train")["settings"]["layer"], layer);
    }
}

/// Another implementation computes the same features, and a cache says which one did.
#[cfg(feature = "candle")]
#[test]
fn candle_agrees_and_is_recorded() {
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 1);
    let run = |name: &str, flags: &str| {
        let features = root.path().join(name);
        let outcome = quick(&data, &features).flags(flags).run().exits(0);
        (Npy::features(&features, "train").f32s(), manifest(&features, "train"), outcome)
    };
    let (ours, by_kernels, _) = run("kernels", "--precision highest");
    let (candle, by_candle, outcome) = run("candle", "--engine candle");
    let _ = outcome.says(&["candle cpu, precision highest"]);
    let difference = relative_difference(&candle, &ours);
    assert!(difference <= ISA_TOLERANCE, "{difference}");
    let engine = |manifest: &serde_json::Value| manifest["settings"]["engine"].clone();
    assert_eq!((engine(&by_kernels), engine(&by_candle)), ("cpu".into(), "candle".into()));
    assert_eq!(by_candle["settings"]["isa_or_gpu"], "candle-cpu");
    // One is not taken for the other.
    let features = root.path().join("candle");
    quick(&data, &features).flags("--precision highest").run().refuses(&["engine"]);
}

#[test]
fn instruction_sets_and_precisions_agree_within_their_bounds() {
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 2);
    let run = |name: &str, flags: &str| {
        let features = root.path().join(name);
        let flags = format!("--image-size 32 {flags}");
        let outcome = extract(&data, &features).flags(&flags).run().exits(0);
        (Npy::features(&features, "train").f32s(), manifest(&features, "train"), outcome)
    };
    let (exact, _, _) = run("highest", "--precision highest");
    for (name, flags, tolerance) in [
        ("portable", "--isa portable --precision highest", ISA_TOLERANCE),
        ("high", "--precision high", HIGH_TOLERANCE),
        ("medium", "--precision medium", MEDIUM_TOLERANCE),
    ] {
        let (values, manifest, outcome) = run(name, flags);
        let difference = relative_difference(&values, &exact);
        assert!(difference <= tolerance, "{name}: {difference}");
        let field = if name == "portable" { "isa_or_gpu" } else { "precision" };
        assert_eq!(manifest["settings"][field], name);
        // What really ran is said, too.
        let _ = outcome.says(&[name]);
    }
}

#[test]
fn profile_lesson_is_nearest_and_rescale_and_flags_win() {
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 1);
    for (name, flags, expected) in [
        ("lesson", "--profile lesson", ["nearest", "rescale"]),
        ("mixed", "--profile lesson --interpolation lanczos", ["lanczos", "rescale"]),
        ("auto", "", ["bilinear", "torch"]),
        ("caffe", "--preprocess caffe --interpolation tf-bilinear", ["tf-bilinear", "caffe"]),
    ] {
        let features = root.path().join(name);
        quick(&data, &features).flags(flags).run().exits(0);
        let settings = &manifest(&features, "train")["settings"];
        assert_eq!([&settings["interpolation"], &settings["preprocess"]], expected, "{name}");
    }
}

#[test]
fn splits_are_found_or_named() {
    let root = temp();
    let data = root.path().join("data");
    for name in ["train", "val", "test", "holdout"] {
        split(&data, name, &TWO, 1);
    }
    let features = root.path().join("all");
    quick(&data, &features).run().exits(0);
    assert_complete(&features, &["test", "train", "val"]);

    let features = root.path().join("named");
    let flags = "--split holdout --split train --split holdout --json";
    let done = quick(&data, &features).flags(flags).run().exits(0).json();
    assert_complete(&features, &["holdout", "train"]);
    let order: Vec<&str> =
        done["splits"].as_array().unwrap().iter().map(|s| s["split"].as_str().unwrap()).collect();
    assert_eq!(order, ["holdout", "train"]);
}

#[test]
fn pixels_come_in_rows_of_red_green_blue() {
    // The first convolution sees a picture whose left half is black: the features of the right half must differ from
    // those of the left along the second axis, and not along the first.
    let root = temp();
    let data = root.path().join("data");
    let (width, height) = (32u32, 32u32);
    let pixels = (0..width * height).flat_map(|i| [if i % width < 16 { 0u8 } else { 200 }, 0, 0]);
    let picture = Picture { width, height, pixels: pixels.collect() };
    picture.save(&data.join("train/a/half.png"));
    class_folder(&data.join("train/b"), 1, 1);
    let features = root.path().join("features");
    let flags = "--image-size 32 --layer block1_conv1 --preprocess rescale";
    extract(&data, &features).flags(flags).run().exits(0);
    let all = Npy::features(&features, "train").f32s();
    let at = |y: usize, x: usize| &all[(y * 32 + x) * 64..(y * 32 + x + 1) * 64];
    assert_eq!(at(5, 24), at(20, 24));
    assert_eq!(at(5, 8), at(5, 4));
    assert!(at(5, 8).iter().all(|v| *v == 0.0), "black gives the biases, and they are 0");
    assert!(at(5, 24).iter().any(|v| *v > 0.0));
}
