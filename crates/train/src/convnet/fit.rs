//! Training a network on inputs that are read batch by batch.

use super::{Checkpoint, ConvNet, backward::Batch};
use crate::data::check_labels;
use crate::fit::{self, Model, State};
use crate::network::{self, Sums};
use crate::{FitConfig, HeadError, Randomness, loss};
use std::error::Error;

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

/// A network and its inputs.
pub(crate) struct OnInputs<'a> {
    net: &'a mut ConvNet,
    train: Labelled<'a>,
    validation: Option<Labelled<'a>>,
    labels: Vec<usize>,
    weights: Vec<f64>,
    config: &'a FitConfig,
    /// The batch in hand and the next.
    buffers: [Vec<f32>; 2],
}

impl ConvNet {
    /// This network with inputs to train and to validate it on, if they fit it and each other.
    pub(crate) fn on_inputs<'a>(
        &'a mut self,
        config: &'a FitConfig,
        train: Labelled<'a>,
        validation: Option<Labelled<'a>>,
    ) -> Result<OnInputs<'a>, HeadError> {
        fit::check_config(config, validation.is_some())?;
        check(self, "train", train, config)?;
        if let Some(validation) = validation {
            check(self, "validation", validation, config)?;
        }
        let labels = fit::class_indices(train.labels);
        let weights = fit::class_weights(&labels, self.classes(), config.class_weight);
        let buffers = Default::default();
        Ok(OnInputs { net: self, train, validation, labels, weights, config, buffers })
    }
}

impl OnInputs<'_> {
    /// The state to start from: a checkpoint's, whose tensors the network takes, or that of a new run.
    pub(crate) fn resume(
        &mut self,
        checkpoint: Option<Checkpoint>,
    ) -> Result<State<Tensors>, HeadError> {
        match checkpoint {
            Some(made) => made.restore(self.net, self.config, self.labels.len()),
            None => Ok(State::default()),
        }
    }
}

/// The values of all tensors, in their order.
pub(crate) type Tensors = Vec<Vec<f32>>;

impl Model for OnInputs<'_> {
    type Weights = Tensors;

    fn epoch(
        &mut self,
        epoch: usize,
        steps: &mut u32,
        random: &mut dyn Randomness,
    ) -> Result<Sums, HeadError> {
        let Self { net, train, labels, weights, config, buffers: [now, next], .. } = self;
        let mut order: Vec<u32> = (0..labels.len() as u32).collect();
        random.order(epoch - 1, &mut order);
        let rate = config.schedule.rate(config.learning_rate, epoch, config.epochs);
        let read = |rows: &[u32], to: &mut Vec<f32>| {
            to.resize(rows.len() * train.inputs.width(), 0.0);
            train.inputs.read(Some(epoch), rows, to).map_err(HeadError::Source)
        };
        let short = random.short_batch(epoch - 1, order.len().div_ceil(config.batch_size));
        let mut batches = batches(&order, config.batch_size, short).peekable();
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
                let sums = net.gradients(&batch, *steps as usize, random)?;
                *steps += 1;
                net.update(config.optimizer, rate, *steps)?;
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
    fn validate(&mut self) -> Result<Option<Sums>, HeadError> {
        let Self { net, validation, config, .. } = self;
        validation.map(|split| evaluate(net, split, config.batch_size)).transpose()
    }

    fn weights(&self) -> Tensors {
        self.net.tensors().iter().map(|tensor| tensor.values().to_vec()).collect()
    }

    fn checkpoint(&self, state: &State<Tensors>) -> Option<Checkpoint> {
        Some(Checkpoint::of(self.net, state))
    }
}

/// Batches of `size` rows in their order. If rows do not divide, step `short` has fewer.
fn batches(order: &[u32], size: usize, short: usize) -> impl Iterator<Item = &[u32]> {
    let (before, rest) = order.split_at((short * size).min(order.len() / size * size));
    let (few, after) = rest.split_at(order.len() % size);
    let few = (!few.is_empty()).then_some(few);
    before.chunks(size).chain(few).chain(after.chunks(size))
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
    let labels = fit::class_indices(split.labels);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seeded;

    #[test]
    fn the_short_batch_is_where_it_was_drawn() {
        let order: Vec<u32> = (0..11).rev().collect();
        for short in 0..3 {
            let found: Vec<&[u32]> = batches(&order, 4, short).collect();
            let sizes: Vec<usize> = found.iter().map(|batch| batch.len()).collect();
            assert_eq!(sizes, [0, 1, 2].map(|step| if step == short { 3 } else { 4 }));
            assert_eq!(found.concat(), order);
        }
        // Rows that divide have none.
        assert!([0, 1, 2].iter().all(|short| batches(&order[..8], 4, *short).count() == 2));
        assert_eq!(batches(&order[..8], 4, 1).collect::<Vec<_>>().concat(), order[..8]);
        assert_eq!(batches(&[], 4, 0).count(), 0);
        assert_eq!(batches(&order[..3], 4, 0).collect::<Vec<_>>(), [&order[..3]]);
    }

    #[test]
    fn its_place_is_drawn_for_each_epoch() {
        let mut random = Seeded::new(5);
        let places: Vec<usize> = (0..400).map(|epoch| random.short_batch(epoch, 8)).collect();
        let count = |place| places.iter().filter(|found| **found == place).count();
        assert!((0..8).all(|place| (25..=75).contains(&count(place))), "{places:?}");
        assert_eq!(random.short_batch(3, 1), 0);
    }
}
