//! A small run to begin with.
#![allow(unreachable_pub)]

use report::{
    Epoch, Mistake, ModelFacts, Prediction, RepeatedMetric, Repeats, Run, Section, Skipped,
    SplitResult,
};
use train::metrics::{ClassMetrics, Metrics};

/// The shortest bytes that begin as a JPEG does.
pub const JPEG: [u8; 4] = [0xff, 0xd8, 0xff, 0xe0];

pub fn names(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Metrics with this matrix; the numbers are easy to know again.
pub fn metrics(confusion: Vec<Vec<u64>>) -> Metrics {
    let of = |class: usize| {
        let (hits, support) = (confusion[class][class], confusion[class].iter().sum());
        let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
        let precision = (predicted > 0).then(|| hits as f64 / predicted as f64);
        let (recall, f1, roc_auc) = (None, None, None);
        ClassMetrics { class, precision, recall, f1, roc_auc, support, predicted }
    };
    Metrics {
        rows: confusion.iter().flatten().sum(),
        accuracy: 0.1 + 0.2,
        precision: Some(0.75),
        recall: Some(0.5),
        f1: Some(0.6),
        roc_auc: None,
        log_loss: 0.25,
        per_class: (0..confusion.len()).map(of).collect(),
        confusion,
    }
}

pub fn split(name: &str, classes: usize) -> SplitResult {
    let mut confusion = vec![vec![0; classes]; classes];
    let mut predictions = Vec::new();
    for (truth, row) in confusion.iter_mut().enumerate() {
        let predicted = if truth == 1 { 0 } else { truth };
        row[predicted] += 1;
        let mut probabilities = vec![0.25 / classes as f32; classes];
        probabilities[predicted] = 0.75;
        predictions.push(Prediction {
            row: truth as u64,
            file: format!("{name}/{truth}.jpg"),
            truth: Some(truth),
            predicted,
            probabilities,
            sha256: None,
        });
    }
    SplitResult {
        name: name.to_owned(),
        metrics: Some(metrics(confusion)),
        calibration: None,
        predictions,
    }
}

pub fn run(classes: &[&str]) -> Run {
    Run {
        title: "cats or dogs".into(),
        created: "2026-05-04".into(),
        command_line: "fit-head --head models/head".into(),
        tool_version: "fit-head 0.1.0".into(),
        sections: vec![Section::new("Base", [("backbone", "vgg16")])],
        classes: names(classes),
        model: Some(ModelFacts { parameters: 513, training_seconds: 0.5 }),
        calibration: None,
        history: (1..=3)
            .map(|epoch| Epoch {
                epoch,
                loss: 1.0 / epoch as f64,
                accuracy: 0.9 + 0.01 * epoch as f64,
                val_loss: Some(0.5),
                val_accuracy: Some(0.9),
            })
            .collect(),
        splits: vec![split("validation", classes.len()), split("test", classes.len())],
        mistakes: vec![Mistake {
            split: "test".into(),
            file: "test/1.jpg".into(),
            truth: classes.len() - 1,
            predicted: 0,
            probability: 0.75,
            thumbnail_jpeg: Some(JPEG.to_vec()),
        }],
        repeats: Some(Repeats {
            seeds: vec![0, 1],
            metrics: vec![RepeatedMetric {
                key: "test_accuracy".into(),
                label: "Test accuracy".into(),
                values: vec![0.5, 1.0],
                mean: 0.75,
                half_width: None,
            }],
        }),
        skipped: vec![Skipped {
            split: "train".into(),
            file: "train/bad.jpg".into(),
            reason: "empty file".into(),
        }],
        notes: vec!["Random weights.".into()],
    }
}
