//! Training a network on inputs that are read batch by batch.

use super::{Checkpoint, ConvNet, backward::Batch};
use crate::data::check_labels;
use crate::fit::{class_indices, class_weights};
use crate::network::{self, Sums};
use crate::{EpochStats, FitConfig, HeadError, Randomness, Seeded, loss};
use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

/// Where a network's inputs come from: pictures, or cached rows.
pub trait Inputs: Sync {
    /// Number of rows.
    fn len(&self) -> usize;
    /// True when there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Values of a row.
    fn width(&self) -> usize;
    /// Writes `rows` to `out`, `width()` values each: as training sees them in an epoch (from 1), or as they are.
    ///
    /// # Errors
    /// Whatever keeps a row from being read.
    fn read(
        &self,
        epoch: Option<usize>,
        rows: &[u32],
        out: &mut [f32],
    ) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Inputs and the class index of each.
#[derive(Clone, Copy)]
pub struct Labelled<'a> {
    /// N rows.
    pub inputs: &'a dyn Inputs,
    /// (N,), each in `0..classes`.
    pub labels: &'a [i64],
}

/// The outcome of a training run. The network holds the weights of the last epoch, or of the best one where early stopping is
/// set or the run diverged.
#[derive(Clone, Debug)]
pub struct FittedNet {
    /// One entry an epoch.
    pub history: Vec<EpochStats>,
    /// Epoch (from 1) of the lowest validation loss, where there is validation data.
    pub best_epoch: Option<usize>,
    /// Early stopping ended the run before `epochs`.
    pub stopped_early: bool,
    /// `on_epoch` ended the run.
    pub interrupted: bool,
    /// The network holds the weights of `best_epoch`, not of the last.
    pub restored_best: bool,
    /// The epoch in which the loss left the finite numbers, and how it is said.
    pub diverged: Option<String>,
}

/// Is told of each epoch, and may end the run.
type OnEpoch<'a> = &'a mut dyn FnMut(&EpochStats) -> ControlFlow<()>;
/// Takes what a run can be resumed from.
type OnCheckpoint<'a> = &'a mut dyn FnMut(Checkpoint) -> Result<(), HeadError>;

/// Trains a network; what is not set is the default.
///
/// Runs on the rayon pool it is called in. The result is bitwise the same whatever the number of its threads, and whether
/// the run was resumed from a checkpoint.
pub struct NetTrainer<'a> {
    config: &'a FitConfig,
    validation: Option<Labelled<'a>>,
    random: Option<&'a mut dyn Randomness>,
    on_epoch: Option<OnEpoch<'a>>,
    on_checkpoint: Option<(usize, OnCheckpoint<'a>)>,
    resume: Option<Checkpoint>,
}

impl<'a> NetTrainer<'a> {
    /// With these settings: widths of hidden layers and dropout are the network's matter and not looked at.
    pub fn new(config: &'a FitConfig) -> Self {
        Self {
            config,
            validation: None,
            random: None,
            on_epoch: None,
            on_checkpoint: None,
            resume: None,
        }
    }

    /// Evaluates this split after every epoch; without one there is no early stopping.
    #[must_use]
    pub fn validation(self, split: Option<Labelled<'a>>) -> Self {
        Self { validation: split, ..self }
    }

    /// Takes random choices from here, instead of from the seed.
    #[must_use]
    pub fn random(self, random: &'a mut dyn Randomness) -> Self {
        Self { random: Some(random), ..self }
    }

    /// Calls this after every epoch; it may end the run.
    #[must_use]
    pub fn on_epoch(self, call: OnEpoch<'a>) -> Self {
        Self { on_epoch: Some(call), ..self }
    }

    /// Calls this after every `epochs` epochs (at least 1), before [`NetTrainer::on_epoch`], and after an epoch in which that ended
    /// the run.
    #[must_use]
    pub fn on_checkpoint(self, epochs: usize, call: OnCheckpoint<'a>) -> Self {
        Self { on_checkpoint: Some((epochs.max(1), call)), ..self }
    }

    /// Goes on from here.
    #[must_use]
    pub fn resume(self, checkpoint: Option<Checkpoint>) -> Self {
        Self { resume: checkpoint, ..self }
    }

    /// Trains `net` on these inputs.
    ///
    /// # Errors
    /// A setting or split that can't be used, inputs that can't be read, a checkpoint of another network. A loss that is no number
    /// is not an error: it ends the run, see [`FittedNet::diverged`].
    pub fn fit(self, net: &mut ConvNet, train: Labelled<'_>) -> Result<FittedNet, HeadError> {
        let Self { config, validation, random, mut on_epoch, mut on_checkpoint, resume } = self;
        let mut seeded = Seeded::new(config.seed);
        let random = random.unwrap_or(&mut seeded);
        crate::fit::check_config(config, validation.is_some())?;
        check(net, "train", train, config)?;
        if let Some(validation) = validation {
            check(net, "validation", validation, config)?;
        }
        let labels = class_indices(train.labels);
        let weights = class_weights(&labels, net.classes(), config.class_weight);
        let mut state = State { best: None, history: Vec::new(), step: 0 };
        if let Some(checkpoint) = resume {
            state = checkpoint.restore(net, config, labels.len())?;
        }
        let mut run = Run { train, labels, weights, config, buffers: Default::default() };
        // A run may have ended right after its last checkpoint.
        let mut stopped_early = state.stops_early(config);
        let (mut interrupted, mut diverged, mut written) = (false, None, 0);
        while state.history.len() < config.epochs && !stopped_early && !interrupted {
            let (epoch, start) = (state.history.len() + 1, Instant::now());
            let sums = run.epoch(epoch, net, &mut state.step, random)?;
            let seen =
                validation.map(|split| evaluate(net, split, config.batch_size)).transpose()?;
            let (loss, val_loss) = (sums.mean_loss(), seen.map(|sums| sums.mean_loss()));
            let finite = |what, value: f64| match value.is_finite() {
                true => None,
                false => Some(HeadError::Diverged { epoch, what, value }.to_string()),
            };
            diverged = finite("training loss", loss)
                .or(val_loss.and_then(|loss| finite("validation loss", loss)));
            if diverged.is_some() {
                break;
            }
            let stats = EpochStats {
                epoch,
                loss,
                accuracy: sums.accuracy(),
                val_loss,
                val_accuracy: seen.map(|sums| sums.accuracy()),
                seconds: start.elapsed().as_secs_f64(),
            };
            state.history.push(stats.clone());
            if let Some(now) = val_loss
                && state.best.as_ref().is_none_or(|best| now < best.loss)
            {
                state.best = Some(Best { epoch, loss: now, tensors: snapshot(net) });
            }
            stopped_early = state.stops_early(config);
            if let Some((every, call)) = &mut on_checkpoint
                && (epoch.is_multiple_of(*every) || epoch == config.epochs)
            {
                call(Checkpoint::of(net, &state))?;
                written = epoch;
            }
            interrupted = on_epoch.as_mut().is_some_and(|call| call(&stats).is_break());
            if let Some((_, call)) =
                on_checkpoint.as_mut().filter(|_| interrupted && written != epoch)
            {
                call(Checkpoint::of(net, &state))?;
            }
        }
        let best_epoch = state.best.as_ref().map(|best| best.epoch);
        let wants_best = config.early_stopping.is_some() || diverged.is_some();
        let restored_best = match state.best {
            Some(best)
                if wants_best && (best.epoch != state.history.len() || diverged.is_some()) =>
            {
                net.set_tensors(&best.tensors)?;
                true
            }
            _ => false,
        };
        let history = state.history;
        Ok(FittedNet { history, best_epoch, stopped_early, interrupted, restored_best, diverged })
    }
}

/// What lasts from epoch to epoch beside the network.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The epoch of the lowest validation loss.
    pub(super) best: Option<Best>,
    pub(super) history: Vec<EpochStats>,
    /// Steps of the optimizer so far.
    pub(super) step: u32,
}

impl State {
    /// Whether early stopping ends the run here.
    fn stops_early(&self, config: &FitConfig) -> bool {
        let epoch = self.history.len();
        let waited = self.best.as_ref().map_or(0, |best| epoch.saturating_sub(best.epoch));
        epoch < config.epochs && config.early_stopping.is_some_and(|p| waited > 0 && waited >= p)
    }
}

/// Weights of the best epoch.
#[derive(Clone, Debug)]
pub(super) struct Best {
    pub(super) epoch: usize,
    pub(super) loss: f64,
    pub(super) tensors: Vec<Vec<f32>>,
}

fn snapshot(net: &ConvNet) -> Vec<Vec<f32>> {
    net.tensors().iter().map(|tensor| tensor.values().to_vec()).collect()
}

struct Run<'a> {
    train: Labelled<'a>,
    labels: Vec<usize>,
    weights: Vec<f64>,
    config: &'a FitConfig,
    /// The batch in hand and the next.
    buffers: [Vec<f32>; 2],
}

impl Run<'_> {
    fn epoch(
        &mut self,
        epoch: usize,
        net: &mut ConvNet,
        step: &mut u32,
        random: &mut dyn Randomness,
    ) -> Result<Sums, HeadError> {
        let Self { train, labels, weights, config, buffers: [now, next] } = self;
        let mut order: Vec<u32> = (0..labels.len() as u32).collect();
        random.order(epoch - 1, &mut order);
        let rate = config.schedule.rate(config.learning_rate, epoch, config.epochs);
        let read = |rows: &[u32], to: &mut Vec<f32>| {
            to.resize(rows.len() * train.inputs.width(), 0.0);
            train.inputs.read(Some(epoch), rows, to).map_err(HeadError::Source)
        };
        let mut batches = order.chunks(config.batch_size).peekable();
        if let Some(first) = batches.peek() {
            read(first, now)?;
        }
        let mut sums = Sums::default();
        let mut of_batch = Vec::with_capacity(config.batch_size);
        while let Some(rows) = batches.next() {
            of_batch.clear();
            of_batch.extend(rows.iter().map(|row| labels[*row as usize]));
            let batch = Batch { input: now, labels: &of_batch, weights };
            let mut train = || {
                let sums = net.gradients(&batch, *step as usize, random)?;
                *step += 1;
                net.update(config.optimizer, rate, *step)?;
                Ok::<Sums, HeadError>(sums)
            };
            // The next batch is read while this one is trained on: threads that wait for one help with the other.
            let (seen, ready) = match batches.peek() {
                Some(rows) => join(train, || read(rows, next)),
                None => (train(), Ok(())),
            };
            sums.add(seen?);
            ready?;
            std::mem::swap(now, next);
        }
        Ok(sums)
    }
}

/// Runs both, the second on another thread where there is one.
fn join<A, B: Send>(first: impl FnOnce() -> A, second: impl FnOnce() -> B + Send) -> (A, B) {
    let mut made = None;
    let mut first_made = None;
    rayon::in_place_scope(|scope| {
        scope.spawn(|_| made = Some(second()));
        first_made = Some(first());
    });
    match (first_made, made) {
        (Some(a), Some(b)) => (a, b),
        _ => unreachable!("the scope ends when both have run"),
    }
}

/// Loss and hits of a network on a split, without dropout, unweighted; `batch_size` rows at a time.
fn evaluate(net: &mut ConvNet, split: Labelled<'_>, batch_size: usize) -> Result<Sums, HeadError> {
    let labels = class_indices(split.labels);
    let mut sums = Sums::default();
    each_batch(net, split.inputs, batch_size, |first, logits, outputs| {
        let rows = logits.len() / outputs;
        sums.add(network::evaluate(logits, &labels[first..first + rows]));
    })?;
    Ok(sums)
}

/// Class probabilities of all inputs, (N, classes) in C order: for two classes `[1 - p, p]`. `batch_size` rows are in memory at a
/// time; the bits do not depend on it.
///
/// # Errors
/// [`HeadError::Source`] when inputs can't be read, [`HeadError::Width`] when they are not the network's.
pub fn probabilities(
    net: &mut ConvNet,
    inputs: &dyn Inputs,
    batch_size: usize,
) -> Result<Vec<f32>, HeadError> {
    let classes = net.classes();
    let mut out = vec![0.0; inputs.len() * classes];
    each_batch(net, inputs, batch_size, |first, logits, outputs| {
        let to = out[first * classes..].chunks_exact_mut(classes);
        for (to, logits) in to.zip(logits.chunks_exact(outputs)) {
            loss::probabilities(logits, to);
        }
    })?;
    Ok(out)
}

impl ConvNet {
    /// Class probabilities of `batch` inputs, (batch, classes).
    ///
    /// # Errors
    /// [`HeadError::Width`] when `input` has not as many values.
    ///
    /// # Panics
    /// When `out` has no room for them.
    pub fn probabilities(
        &mut self,
        batch: usize,
        input: &[f32],
        out: &mut [f32],
    ) -> Result<(), HeadError> {
        let (outputs, classes) = (self.outputs(), self.classes());
        assert_eq!(out.len(), batch * classes, "(batch, classes)");
        let logits = self.logits(batch, input)?;
        for (to, logits) in out.chunks_exact_mut(classes).zip(logits.chunks_exact(outputs)) {
            loss::probabilities(logits, to);
        }
        Ok(())
    }
}

/// Calls `each(first row, logits, logits a row)` for batches of inputs as they are.
fn each_batch(
    net: &mut ConvNet,
    inputs: &dyn Inputs,
    batch_size: usize,
    mut each: impl FnMut(usize, &[f32], usize),
) -> Result<(), HeadError> {
    let outputs = net.outputs();
    let all: Vec<u32> = (0..inputs.len() as u32).collect();
    let mut buffer = Vec::new();
    for (index, rows) in all.chunks(batch_size.max(1)).enumerate() {
        buffer.resize(rows.len() * inputs.width(), 0.0);
        inputs.read(None, rows, &mut buffer).map_err(HeadError::Source)?;
        let logits = net.logits(rows.len(), &buffer)?;
        each(index * batch_size.max(1), logits, outputs);
    }
    Ok(())
}

/// Refuses a split that does not fit the network.
fn check(
    net: &ConvNet,
    split: &str,
    data: Labelled<'_>,
    config: &FitConfig,
) -> Result<(), HeadError> {
    let (expected, found) = (net.input().values(), data.inputs.width());
    if expected != found {
        return Err(HeadError::Width { what: format!("{split} inputs"), expected, found });
    }
    check_labels(split, data.inputs.len(), data.labels, net.classes(), &config.class_names)
}
