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
        .filter(|prediction| prediction.truth.is_some_and(|truth| truth != prediction.predicted))
        .collect();
    wrong.sort_by(|a, b| descending(confidence(a), confidence(b)).then(a.row.cmp(&b.row)));
    wrong.truncate(k);
    wrong
}

/// Probability of the predicted class; NaN where it is missing.
pub(crate) fn confidence(prediction: &Prediction) -> f32 {
    prediction.probabilities.get(prediction.predicted).copied().unwrap_or(f32::NAN)
}

fn descending(a: f32, b: f32) -> Ordering {
    b.partial_cmp(&a).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(row: u64, truth: Option<usize>, p: f32) -> Prediction {
        Prediction {
            row,
            truth,
            predicted: 1,
            probabilities: vec![1.0 - p, p],
            ..Prediction::default()
        }
    }

    #[test]
    fn surest_first_then_by_row_and_nan_last() {
        let split = SplitResult {
            predictions: vec![
                prediction(0, Some(0), f32::NAN),
                prediction(1, Some(0), 0.7),
                prediction(2, Some(1), 0.99),
                prediction(3, None, 0.98),
                prediction(4, Some(0), 0.9),
                prediction(5, Some(0), 0.7),
            ],
            ..SplitResult::default()
        };
        let rows = |k| most_confident_mistakes(&split, k).iter().map(|p| p.row).collect::<Vec<_>>();
        assert_eq!(rows(9), [4, 1, 5, 0]);
        assert_eq!(rows(2), [4, 1]);
        assert!(rows(0).is_empty());
    }
}
