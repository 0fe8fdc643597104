//! Calibration equals numpy's and scipy's, and simpler ways to the same numbers. `tests/golden/head/make_calibration.py` made
//! the golden.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;
use std::path::PathBuf;
use train::calibration::{
    Calibration, NoTemperature, SplitCalibration, at_temperature, best_threshold, fit_temperature,
    reliability,
};
use train::metrics::{evaluate_above, predicted_class};

/// Both sides add the same numbers in f64, in different orders.
const SUMS: f64 = 1e-12;
/// As part of the temperature: both sides find the zero of the same slope, each to the rounding of its sums.
const ROOT: f64 = 1e-9;
/// Scaled probabilities are rounded to f32.
const ROUNDED: f64 = 2e-7;

fn golden() -> Vec<Value> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/head/calibration.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    golden["cases"].as_array().unwrap().clone()
}

fn read(case: &Value) -> (Vec<f32>, Vec<i64>, usize) {
    let all = |key: &str| case[key].as_array().unwrap().clone();
    let p = all("probabilities").iter().map(|p| p.as_f64().unwrap() as f32).collect();
    let labels = all("labels").iter().map(|l| l.as_i64().unwrap()).collect();
    (p, labels, case["classes"].as_u64().unwrap() as usize)
}

#[track_caller]
fn close(ours: f64, golden: &Value, tolerance: f64, what: &str) {
    let golden = golden.as_f64().unwrap();
    assert!((ours - golden).abs() <= tolerance, "{what}: {ours}, golden {golden}");
}

#[test]
fn all_are_numpy_s_and_scipy_s() {
    for case in golden() {
        let (p, labels, classes) = read(&case);
        let name = case["name"].as_str().unwrap();
        let choice = Calibration::choose(&p, &labels, classes).unwrap();
        let judged =
            SplitCalibration::judge(Some(&choice.calibration), &p, &labels, classes).unwrap();
        close(judged.before.ece, &case["ece"], SUMS, name);
        close(judged.before.log_loss, &case["log_loss"], SUMS, name);
        let rows: Vec<u64> = judged.before.bins.iter().map(|bin| bin.rows).collect();
        assert_eq!(serde_json::to_value(rows).unwrap(), case["bin_rows"], "{name}");
        let t = choice.calibration.temperature.unwrap();
        close(t, &case["temperature"], ROOT * t, name);
        let after = judged.after.unwrap().log_loss;
        close(after, &case["log_loss_after"], ROUNDED, name);
        assert!(after <= judged.before.log_loss, "{name}");
        match classes {
            2 => {
                close(choice.calibration.threshold.unwrap(), &case["threshold"], SUMS, name);
                let at = judged.at_threshold.unwrap();
                close(at.accuracy, &case["accuracy_at_threshold"], SUMS, name);
            }
            _ => assert!(choice.calibration.threshold.is_none() && judged.at_threshold.is_none()),
        }
    }
}

#[test]
fn rows_that_do_not_tell_a_temperature_say_why() {
    let fit = |p: &[f32], labels: &[i64]| fit_temperature(p, labels, 2).unwrap();
    let right = [0.75, 0.25, 0.25, 0.75];
    assert_eq!(fit(&right, &[0, 1]), Err(NoTemperature::Separable));
    assert_eq!(fit(&right, &[1, 0]), Err(NoTemperature::Uninformative));
    assert_eq!(fit(&[0.5; 4], &[0, 1]), Err(NoTemperature::Uninformative));
    // A probability of 0 for the true class is no infinite loss.
    let t = fit(&[1.0, 0.0].repeat(10), &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
    let expected = -f64::from(f32::MIN_POSITIVE).ln() / 9.0_f64.ln();
    assert!((t - expected).abs() <= ROOT * t, "{t} {expected}");
}

#[test]
fn steps_of_rounding_at_the_zero_do_not_lead_away_from_it() {
    let sevenths = |a: u8, b: u8, c: u8, n: u8| [a, b, c].map(|w| f32::from(w) / f32::from(n));
    let rows = [
        [0.2, 0.6, 0.2],
        sevenths(2, 2, 7, 11),
        sevenths(3, 5, 6, 14),
        sevenths(2, 2, 3, 7),
        [0.5, 0.5, 0.0],
    ];
    let t = fit_temperature(rows.as_flattened(), &[1, 0, 2, 2, 0], 3).unwrap().unwrap();
    let loss = |t| naive_loss(rows.as_flattened(), &[1, 0, 2, 2, 0], 3, t);
    for step in [1e-3, 1e-2, 1e-1] {
        assert!(loss(t) <= loss(t * (1.0 + step)) && loss(t) <= loss(t / (1.0 + step)), "{t}");
    }
}

#[test]
fn the_threshold_moves_only_where_that_helps() {
    let pairs = |p: &[f32]| p.iter().flat_map(|p| [1.0 - p, *p]).collect::<Vec<_>>();
    let best = |p: &[f32], labels: &[i64]| best_threshold(&pairs(p), labels).unwrap();
    assert_eq!(best(&[0.25, 0.375, 0.75], &[0, 0, 1]), 0.5);
    assert_eq!(best(&[0.125, 0.25, 0.375], &[0, 1, 1]), 0.1875);
    assert_eq!(best(&[0.625, 0.75, 0.875], &[0, 0, 1]), 0.8125);
    // Of equally good ones the nearest to one half, then the lower.
    assert_eq!(best(&[0.125, 0.25, 0.375, 0.4375], &[0, 1, 0, 1]), 0.40625);
    assert_eq!(best(&[0.1875, 0.3125, 0.6875, 0.8125], &[0, 1, 0, 1]), 0.25);
    // All of one class: just outside of the scores.
    assert_eq!(best(&[0.625, 0.75], &[0, 0]), 0.875);
    assert_eq!(best(&[0.25, 0.375], &[1, 1]), 0.125);
    // Nothing is below 0: a row of p = 0 can't be predicted as class 1.
    assert_eq!(best(&[0.0, 0.25], &[1, 1]), 0.125);
    assert_eq!(best(&[1.0, 1.0], &[0, 0]), 1.0);
}

#[test]
fn misfits_are_refused() {
    for (p, labels) in [(&[][..], &[][..]), (&[0.5, 0.5], &[0, 1]), (&[0.5, f32::NAN], &[0])] {
        assert!(reliability(p, labels, 2).is_err());
        assert!(fit_temperature(p, labels, 2).is_err());
        assert!(best_threshold(p, labels).is_err());
    }
}

/// Rows of probabilities that sum to 1, some with ties and zeros, and their labels.
fn rows(classes: usize) -> impl Strategy<Value = (Vec<f32>, Vec<i64>)> {
    let row =
        (prop::collection::vec(0..9_u32, classes), 0..classes).prop_map(|(weights, label)| {
            let sum = weights.iter().sum::<u32>().max(1);
            let p = weights.iter().map(|w| if *w == 0 { 0.0 } else { *w as f32 / sum as f32 });
            (p.collect::<Vec<f32>>(), label as i64)
        });
    prop::collection::vec(row, 1..40).prop_map(|rows| {
        let labels = rows.iter().map(|r| r.1).collect();
        (rows.into_iter().flat_map(|r| r.0).collect(), labels)
    })
}

/// The mean of `-ln p_T(label)`, by powers.
fn naive_loss(p: &[f32], labels: &[i64], classes: usize, t: f64) -> f64 {
    let losses = p.chunks(classes).zip(labels).map(|(row, &label)| {
        let powers: Vec<f64> =
            row.iter().map(|p| f64::from(p.max(f32::MIN_POSITIVE)).powf(1.0 / t)).collect();
        -(powers[label as usize] / powers.iter().sum::<f64>()).ln()
    });
    losses.sum::<f64>() / labels.len() as f64
}

proptest! {
    #[test]
    fn no_temperature_nearby_is_better((p, labels) in rows(3)) {
        if let Ok(t) = fit_temperature(&p, &labels, 3).unwrap() {
            let best = naive_loss(&p, &labels, 3, t);
            for other in [t * 0.99, t * 1.01, t * 0.5, t * 2.0] {
                prop_assert!(best <= naive_loss(&p, &labels, 3, other) + SUMS, "{t} {other}");
            }
        }
    }

    #[test]
    fn scaling_is_powers_and_keeps_the_order((p, _) in rows(3), t in 0.2..8.0_f64) {
        let scaled = at_temperature(&p, 3, t);
        for (row, scaled) in p.chunks(3).zip(scaled.chunks(3)) {
            let powers: Vec<f64> =
                row.iter().map(|p| f64::from(p.max(f32::MIN_POSITIVE)).powf(1.0 / t)).collect();
            let sum: f64 = powers.iter().sum();
            for (power, s) in powers.iter().zip(scaled) {
                prop_assert!((power / sum - f64::from(*s)).abs() <= ROUNDED, "{row:?} {scaled:?}");
            }
            for (a, b) in [(0, 1), (1, 2), (0, 2)] {
                prop_assert!(row[a] > row[b] || scaled[a] <= scaled[b]);
            }
        }
    }

    #[test]
    fn the_error_is_that_of_the_definition((p, labels) in rows(3)) {
        let found = reliability(&p, &labels, 3).unwrap();
        let mut expected = 0.0;
        for bin in &found.bins {
            let inside: Vec<(f64, f64)> = (p.chunks(3).zip(&labels))
                .map(|(row, label)| {
                    let class = predicted_class(row);
                    (f64::from(row[class]), f64::from(u8::from(class as i64 == *label)))
                })
                .filter(|(c, _)| *c <= bin.high && (*c > bin.low || bin.low == 0.0))
                .collect();
            prop_assert_eq!(inside.len() as u64, bin.rows);
            if !inside.is_empty() {
                let n = inside.len() as f64;
                let confidence = inside.iter().map(|one| one.0).sum::<f64>() / n;
                let accuracy = inside.iter().map(|one| one.1).sum::<f64>() / n;
                prop_assert!((bin.confidence.unwrap() - confidence).abs() <= SUMS);
                prop_assert!((bin.accuracy.unwrap() - accuracy).abs() <= SUMS);
                expected += n / labels.len() as f64 * (accuracy - confidence).abs();
            }
        }
        prop_assert!((found.ece - expected).abs() <= SUMS, "{} {expected}", found.ece);
    }

    #[test]
    fn no_threshold_is_better((p, labels) in rows(2)) {
        let best = best_threshold(&p, &labels).unwrap();
        let accuracy = |t| evaluate_above(&p, &labels, 2, t).unwrap().accuracy;
        for i in 0..=400 {
            let t = f64::from(i) / 400.0;
            prop_assert!(accuracy(t) <= accuracy(best), "{t} {best}");
        }
        prop_assert!(best == 0.5 || accuracy(best) > accuracy(0.5));
    }
}
