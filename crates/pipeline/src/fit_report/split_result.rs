//! What a head does on a split, in the terms of the report.

use head::metrics;
use report::{Prediction, SplitResult};

use crate::error::Error;
use crate::fit::{Evaluated, Features};

/// The split's part of the report.
pub(super) fn split_result(
    features: &Features,
    evaluated: &Evaluated,
    classes: usize,
) -> Result<SplitResult, Error> {
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
        metrics: Some(evaluated.metrics.clone()),
        predictions: predictions.collect(),
    })
}
