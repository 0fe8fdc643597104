//! Training of networks: resumed from a checkpoint, ended early or by a loss that explodes, with layers that are frozen.
#![allow(clippy::unwrap_used)]

#[path = "common/nets.rs"]
mod nets;

use nets::{LAYERS, Rows, bits, net, net_of, on, timeless};
use serde_json::json;
use std::ops::ControlFlow;
use std::path::Path;
use train::convnet::{Checkpoint, ConvNet};
use train::{FitConfig, HeadError, Optimizer, Outcome, Schedule, Trainer};

fn config(optimizer: Optimizer) -> FitConfig {
    let learning_rate = if optimizer == Optimizer::Sgd { 5e-2 } else { 3e-3 };
    let schedule = Schedule::Cosine;
    FitConfig {
        epochs: 4,
        batch_size: 6,
        learning_rate,
        optimizer,
        schedule,
        ..FitConfig::default()
    }
}

/// Trains to the end, or up to epoch `until`, whose checkpoint is written to `path`.
fn train(
    net: &mut ConvNet,
    config: &FitConfig,
    [train, validation]: [&Rows; 2],
    resume: Option<Checkpoint>,
    until: Option<(usize, &Path)>,
) -> Outcome {
    let mut save = |made: Checkpoint| match until {
        Some((epoch, path)) if made.epochs() == epoch => made.save(path, &json!("run")),
        _ => Ok(()),
    };
    let mut stop = |stats: &train::EpochStats| match until {
        Some((epoch, _)) if stats.epoch == epoch => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    Trainer::new(config)
        .resume(resume)
        .on_checkpoint(1, &mut save)
        .on_epoch(&mut stop)
        .fit_network(net, train.labelled(), Some(validation.labelled()))
        .unwrap()
}

/// Trains up to epoch `until`, then goes on with another network from the file.
fn resumed(config: &FitConfig, data: [&Rows; 2], until: usize) -> (ConvNet, Outcome) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let first = train(&mut net(1), config, data, None, Some((until, &path)));
    assert!(first.interrupted && first.history.len() == until);
    // All tensors come from the file.
    let mut net = net(2);
    let checkpoint = Checkpoint::load(&path, &net, &json!("run")).unwrap();
    assert_eq!((checkpoint.epochs(), checkpoint.history()), (until, &first.history[..]));
    let fitted = train(&mut net, config, data, Some(checkpoint), None);
    assert_eq!(fitted.history[..until], first.history, "with their seconds");
    (net, fitted)
}

#[test]
fn momentum_decides_how_far_statistics_move() {
    /// Of what f32 rounds in a step.
    const ROUNDING: f32 = 1e-5;
    let rows = Rows::new(6, 1);
    // One step: both begin with the same weights, and see the same batch.
    let config = FitConfig { epochs: 1, ..config(Optimizer::Sgd) };
    let statistics = |momentum: &str| {
        let with = format!("op = \"batch-norm\"\n    {momentum}");
        let mut net = net_of(&LAYERS.replace("op = \"batch-norm\"", &with), 1, &[]);
        train(&mut net, &config, [&rows, &rows], None, None);
        let of = |name: &str| {
            let mut all = net.tensors().iter();
            all.find(|tensor| tensor.spec().role.keras_name() == name).unwrap().values().to_vec()
        };
        (of("moving_mean"), of("moving_variance"))
    };
    let (batch_mean, batch_variance) = statistics("momentum = 0.0");
    assert!(batch_mean.iter().all(|mean| *mean != 0.0));
    for (momentum, kept) in [("", 0.99), ("momentum = 0.9", 0.9), ("momentum = 0.5", 0.5)] {
        let (mean, variance) = statistics(momentum);
        for ((mean, variance), (m, v)) in
            mean.iter().zip(&variance).zip(batch_mean.iter().zip(&batch_variance))
        {
            assert!((mean - (1.0 - kept) * m).abs() <= ROUNDING, "{momentum}: {mean} of {m}");
            let expected = kept + (1.0 - kept) * v;
            assert!((variance - expected).abs() <= ROUNDING, "{momentum}: {variance} of {v}");
        }
    }
}

#[test]
fn a_resumed_run_has_the_bits_of_an_uninterrupted_one() {
    let data = [&Rows::new(32, 1), &Rows::new(14, 2)];
    for optimizer in Optimizer::ALL {
        let config = config(*optimizer);
        let mut whole = net(1);
        let expected = on(1, || train(&mut whole, &config, data, None, None));
        assert!(bits(&whole) != bits(&net(1)) && expected.history.len() == 4);
        for (threads, until) in [(1, 1), (1, 2), (3, 1), (3, 2)] {
            let (net, fitted) = on(threads, || resumed(&config, data, until));
            let context = format!("{optimizer:?}, {threads} threads, resumed after epoch {until}");
            assert_eq!(timeless(&fitted.history), timeless(&expected.history), "{context}");
            assert_eq!(fitted.best_epoch, expected.best_epoch, "{context}");
            assert_eq!(bits(&net), bits(&whole), "{context}");
        }
    }
}

#[test]
fn early_stopping_counts_over_a_resumed_run_and_restores_the_best_epoch() {
    // Labels of the validation rows are wrong: its loss rises from an early epoch on.
    let data = [&Rows::new(32, 1), &Rows::new(14, 2).mislabelled()];
    let config = FitConfig { epochs: 20, early_stopping: Some(2), ..config(Optimizer::Adam) };
    let mut whole = net(1);
    let expected = train(&mut whole, &config, data, None, None);
    let (best, done) = (expected.best_epoch.unwrap(), expected.history.len());
    assert!(expected.stopped_early && expected.restored_best && done == best + 2);
    let mut until_best = net(1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    train(&mut until_best, &config, data, None, Some((best, &path)));
    assert_eq!(bits(&whole), bits(&until_best), "the best epoch's tensors");
    // Of a run that was ended at its very end, nothing is left to do.
    for until in [done - 1, done] {
        let (net, fitted) = resumed(&config, data, until);
        assert_eq!(timeless(&fitted.history), timeless(&expected.history), "after {until}");
        assert!(fitted.stopped_early && fitted.restored_best, "after {until}");
        assert_eq!(bits(&net), bits(&whole), "after {until}");
    }
}

#[test]
fn a_loss_that_explodes_ends_the_run_with_the_best_epoch() {
    let data = [&Rows::new(32, 1), &Rows::new(14, 2)];
    let gentle = FitConfig { schedule: Schedule::Constant, ..config(Optimizer::Sgd) };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let mut best = net(1);
    train(&mut best, &gentle, data, None, Some((2, &path)));
    let mut net = net(1);
    let checkpoint = Checkpoint::load(&path, &net, &json!("run")).unwrap();
    let wild = FitConfig { learning_rate: 1e30, ..gentle };
    let fitted = train(&mut net, &wild, data, Some(checkpoint), None);
    let said = HeadError::from(fitted.diverged.unwrap()).to_string();
    assert!(
        said.starts_with("training diverged in epoch 3: expected a finite training loss"),
        "{said}"
    );
    assert_eq!((fitted.history.len(), fitted.best_epoch), (2, Some(2)));
    assert!(fitted.restored_best && !fitted.interrupted && !fitted.stopped_early);
    assert_eq!(bits(&net), bits(&best));
}

#[test]
fn a_first_epoch_that_explodes_leaves_no_history() {
    let rows = Rows::new(32, 1);
    let config = FitConfig { learning_rate: 1e30, ..config(Optimizer::Sgd) };
    let fitted = Trainer::new(&config).fit_network(&mut net(1), rows.labelled(), None).unwrap();
    assert_eq!(fitted.diverged.unwrap().epoch, 1);
    assert!(fitted.history.is_empty() && fitted.best_epoch.is_none() && !fitted.restored_best);
}

#[test]
fn frozen_normalisation_keeps_its_statistics_and_runs_on_them() {
    let data = [&Rows::new(32, 1), &Rows::new(14, 2)];
    let config = config(Optimizer::Rmsprop);
    let mut net = net_of(LAYERS, 1, &["norm"]);
    // Far from those of any batch, so that it shows which are taken.
    let start: Vec<Vec<f32>> = net
        .tensors()
        .iter()
        .map(|tensor| match tensor.spec().role.keras_name() {
            "moving_mean" => vec![0.25; tensor.values().len()],
            "moving_variance" => vec![4.0; tensor.values().len()],
            _ => tensor.values().to_vec(),
        })
        .collect();
    net.set_tensors(&start).unwrap();
    // The same layers where normalisation is a factor and an offset by itself: a depthwise convolution of one pixel.
    let factor = 1.0 / (4.0_f64 + 1e-3).sqrt();
    let as_conv = LAYERS
        .replace("op = \"batch-norm\"", "op = \"depthwise-conv\"\n    kernel = 1\n    bias = true");
    let mut same = net_of(&as_conv, 1, &["norm"]);
    let mut with_conv: Vec<Vec<f32>> = Vec::new();
    for (tensor, values) in net.tensors().iter().zip(&start) {
        match tensor.spec().role.keras_name() {
            "gamma" => with_conv.push(vec![factor as f32; 5]),
            "beta" => with_conv.push(vec![(-0.25 * factor) as f32; 5]),
            "moving_mean" | "moving_variance" => {}
            _ => with_conv.push(values.clone()),
        }
    }
    same.set_tensors(&with_conv).unwrap();
    let fitted = train(&mut net, &config, data, None, None);
    let expected = train(&mut same, &config, data, None, None);
    for (tensor, start) in net.tensors().iter().zip(&start) {
        let (spec, values) = (tensor.spec(), tensor.values());
        assert_eq!(values == start, spec.node == "norm", "{} {:?}", spec.node, spec.role);
    }
    for (found, expected) in fitted.history.iter().zip(&expected.history) {
        let difference = (found.loss - expected.loss).abs();
        assert!(difference <= SAME_NETWORK, "{found:?}, expected {expected:?}");
    }
}

/// Losses of two networks that compute the same in another order, in f32, after 24 steps of RMSprop.
const SAME_NETWORK: f64 = 1e-4;

#[test]
fn schedules_have_their_rates() {
    let rates = |schedule: Schedule, epochs: usize| -> Vec<f32> {
        (1..=epochs).map(|epoch| schedule.rate(0.2, epoch, epochs)).collect()
    };
    assert_eq!(rates(Schedule::Constant, 3), [0.2; 3]);
    // 0.2 * (1 + cos(π k / 4)) / 2.
    let cosine = [0.2, 0.170_710_68, 0.1, 0.029_289_32];
    for (found, expected) in rates(Schedule::Cosine, 4).iter().zip(cosine) {
        assert!((found - expected).abs() <= f32::EPSILON, "{found}, expected {expected}");
    }
    assert_eq!(rates(Schedule::Step, 6), [0.2, 0.2, 0.02, 0.02, 0.002, 0.002]);
    // Thirds of 4 epochs: 1.33 and 2.67.
    assert_eq!(rates(Schedule::Step, 4), [0.2, 0.2, 0.02, 0.002]);
    for schedule in Schedule::ALL {
        assert_eq!(
            schedule.rate(0.2, 1, 1),
            0.2,
            "{schedule:?}: a single epoch has the whole rate"
        );
    }
}

#[test]
fn the_schedule_is_that_of_the_epoch() {
    let data = [&Rows::new(32, 1), &Rows::new(14, 2)];
    let step = FitConfig { epochs: 3, schedule: Schedule::Step, ..config(Optimizer::Sgd) };
    let mut whole = net(1);
    train(&mut whole, &step, data, None, None);
    // Epoch by epoch, each with a constant rate.
    let mut one = net(1);
    let mut checkpoint = None;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    for (epoch, factor) in (1..).zip([1.0, 0.1, 0.01]) {
        let learning_rate = (f64::from(step.learning_rate) * factor) as f32;
        let constant = FitConfig { learning_rate, schedule: Schedule::Constant, ..step.clone() };
        train(&mut one, &constant, data, checkpoint, Some((epoch, &path)));
        checkpoint = Some(Checkpoint::load(&path, &one, &json!("run")).unwrap());
    }
    assert_eq!(bits(&one), bits(&whole));
}
