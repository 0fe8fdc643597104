//! What a confusion matrix says.

use crate::model::SplitResult;

/// How one class fared against the rest. NaN where nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ClassStats {
    /// Rows of this class.
    pub(crate) support: u64,
    /// Rows predicted as this class.
    pub(crate) predicted: u64,
    /// Of the rows predicted as this class, the share that is.
    pub(crate) precision: f64,
    /// Of the rows of this class, the share predicted so.
    pub(crate) recall: f64,
    /// `2 tp / (2 tp + fp + fn)`, the harmonic mean of both.
    pub(crate) f1: f64,
}

/// One entry a class.
pub(crate) fn per_class(confusion: &[Vec<u64>]) -> Vec<ClassStats> {
    confusion
        .iter()
        .enumerate()
        .map(|(class, row)| {
            let support: u64 = row.iter().sum();
            let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
            let right = row[class] as f64;
            ClassStats {
                support,
                predicted,
                precision: right / predicted as f64,
                recall: right / support as f64,
                f1: 2.0 * right / (support + predicted) as f64,
            }
        })
        .collect()
}

/// Labelled rows.
pub(crate) fn total(confusion: &[Vec<u64>]) -> u64 {
    confusion.iter().flatten().sum()
}

/// Labelled rows that were predicted right.
pub(crate) fn right(confusion: &[Vec<u64>]) -> u64 {
    confusion.iter().enumerate().map(|(i, row)| row[i]).sum()
}

/// `(true class, predicted class, count)` of the mistakes, most frequent first.
pub(crate) fn confusions(confusion: &[Vec<u64>]) -> Vec<(usize, usize, u64)> {
    let mut pairs: Vec<_> = confusion
        .iter()
        .enumerate()
        .flat_map(|(truth, row)| {
            row.iter().enumerate().map(move |(predicted, count)| (truth, predicted, *count))
        })
        .filter(|(truth, predicted, count)| truth != predicted && *count > 0)
        .collect();
    pairs.sort_by(|a, b| b.2.cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    pairs
}

/// The accuracy of a split: its metric of that name, else what the confusion matrix says.
pub(crate) fn accuracy(split: &SplitResult) -> f64 {
    split.metrics.iter().find(|metric| metric.key == "accuracy").map_or_else(
        || right(&split.confusion) as f64 / total(&split.confusion) as f64,
        |metric| metric.value,
    )
}

/// Wilson's 95% interval of a share (Wilson 1927, JASA 22:209), none without rows.
pub(crate) fn wilson(right: u64, total: u64) -> Option<(f64, f64)> {
    if total == 0 {
        return None;
    }
    const Z: f64 = 1.959_963_984_540_054;
    let (n, share) = (total as f64, right as f64 / total as f64);
    let z2 = Z * Z;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    Some(((centre - half).max(0.0), (centre + half).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes() {
        let stats = per_class(&[vec![8, 2], vec![1, 9]]);
        assert_eq!((stats[0].support, stats[0].predicted), (10, 9));
        assert!((stats[0].precision - 8.0 / 9.0).abs() < 1e-15);
        assert!((stats[1].recall - 0.9).abs() < 1e-15);
        assert!((stats[1].f1 - 18.0 / 21.0).abs() < 1e-15);
    }

    #[test]
    fn what_nothing_can_be_said_of_is_nan() {
        let stats = per_class(&[vec![3, 0, 0], vec![1, 0, 0], vec![0, 0, 0]]);
        assert!(stats[1].precision.is_nan() && stats[1].recall == 0.0);
        assert!(stats[2].recall.is_nan() && stats[2].f1.is_nan());
    }

    #[test]
    fn mistakes_by_frequency() {
        let confusion = [vec![5, 1, 3], vec![3, 5, 0], vec![0, 0, 9]];
        assert_eq!(confusions(&confusion), [(0, 2, 3), (1, 0, 3), (0, 1, 1)]);
        assert_eq!((right(&confusion), total(&confusion)), (19, 26));
    }

    #[test]
    fn wilson_matches_the_published_example() {
        // 81 of 263: 0.2553 to 0.3662 (Newcombe 1998, Statistics in Medicine 17:857, table I, method 3).
        let (low, high) = wilson(81, 263).expect("rows");
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5, "{low} {high}");
        assert_eq!(wilson(0, 0), None);
        assert_eq!(wilson(5, 5).expect("rows").1, 1.0);
    }
}
