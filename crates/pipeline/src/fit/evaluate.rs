//! What a head does on a split.

use head::Head;
use head::calibration::{Calibration, Choice, SplitCalibration};
use head::metrics::{self, Metrics};

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

/// Chooses on the split `validation`, of those that were evaluated, and judges the others and it.
///
/// # Errors
/// None that [`evaluate`] did not have.
pub(crate) fn calibrate(
    evaluated: &[(&Features, Evaluated)],
    validation: Option<&Features>,
    classes: usize,
) -> Result<Calibrated, Error> {
    let name = validation.map(Features::name);
    let chosen_on = evaluated.iter().find(|(one, _)| Some(one.name()) == name);
    let choice = chosen_on.map(|(one, result)| {
        Calibration::choose(&result.probabilities, one.reader.labels(), classes)
    });
    let choice = choice.transpose()?;
    let calibration = choice.as_ref().map(|choice| &choice.calibration);
    let judged = evaluated.iter().filter(|(one, _)| one.name() != "train").map(|(one, result)| {
        let (p, labels) = (&result.probabilities, one.reader.labels());
        let judged = SplitCalibration::judge(calibration, p, labels, classes)?;
        Ok((one.name().to_owned(), judged))
    });
    let splits = judged.collect::<Result<_, Error>>()?;
    Ok(Calibrated { choice, splits })
}
