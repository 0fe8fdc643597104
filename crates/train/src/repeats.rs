//! Mean and 95 % interval over repeated runs.

use serde::{Deserialize, Serialize};

/// Mean of several runs' values and the half width of its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanInterval {
    /// Arithmetic mean.
    pub mean: f64,
    /// Half width: `t(0.975, n - 1) s / sqrt(n)`; none for a single value.
    pub half_width: Option<f64>,
    /// Number of values.
    pub count: usize,
}

/// Mean and Student-t interval; none without values.
pub fn mean_interval(values: &[f64]) -> Option<MeanInterval> {
    let count = values.len();
    if count == 0 {
        return None;
    }
    let n = count as f64;
    let mean = values.iter().sum::<f64>() / n;
    let half_width = (count > 1).then(|| {
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
        student_t_975(count - 1) * (variance / n).sqrt()
    });
    Some(MeanInterval { mean, half_width, count })
}

/// The 97.5 % quantile of Student's t for `freedom` degrees of freedom: where the distribution function, a finite sum for
/// whole degrees (Abramowitz and Stegun 26.7.3, 26.7.4), reaches 0.975. From 2000 on Fisher's expansion is exact enough.
fn student_t_975(freedom: usize) -> f64 {
    const NORMAL: f64 = 1.959_963_984_540_054;
    if freedom > 2000 {
        let (z, v) = (NORMAL, freedom as f64);
        return z
            + (z.powi(3) + z) / (4.0 * v)
            + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * v * v);
    }
    let (mut low, mut high) = (0.0, 16.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if within(middle, freedom) < 0.95 {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Probability that |T| is at most `t`.
fn within(t: f64, freedom: usize) -> f64 {
    let angle = (t / (freedom as f64).sqrt()).atan();
    let (sin, cos) = angle.sin_cos();
    let odd = freedom % 2 == 1;
    // Terms of the series: cos, cos³·2/3, … for odd degrees; 1, cos²·1/2, … for even ones.
    let (mut term, mut sum) = (if odd { cos } else { 1.0 }, 0.0);
    for k in 1..=freedom / 2 {
        sum += term;
        let k = k as f64;
        term *=
            cos * cos * if odd { 2.0 * k / (2.0 * k + 1.0) } else { (2.0 * k - 1.0) / (2.0 * k) };
    }
    match odd {
        true => (angle + sin * sum) * std::f64::consts::FRAC_2_PI,
        false => sin * sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // scipy.stats.t.ppf(0.975, v)
        for (v, t) in [
            (1, 12.706204736),
            (2, 4.3026527297),
            (3, 3.1824463053),
            (9, 2.2621571628),
            (10, 2.2281388520),
            (29, 2.0452296421),
            (100, 1.9839715185),
            (2000, 1.9611514),
            (5000, 1.9604386),
        ] {
            assert!((student_t_975(v) - t).abs() <= 1e-6, "{v}: {} {t}", student_t_975(v));
        }
    }

    #[test]
    fn interval_of_known_values() {
        assert_eq!(mean_interval(&[]), None);
        assert_eq!(
            mean_interval(&[3.0]),
            Some(MeanInterval { mean: 3.0, half_width: None, count: 1 })
        );
        let i = mean_interval(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        // t(0.975, 3) * sqrt(5/3) / 2
        assert!(
            (i.mean - 2.5).abs() <= 1e-12 && (i.half_width.unwrap() - 2.054_260_0).abs() <= 1e-6
        );
        assert_eq!(mean_interval(&[2.0; 5]).unwrap().half_width, Some(0.0));
    }
}
