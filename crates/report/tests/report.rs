//! Whole reports of small and of awkward runs.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::path::Path;

use common::{metrics, run};
use proptest::prelude::*;
use report::{Epoch, ReportError, Run, SplitResult, write};
use roxmltree::Document;
use serde_json::Value;

/// Everything that was written, as `(page, curves, confusion, metrics)`; the pictures are well-formed XML.
fn written(run: &Run) -> (String, String, String, Value) {
    let dir = tempfile::tempdir().unwrap();
    write(run, dir.path()).unwrap();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let (curves, confusion) = (read("curves.svg"), read("confusion.svg"));
    for picture in [&curves, &confusion] {
        let document = Document::parse(picture).unwrap();
        let root = document.root_element();
        assert_eq!(root.tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
        for element in document.descendants() {
            for attribute in element.attributes() {
                let value = attribute.value();
                assert!(!value.contains("NaN") && !value.contains("inf"), "{attribute:?}");
            }
        }
    }
    let metrics = serde_json::from_str(&read("metrics.json")).unwrap();
    (read("report.html"), curves, confusion, metrics)
}

fn texts(picture: &str) -> Vec<String> {
    let document = Document::parse(picture).unwrap();
    let texts = document
        .descendants()
        .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")));
    texts.filter_map(|node| node.text().map(str::to_owned)).collect()
}

#[test]
fn all_files_are_there_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("models/head");
    let written = write(&run(&["cats", "dogs"]), &folder).unwrap();
    // A second run replaces the first.
    assert_eq!(written, write(&run(&["cats", "dogs"]), &folder).unwrap());
    let mut found: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    let expected = [
        "confusion.svg",
        "curves.svg",
        "history.csv",
        "metrics.json",
        "predictions_test.csv",
        "predictions_validation.csv",
        "report.html",
    ];
    assert_eq!(found, expected);
    assert_eq!(written.files.len(), expected.len());
    assert_eq!(written.page, folder.join("report.html"));
}

#[test]
fn metrics_have_stable_keys_and_full_precision() {
    let (_, _, _, metrics) = written(&run(&["cats", "dogs"]));
    let mut keys: Vec<&str> = metrics.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "calibration",
        "classes",
        "command_line",
        "created",
        "format_version",
        "history",
        "model",
        "notes",
        "repeats",
        "run",
        "skipped",
        "splits",
        "title",
        "tool_version",
    ];
    assert_eq!(keys, expected);
    let test = &metrics["splits"]["test"];
    assert_eq!(test["metrics"]["accuracy"].as_f64(), Some(0.1 + 0.2));
    assert!(test["metrics"]["roc_auc"].is_null());
    let numbers = &test["metrics"];
    assert_eq!(numbers["confusion"], serde_json::json!([[1, 0], [1, 0]]));
    assert_eq!(numbers["per_class"][0]["precision"].as_f64(), Some(0.5));
    assert!(numbers["per_class"][1]["precision"].is_null());
    assert!(test["definitions"]["roc_auc"].as_str().unwrap().contains("'dogs'"));
    assert_eq!(metrics["format_version"], 2);
    assert_eq!((&test["rows"], &test["labelled"]), (&2.into(), &2.into()));
    assert_eq!(metrics["history"][2]["loss"].as_f64(), Some(1.0 / 3.0));
    assert_eq!(metrics["repeats"]["metrics"]["test_accuracy"]["mean"].as_f64(), Some(0.75));
    assert_eq!(metrics["run"]["Base"]["backbone"], "vgg16");
    assert_eq!(metrics["skipped"][0]["reason"], "empty file");
}

#[test]
fn the_page_tells_everything_and_fetches_nothing() {
    let (page, ..) = written(&run(&["cats", "dogs"]));
    for part in [
        "<html lang=\"en\">",
        "prefers-color-scheme:dark",
        "What was run",
        "Confusion matrix",
        "Most confident mistakes",
        "Over 2 seeds",
        "Skipped files",
        "Random weights.",
        "data:image/jpeg;base64,/9j/4A==",
        "scope=\"row\"",
        "aria-label=\"Accuracy over 3 epochs",
        "alt=\"Thumbnail of 1.jpg\"",
        "not defined",
        "0.3000",
        "href=\"predictions_test.csv\"",
    ] {
        assert!(page.contains(part), "no {part}");
    }
    for foreign in ["<script", "http://", "https://", "url(", "@import", "<link"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn hostile_names_stay_text() {
    let evil = "<img src=x onerror=alert(1)>\"'&]]><script>\u{0}\u{7}\u{202e}\u{ffff}";
    let mut run = run(&[evil, "</title></svg>"]);
    run.title = evil.into();
    run.command_line = evil.into();
    run.mistakes[0].file = format!("a/{evil}");
    run.skipped[0].file = evil.into();
    run.skipped[0].reason = evil.into();
    run.sections[0].rows[0].1 = evil.into();
    run.notes[0] = evil.into();
    let (page, _, confusion, _) = written(&run);
    for foreign in ["<img src=x", "<script", "</title></svg>", "\u{0}", "\u{202e}"] {
        assert!(!page.contains(foreign), "{foreign:?}");
    }
    assert!(page.contains("&lt;img src=x"));
    assert!(!confusion.contains("<img"));
}

#[test]
fn one_epoch_without_validation_is_a_point() {
    let mut run = run(&["cats", "dogs"]);
    run.history =
        vec![Epoch { epoch: 1, loss: 0.7, accuracy: 0.5, val_loss: None, val_accuracy: None }];
    let (page, curves, ..) = written(&run);
    // One in the legend and one in the plot, for accuracy and for loss.
    assert_eq!(curves.matches("<circle").count(), 4);
    assert_eq!(curves.matches("<polyline").count(), 0);
    assert!(!texts(&curves).contains(&"validation".to_owned()));
    assert!(page.contains("no validation"));
}

#[test]
fn many_epochs_are_lines_without_points() {
    let mut run = run(&["cats", "dogs"]);
    run.history = (1..=500)
        .map(|epoch| Epoch {
            epoch,
            loss: 0.5,
            accuracy: 1.0,
            val_loss: Some(0.1),
            val_accuracy: Some(1.0),
        })
        .collect();
    let (_, curves, ..) = written(&run);
    assert_eq!(curves.matches("<circle").count(), 2);
    assert_eq!(curves.matches("<polyline").count(), 4);
}

#[test]
fn a_diverged_loss_leaves_a_gap() {
    let mut run = run(&["cats", "dogs"]);
    for (epoch, loss) in run.history.iter_mut().zip([0.5, f64::NAN, 1e300]) {
        epoch.loss = loss;
        epoch.accuracy = f64::INFINITY;
        epoch.val_loss = None;
        epoch.val_accuracy = None;
    }
    let (page, curves, ..) = written(&run);
    assert!(texts(&curves).contains(&"no values to draw".to_owned()));
    assert!(page.contains("not defined"));
}

#[test]
fn nothing_at_all_is_a_report_too() {
    let (page, curves, confusion, metrics) = written(&Run::default());
    assert!(page.contains("No split was evaluated."));
    assert!(texts(&curves).contains(&"no values to draw".to_owned()));
    assert!(texts(&confusion).contains(&"no labelled images".to_owned()));
    assert!(metrics["repeats"].is_null());
}

#[test]
fn no_mistakes_and_no_rows_are_said() {
    let mut run = run(&["cats", "dogs"]);
    run.mistakes.clear();
    let (page, ..) = written(&run);
    assert!(page.contains("1 mistake on test; predictions_test.csv lists them."));
    run.splits[1].metrics = Some(metrics(vec![vec![3, 0], vec![0, 4]]));
    let (page, ..) = written(&run);
    assert!(page.contains("None: every labelled image of test was predicted right."));
    run.splits[1] = SplitResult { metrics: None, predictions: Vec::new(), ..run.splits[1].clone() };
    let (page, ..) = written(&run);
    assert!(page.contains("None: test has no labelled images."));
    assert!(
        page.contains("Accuracy is not defined: no labelled images in this split (2 classes).")
    );
}

#[test]
fn what_is_no_jpeg_is_no_picture() {
    let mut run = run(&["cats", "dogs"]);
    for thumbnail in [None, Some(Vec::new()), Some(b"<svg onload=alert(1)>".to_vec())] {
        run.mistakes[0].thumbnail_jpeg = thumbnail;
        let (page, ..) = written(&run);
        assert!(page.contains("no picture") && !page.contains("data:image"));
    }
}

#[test]
fn every_number_of_classes_has_its_matrix() {
    for count in [1, 2, 3, 5, 9, 20, 30, 31, 200] {
        let classes: Vec<String> =
            (0..count).map(|i| format!("a class with a long name {i}")).collect();
        let refs: Vec<&str> = classes.iter().map(String::as_str).collect();
        let (page, _, confusion, _) = written(&run(&refs));
        let right = confusion.matches("class=\"right\"").count();
        // The helper predicts class 1 as class 0.
        assert_eq!(right, if count > 1 { count - 1 } else { 1 }, "{count} classes");
        assert_eq!(page.contains("too many to read here"), count > 30, "{count} classes");
    }
}

#[test]
fn parts_that_do_not_fit_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let good = run(&["cats", "dogs"]);
    type Change = fn(&mut Run);
    let spoil: [(&str, Change); 9] = [
        ("probabilities", |run| run.splits[0].predictions[0].probabilities.clear()),
        ("class index", |run| run.splits[0].predictions[0].predicted = 2),
        ("class index", |run| run.splits[0].predictions[0].truth = Some(9)),
        ("confusion matrix", |run| run.splits[1].metrics.as_mut().unwrap().confusion[0].push(1)),
        ("metrics of classes", |run| run.splits[1].metrics.as_mut().unwrap().per_class.clear()),
        ("split ''", |run| run.splits[0].name.clear()),
        ("split '../test'", |run| run.splits[1].name = "../test".into()),
        ("split 'VALIDATION'", |run| run.splits[1].name = "VALIDATION".into()),
        ("repeated metric", |run| run.repeats.as_mut().unwrap().seeds.clear()),
    ];
    for (part, change) in spoil {
        let mut bad = good.clone();
        change(&mut bad);
        let error = write(&bad, dir.path()).unwrap_err();
        assert!(matches!(error, ReportError::Inconsistent { .. }), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let mut bad = good.clone();
    bad.mistakes[0].predicted = 5;
    assert!(write(&bad, dir.path()).is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_file_in_the_way_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("head");
    fs::write(&path, "a file").unwrap();
    let error = write(&run(&["cats", "dogs"]), Path::new(&path)).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_text_gives_well_formed_files(
        classes in prop::collection::vec(any::<String>(), 2..6),
        title in any::<String>(),
        file in any::<String>(),
        values in prop::collection::vec(any::<(f64, f64, Option<f64>)>(), 0..5),
    ) {
        let refs: Vec<&str> = classes.iter().map(String::as_str).collect();
        let mut run = run(&refs);
        run.title = title;
        run.mistakes[0].file = file;
        run.history = values
            .into_iter()
            .enumerate()
            .map(|(epoch, (loss, accuracy, val))| Epoch { epoch, loss, accuracy, val_loss: val, val_accuracy: val })
            .collect();
        let (page, ..) = written(&run);
        prop_assert!(!page.contains("<script"));
    }
}
