//! Metrics with scikit-learn's definitions.

use crate::HeadError;
use serde::{Deserialize, Serialize};

/// Metrics of one class against all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Class index.
    pub class: usize,
    /// Of the rows predicted as this class, the share that is; 0 where none is predicted.
    pub precision: f64,
    /// Of the rows of this class, the share predicted so; 0 where there are none.
    pub recall: f64,
    /// Harmonic mean of both; 0 where both are.
    pub f1: f64,
    /// Area under the ROC curve of this class against the rest; none where one side has no rows.
    pub roc_auc: Option<f64>,
    /// Rows of this class.
    pub support: u64,
}

/// Metrics of a set of predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows.
    pub rows: u64,
    /// Share of rows predicted right. Two classes: class 1 where p > 0.5; more: the largest probability, first on ties.
    pub accuracy: f64,
    /// Two classes: of class 1; more: macro mean.
    pub precision: f64,
    /// Two classes: of class 1; more: macro mean.
    pub recall: f64,
    /// Two classes: of class 1; more: macro mean.
    pub f1: f64,
    /// Two classes: of class 1; more: macro mean of one against the rest. None where a class has no rows, or all.
    pub roc_auc: Option<f64>,
    /// Mean of `-ln p(true class)`, probabilities clipped to f64's epsilon on both sides.
    pub log_loss: f64,
    /// `confusion[true][predicted]`, rows.
    pub confusion: Vec<Vec<u64>>,
    /// Each class against the rest.
    pub per_class: Vec<ClassMetrics>,
}

/// The predicted class of one row of probabilities.
pub fn predicted_class(probabilities: &[f32]) -> usize {
    match probabilities {
        [_, p] => usize::from(*p > 0.5),
        _ => {
            let mut best = 0;
            for (i, &p) in probabilities.iter().enumerate() {
                if p > probabilities[best] {
                    best = i;
                }
            }
            best
        }
    }
}

/// Evaluates `probabilities`, (N, classes) in C order, against `labels`, (N,).
pub fn evaluate(
    _probabilities: &[f32],
    _labels: &[i64],
    _classes: usize,
) -> Result<Metrics, HeadError> {
    Err(HeadError::Evaluate {
        detail: "not yet".to_owned(),
    })
}
