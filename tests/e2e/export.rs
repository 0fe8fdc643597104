//! `feature-cache export`: files for other programs. What these programs make of them is tested by `scripts/test_exports.sh` and
//! `scripts/test_web.sh`.

use std::fs;
use std::path::Path;

use crate::shared::shared;
use crate::support::*;
use crate::train::shades;

fn export(head: &Path, format: &str, output: &Path) -> Tool {
    Tool::new(PROGRAM)
        .arg("export")
        .path("--head", head)
        .path("--output", output)
        .flags("--format")
        .arg(format)
}

/// Whether a file holds this text.
fn holds(file: &Path, text: &str) -> bool {
    fs::read(file).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_head_becomes_an_onnx_file_whole_or_alone() {
    let (root, it) = (temp(), shared());
    let (whole, alone) = (root.path().join("whole.onnx"), root.path().join("head.onnx"));
    let run = export(&it.head, "onnx", &whole).run().exits(0);
    run.says(&["pixels (32, 32, 3)", "cats, dogs", "whole.onnx (5", "MB)"]);
    for text in
        ["block5_conv3", "dense_1/kernel", "preprocessing/mean", "probabilities", "weights_sha256"]
    {
        assert!(holds(&whole, text), "{text}");
    }
    let json = export(&it.head, "onnx", &alone).flags("--part head --json").run().exits(0).json();
    assert_eq!(json["input_shape"], serde_json::json!([1, 1, 512]));
    assert_eq!(json["classes"], serde_json::json!(["cats", "dogs"]));
    let bytes = fs::metadata(&alone).unwrap().len();
    assert_eq!((&json["files"][0]["bytes"], &json["part"]), (&bytes.into(), &"head".into()));
    // 512 to 256 to 1, and little else: no base.
    assert!((4 * 131_585..4 * 131_585 + 3000).contains(&bytes), "{bytes}");
    assert!(!holds(&alone, "block5_conv3"));
    // The head alone needs no weights: those that it names may be unknown ones.
    assert_eq!(names(root.path()), ["head.onnx", "whole.onnx"]);
}

#[test]
fn the_same_model_is_the_same_file_and_replaces_another() {
    let (root, it) = (temp(), shared());
    let path = root.path().join("model.onnx");
    fs::write(&path, b"mine").unwrap();
    export(&it.head, "onnx", &path).flags("--quiet").run().exits(0);
    let first = fs::read(&path).unwrap();
    export(&it.head, "onnx", &path).flags("--quiet").run().exits(0);
    assert_eq!(fs::read(&path).unwrap(), first);
    assert!(first.len() > 1 << 20);
}

#[test]
fn pictures_of_any_size_and_weights_beside() {
    let (root, it) = (temp(), shared());
    let path = root.path().join("model.onnx");
    let tool = export(&it.head, "onnx", &path).flags("--with-resize --external-data");
    tool.run().exits(0).says(&["a picture of any size", "model.onnx.data (5"]);
    assert!(holds(&path, "vertical_first") && holds(&path, "resize/columns/weight_sum"));
    assert!(fs::metadata(&path).unwrap().len() < 100_000);
    let tool = export(&it.head, "onnx", &path).flags("--with-resize --part head");
    tool.run().refuses(&["--with-resize is for whole models"]);
    export(&it.head, "web", &path).flags("--external-data").run().refuses(&["for ONNX alone"]);
}

#[test]
fn networks_on_pixels_are_whole_only() {
    let root = temp();
    let (data, model) = (root.path().join("data"), root.path().join("model"));
    let network = root.path().join("small.toml");
    fs::write(&network, SMALL).unwrap();
    shades(&data);
    train_own(&data, &model, &network).flags("--epochs 1").run().exits(0);
    let path = root.path().join("model.onnx");
    export(&model, "onnx", &path).run().exits(0).says(&["pixels (32, 32, 3)", "dark, light"]);
    assert!(holds(&path, "preprocessing/255"));
    let head = root.path().join("head.onnx");
    let run = export(&model, "onnx", &head).flags("--part head").run();
    run.refuses(&["takes pixels", "leave out --part head"]);
    assert!(!head.exists());
}

#[test]
fn what_differs_from_predict_is_said() {
    let (root, it) = (temp(), shared());
    let (features, head) = (root.path().join("features"), root.path().join("head"));
    let flags = "--image-size 32 --dtype f16 --pooling avg --interpolation tf-bilinear";
    extract(&it.data, &features).flags(flags).run().exits(0);
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    let path = root.path().join("model.onnx");
    let run = export(&head, "onnx", &path).run().exits(0);
    run.complains(&["warning: predict rounds the features to f16", "fractions of levels"]);
    let resized = export(&head, "onnx", &path).flags("--with-resize").run();
    resized.refuses(&["bilinear, bicubic or lanczos, found tf-bilinear", "--with-resize"]);
    assert!(holds(&path, "global_average_pooling2d"));
    // Rows of the cache are what they are.
    let alone = export(&head, "onnx", &path).flags("--part head").run().exits(0);
    assert!(!alone.text().contains("warning"), "{}", alone.text());
}

#[test]
fn bad_inputs_are_refused_and_leave_nothing() {
    let (root, it) = (temp(), shared());
    let output = root.path().join("model.onnx");
    let gone = root.path().join("gone");
    export(&gone, "onnx", &output).run().refuses(&["head.json", "fit-head"]);

    let broken = root.path().join("broken");
    copy_dir(&it.head, &broken);
    fs::write(broken.join("head.json"), r#"{"format_version": 99}"#).unwrap();
    export(&broken, "onnx", &output).run().refuses(&["format_version", "99"]);

    let nowhere = root.path().join("no/folder/model.onnx");
    let run = export(&it.head, "onnx", &nowhere).run();
    run.refuses(&["no/folder/model.onnx", "make its folder first, with --output"]);

    let other = export(&it.head, "onnx", &output).flags("--weights random:1").run();
    other.refuses(&["sha256", "--weights"]);
    export(&it.head, "torch", &output).run().exits(2).complains(&["torch", "keras", "onnx", "web"]);
    assert!(!output.exists());
}

#[test]
fn a_page_needs_the_runtime_and_pixels() {
    let (root, it) = (temp(), shared());
    let page = root.path().join("page");
    let run = export(&it.head, "web", &page).path("--runtime", root.path()).run();
    run.refuses(&[
        "onnxruntime-web 1.30.0",
        "npm pack onnxruntime-web@1.30.0",
        "--runtime package",
    ]);
    let head = export(&it.head, "web", &page).flags("--part head").path("--runtime", root.path());
    head.run().refuses(&["leave out --part head"]);
    assert!(!page.exists());
}
