//! Where to draw the line between two classes.

use crate::HeadError;
use crate::metrics::{THRESHOLD, check};

/// The threshold t of the highest accuracy when class 1 is predicted where p > t; `probabilities` are (N, 2), in C order.
///
/// Candidates are 0.5 and the middles between neighbouring distinct p of class 1, with 0 before the first and 1 behind the last.
/// Among equally good ones the nearest to 0.5 wins, then the lower.
///
/// # Errors
/// As [`evaluate`](crate::metrics::evaluate) for two classes.
pub fn best_threshold(probabilities: &[f32], labels: &[i64]) -> Result<f64, HeadError> {
    let labels = check(probabilities, labels, 2)?;
    let mut scores: Vec<(f64, usize)> =
        probabilities.chunks_exact(2).map(|row| f64::from(row[1])).zip(labels).collect();
    scores.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let right_at_half = scores.iter().filter(|s| usize::from(s.0 > THRESHOLD) == s.1).count();
    // (rows right, threshold).
    let mut best = (right_at_half, THRESHOLD);
    let mut consider = |right: usize, threshold: f64| {
        let nearness = |t: f64| (t - THRESHOLD).abs();
        let nearer = nearness(threshold) < nearness(best.1)
            || (nearness(threshold) == nearness(best.1) && threshold < best.1);
        if right > best.0 || (right == best.0 && nearer) {
            best = (right, threshold);
        }
    };
    // Everything is predicted as class 1 at first; going up, tie by tie changes to class 0.
    let mut right = scores.iter().filter(|s| s.1 == 1).count();
    let mut below = 0.0;
    for tie in scores.chunk_by(|a, b| a.0 == b.0) {
        let score = tie[0].0;
        if score > below {
            consider(right, 0.5 * (below + score));
        }
        let positives = tie.iter().filter(|s| s.1 == 1).count();
        right = right + tie.len() - 2 * positives;
        below = score;
    }
    consider(right, 0.5 * (below + 1.0));
    Ok(best.1)
}
