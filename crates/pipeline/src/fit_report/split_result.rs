//! What a head does on a split, in the terms of the report.

use head::calibration::SplitCalibration;
use head::metrics;
use report::{Prediction, SplitResult};

use crate::error::Error;
use crate::fit::{Evaluated, Features};

/// The split's part of the report.
pub(super) fn split_result(
    features: &Features,
    evaluated: &Evaluated,
    calibration: Option<&SplitCalibration>,
    classes: usize,
) -> Result<SplitResult, Error> {
    let mut files = features.reader.index()?.into_iter().filter(|entry| entry.row.is_some()).fuse();
    let rows = evaluated.probabilities.chunks_exact(classes).zip(features.reader.labels());
    let predictions = rows.enumerate().map(|(row, (probabilities, &label))| {
        let (file, sha256) = files.next().map(|one| (one.file, one.sha256)).unwrap_or_default();
        Prediction {
            row: row as u64,
            file,
            sha256,
            truth: usize::try_from(label).ok(),
            predicted: metrics::predicted_class(probabilities),
            probabilities: probabilities.to_vec(),
        }
    });
    Ok(SplitResult {
        name: features.name().to_owned(),
        metrics: Some(evaluated.metrics.clone()),
        calibration: calibration.cloned(),
        predictions: predictions.collect(),
    })
}
