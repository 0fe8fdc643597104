//! What a head does on a split.

use train::Head;
use train::calibration::{Calibration, Choice, SplitCalibration};
use train::metrics::{self, Metrics};

use super::features::Features;
use crate::error::Error;

/// Metrics and predictions of one split.
pub struct Evaluated {
    /// How good the predictions are.
    pub metrics: Metrics,
    /// (N, classes).
    pub probabilities: Vec<f32>,
}

/// Predicts every row of a split and compares with the labels.
///
/// # Errors
/// Rows of another width, labels out of range.
pub fn evaluate(head: &Head, features: &Features) -> Result<Evaluated, Error> {
    let probabilities = head.predict_rows(features.name(), features)?;
    let metrics = metrics::evaluate(&probabilities, features.reader.labels(), head.classes())?;
    Ok(Evaluated { metrics, probabilities })
}

/// What the validation split chose, and what that does on every split but train.
pub struct Calibrated {
    /// Temperature and threshold; `None` without a validation split.
    pub choice: Option<Choice>,
    /// By the split's name.
    pub splits: Vec<(String, SplitCalibration)>,
}

/// A split's result with its labels.
#[derive(Clone, Copy)]
pub(crate) struct Judged<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: &'a [i64],
    pub(crate) result: &'a Evaluated,
}

/// Chooses on the split of the name `validation` and judges all but train.
///
/// # Errors
/// None that [`evaluate`] did not have.
pub(crate) fn calibrate(
    splits: &[Judged<'_>],
    validation: Option<&str>,
    classes: usize,
) -> Result<Calibrated, Error> {
    let chosen_on = splits.iter().find(|one| Some(one.name) == validation);
    let choice = chosen_on
        .map(|one| Calibration::choose(&one.result.probabilities, one.labels, classes))
        .transpose()?;
    let calibration = choice.as_ref().map(|choice| &choice.calibration);
    let judged = splits.iter().filter(|one| one.name != "train").map(|one| {
        let p = &one.result.probabilities;
        let judged = SplitCalibration::judge(calibration, p, one.labels, classes)?;
        Ok((one.name.to_owned(), judged))
    });
    let splits = judged.collect::<Result<_, Error>>()?;
    Ok(Calibrated { choice, splits })
}
