//! Temperature scaling: one number that makes probabilities softer or sharper and changes no decision.

use crate::HeadError;
use crate::metrics::check;
use std::fmt;
use std::ops::RangeInclusive;

/// Temperatures that are believed. A data set that asks for another has none.
pub const TEMPERATURES: RangeInclusive<f64> = 0.01..=100.0;
/// Newton's steps and halvings: each halving alone gains a bit, and 60 bits are all there are.
const MOST_STEPS: usize = 100;
/// Steps of ln(1/T) below this are rounding.
const SMALL_STEP: f64 = 1e-13;

/// Why there is no temperature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTemperature {
    /// The loss falls without end as probabilities get sharper: all rows, or all but a few at the very edge, are right.
    Separable,
    /// The loss falls without end as probabilities get softer: they are no better than chance.
    Uninformative,
}

impl fmt::Display for NoTemperature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Separable => {
                "every row is predicted right, so the sharper the probabilities the lower the loss; more rows would tell"
            }
            Self::Uninformative => {
                "the softer the probabilities the lower the loss: they are no better than chance"
            }
        })
    }
}

/// The temperature T of the lowest mean of `-ln softmax(z / T)[label]`, z being the logits behind `probabilities`, (N, classes)
/// in C order.
///
/// Logits need not be known: `softmax(z / T)` is `p^(1/T)`, normalised. In 1/T the loss is convex, so its slope has one zero at
/// most: found by Newton's method in ln(1/T), with halving where a step would leave the bracket.
///
/// # Errors
/// As [`evaluate`](crate::metrics::evaluate).
pub fn fit_temperature(
    probabilities: &[f32],
    labels: &[i64],
    classes: usize,
) -> Result<Result<f64, NoTemperature>, HeadError> {
    let labels = check(probabilities, labels, classes)?;
    let mut logs = vec![0.0; classes];
    let mut weights = vec![0.0; classes];
    // Slope and curvature of the loss by b = 1/T: means of E[l] - l_label and of the variance of l, l = ln p.
    let mut slope = |b: f64| {
        let (mut slope, mut curvature) = (0.0, 0.0);
        for (row, &label) in probabilities.chunks_exact(classes).zip(&labels) {
            logs.iter_mut().zip(row).for_each(|(l, p)| *l = ln(*p));
            softmax(&logs, b, &mut weights);
            let mean: f64 = weights.iter().zip(&logs).map(|(w, l)| w * l).sum();
            slope += mean - logs[label];
            curvature +=
                weights.iter().zip(&logs).map(|(w, l)| w * (l - mean) * (l - mean)).sum::<f64>();
        }
        let rows = labels.len() as f64;
        (slope / rows, curvature / rows)
    };
    let (least, most) = (*TEMPERATURES.start(), *TEMPERATURES.end());
    let (mut low, mut high) = (-most.ln(), -least.ln());
    if slope(low.exp()).0 >= 0.0 {
        return Ok(Err(NoTemperature::Uninformative));
    }
    if slope(high.exp()).0 <= 0.0 {
        return Ok(Err(NoTemperature::Separable));
    }
    let mut at = 0.0_f64;
    for _ in 0..MOST_STEPS {
        let b = libm::exp(at);
        let (value, curvature) = slope(b);
        if value < 0.0 {
            low = at;
        } else {
            high = at;
        }
        let newton = at - value / (curvature * b);
        // Before the bracket is asked: a step of rounding may well leave it.
        if (newton - at).abs() <= SMALL_STEP {
            break;
        }
        at = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
    }
    Ok(Ok(libm::exp(-at)))
}

/// `softmax(z / temperature)` for each row of `probabilities`, which are `softmax(z)`; (N, classes) in C order. The order of
/// a row's classes stays as it is.
pub fn at_temperature(probabilities: &[f32], classes: usize, temperature: f64) -> Vec<f32> {
    let (mut logs, mut weights) = (vec![0.0; classes], vec![0.0; classes]);
    let mut out = Vec::with_capacity(probabilities.len());
    for row in probabilities.chunks_exact(classes) {
        logs.iter_mut().zip(row).for_each(|(l, p)| *l = ln(*p));
        softmax(&logs, 1.0 / temperature, &mut weights);
        out.extend(weights.iter().map(|w| *w as f32));
    }
    out
}

/// The logarithm of a probability. One that underflowed to 0 counts as the least normal number, about e^-87.
fn ln(p: f32) -> f64 {
    libm::log(f64::from(p.max(f32::MIN_POSITIVE)))
}

/// `softmax(b * logs)`. libm's exponential gives the same bits on every platform.
fn softmax(logs: &[f64], b: f64, out: &mut [f64]) {
    let max = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    out.iter_mut().zip(logs).for_each(|(w, l)| *w = libm::exp(b * (l - max)));
    let sum: f64 = out.iter().sum();
    out.iter_mut().for_each(|w| *w /= sum);
}
