//! Comparisons: what a report wrote is read again, and pages of few, many and awkward models.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;

use report::{
    ComparedModel, Comparison, Epoch, ModelFacts, Pair, PairTest, Prediction, Run, Saved,
    SplitResult, write, write_comparison,
};
use train::calibration::reliability;
use train::metrics::evaluate;

fn history(epochs: usize, least: f64) -> Vec<Epoch> {
    let loss = |epoch: usize| least + 0.6 / epoch as f64;
    (1..=epochs)
        .map(|epoch| Epoch {
            epoch,
            loss: loss(epoch),
            accuracy: 1.0 - loss(epoch) / 3.0,
            val_loss: Some(loss(epoch) + 0.1 * least),
            val_accuracy: Some(0.98 - loss(epoch) / 3.0),
        })
        .collect()
}

fn model(name: &str, epochs: usize, least: f64) -> ComparedModel {
    let p = [0.75, 0.25, 0.375, 0.625, 0.875, 0.125, 0.25, 0.75];
    let labels = [0, 1, 0, i64::from(least < 0.3)];
    ComparedModel {
        name: name.to_owned(),
        folder: format!("models/{name}"),
        history: history(epochs, least),
        facts: Some(ModelFacts { parameters: 2_097_665, training_seconds: 4.2 }),
        weight_bytes: 8_390_804,
        metrics: evaluate(&p, &labels, 2).unwrap(),
        reliability: reliability(&p, &labels, 2).unwrap(),
    }
}

fn comparison(models: Vec<ComparedModel>) -> Comparison {
    let test = |only_first| PairTest { only_first, only_second: 9, p_value: 0.0042 };
    let pairs = (0..models.len())
        .flat_map(|second| (0..second).map(move |first| (first, second)))
        .map(|(first, second)| Pair { first, second, test: Ok(test(first as u64)) })
        .collect();
    Comparison {
        created: "2026-05-04 17:20:03 UTC".into(),
        command_line: "feature-cache compare".into(),
        tool_version: "feature-cache 0.1.0".into(),
        split: "test".into(),
        classes: vec!["cats".into(), "dogs".into()],
        models,
        pairs,
    }
}

fn page(comparison: &Comparison) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/compare.html");
    write_comparison(comparison, &path).unwrap();
    let page = fs::read_to_string(path).unwrap();
    for never in ["NaN", "Infinity", "<script", "http://", "https://"] {
        assert!(!page.contains(never), "{never}");
    }
    page
}

#[test]
fn what_was_written_is_read_again() {
    let prediction = |row: u64, file: &str, truth: usize, sha256| Prediction {
        row,
        file: file.to_owned(),
        sha256,
        truth: Some(truth),
        predicted: 1 - truth,
        probabilities: vec![0.1, 0.9],
    };
    let predictions = vec![
        prediction(0, r"\x3dcmd/a.png", 0, Some([0xab; 32])),
        prediction(1, "b, \"c\"\n.png", 1, None),
    ];
    let split = SplitResult {
        name: "test".into(),
        predictions: predictions.clone(),
        ..SplitResult::default()
    };
    let mut epochs = history(3, 0.1);
    epochs[1].loss = f64::NAN;
    epochs[2].val_loss = None;
    let facts = ModelFacts { parameters: 7, training_seconds: 0.1 };
    let run = Run {
        classes: vec!["=cmd".into(), "dogs, big".into()],
        history: epochs.clone(),
        splits: vec![split],
        model: Some(facts),
        ..Run::default()
    };
    let dir = tempfile::tempdir().unwrap();
    write(&run, dir.path()).unwrap();
    fs::write(dir.path().join("head.safetensors"), [0; 100]).unwrap();
    let saved = Saved::read(dir.path(), "test").unwrap();
    assert_eq!(saved.predictions, predictions);
    assert_eq!(saved.classes, [r"\x3dcmd", "dogs, big"]);
    assert_eq!((saved.facts, saved.weight_bytes), (Some(facts), 100));
    assert!(saved.history[1].loss.is_nan());
    assert_eq!((&saved.history[0], &saved.history[2]), (&epochs[0], &epochs[2]));
    assert!(Saved::read(dir.path(), "train").is_err());
}

#[test]
fn eight_models_have_eight_lines_everywhere() {
    let models = (0..8).map(|i| model(&format!("model-{i}"), 30, 0.1 * f64::from(i))).collect();
    let page = page(&comparison(models));
    for i in 0..8 {
        // Four panels; a swatch in each of the four lists at least.
        let lines = page.matches(&format!("class=\"line s{i}\"")).count();
        assert!(lines >= 8, "{i}: {lines}");
    }
    assert!(page.contains("With 28 pairs") && page.contains("8.4 MB") && page.contains("4.20 s"));
}

#[test]
fn awkward_models_have_a_page_too() {
    let evil = "<img src=x onerror=alert(1)>\"'&]]>\u{202e}";
    let mut bad = model(evil, 1, 0.2);
    bad.facts = None;
    bad.history[0].loss = f64::NAN;
    bad.history[0].val_loss = Some(f64::INFINITY);
    let empty = ComparedModel { history: Vec::new(), ..model("empty", 1, 0.5) };
    let mut comparison = comparison(vec![bad, empty]);
    comparison.pairs[0].test = Err(format!("No test of {evil}."));
    comparison.command_line = evil.into();
    let page = page(&comparison);
    assert!(!page.contains("<img src=x") && page.contains("&lt;img src=x"));
    assert!(!page.contains('\u{202e}'));
    assert!(page.contains("No two models were evaluated on the same pictures"));
    assert_eq!(comparison.reasons(), [format!("No test of {evil}.")]);
    let json = comparison.to_json();
    assert!(json["pairs"][0]["p_value"].is_null() && json["models"][0]["model"].is_null());
}
