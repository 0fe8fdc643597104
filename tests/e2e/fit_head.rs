//! `fit-head`: the same seed the same bits, what it writes, and what it refuses.

use std::fs;
use std::path::Path;

use crate::drawing::{Picture, TWO, split};
use crate::shared::{COUNTS, shared};
use crate::support::*;

/// Every file of a head's folder.
const FILES: [&str; 10] = [
    "confusion.svg",
    "curves.svg",
    "head.json",
    "head.safetensors",
    "history.csv",
    "metrics.json",
    "predictions_test.csv",
    "predictions_train.csv",
    "predictions_validation.csv",
    "report.html",
];

fn weights(head: &Path) -> Vec<u8> {
    fs::read(head.join("head.safetensors")).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bits_whatever_the_threads() {
    let (root, it) = (temp(), shared());
    let fit = |name: &str, flags: &str| {
        let head = root.path().join(name);
        fit_head(&it.features, &head).flags("--epochs 6 --lr 1e-3").flags(flags).run().exits(0);
        head
    };
    let first = fit("1", "--seed 7 --threads 1");
    for threads in [2, 3] {
        let other = fit(&threads.to_string(), &format!("--seed 7 --threads {threads}"));
        for name in ["head.safetensors", "history.csv", "predictions_test.csv"] {
            let same = fs::read(first.join(name)).unwrap() == fs::read(other.join(name)).unwrap();
            assert!(same, "{name} with {threads} threads");
        }
    }
    assert!(weights(&first) != weights(&fit("seed", "--seed 8 --threads 1")));
}

#[test]
fn everything_is_written_and_agrees() {
    let it = shared();
    assert_eq!(names(&it.head), FILES);
    let history = fs::read_to_string(it.head.join("history.csv")).unwrap();
    assert_eq!(history.lines().count(), 1 + 8);
    assert_eq!(history.lines().next(), Some("epoch,loss,accuracy,val_loss,val_accuracy"));
    for (name, n) in COUNTS {
        let path = it.head.join(format!("predictions_{name}.csv"));
        let table = fs::read_to_string(path).unwrap();
        assert_eq!(table.lines().count() as u64, 1 + 2 * n);
        assert_eq!(
            table.lines().next(),
            Some("row,file,class,predicted,correct,p_cats,p_dogs,sha256")
        );
    }
    let page = fs::read_to_string(it.head.join("report.html")).unwrap();
    assert!(page.contains("<svg") && page.trim_end().ends_with("</html>"));
    assert!(!page.contains("src=\"http") && !page.contains("<link"), "self-contained");
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(it.head.join("head.json")).unwrap()).unwrap();
    assert_eq!(json["classes"], serde_json::json!(TWO));
    assert_eq!(json["features"]["weights"]["name"], "random:0");
}

#[test]
fn the_history_is_printed_as_keras_does() {
    let (root, it) = (temp(), shared());
    let outcome =
        fit_head(&it.features, &root.path().join("head")).flags("--epochs 2").run().exits(0);
    let _ = outcome.says(&[
        "Epoch 1/2 - ",
        "Epoch 2/2 - ",
        "val_accuracy: ",
        "ROC AUC",
        "log loss",
        "true \\ predicted",
        "report.html",
    ]);
}

#[test]
fn repeats_give_mean_and_interval() {
    let (root, it) = (temp(), shared());
    let head = root.path().join("head");
    let flags = "--epochs 2 --repeats 3 --seed 5 --json";
    let json = fit_head(&it.features, &head).flags(flags).run().exits(0).json();
    assert_eq!(json["repeats"]["seeds"], serde_json::json!([5, 6, 7]));
    let accuracy = &json["repeats"]["metrics"]["test_accuracy"];
    assert_eq!(accuracy["values"].as_array().unwrap().len(), 3);
    assert!(accuracy["half_width"].as_f64().unwrap() >= 0.0);
    // The head is the first seed's.
    let alone = root.path().join("alone");
    fit_head(&it.features, &alone).flags("--epochs 2 --seed 5").run().exits(0);
    assert!(weights(&head) == weights(&alone));
    // What a further seed gave is what a run of its own gives.
    let own =
        fit_head(&it.features, &alone).flags("--epochs 2 --seed 7 --json").run().exits(0).json();
    let losses = &json["repeats"]["metrics"]["val_loss_last"]["values"];
    assert_eq!(losses[2], own["history"][1]["val_loss"]);
    assert_ne!(losses[2], losses[1]);
    let said = fit_head(&it.features, &head).flags("--epochs 1 --repeats 2").run().exits(0);
    let _ = said.says(&["±", "2 seeds"]);
}

#[test]
fn early_stopping_keeps_the_best_epoch() {
    let (root, it) = (temp(), shared());
    let head = root.path().join("head");
    let flags = "--epochs 400 --lr 1e-2 --early-stopping 2 --json";
    let json = fit_head(&it.features, &head).flags(flags).run().exits(0).json();
    let losses: Vec<f64> = (json["history"].as_array().unwrap().iter())
        .map(|epoch| epoch["val_loss"].as_f64().unwrap())
        .collect();
    assert!(losses.len() < 400 && json["stopped_early"] == true, "{} epochs", losses.len());
    let best = losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).unwrap().0 + 1;
    assert_eq!(json["best_epoch"], best);
    assert_eq!(losses.len(), best + 2);
    let log_loss = json["metrics"]["validation"]["log_loss"].as_f64().unwrap();
    assert!((log_loss - losses[best - 1]).abs() < 1e-6, "{log_loss} is not that of epoch {best}");
}

#[test]
fn three_classes_get_a_softmax() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    for (name, n) in [("train", 4), ("test", 2)] {
        split(&data, name, &["ants", "bees", "cats"], n);
    }
    quick(&data, &features).flags("--pooling avg").run().exits(0);
    let head = root.path().join("head");
    let flags = "--epochs 3 --hidden 16 --hidden 8 --optimizer adam --class-weight balanced";
    fit_head(&features, &head).flags(flags).run().exits(0).says(&["softmax"]);
    assert!(!head.join("predictions_validation.csv").exists());
    let mut table = csv::Reader::from_path(head.join("predictions_test.csv")).unwrap();
    for record in table.records() {
        let record = record.unwrap();
        let sum: f64 = (5..8).map(|i| record[i].parse::<f64>().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    }
    let top =
        predict(&head).flags("--csv --top 3").arg(data.join("test/ants/0.png")).run().exits(0);
    assert_eq!(top.out.lines().count(), 4);
}

#[test]
fn no_hidden_layer_is_logistic_regression() {
    let (root, it) = (temp(), shared());
    let head = root.path().join("head");
    let json = fit_head(&it.features, &head)
        .flags("--hidden 0 --epochs 1 --optimizer sgd --json")
        .run()
        .exits(0)
        .json();
    assert_eq!(json["parameters"], 513);
}

#[test]
fn features_that_are_not_there() {
    let root = temp();
    let head = root.path().join("head");
    fit_head(&root.path().join("nowhere"), &head).run().refuses(&["nowhere", "extract"]);
    let it = shared();
    let features = root.path().join("features");
    copy_dir(&it.features, &features);
    fs::remove_file(features.join("train.json")).unwrap();
    fit_head(&features, &head).run().refuses(&["train", "extract"]);
    assert!(!head.exists());
    // Before any training, not after it.
    fs::write(&head, b"mine").unwrap();
    fit_head(&it.features, &head).run().refuses(&["head", "found a file", "--head"]);
}

#[test]
fn splits_made_otherwise_are_refused() {
    let (root, it) = (temp(), shared());
    for (flags, field) in [
        ("--image-size 32 --interpolation nearest", "interpolation"),
        ("--image-size 32 --dtype f16", "dtype"),
        ("--image-size 64x32", "image_size"),
    ] {
        let features = root.path().join(field);
        copy_dir(&it.features, &features);
        extract(&it.data, &features).flags(flags).flags("--split test --overwrite").run().exits(0);
        let outcome = fit_head(&features, &root.path().join("head")).run();
        outcome.refuses(&["\"train\"", "\"test\"", field, "same settings"]);
    }
    let features = root.path().join("classes");
    copy_dir(&it.features, &features);
    let data = root.path().join("data");
    split(&data, "test", &["cats", "mice"], 1);
    extract(&data, &features).flags("--image-size 32 --overwrite").run().exits(0);
    fit_head(&features, &root.path().join("head")).run().refuses(&["classes", "mice"]);
    assert!(!root.path().join("head").exists());
}

#[test]
fn a_class_without_rows_is_named() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 2);
    split(&data, "test", &["cats"], 2);
    fs::create_dir_all(data.join("test/dogs")).unwrap();
    quick(&data, &features).run().exits(0);
    fit_head(&features, &root.path().join("head")).run().refuses(&["test", "'dogs'"]);
}

#[test]
fn features_that_are_no_numbers_are_refused() {
    let (root, it) = (temp(), shared());
    for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let features = root.path().join(name);
        copy_dir(&it.features, &features);
        let path = features.join("train_features.npy");
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() - 4 * (512 * 3 - 7);
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        let outcome = fit_head(&features, &root.path().join("head")).run();
        outcome.refuses(&["train", "row 17", "column 7", name]);
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let (root, it) = (temp(), shared());
    for flags in
        ["--dropout 1", "--dropout -0.1", "--epochs 0", "--batch-size 0", "--lr 0", "--lr nan"]
    {
        let flag = flags.split(' ').next().unwrap();
        let value = flags.split(' ').nth(1).unwrap();
        let outcome =
            fit_head(&it.features, &root.path().join("head")).arg(format!("{flag}={value}")).run();
        assert!(matches!(outcome.code, Some(1 | 2)), "{flags}: {}", outcome.text());
        assert!(outcome.err.starts_with("error: "), "{}", outcome.text());
        assert!(!outcome.err.contains("panicked"));
    }
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 2);
    let features = root.path().join("features");
    quick(&data, &features).run().exits(0);
    let head = root.path().join("head");
    fit_head(&features, &head).flags("--early-stopping 2").run().refuses(&["validation"]);
}

#[test]
fn shared_pictures_are_told_and_can_be_refused() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 2);
    split(&data, "test", &TWO, 2);
    let picture = Picture::random(4242, 60, 40);
    picture.save(&data.join("train/cats/same.png"));
    picture.mirrored().save(&data.join("test/cats/mirror.jpg"));
    quick(&data, &features).run().exits(0).complains(&["same.png", "mirror.jpg", "mirrored"]);
    let head = root.path().join("head");
    let strict = fit_head(&features, &head).flags("--fail-on-leak").run();
    strict.refuses(&["cats/same.png", "cats/mirror.jpg", "cache leaks"]);
    assert!(!head.exists());
    fit_head(&features, &head).flags("--epochs 1").run().exits(0).complains(&["mirror.jpg"]);
    // Without a leak the flag changes nothing.
    let it = shared();
    fit_head(&it.features, &head).flags("--fail-on-leak --epochs 1").run().exits(0);
}
