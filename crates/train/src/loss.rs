//! Loss, probabilities and gradient from logits, never through the logarithm of a rounded probability.

/// What one row's logits say about its label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RowLoss {
    /// Cross-entropy, natural logarithm.
    pub(crate) loss: f64,
    /// The predicted class is the label.
    pub(crate) correct: bool,
}

/// Class probabilities: `[1 - p, p]` for one logit (sigmoid), else softmax. The transcendental functions are libm's own
/// code, so that they give the same bits on every platform.
pub(crate) fn probabilities(logits: &[f32], out: &mut [f32]) {
    match (logits, &mut *out) {
        ([z], [no, yes]) => {
            *no = sigmoid(-f64::from(*z)) as f32;
            *yes = sigmoid(f64::from(*z)) as f32;
        }
        _ => {
            let sum = log_sum_exp(logits);
            out.iter_mut()
                .zip(logits)
                .for_each(|(p, z)| *p = libm::exp(f64::from(*z) - sum) as f32);
        }
    }
}

/// Loss of one row, and `weight` times the gradient of the loss by the logits.
pub(crate) fn row_loss(logits: &[f32], label: usize, weight: f64, gradient: &mut [f32]) -> RowLoss {
    if let ([z], [g]) = (logits, &mut *gradient) {
        let (z, y) = (f64::from(*z), label as f64);
        let p = sigmoid(z);
        *g = (weight * (p - y)) as f32;
        // max(z, 0) - z y + ln(1 + exp(-|z|)), as TensorFlow's sigmoid_cross_entropy_with_logits.
        let loss = z.max(0.0) - z * y + libm::log1p(libm::exp(-z.abs()));
        let loss = if z.is_nan() { z } else { loss };
        return RowLoss { loss, correct: usize::from(p as f32 > 0.5) == label };
    }
    let sum = log_sum_exp(logits);
    let mut best = 0;
    for (k, (g, z)) in gradient.iter_mut().zip(logits).enumerate() {
        let p = libm::exp(f64::from(*z) - sum);
        *g = (weight * (p - f64::from(u8::from(k == label)))) as f32;
        if *z > logits[best] {
            best = k;
        }
    }
    RowLoss { loss: sum - f64::from(logits[label]), correct: best == label }
}

fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + libm::exp(-z))
    } else {
        let e = libm::exp(z);
        e / (1.0 + e)
    }
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    max + libm::log(logits.iter().map(|z| libm::exp(f64::from(*z) - max)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_logits_keep_a_finite_loss() {
        let mut g = [0.0];
        let lost = row_loss(&[-200.0], 1, 1.0, &mut g);
        assert_eq!((lost.loss, g[0], lost.correct), (200.0, -1.0, false));
        let mut p = [0.0; 2];
        probabilities(&[-200.0], &mut p);
        assert!(p[0] == 1.0 && p[1] < 1e-30);
        let mut g = [0.0; 3];
        assert!((row_loss(&[500.0, 0.0, -500.0], 2, 1.0, &mut g).loss - 1000.0).abs() < 1e-9);
        assert_eq!(g, [1.0, 0.0, -1.0]);
    }

    #[test]
    fn nan_and_infinity_are_not_hidden() {
        let mut g = [0.0];
        assert!(row_loss(&[f32::NAN], 0, 1.0, &mut g).loss.is_nan());
        assert!(!row_loss(&[f32::INFINITY], 0, 1.0, &mut g).loss.is_finite());
        let mut g = [0.0; 3];
        assert!(!row_loss(&[f32::NAN, 0.0, 0.0], 0, 1.0, &mut g).loss.is_finite());
    }

    #[test]
    fn gradient_is_that_of_finite_differences() {
        for (logits, label) in [
            (vec![0.3_f32], 1),
            (vec![-1.5], 0),
            (vec![0.2, -0.7, 1.1], 2),
            (vec![2.0, 1.0, 0.0, -1.0], 1),
        ] {
            let mut g = vec![0.0; logits.len()];
            row_loss(&logits, label, 0.5, &mut g);
            for k in 0..logits.len() {
                let at = |step: f32| {
                    let mut z = logits.clone();
                    z[k] += step;
                    row_loss(&z, label, 1.0, &mut vec![0.0; z.len()]).loss
                };
                let h = 1.0 / 1024.0;
                let slope = 0.5 * (at(h) - at(-h)) / (2.0 * f64::from(h));
                assert!((slope - f64::from(g[k])).abs() <= 1e-5, "{slope} {}", g[k]);
            }
        }
    }
}
