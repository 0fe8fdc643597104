//! `fit-head` chooses a temperature and a threshold on validation; `predict` uses them when it is told to.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::drawing::{TWO, split};
use crate::shared::shared;
use crate::support::*;

fn head_json(head: &Path) -> Value {
    serde_json::from_slice(&fs::read(head.join("head.json")).unwrap()).unwrap()
}

/// A copy of the shared head with another `calibration`; `None` takes it out, as older versions have it.
fn with_calibration(head: &Path, calibration: Option<Value>) {
    copy_dir(&shared().head, head);
    let mut json = head_json(head);
    match calibration {
        Some(value) => json["calibration"] = value,
        None => drop(json.as_object_mut().unwrap().remove("calibration")),
    }
    fs::write(head.join("head.json"), json.to_string()).unwrap();
}

/// `(first class, its probability, probability of dogs)` of a picture.
fn predicted(head: &Path, flags: &str) -> (String, f64, f64) {
    let file = shared().data.join("test/cats/0.png");
    let run = predict(head).flags("--json --top 2").flags(flags).arg(file).run().exits(0).json();
    let best = run[0]["predictions"].as_array().unwrap().clone();
    let p = |one: &Value| one["probability"].as_f64().unwrap();
    let dogs = best.iter().find(|one| one["class"] == "dogs").unwrap();
    (best[0]["class"].as_str().unwrap().to_owned(), p(&best[0]), p(dogs))
}

#[test]
fn what_validation_chose_is_kept_and_told() {
    let (root, it) = (temp(), shared());
    let head = root.path().join("head");
    let run = fit_head(&it.features, &head).flags("--epochs 2 --json").run().exits(0).json();
    let kept = &head_json(&head)["calibration"];
    assert_eq!(kept["rows"], 2 * crate::shared::COUNTS[1].1);
    assert_eq!(kept["temperature"], run["calibration"]["temperature"]);
    assert_eq!(kept["threshold"], run["calibration"]["threshold"]);
    assert!(kept["threshold"].as_f64().is_some_and(|t| (0.0..=1.0).contains(&t)));
    let metrics: Value =
        serde_json::from_slice(&fs::read(head.join("metrics.json")).unwrap()).unwrap();
    assert_eq!(metrics["calibration"]["temperature"], kept["temperature"]);
    for name in ["validation", "test"] {
        let judged = &metrics["splits"][name]["calibration"];
        assert_eq!(judged, &run["calibration"]["splits"][name]);
        assert_eq!(judged["before"]["log_loss"], metrics["splits"][name]["metrics"]["log_loss"]);
        let bins = judged["before"]["bins"].as_array().unwrap();
        let rows: u64 = bins.iter().map(|bin| bin["rows"].as_u64().unwrap()).sum();
        assert_eq!(rows, metrics["splits"][name]["rows"].as_u64().unwrap());
    }
    assert!(metrics["splits"]["train"]["calibration"].is_null());
    let page = fs::read_to_string(head.join("report.html")).unwrap();
    assert!(page.contains("<h2>Calibration</h2>") && page.contains("Decision threshold"));
    let said = fit_head(&it.features, &head).flags("--epochs 2").run().exits(0);
    let _ = said.says(&["validation rows: threshold 0.", "ECE 0.", "temperature"]);
}

#[test]
fn the_temperature_softens_and_the_threshold_decides() {
    let root = temp();
    let head = root.path().join("head");
    with_calibration(&head, None);
    let (first, _, dogs) = predicted(&head, "");
    let own = |threshold: f64| json!({ "rows": 8, "temperature": 4.0, "threshold": threshold });
    with_calibration(&head, Some(own(0.5)));
    assert_eq!(predicted(&head, ""), predicted(&shared().head, ""), "only where it is asked for");
    let (same, _, softer) = predicted(&head, "--calibrated");
    let expected = 1.0 / (1.0 + ((1.0 - dogs) / dogs).powf(0.25));
    // f32 probabilities, printed in full.
    assert!((softer - expected).abs() <= 1e-6, "{softer} {expected}");
    assert_eq!(same, first);
    for (threshold, class) in [(dogs * 0.99, "dogs"), (1.0 - 0.99 * (1.0 - dogs), "cats")] {
        assert_eq!(predicted(&head, &format!("--threshold {threshold}")).0, class);
        with_calibration(&head, Some(own(threshold)));
        assert_eq!(predicted(&head, "--threshold auto").0, class);
        // The same decision with the temperature on top, and other probabilities.
        let (decided, _, told) = predicted(&head, "--threshold auto --calibrated");
        assert_eq!((decided.as_str(), told), (class, softer));
    }
    // A number is for what is told.
    let between = f64::midpoint(dogs, softer);
    let class = |flags: &str| predicted(&head, &format!("--threshold {between} {flags}")).0;
    assert_ne!(class(""), class("--calibrated"));
}

#[test]
fn what_a_head_does_not_have_is_refused_before_anything_is_loaded() {
    let (root, it) = (temp(), shared());
    let file = it.data.join("test/cats/0.png");
    let head = root.path().join("head");
    with_calibration(&head, None);
    let run = |flags: &str| predict(&head).flags(flags).arg(&file).run();
    run("").exits(0);
    run("--calibrated").refuses(&["no temperature", "fit-head", "--calibrated"]);
    run("--threshold auto").refuses(&["none of its own", "--threshold 0.4"]);
    run("--threshold 0.4").exits(0);
    for bad in ["1.5", "-1", "nan", "dogs", ""] {
        let flag = format!("--threshold={bad}");
        predict(&head).arg(flag).arg(&file).run().exits(2).complains(&["auto or a number"]);
    }
    for flags in ["--calibrated", "--threshold 0.4"] {
        let tool = Tool::new(PREDICT).flags("--backbone vgg16").flags(flags).arg(&file);
        tool.run().exits(2).complains(&["--backbone"]);
    }
    for (bad, word) in [
        (json!({ "rows": 1, "temperature": 0.0, "threshold": null }), "temperature from"),
        (json!({ "rows": 1, "temperature": -1.0, "threshold": null }), "temperature from"),
        (json!({ "rows": 1, "temperature": 1e9, "threshold": 0.5 }), "temperature from"),
        (json!({ "rows": 1, "temperature": 1.0, "threshold": 2.0 }), "threshold from"),
        (json!({ "rows": -1, "temperature": 1.0, "threshold": 0.5 }), "head.json"),
        (json!("hot"), "head.json"),
    ] {
        with_calibration(&head, Some(bad));
        predict(&head).arg(&file).run().refuses(&[word]);
    }
}

#[test]
fn three_classes_have_a_temperature_and_no_threshold() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    for (name, n) in [("train", 4), ("validation", 3), ("test", 2)] {
        split(&data, name, &["ants", "bees", "cats"], n);
    }
    quick(&data, &features).flags("--pooling avg").run().exits(0);
    let head = root.path().join("head");
    fit_head(&features, &head).flags("--epochs 2").run().exits(0);
    let kept = head_json(&head)["calibration"].clone();
    assert!(kept["threshold"].is_null());
    let file = data.join("test/ants/0.png");
    for threshold in ["auto", "0.4"] {
        let run = predict(&head).arg("--threshold").arg(threshold).arg(&file).run();
        run.refuses(&["head of 2 classes, found 3", "--threshold"]);
    }
}

#[test]
fn without_validation_nothing_is_chosen() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 3);
    split(&data, "test", &TWO, 2);
    quick(&data, &features).run().exits(0);
    let head = root.path().join("head");
    fit_head(&features, &head).flags("--epochs 1").run().exits(0).says(&["test: ECE"]);
    assert!(head_json(&head)["calibration"].is_null());
    let page = fs::read_to_string(head.join("report.html")).unwrap();
    assert!(page.contains("There is no validation split to choose a temperature on"));
}
