//! Metrics equal scikit-learn's. `tests/golden/head/make_metrics.py` made the golden.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::path::PathBuf;
use train::metrics::{evaluate, evaluate_above, mcnemar, predicted_class};

/// Both sides add the same numbers in f64, in different orders.
const TOLERANCE: f64 = 1e-12;
/// As part of the value: what is lost in the difference of logarithms of large factorials.
const LN_FACTORIAL: f64 = 1e-10;

/// What is not defined is null.
fn close(a: Option<f64>, b: &Value, what: &str) {
    let near = match (a, b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE,
        (None, None) => b.is_null(),
        _ => false,
    };
    assert!(near, "{what}: {a:?}, scikit-learn {b}");
}

fn golden() -> Value {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/head/metrics.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn mcnemar_is_the_exact_binomial_test() {
    for case in golden()["mcnemar"].as_array().unwrap() {
        let counts = [0, 1].map(|i| case[i].as_u64().unwrap());
        let (ours, scipy) = (mcnemar(counts[0], counts[1]), case[2].as_f64().unwrap());
        assert!((ours - scipy).abs() <= LN_FACTORIAL * scipy, "{counts:?}: {ours}, scipy {scipy}");
    }
    // What a naive sum gives, for all small counts.
    for n in 0..30_u32 {
        let choose: Vec<f64> = (1..=n)
            .scan(1.0, |c, k| {
                *c = *c * f64::from(n - k + 1) / f64::from(k);
                Some(*c)
            })
            .collect();
        let at_most = |k: u32| 1.0 + choose.iter().take(k as usize).sum::<f64>();
        for first in 0..=n {
            let fewer = first.min(n - first);
            let naive = (2.0 * at_most(fewer) / 2.0_f64.powi(n as i32)).min(1.0);
            let ours = mcnemar(u64::from(first), u64::from(n - first));
            assert!((ours - naive).abs() <= LN_FACTORIAL * naive, "{first} of {n}");
        }
    }
    assert_eq!(mcnemar(0, 10_000), 0.0);
}

#[test]
fn all_are_scikit_learn_s() {
    let golden = golden();
    for case in golden["cases"].as_array().unwrap() {
        let p: Vec<f32> = case["probabilities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p.as_f64().unwrap() as f32)
            .collect();
        let labels: Vec<i64> =
            case["labels"].as_array().unwrap().iter().map(|l| l.as_i64().unwrap()).collect();
        let m = evaluate(&p, &labels, case["classes"].as_u64().unwrap() as usize).unwrap();
        let name = case["name"].as_str().unwrap();
        for (what, value) in [
            ("accuracy", Some(m.accuracy)),
            ("precision", m.precision),
            ("recall", m.recall),
            ("f1", m.f1),
            ("roc_auc", m.roc_auc),
            ("log_loss", Some(m.log_loss)),
        ] {
            close(value, &case[what], &format!("{name} {what}"));
        }
        assert_eq!(serde_json::to_value(&m.confusion).unwrap(), case["confusion"], "{name}");
        for (c, class) in m.per_class.iter().enumerate() {
            close(class.precision, &case["class_precision"][c], name);
            close(class.recall, &case["class_recall"][c], name);
            close(class.f1, &case["class_f1"][c], name);
            close(class.roc_auc, &case["class_roc_auc"][c], name);
        }
    }
}

#[test]
fn ties_count_half_and_one_class_alone_has_no_curve() {
    let pairs = |p: &[f32]| p.iter().flat_map(|p| [1.0 - p, *p]).collect::<Vec<_>>();
    let auc = |p: &[f32], l: &[i64]| evaluate(&pairs(p), l, 2).unwrap().roc_auc;
    assert_eq!(auc(&[0.5, 0.5], &[0, 1]), Some(0.5));
    assert_eq!(auc(&[0.1, 0.9], &[0, 1]), Some(1.0));
    assert_eq!(auc(&[0.9, 0.1], &[0, 1]), Some(0.0));
    assert_eq!(auc(&[0.2, 0.2, 0.8], &[0, 1, 1]), Some(0.75));
    assert_eq!(auc(&[0.2, 0.8], &[1, 1]), None);
}

#[test]
fn the_lesson_s_threshold_and_first_of_equals() {
    assert_eq!(predicted_class(&[0.5, 0.5]), 0);
    assert_eq!(predicted_class(&[0.4999, 0.5001]), 1);
    assert_eq!(predicted_class(&[0.25, 0.375, 0.375]), 1);
}

#[test]
fn mistakes_by_frequency() {
    // (truth, predicted, times).
    let cells = [(0, 0, 5), (0, 1, 1), (0, 2, 3), (1, 0, 3), (1, 1, 5), (2, 2, 9)];
    let (mut p, mut labels) = (Vec::new(), Vec::new());
    for (truth, predicted, times) in cells {
        for _ in 0..times {
            labels.push(truth);
            p.extend((0..3).map(|c| if c == predicted { 0.5 } else { 0.25 }));
        }
    }
    let m = evaluate(&p, &labels, 3).unwrap();
    assert_eq!(m.confusions(), [(0, 2, 3), (1, 0, 3), (0, 1, 1)]);
    assert_eq!((m.right(), m.rows), (19, 26));
    assert_eq!((m.per_class[2].support, m.per_class[2].predicted), (9, 12));
}

#[test]
fn a_threshold_moves_the_line_between_two_classes_and_nothing_else() {
    let p = [0.75, 0.25, 0.25, 0.75];
    let at = |t| evaluate_above(&p, &[1, 1], 2, t).unwrap();
    assert_eq!(at(0.25).accuracy, 0.5);
    assert_eq!(at(0.2).accuracy, 1.0);
    assert_eq!((at(0.9).accuracy, at(0.9).precision), (0.0, None));
    assert_eq!(at(0.9).log_loss, at(0.5).log_loss);
}

#[test]
fn certain_mistakes_cost_a_finite_amount() {
    let m = evaluate(&[1.0, 0.0, 0.0, 1.0], &[1, 1], 2).unwrap();
    assert!((m.log_loss - 0.5 * -f64::EPSILON.ln()).abs() <= 1e-9);
}

#[test]
fn misfits_are_refused() {
    for (p, l, classes) in [
        (&[][..], &[][..], 2),
        (&[0.5, 0.5], &[0, 1], 2),
        (&[0.5, 0.5], &[2], 2),
        (&[0.5, 0.5], &[-1], 2),
        (&[f32::NAN, 0.5], &[0], 2),
        (&[0.5, 1.5], &[0], 2),
        (&[1.0], &[0], 1),
    ] {
        let message = evaluate(p, l, classes).unwrap_err().to_string();
        assert!(message.contains("expected") || message.contains("at least"), "{message}");
    }
}
