//! Axis scales whose ticks are round numbers.

/// An axis from the first tick to the last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scale {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Position and label of each tick.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// Where a value is: 0 at the low end, 1 at the high end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        if self.high > self.low { (value - self.low) / (self.high - self.low) } else { 0.5 }
    }
}

/// Whether a value can be drawn; larger ones would overflow the arithmetic of the axis.
pub(crate) fn drawable(value: f64) -> bool {
    value.abs() < 1e100
}

/// A scale around the drawable ones of `values`, none when there are none.
///
/// It never spans less than `min_span`, so that noise in the last digit does not fill the picture, and never leaves `bounds`.
pub(crate) fn around(
    values: impl Iterator<Item = f64>,
    min_span: f64,
    bounds: (f64, f64),
) -> Option<Scale> {
    let (mut low, mut high) = values
        .filter(|value| drawable(*value))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        return None;
    }
    // Values that all but reach a bound are best read against it: a loss that falls to nothing, for one.
    if bounds.0.is_finite() && low - bounds.0 < 0.35 * (high - bounds.0) && low >= bounds.0 {
        low = bounds.0;
    }
    let min_span = min_span.max(1e-9 * low.abs().max(high.abs()));
    if high - low < min_span {
        let middle = f64::midpoint(low, high);
        (low, high) = (middle - min_span / 2.0, middle + min_span / 2.0);
        if high > bounds.1 {
            (low, high) = (bounds.1 - min_span, bounds.1);
        }
        if low < bounds.0 {
            (low, high) = (bounds.0, bounds.0 + min_span);
        }
    }
    let step = round_step((high - low) / 5.0);
    // A hair of tolerance: 0.3 / 0.1 must not count as more than 3.
    let first = (low / step + 1e-6).floor();
    let last = (high / step - 1e-6).ceil();
    let ticks: Vec<(f64, String)> = (0..=(last - first) as usize)
        .map(|i| (first + i as f64) * step)
        .map(|value| (value, label(value, step, first.abs().max(last.abs()) * step)))
        .collect();
    Some(Scale { low: first * step, high: last * step, ticks })
}

/// A scale for whole numbers from `first` to `last`, with ticks on round ones and on the first where there is room.
pub(crate) fn whole(first: usize, last: usize) -> Scale {
    let step = if last > first {
        (round_step((last - first) as f64 / 6.0).round() as usize).max(1)
    } else {
        1
    };
    let mut ticks = Vec::new();
    let next = first.next_multiple_of(step);
    if next != first && (next - first) * 10 >= step * 6 {
        ticks.push(first);
    }
    ticks.extend((next..=last).step_by(step));
    Scale {
        low: first as f64,
        high: last as f64,
        ticks: ticks.into_iter().map(|tick| (tick as f64, tick.to_string())).collect(),
    }
}

/// The nearest of 1, 2, 5 times a power of ten that is not much below `raw`.
fn round_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let mantissa = raw / power;
    let rounded = if mantissa < 1.5 {
        1.0
    } else if mantissa < 3.5 {
        2.0
    } else if mantissa < 7.5 {
        5.0
    } else {
        10.0
    };
    rounded * power
}

fn label(value: f64, step: f64, largest: f64) -> String {
    let value = if value == 0.0 { 0.0 } else { value };
    let step_power = (step * 1.000_001).log10().floor();
    if largest >= 1e5 || step_power < -5.0 {
        if value == 0.0 {
            return "0".to_owned();
        }
        // One power of ten for the whole axis, so that its labels compare at a glance.
        let power = (largest * 1.000_001).log10().floor();
        let decimals = (power - step_power).clamp(0.0, 9.0) as usize;
        let text = format!("{:.decimals$}e{power}", value / 10f64.powf(power));
        return text.replace('-', "−");
    }
    let decimals = (-step_power).max(0.0) as usize;
    format!("{value:.decimals$}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|tick| tick.1.as_str()).collect()
    }

    #[test]
    fn accuracy_is_not_squashed() {
        let scale = around([0.931, 0.979].into_iter(), 0.01, (0.0, 1.0)).expect("a scale");
        assert_eq!(labels(&scale), ["0.93", "0.94", "0.95", "0.96", "0.97", "0.98"]);
        let scale = around([0.52, 1.0].into_iter(), 0.01, (0.0, 1.0)).expect("a scale");
        assert_eq!(labels(&scale), ["0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]);
    }

    #[test]
    fn flat_lines_at_the_bounds_stay_inside() {
        for value in [0.0, 1.0] {
            let scale = around([value].into_iter(), 0.01, (0.0, 1.0)).expect("a scale");
            assert!(scale.low >= -1e-12 && scale.high <= 1.0 + 1e-12, "{scale:?}");
            assert!(scale.ticks.len() >= 3, "{scale:?}");
        }
    }

    #[test]
    fn loss_that_falls_far_starts_at_zero() {
        let scale = around([0.61, 0.08].into_iter(), 0.01, (0.0, f64::INFINITY)).expect("a scale");
        assert_eq!(scale.low, 0.0);
        assert_eq!(labels(&scale)[0], "0.0");
    }

    #[test]
    fn nothing_to_draw() {
        assert_eq!(around([f64::NAN, f64::INFINITY].into_iter(), 0.01, (0.0, 1.0)), None);
        assert_eq!(around(std::iter::empty(), 0.01, (0.0, 1.0)), None);
    }

    #[test]
    fn large_and_tiny_numbers_have_exponents() {
        let scale =
            around([1.2e7, 9.0e6].into_iter(), 0.01, (0.0, f64::INFINITY)).expect("a scale");
        assert_eq!(labels(&scale)[..3], ["0.90e7", "0.95e7", "1.00e7"]);
        let scale = around([1e-9, 5e-9].into_iter(), 1e-9, (0.0, f64::INFINITY)).expect("a scale");
        assert_eq!(labels(&scale)[1], "1e−9");
    }

    #[test]
    fn epochs_are_whole() {
        let texts = |first, last| {
            whole(first, last).ticks.into_iter().map(|tick| tick.1).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(texts(1, 1), "1");
        assert_eq!(texts(1, 2), "1 2");
        assert_eq!(texts(1, 5), "1 2 3 4 5");
        assert_eq!(texts(1, 30), "1 5 10 15 20 25 30");
        assert_eq!(texts(1, 100), "1 20 40 60 80 100");
        assert_eq!(texts(0, 0), "0");
    }

    proptest! {
        #[test]
        fn every_value_lies_on_the_axis(values in prop::collection::vec(-1e60..1e60f64, 1..20), scaling in -60..30i32) {
            let values: Vec<f64> = values.into_iter().map(|v| v * 10f64.powi(scaling)).collect();
            let scale = around(values.iter().copied(), 1e-3, (f64::NEG_INFINITY, f64::INFINITY)).expect("a scale");
            prop_assert!(scale.ticks.len() >= 2 && scale.ticks.len() <= 12, "{:?}", scale);
            for value in values {
                let place = scale.place(value);
                prop_assert!((-1e-5..=1.0 + 1e-5).contains(&place), "{value} at {place} of {scale:?}");
            }
        }

        #[test]
        fn whole_ticks_are_few_and_inside(first in 0usize..1000, length in 0usize..100_000) {
            let scale = whole(first, first + length);
            prop_assert!(!scale.ticks.is_empty() && scale.ticks.len() <= 14, "{scale:?}");
            for (value, _) in &scale.ticks {
                prop_assert!(*value >= scale.low && *value <= scale.high);
            }
        }
    }
}
