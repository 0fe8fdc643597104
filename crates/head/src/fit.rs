//! Training.

use crate::kernel::Rule;
use crate::network::{self, Network, Step, Sums};
use crate::sparse::{BatchColumns, RowStore};
use crate::{
    ClassWeight, EpochStats, FitConfig, Head, HeadError, Randomness, Seeded, Split, check_split,
};
use std::ops::ControlFlow;
use std::time::Instant;

/// Memory for features without their zeros, where nothing else is said. What does not fit is read again every epoch.
pub const CACHE_BYTES: usize = 512 << 20;
/// Rows a forward pass takes at once outside training.
pub(crate) const EVALUATION_BATCH: usize = 64;
/// What `head.json` holds of history besides the names of classes.
const MOST_EPOCHS: usize = 100_000;
/// Column lists count rows times columns of a chunk in 32 bits.
const LARGEST_BATCH: usize = 1 << 20;

/// The outcome of a training run.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// With the weights of the last epoch, or of the best one where early stopping is set.
    pub head: Head,
    /// One entry an epoch.
    pub history: Vec<EpochStats>,
    /// Epoch (from 1) of the lowest validation loss, where there is validation data.
    pub best_epoch: Option<usize>,
    /// Early stopping ended the run before `epochs`.
    pub stopped_early: bool,
    /// `on_epoch` ended the run.
    pub interrupted: bool,
    /// The head holds the weights of `best_epoch`, not of the last.
    pub restored_best: bool,
}

/// Trains a head of `classes` outputs on `train`. `on_epoch` is called after every epoch and may end the run.
///
/// Runs on the rayon pool it is called in. The result is bitwise the same whatever the number of its threads, and
/// whether the rows fit in the cache or are read again every epoch.
pub fn fit(
    train: &Split<'_>,
    validation: Option<&Split<'_>>,
    classes: usize,
    config: &FitConfig,
    on_epoch: &mut dyn FnMut(&EpochStats) -> ControlFlow<()>,
) -> Result<Fitted, HeadError> {
    fit_within(CACHE_BYTES, train, validation, classes, config, on_epoch)
}

/// [`fit`], keeping features in at most `cache` bytes. The result is bitwise the same, whatever they are.
pub fn fit_within(
    cache: usize,
    train: &Split<'_>,
    validation: Option<&Split<'_>>,
    classes: usize,
    config: &FitConfig,
    on_epoch: &mut dyn FnMut(&EpochStats) -> ControlFlow<()>,
) -> Result<Fitted, HeadError> {
    let random = &mut Seeded::new(config.seed);
    fit_with_within(cache, train, validation, classes, config, random, on_epoch)
}

/// [`fit`] with random choices from elsewhere.
pub fn fit_with(
    train: &Split<'_>,
    validation: Option<&Split<'_>>,
    classes: usize,
    config: &FitConfig,
    random: &mut dyn Randomness,
    on_epoch: &mut dyn FnMut(&EpochStats) -> ControlFlow<()>,
) -> Result<Fitted, HeadError> {
    fit_with_within(CACHE_BYTES, train, validation, classes, config, random, on_epoch)
}

/// [`fit_with`], keeping features in at most `cache` bytes.
pub(crate) fn fit_with_within(
    mut cache: usize,
    train: &Split<'_>,
    validation: Option<&Split<'_>>,
    classes: usize,
    config: &FitConfig,
    random: &mut dyn Randomness,
    on_epoch: &mut dyn FnMut(&EpochStats) -> ControlFlow<()>,
) -> Result<Fitted, HeadError> {
    check_config(config, validation.is_some())?;
    check_split("train", train, classes, &config.class_names)?;
    let width = train.features.width();
    if let Some(v) = validation {
        check_split("validation", v, classes, &config.class_names)?;
        if v.features.width() != width {
            return Err(HeadError::Width {
                what: "validation features".to_owned(),
                expected: width,
                found: v.features.width(),
            });
        }
    }
    let widths = network::widths(width, &config.hidden, classes);
    check_sizes(train.features.len(), &widths, config)?;

    let labels = class_indices(train.labels);
    let weights = class_weights(&labels, classes, config.class_weight);
    let rows = RowStore::read("train", train.features, &mut cache)?;
    let mut watched = validation.map(|v| Watched::read(v, cache)).transpose()?;
    let mut network = Network::random(&widths, config.optimizer, random);
    let mut run = Run { rows, labels, weights, config, width, step: 0, mask: Vec::new() };

    let mut history: Vec<EpochStats> = Vec::with_capacity(config.epochs.min(4096));
    let mut best: Option<(usize, f64, Option<Head>)> = None;
    let (mut stopped_early, mut interrupted) = (false, false);
    for epoch in 1..=config.epochs {
        let start = Instant::now();
        let sums = run.epoch(epoch, &mut network, random);
        let diverged = |what, value: f64| match value.is_finite() {
            true => Ok(value),
            false => Err(HeadError::Diverged { epoch, what, value }),
        };
        let loss = diverged("training loss", sums.mean_loss())?;
        let seen = watched.as_mut().map(|w| w.evaluate(&mut network));
        let val_loss = seen.map(|s| diverged("validation loss", s.mean_loss())).transpose()?;
        let stats = EpochStats {
            epoch,
            loss,
            accuracy: sums.accuracy(),
            val_loss,
            val_accuracy: seen.map(|s| s.accuracy()),
            seconds: start.elapsed().as_secs_f64(),
        };
        interrupted = on_epoch(&stats).is_break();
        history.push(stats);
        if let Some(now) = val_loss {
            if best.as_ref().is_none_or(|(_, lowest, _)| now < *lowest) {
                best = Some((epoch, now, config.early_stopping.map(|_| network.head())));
            }
            let waited = best.as_ref().map_or(0, |(at, ..)| epoch - at);
            // Keras: `wait` is raised by an epoch without improvement and only then held against the patience.
            stopped_early = epoch < config.epochs
                && config.early_stopping.is_some_and(|p| waited > 0 && waited >= p);
        }
        if interrupted || stopped_early {
            break;
        }
    }
    let best_epoch = best.as_ref().map(|b| b.0);
    let restored = best.and_then(|b| b.2);
    let restored_best = restored.is_some() && best_epoch != Some(history.len());
    let head = restored.unwrap_or_else(|| network.head());
    Ok(Fitted { head, history, best_epoch, stopped_early, interrupted, restored_best })
}

fn check_config(config: &FitConfig, validated: bool) -> Result<(), HeadError> {
    let refuse =
        |setting, expected, found: String| Err(HeadError::Setting { setting, expected, found });
    if let Some(h) = config.hidden.iter().find(|h| **h == 0) {
        return refuse("hidden", "widths of at least 1", h.to_string());
    }
    if !(0.0..1.0).contains(&config.dropout) {
        return refuse("dropout", "0 or more, below 1", config.dropout.to_string());
    }
    if !(1..=MOST_EPOCHS).contains(&config.epochs) {
        return refuse("epochs", "from 1 to 100000", config.epochs.to_string());
    }
    if !(1..=LARGEST_BATCH).contains(&config.batch_size) {
        return refuse("batch_size", "from 1 to 1048576", config.batch_size.to_string());
    }
    if !(config.learning_rate.is_finite() && config.learning_rate > 0.0) {
        return refuse("lr", "a finite number above 0", config.learning_rate.to_string());
    }
    if config.early_stopping.is_some() && !validated {
        return Err(HeadError::NoValidation);
    }
    Ok(())
}

fn check_sizes(rows: usize, widths: &[usize], config: &FitConfig) -> Result<(), HeadError> {
    let limit = |what, limit: u64, found: u128| match found > u128::from(limit) {
        true => {
            Err(HeadError::TooLarge { what, limit, found: found.try_into().unwrap_or(u64::MAX) })
        }
        false => Ok(()),
    };
    let steps = rows.div_ceil(config.batch_size) as u128 * config.epochs as u128;
    limit("number of training steps", u64::from(u32::MAX), steps)?;
    limit("number of rows", u64::from(u32::MAX), rows as u128)?;
    for w in widths.windows(2) {
        limit("width of a layer", 1 << 31, w[0].max(w[1]) as u128)?;
        limit("number of weights of a layer", 1 << 33, w[0] as u128 * w[1] as u128)?;
    }
    Ok(())
}

/// Labels that [`check_split`] has seen.
fn class_indices(labels: &[i64]) -> Vec<usize> {
    labels.iter().map(|&l| usize::try_from(l).unwrap_or(0)).collect()
}

/// Weight of each class; "balanced" is scikit-learn's `n / (classes * n_c)`.
fn class_weights(labels: &[usize], classes: usize, kind: ClassWeight) -> Vec<f64> {
    match kind {
        ClassWeight::None => vec![1.0; classes],
        ClassWeight::Balanced => {
            let mut counts = vec![0_usize; classes];
            labels.iter().for_each(|&l| counts[l] += 1);
            counts.iter().map(|&c| labels.len() as f64 / (classes as f64 * c as f64)).collect()
        }
    }
}

struct Run<'a> {
    rows: RowStore<'a>,
    labels: Vec<usize>,
    weights: Vec<f64>,
    config: &'a FitConfig,
    width: usize,
    step: u32,
    mask: Vec<f32>,
}

impl Run<'_> {
    fn epoch(&mut self, epoch: usize, network: &mut Network, random: &mut dyn Randomness) -> Sums {
        let mut order: Vec<u32> = (0..self.labels.len() as u32).collect();
        random.order(epoch - 1, &mut order);
        let batches: Vec<&[u32]> = order.chunks(self.config.batch_size).collect();
        let [mut now, mut next, mut after] = std::array::from_fn(|_| BatchColumns::new(self.width));
        self.rows.columns(batches[0], &mut now);
        if let Some(batch) = batches.get(1) {
            self.rows.columns(batch, &mut next);
        }
        network.enter(&now);
        let mut sums = Sums::default();
        for i in 0..batches.len() {
            self.step += 1;
            let labels: Vec<usize> = batches[i].iter().map(|&r| self.labels[r as usize]).collect();
            let step = Step {
                number: self.step,
                labels: &labels,
                weights: &self.weights,
                dropout: self.config.dropout,
                rule: Rule::new(self.config.optimizer, self.config.learning_rate, self.step),
            };
            sums.add(network.step(&step, random, &mut self.mask));
            // While weights are traversed, the batch after the next is laid out.
            let rows = &self.rows;
            rayon::join(
                || network.finish(&step, &now, batches.get(i + 1).map(|_| &next)),
                || batches.get(i + 2).into_iter().for_each(|batch| rows.columns(batch, &mut after)),
            );
            std::mem::swap(&mut now, &mut next);
            std::mem::swap(&mut next, &mut after);
        }
        sums
    }
}

/// The validation split: batches that fit in the cache laid out once, the others every epoch.
struct Watched<'a> {
    rows: RowStore<'a>,
    labels: Vec<usize>,
    laid_out: Vec<BatchColumns>,
    room: BatchColumns,
}

impl<'a> Watched<'a> {
    fn read(split: &Split<'a>, mut cache: usize) -> Result<Self, HeadError> {
        let rows = RowStore::read("validation", split.features, &mut cache)?;
        let labels = class_indices(split.labels);
        let mut laid_out = Vec::new();
        for batch in order(labels.len()).chunks(EVALUATION_BATCH) {
            let mut columns = BatchColumns::new(split.features.width());
            rows.columns(batch, &mut columns);
            match cache.checked_sub(columns.bytes()) {
                Some(left) => cache = left,
                None => break,
            }
            laid_out.push(columns);
        }
        Ok(Self { rows, labels, laid_out, room: BatchColumns::new(split.features.width()) })
    }

    fn evaluate(&mut self, network: &mut Network) -> Sums {
        let mut sums = Sums::default();
        let order = order(self.labels.len());
        for (i, (batch, labels)) in
            order.chunks(EVALUATION_BATCH).zip(self.labels.chunks(EVALUATION_BATCH)).enumerate()
        {
            let columns = match self.laid_out.get(i) {
                Some(columns) => columns,
                None => {
                    self.rows.columns(batch, &mut self.room);
                    &self.room
                }
            };
            network.enter(columns);
            sums.add(network::evaluate(network.logits(labels.len()), labels));
        }
        sums
    }
}

fn order(rows: usize) -> Vec<u32> {
    (0..rows as u32).collect()
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
