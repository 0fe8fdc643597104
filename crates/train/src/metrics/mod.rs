//! Metrics with scikit-learn's definitions. What is not defined is `None`, `null` in JSON: the precision of a class that was
//! never predicted, for one (scikit-learn's `zero_division=numpy.nan`).

mod interval;
mod mcnemar;
mod named;

pub use interval::wilson;
pub use mcnemar::mcnemar;
pub use named::Named;

use crate::HeadError;
use serde::{Deserialize, Serialize};

/// Metrics of one class against all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Class index.
    pub class: usize,
    /// Of the rows predicted as this class, the share that is; none where none is predicted.
    pub precision: Option<f64>,
    /// Of the rows of this class, the share predicted so; none where there are no such rows.
    pub recall: Option<f64>,
    /// `2 tp / (2 tp + fp + fn)`, the harmonic mean of both; none where the class is neither there nor predicted.
    pub f1: Option<f64>,
    /// Area under the ROC curve of this class against the rest; none where one side has no rows.
    pub roc_auc: Option<f64>,
    /// Rows of this class.
    pub support: u64,
    /// Rows predicted as this class.
    pub predicted: u64,
}

/// Metrics of a set of predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows.
    pub rows: u64,
    /// Share of rows predicted right. Two classes: class 1 where p > 0.5; more: the largest probability, first on ties.
    pub accuracy: f64,
    /// Two classes: of class 1; more: mean over the classes that have one, each counting the same.
    pub precision: Option<f64>,
    /// As `precision`.
    pub recall: Option<f64>,
    /// As `precision`.
    pub f1: Option<f64>,
    /// As `precision`: each class against the rest.
    pub roc_auc: Option<f64>,
    /// Mean of `-ln p(true class)`, probabilities clipped to f64's epsilon on both sides.
    pub log_loss: f64,
    /// `confusion[true][predicted]`, rows.
    pub confusion: Vec<Vec<u64>>,
    /// Each class against the rest.
    pub per_class: Vec<ClassMetrics>,
}

impl Metrics {
    /// Rows predicted right.
    pub fn right(&self) -> u64 {
        (0..self.confusion.len()).map(|class| self.confusion[class][class]).sum()
    }

    /// `(true class, predicted class, rows)` of the mistakes, most frequent first.
    pub fn confusions(&self) -> Vec<(usize, usize, u64)> {
        let mut pairs: Vec<_> = (self.confusion.iter().enumerate())
            .flat_map(|(truth, row)| {
                row.iter().enumerate().map(move |(class, n)| (truth, class, *n))
            })
            .filter(|(truth, predicted, rows)| truth != predicted && *rows > 0)
            .collect();
        pairs.sort_by(|a, b| b.2.cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
        pairs
    }
}

/// Where a probability of class 1 must be above, of two classes, to be predicted.
pub const THRESHOLD: f64 = 0.5;

/// The predicted class of one row of probabilities. Two classes: class 1 where p > 0.5; more: the largest, first of equals.
pub fn predicted_class(probabilities: &[f32]) -> usize {
    predicted_above(probabilities, THRESHOLD)
}

/// As [`predicted_class`], with another threshold for the class 1 of two; more classes have none.
pub fn predicted_above(probabilities: &[f32], threshold: f64) -> usize {
    match probabilities {
        [_, p] => usize::from(f64::from(*p) > threshold),
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
///
/// # Errors
/// [`HeadError::TooFewClasses`]; [`HeadError::Evaluate`] where lengths or labels do not fit, or a value is no probability.
pub fn evaluate(
    probabilities: &[f32],
    labels: &[i64],
    classes: usize,
) -> Result<Metrics, HeadError> {
    evaluate_above(probabilities, labels, classes, THRESHOLD)
}

/// As [`evaluate`], with another threshold for the class 1 of two.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_above(
    probabilities: &[f32],
    labels: &[i64],
    classes: usize,
    threshold: f64,
) -> Result<Metrics, HeadError> {
    let labels = check(probabilities, labels, classes)?;
    let mut confusion = vec![vec![0_u64; classes]; classes];
    let mut log_loss = 0.0;
    for (row, &label) in probabilities.chunks_exact(classes).zip(&labels) {
        confusion[label][predicted_above(row, threshold)] += 1;
        log_loss += row_log_loss(row[label]);
    }
    let rows = labels.len() as u64;
    let per_class: Vec<ClassMetrics> = (0..classes)
        .map(|class| {
            let hits = confusion[class][class];
            let predicted: u64 = confusion.iter().map(|c| c[class]).sum();
            let support: u64 = confusion[class].iter().sum();
            let scores = probabilities.iter().skip(class).step_by(classes).copied();
            ClassMetrics {
                class,
                precision: ratio(hits, predicted),
                recall: ratio(hits, support),
                f1: ratio(2 * hits, predicted + support),
                roc_auc: roc_auc(scores.zip(labels.iter().map(|l| *l == class))),
                support,
                predicted,
            }
        })
        .collect();
    let mean = |of: fn(&ClassMetrics) -> Option<f64>| match classes {
        2 => of(&per_class[1]),
        _ => {
            let defined: Vec<f64> = per_class.iter().filter_map(of).collect();
            (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
        }
    };
    let right: u64 = (0..classes).map(|c| confusion[c][c]).sum();
    Ok(Metrics {
        rows,
        accuracy: right as f64 / rows as f64,
        precision: mean(|c| c.precision),
        recall: mean(|c| c.recall),
        f1: mean(|c| c.f1),
        roc_auc: mean(|c| c.roc_auc),
        log_loss: log_loss / rows as f64,
        confusion,
        per_class,
    })
}

fn refuse<T>(detail: String) -> Result<T, HeadError> {
    Err(HeadError::Evaluate { detail })
}

pub(crate) fn check(
    probabilities: &[f32],
    labels: &[i64],
    classes: usize,
) -> Result<Vec<usize>, HeadError> {
    if classes < 2 {
        return Err(HeadError::TooFewClasses { found: classes });
    }
    if labels.is_empty() {
        return refuse("expected at least 1 row, found 0".to_owned());
    }
    if labels.len().checked_mul(classes) != Some(probabilities.len()) {
        let (rows, found) = (labels.len(), probabilities.len());
        return refuse(format!(
            "expected {rows} rows of {classes} probabilities, found {found} values"
        ));
    }
    if let Some(i) = probabilities.iter().position(|p| !(0.0..=1.0).contains(p)) {
        return refuse(format!(
            "expected probabilities from 0 to 1, found {} in row {}",
            probabilities[i],
            i / classes
        ));
    }
    let index = |(row, &label): (usize, &i64)| match usize::try_from(label) {
        Ok(l) if l < classes => Ok(l),
        _ => {
            let detail =
                format!("expected labels from 0 to {}, found {label} in row {row}", classes - 1);
            Err(HeadError::Evaluate { detail })
        }
    };
    labels.iter().enumerate().map(index).collect()
}

/// `-ln p`. scikit-learn clips to the epsilon of the type; probabilities that we made sum to 1 but for rounding.
pub(crate) fn row_log_loss(p: f32) -> f64 {
    -f64::from(p).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Share of pairs (positive, negative) whose positive has the higher score, ties counting half: the area under the ROC
/// curve by trapezoids. None where one side is empty.
fn roc_auc(scores: impl Iterator<Item = (f32, bool)>) -> Option<f64> {
    let mut scores: Vec<(f32, bool)> = scores.collect();
    scores.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut negatives, mut positives, mut twice_won) = (0_u64, 0_u64, 0_u128);
    for tie in scores.chunk_by(|a, b| a.0 == b.0) {
        let p = tie.iter().filter(|t| t.1).count() as u64;
        let n = tie.len() as u64 - p;
        twice_won += u128::from(p) * (2 * u128::from(negatives) + u128::from(n));
        positives += p;
        negatives += n;
    }
    let pairs = u128::from(positives) * u128::from(negatives);
    (pairs > 0).then(|| twice_won as f64 / (2 * pairs) as f64)
}
