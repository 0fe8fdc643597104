//! What a head does on a split, in the terms of the report.

use anyhow::Result;
use head::metrics::{self, Metrics};
use pipeline::fit::{Evaluated, Features};
use report::{Metric, Prediction, SplitResult};

/// The split's part of the report.
pub(super) fn split_result(
    features: &Features,
    evaluated: &Evaluated,
    classes: usize,
) -> Result<SplitResult> {
    let files: Vec<String> = (features.reader.index()?.into_iter())
        .filter(|entry| entry.row.is_some())
        .map(|entry| entry.file)
        .collect();
    let rows = evaluated.probabilities.chunks_exact(classes).zip(features.reader.labels());
    let predictions = rows.enumerate().map(|(row, (probabilities, &label))| Prediction {
        row: row as u64,
        file: files.get(row).cloned().unwrap_or_default(),
        truth: usize::try_from(label).ok(),
        predicted: metrics::predicted_class(probabilities),
        probabilities: probabilities.to_vec(),
    });
    Ok(SplitResult {
        name: features.name().to_owned(),
        metrics: named(&evaluated.metrics, &features.manifest().settings.classes),
        confusion: evaluated.metrics.confusion.clone(),
        predictions: predictions.collect(),
    })
}

/// The numbers under stable names, with their definitions.
fn named(metrics: &Metrics, classes: &[String]) -> Vec<Metric> {
    let binary = classes.len() == 2;
    let (of, per_class) = match classes {
        [_, positive] => (format!("class '{positive}'"), String::new()),
        _ => ("one class".to_owned(), "; unweighted mean over the classes".to_owned()),
    };
    let auc = if binary {
        format!(
            "Chance that a random row of {of} scores higher than a random row of the other class."
        )
    } else {
        "Area under the ROC curve of each class against the rest; unweighted mean over the classes."
            .to_owned()
    };
    vec![
        Metric::new("accuracy", "Accuracy", metrics.accuracy, "Share of rows predicted right."),
        Metric::new(
            "precision",
            "Precision",
            metrics.precision,
            format!("Of the rows predicted as {of}, the share that is{per_class}."),
        ),
        Metric::new(
            "recall",
            "Recall",
            metrics.recall,
            format!("Of the rows of {of}, the share predicted so{per_class}."),
        ),
        Metric::new(
            "f1",
            "F1",
            metrics.f1,
            format!("Harmonic mean of precision and recall{per_class}."),
        ),
        Metric::new("roc_auc", "ROC AUC", metrics.roc_auc.unwrap_or(f64::NAN), auc),
        Metric::new(
            "log_loss",
            "Log loss",
            metrics.log_loss,
            "Mean of -ln of the probability given to the true class.",
        ),
    ]
}
