//! What a head does on a split.

use head::Head;
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
