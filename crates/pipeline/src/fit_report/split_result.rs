//! What a model does on a split, in the terms of the report.

use report::{Prediction, SplitResult};
use train::calibration::SplitCalibration;
use train::metrics;

use crate::error::Error;
use crate::fit::evaluate::Judged;
use crate::fit::{Evaluated, Features};

/// The split's part of the report.
pub(super) fn split_result(
    features: &Features,
    result: &Evaluated,
    calibration: Option<&SplitCalibration>,
    classes: usize,
) -> Result<SplitResult, Error> {
    let files = features.reader.index()?.into_iter().filter(|entry| entry.row.is_some());
    let judged = Judged { name: features.name(), labels: features.reader.labels(), result };
    Ok(of_files(judged, files.map(|one| (one.file, one.sha256)), calibration, classes))
}

/// The same for a split whose rows are these files, each with the sha256 of its content.
pub(crate) fn of_files(
    split: Judged<'_>,
    files: impl Iterator<Item = (String, Option<[u8; 32]>)>,
    calibration: Option<&SplitCalibration>,
    classes: usize,
) -> SplitResult {
    let mut files = files.fuse();
    let rows = split.result.probabilities.chunks_exact(classes).zip(split.labels);
    let predictions = rows.enumerate().map(|(row, (probabilities, &label))| {
        let (file, sha256) = files.next().unwrap_or_default();
        Prediction {
            row: row as u64,
            file,
            sha256,
            truth: usize::try_from(label).ok(),
            predicted: metrics::predicted_class(probabilities),
            probabilities: probabilities.to_vec(),
        }
    });
    SplitResult {
        name: split.name.to_owned(),
        metrics: Some(split.result.metrics.clone()),
        calibration: calibration.cloned(),
        predictions: predictions.collect(),
    }
}
