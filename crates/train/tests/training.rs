//! Training against a naive f64 implementation, its determinism, and what it refuses.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Given, Naive, data};
use proptest::prelude::*;
use std::ops::ControlFlow;
use train::{
    ClassWeight, DenseRows, FitConfig, Fitted, Head, HeadError, Optimizer, Split, Trainer,
};
use util::Hint as _;

/// f32 against f64 over a dozen steps: rounding, magnified by RMSprop's and Adam's division where gradients are small.
const NAIVE_TOLERANCE: f64 = 2e-4;
/// A single step of f32 against central differences in f64.
const GRADIENT_TOLERANCE: f64 = 1e-5;

fn train(
    values: &[f32],
    labels: &[i64],
    classes: usize,
    config: &FitConfig,
) -> Result<Fitted, HeadError> {
    let features = DenseRows::new(values.to_vec(), values.len() / labels.len().max(1));
    let split = Split { features: &features, labels };
    Trainer::new(config).fit_head(classes, &split, Some(&split))
}

fn weights(head: &Head) -> Vec<f32> {
    head.layers().iter().flat_map(|l| l.kernel.iter().chain(&l.bias).copied()).collect()
}

fn widths(width: usize, hidden: &[usize], classes: usize) -> Vec<usize> {
    [&[width], hidden, &[if classes == 2 { 1 } else { classes }]].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn equals_a_naive_one(
        rows in 8_usize..28, width in 1_usize..90, classes in 2_usize..5, batch in 1_usize..12,
        hidden in prop::collection::vec(1_usize..150, 0..3), optimizer in prop::sample::select(Optimizer::ALL),
        rate in prop::sample::select(&[0.0_f32, 0.5, 0.2][..]), balanced: bool, density in 0.05_f32..0.9, seed: u64,
    ) {
        let (values, labels) = data(rows, width, classes, density, seed);
        let given = Given { seed };
        let config = FitConfig {
            hidden: hidden.clone(), dropout: rate, epochs: 2, batch_size: batch, learning_rate: 1e-3, optimizer,
            class_weight: if balanced { ClassWeight::Balanced } else { ClassWeight::None }, ..FitConfig::default()
        };
        let features = DenseRows::new(values.clone(), width);
        let split = Split { features: &features, labels: &labels };
        let fitted = Trainer::new(&config).random(&mut Given { seed }).fit_head(classes, &split, None).unwrap();

        let mut naive = Naive::new(&widths(width, &hidden, classes), &given);
        let count = |c: usize| labels.iter().filter(|l| **l == c as i64).count() as f64;
        let weigh = |c| if balanced { rows as f64 / (classes as f64 * count(c)) } else { 1.0 };
        let class_weights: Vec<f64> = (0..classes).map(weigh).collect();
        let dense: Vec<Vec<f64>> = values.chunks(width).map(|r| r.iter().map(|x| f64::from(*x)).collect()).collect();
        let mut step = 0;
        for (epoch, stats) in fitted.outcome.history.iter().enumerate() {
            let loss = naive.epoch(&dense, &labels, &given, epoch, &mut step, batch, rate, &class_weights, optimizer, 1e-3);
            prop_assert!((stats.loss - loss).abs() <= NAIVE_TOLERANCE, "loss {} naive {loss}", stats.loss);
        }
        for (layer, (kernel, bias)) in fitted.head.layers().iter().zip(&naive.layers) {
            for (ours, naive) in layer.kernel.iter().zip(kernel).chain(layer.bias.iter().zip(bias)) {
                prop_assert!((f64::from(*ours) - naive.w).abs() <= NAIVE_TOLERANCE, "{ours} naive {}", naive.w);
            }
        }
    }
}

#[test]
fn one_step_is_the_finite_difference_gradient() {
    for (classes, hidden) in [(2, vec![]), (2, vec![5]), (3, vec![4]), (3, vec![6, 3])] {
        let (rows, width) = (6, 9);
        let (values, labels) = data(rows, width, classes, 0.6, 5);
        let given = Given { seed: 11 };
        let config = FitConfig {
            hidden: hidden.clone(),
            dropout: 0.0,
            epochs: 1,
            batch_size: rows,
            learning_rate: 1.0,
            optimizer: Optimizer::Sgd,
            ..FitConfig::default()
        };
        let features = DenseRows::new(values.clone(), width);
        let split = Split { features: &features, labels: &labels };
        let fitted = Trainer::new(&config)
            .random(&mut Given { seed: 11 })
            .fit_head(classes, &split, None)
            .unwrap();
        let mut naive = Naive::new(&widths(width, &hidden, classes), &given);
        let loss = |naive: &Naive| {
            let mut grads = naive.zero_grads();
            let rows = values.chunks(width).zip(&labels).map(|(r, l)| {
                let row: Vec<f64> = r.iter().map(|x| f64::from(*x)).collect();
                naive.row(&row, *l as usize, 0.0, &|_, _| 1.0, &mut grads)
            });
            rows.sum::<f64>() / labels.len() as f64
        };
        for l in 0..naive.layers.len() {
            for i in 0..naive.layers[l].0.len() {
                let start = naive.layers[l].0[i].w;
                let h = 1e-6;
                naive.layers[l].0[i].w = start + h;
                let above = loss(&naive);
                naive.layers[l].0[i].w = start - h;
                let slope = (above - loss(&naive)) / (2.0 * h);
                naive.layers[l].0[i].w = start;
                let moved = start - f64::from(fitted.head.layers()[l].kernel[i]);
                assert!(
                    (moved - slope).abs() <= GRADIENT_TOLERANCE,
                    "layer {l} weight {i}: {moved} {slope}"
                );
            }
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let (values, labels) = data(70, 2100, 3, 0.2, 1);
    for optimizer in Optimizer::ALL {
        let config = FitConfig {
            hidden: vec![150, 260],
            epochs: 2,
            optimizer: *optimizer,
            ..FitConfig::default()
        };
        let results: Vec<(Vec<u32>, Vec<u64>, Vec<f32>)> = [1, 2, 3, 7]
            .iter()
            .map(|&threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let fitted = train(&values, &labels, 3, &config).unwrap();
                    let losses = fitted
                        .outcome
                        .history
                        .iter()
                        .flat_map(|e| [e.loss, e.accuracy, e.val_loss.unwrap()]);
                    let rows = DenseRows::new(values.clone(), 2100);
                    let p = fitted.head.predict_rows("train", &rows).unwrap();
                    (
                        weights(&fitted.head).iter().map(|w| w.to_bits()).collect(),
                        losses.map(f64::to_bits).collect(),
                        p,
                    )
                })
            })
            .collect();
        assert!(results.iter().all(|r| *r == results[0]), "{optimizer}");
    }
}

#[test]
fn same_seed_same_bits_other_seed_others() {
    let (values, labels) = data(40, 50, 2, 0.3, 2);
    let run = |seed| {
        let config = FitConfig { hidden: vec![20], epochs: 2, seed, ..FitConfig::default() };
        weights(&train(&values, &labels, 2, &config).unwrap().head)
    };
    assert_eq!(run(4), run(4));
    assert_ne!(run(4), run(5));
}

#[test]
fn a_row_predicts_the_same_alone_and_in_company() {
    for (classes, hidden) in [(2, vec![]), (2, vec![70]), (4, vec![33, 65])] {
        let (values, labels) = data(150, 1030, classes, 0.3, 3);
        let config = FitConfig { hidden, epochs: 1, learning_rate: 1e-3, ..FitConfig::default() };
        let fitted = train(&values, &labels, classes, &config).unwrap();
        let all = fitted.head.predict_rows("train", &DenseRows::new(values.clone(), 1030)).unwrap();
        for (row, together) in values.chunks(1030).zip(all.chunks(classes)) {
            assert_eq!(fitted.head.predict(row).unwrap(), together);
            assert!((together.iter().sum::<f32>() - 1.0).abs() <= 1e-6);
        }
        let m = train::metrics::evaluate(&all, &labels, classes).unwrap();
        let last = &fitted.outcome.history[0];
        assert_eq!(last.val_accuracy, Some(m.accuracy));
        assert!((last.val_loss.unwrap() - m.log_loss).abs() <= 1e-5);
    }
}

#[test]
fn learns_what_can_be_learnt() {
    let (values, labels) = data(120, 60, 3, 0.5, 4);
    let config =
        FitConfig { hidden: vec![32], epochs: 40, learning_rate: 1e-3, ..FitConfig::default() };
    let fitted = train(&values, &labels, 3, &config).unwrap();
    assert!(fitted.outcome.history.last().unwrap().val_accuracy.unwrap() > 0.95);
    assert_eq!(fitted.head.parameter_count(), 60 * 32 + 32 + 32 * 3 + 3);
    assert_eq!((fitted.head.inputs(), fitted.head.classes()), (60, 3));
}

#[test]
fn early_stopping_keeps_the_best_weights() {
    let (values, labels) = data(40, 30, 2, 0.5, 6);
    // Labels of the validation rows are wrong: its loss rises from the first epoch on.
    let wrong: Vec<i64> = labels.iter().map(|l| 1 - l).collect();
    let features = DenseRows::new(values, 30);
    let run = |early_stopping, epochs| {
        let config = FitConfig {
            hidden: vec![16],
            epochs,
            learning_rate: 1e-2,
            early_stopping,
            ..FitConfig::default()
        };
        let validation = Split { features: &features, labels: &wrong };
        let train = Split { features: &features, labels: &labels };
        Trainer::new(&config).fit_head(2, &train, Some(&validation)).unwrap()
    };
    let stopped = run(Some(2), 20);
    let outcome = &stopped.outcome;
    let best = outcome.best_epoch.unwrap();
    assert!(outcome.stopped_early && outcome.restored_best && outcome.history.len() == best + 2);
    assert_eq!(stopped.head, run(None, best).head);
    let whole = run(None, 5).outcome;
    assert!(!whole.stopped_early && !whole.restored_best && whole.history.len() == 5);
}

#[test]
fn the_caller_may_end_the_run() {
    let (values, labels) = data(20, 10, 2, 0.5, 6);
    let features = DenseRows::new(values, 10);
    let split = Split { features: &features, labels: &labels };
    let mut seen = 0;
    let config = FitConfig::default();
    let stop = &mut |e: &train::EpochStats| {
        seen = e.epoch;
        if e.epoch == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let fitted = Trainer::new(&config).on_epoch(stop).fit_head(2, &split, None).unwrap();
    assert!(
        fitted.outcome.interrupted
            && fitted.outcome.history.len() == 3
            && seen == 3
            && fitted.outcome.best_epoch.is_none()
    );
}

#[test]
fn bad_inputs_are_refused_with_the_place() {
    let names = FitConfig {
        class_names: vec!["cats".into(), "dogs".into()],
        epochs: 1,
        ..FitConfig::default()
    };
    let say = |values: &[f32], labels: &[i64], config: &FitConfig| {
        let error = train(values, labels, 2, config).unwrap_err();
        format!("{error} | {}", error.hint().unwrap_or_default())
    };
    let ok = [1.0, 0.0, 0.0, 1.0];
    assert!(say(&[], &[], &names).contains("no rows"));
    assert!(say(&[], &[0, 1], &names).contains("no rows"));
    assert!(say(&ok, &[0, 0], &names).contains("'dogs' (index 1)"));
    assert!(say(&ok, &[0, 2], &names).contains("row 1 is out of range: expected 0 to 1, found 2"));
    assert!(say(&ok, &[-1, 1], &names).contains("found -1"));
    assert!(say(&[1.0, 2.0, 3.0, f32::NAN], &[0, 1], &names).contains("row 1, column 1 is NaN"));
    assert!(
        say(&[1.0, f32::INFINITY, 3.0, 4.0], &[0, 1], &names).contains("row 0, column 1 is inf")
    );
    for (config, what) in [
        (FitConfig { hidden: vec![0], ..names.clone() }, "hidden"),
        (FitConfig { dropout: 1.0, ..names.clone() }, "dropout"),
        (FitConfig { dropout: f32::NAN, ..names.clone() }, "dropout"),
        (FitConfig { epochs: 0, ..names.clone() }, "epochs"),
        (FitConfig { batch_size: 0, ..names.clone() }, "batch_size"),
        (FitConfig { learning_rate: -1.0, ..names.clone() }, "lr"),
        (FitConfig { hidden: vec![usize::MAX], ..names.clone() }, "width of a layer"),
    ] {
        assert!(say(&ok, &[0, 1], &config).contains(what));
    }
    let features = DenseRows::new(ok.to_vec(), 2);
    let narrow = DenseRows::new(ok.to_vec(), 1);
    let split = Split { features: &features, labels: &[0, 1] };
    let stop = FitConfig { early_stopping: Some(1), ..names.clone() };
    assert!(matches!(Trainer::new(&stop).fit_head(2, &split, None), Err(HeadError::NoValidation)));
    assert!(matches!(
        Trainer::new(&names).fit_head(1, &split, None),
        Err(HeadError::TooFewClasses { .. })
    ));
    let other = Split { features: &narrow, labels: &[0, 1, 0, 1] };
    assert!(matches!(
        Trainer::new(&names).fit_head(2, &split, Some(&other)),
        Err(HeadError::Width { .. })
    ));
}

#[test]
fn a_loss_that_explodes_names_the_epoch() {
    let (values, labels) = data(20, 10, 2, 0.8, 6);
    let values: Vec<f32> = values.iter().map(|v| v * 1e30).collect();
    let config =
        FitConfig { learning_rate: 1e10, optimizer: Optimizer::Sgd, ..FitConfig::default() };
    match train(&values, &labels, 2, &config) {
        Err(HeadError::Diverged { epoch, .. }) => assert!(epoch <= 2),
        other => panic!("{:?}", other.map(|f| f.outcome.history)),
    }
}
