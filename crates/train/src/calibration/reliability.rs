//! How far probabilities can be taken at their word.

use crate::HeadError;
use crate::metrics::{check, predicted_class, row_log_loss};
use serde::{Deserialize, Serialize};

/// Bins of equal width that [`reliability`] puts confidences into.
pub const BINS: usize = 10;

/// Rows of similar confidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Confidences are above this, or equal to it where it is 0.
    pub low: f64,
    /// And at most this.
    pub high: f64,
    /// How many rows.
    pub rows: u64,
    /// Their mean confidence; none without rows.
    pub confidence: Option<f64>,
    /// Share of them that is predicted right; none without rows.
    pub accuracy: Option<f64>,
}

/// Confidence against accuracy. The confidence of a row is the probability of its predicted class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Rows.
    pub rows: u64,
    /// Expected calibration error: over the bins, the mean of |accuracy - confidence|, each bin weighted by its rows (Guo et al.
    /// 2017, "On Calibration of Modern Neural Networks", equation 3).
    pub ece: f64,
    /// As [`Metrics::log_loss`](crate::metrics::Metrics::log_loss).
    pub log_loss: f64,
    /// [`BINS`] bins from 0 to 1.
    pub bins: Vec<Bin>,
}

/// Compares the confidence of `probabilities`, (N, classes) in C order, with how often they are right about `labels`, (N,).
///
/// # Errors
/// As [`evaluate`](crate::metrics::evaluate).
pub fn reliability(
    probabilities: &[f32],
    labels: &[i64],
    classes: usize,
) -> Result<Reliability, HeadError> {
    let labels = check(probabilities, labels, classes)?;
    // Rows, sum of confidences, rows that are right.
    let mut sums = [(0_u64, 0.0_f64, 0_u64); BINS];
    let mut log_loss = 0.0;
    for (row, &label) in probabilities.chunks_exact(classes).zip(&labels) {
        let predicted = predicted_class(row);
        let confidence = f64::from(row[predicted]);
        let bin = (1..BINS).position(|bin| confidence <= bound(bin)).unwrap_or(BINS - 1);
        let (rows, sum, right) = &mut sums[bin];
        *rows += 1;
        *sum += confidence;
        *right += u64::from(predicted == label);
        log_loss += row_log_loss(row[label]);
    }
    let bins = sums.iter().enumerate().map(|(i, &(rows, sum, right))| {
        let mean = |total: f64| (rows > 0).then(|| total / rows as f64);
        let (confidence, accuracy) = (mean(sum), mean(right as f64));
        Bin { low: bound(i), high: bound(i + 1), rows, confidence, accuracy }
    });
    let rows = labels.len() as u64;
    // n_b / n * |right_b / n_b - sum_b / n_b|.
    let gaps: f64 = sums.iter().map(|&(_, sum, right)| (right as f64 - sum).abs()).sum();
    Ok(Reliability {
        rows,
        ece: gaps / rows as f64,
        log_loss: log_loss / rows as f64,
        bins: bins.collect(),
    })
}

fn bound(bin: usize) -> f64 {
    bin as f64 / BINS as f64
}
