//! Which mistakes are worth a look: those that the head was surest of.

use std::cmp::Ordering;

use crate::model::{Prediction, SplitResult};

/// The `k` wrong predictions with the highest probability, highest first; equal ones in row order, NaN last.
///
/// Rows without a true class are no mistakes.
#[must_use]
pub fn most_confident_mistakes(split: &SplitResult, k: usize) -> Vec<&Prediction> {
    let mut wrong: Vec<&Prediction> = split
        .predictions
        .iter()
        .filter(|prediction| {
            prediction
                .truth
                .is_some_and(|truth| truth != prediction.predicted)
        })
        .collect();
    wrong.sort_by(|a, b| descending(confidence(a), confidence(b)).then(a.row.cmp(&b.row)));
    wrong.truncate(k);
    wrong
}

/// Probability of the predicted class; NaN where it is missing.
pub(crate) fn confidence(prediction: &Prediction) -> f32 {
    prediction
        .probabilities
        .get(prediction.predicted)
        .copied()
        .unwrap_or(f32::NAN)
}

fn descending(a: f32, b: f32) -> Ordering {
    b.partial_cmp(&a)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}
