//! Calibration: how far a head's probabilities can be taken at their word, and two numbers that are chosen after training, on
//! rows that it was not trained on: a temperature and, for two classes, a decision threshold.

mod reliability;
mod temperature;
mod threshold;

pub use reliability::{BINS, Bin, Reliability, reliability};
pub use temperature::{NoTemperature, TEMPERATURES, at_temperature, fit_temperature};
pub use threshold::best_threshold;

use crate::HeadError;
use crate::metrics::{self, Metrics};
use serde::{Deserialize, Serialize};

/// How a head's probabilities can be used, as `head.json` keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Rows of the validation split that both were chosen on.
    pub rows: u64,
    /// Temperature of the lowest log loss; none where the rows don't tell.
    pub temperature: Option<f64>,
    /// Two classes: the threshold of the highest accuracy for the probability of class 1, before any temperature.
    pub threshold: Option<f64>,
}

/// What was chosen, and why not more.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What was chosen.
    pub calibration: Calibration,
    /// Why there is no temperature.
    pub no_temperature: Option<NoTemperature>,
}

/// What calibration does on a split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitCalibration {
    /// The head's own probabilities.
    pub before: Reliability,
    /// With the temperature; none where there is none.
    pub after: Option<Reliability>,
    /// Metrics with the threshold; none where there is none.
    pub at_threshold: Option<Metrics>,
}

impl Calibration {
    /// Chooses on the rows of a validation split: `probabilities` (N, classes) in C order, `labels` (N,).
    ///
    /// # Errors
    /// As [`metrics::evaluate`].
    pub fn choose(
        probabilities: &[f32],
        labels: &[i64],
        classes: usize,
    ) -> Result<Choice, HeadError> {
        let fitted = fit_temperature(probabilities, labels, classes)?;
        let threshold = match classes {
            2 => Some(best_threshold(probabilities, labels)?),
            _ => None,
        };
        let calibration = Self { rows: labels.len() as u64, temperature: fitted.ok(), threshold };
        Ok(Choice { calibration, no_temperature: fitted.err() })
    }

    /// What is wrong with one that was read, for a head of so many classes.
    pub(crate) fn problem(&self, classes: usize) -> Option<String> {
        if let Some(t) = self.temperature
            && !TEMPERATURES.contains(&t)
        {
            let (least, most) = (TEMPERATURES.start(), TEMPERATURES.end());
            return Some(format!("expected a temperature from {least} to {most}, found {t}"));
        }
        match self.threshold {
            Some(_) if classes != 2 => {
                Some(format!("expected no threshold for {classes} classes, found one"))
            }
            Some(t) if !(0.0..=1.0).contains(&t) => {
                Some(format!("expected a threshold from 0 to 1, found {t}"))
            }
            _ => None,
        }
    }
}

impl SplitCalibration {
    /// Judges a split with what was chosen, if anything was.
    ///
    /// # Errors
    /// As [`metrics::evaluate`].
    pub fn judge(
        chosen: Option<&Calibration>,
        probabilities: &[f32],
        labels: &[i64],
        classes: usize,
    ) -> Result<Self, HeadError> {
        let scaled = |temperature| {
            reliability(&at_temperature(probabilities, classes, temperature), labels, classes)
        };
        let at = |threshold| metrics::evaluate_above(probabilities, labels, classes, threshold);
        Ok(Self {
            before: reliability(probabilities, labels, classes)?,
            after: chosen.and_then(|c| c.temperature).map(scaled).transpose()?,
            at_threshold: chosen.and_then(|c| c.threshold).map(at).transpose()?,
        })
    }
}
