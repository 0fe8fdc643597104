//! Training.

mod check;
mod epoch;
mod validation;

use crate::network::{self, Network};
use crate::sparse::RowStore;
use crate::views::{Schedule, Unrolled};
use crate::{
    ClassWeight, EpochStats, FitConfig, Head, HeadError, Randomness, Seeded, Split, check_split,
};
use std::ops::ControlFlow;
use std::time::Instant;

pub(crate) use check::check_config;
use epoch::Run;
use validation::ValidationSet;

/// Memory for features without their zeros, where nothing else is said. What does not fit is read again every epoch.
pub const CACHE_BYTES: usize = 512 << 20;
/// Rows a forward pass takes at once outside training.
pub(crate) const EVALUATION_BATCH: usize = 64;

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

/// Trains a head; what is not set is the default.
///
/// Runs on the rayon pool it is called in. The result is bitwise the same whatever the number of its threads, and
/// whether the rows fit in the cache or are read again every epoch.
///
/// ```
/// use train::{DenseRows, FitConfig, Split, Trainer};
///
/// // Four rows of two features; the class is whether the second is larger.
/// let features = DenseRows::new(vec![0.1, 0.9, 0.8, 0.2, 0.0, 0.7, 0.6, 0.1], 2);
/// let train = Split { features: &features, labels: &[1, 0, 1, 0] };
/// let config = FitConfig { hidden: vec![8], dropout: 0.0, learning_rate: 0.05, ..FitConfig::default() };
/// let fitted = Trainer::new(2, &config).fit(&train)?;
/// assert_eq!(fitted.history.len(), 30);
/// assert_eq!(fitted.history[29].accuracy, 1.0);
/// # Ok::<(), train::HeadError>(())
/// ```
pub struct Trainer<'a> {
    classes: usize,
    config: &'a FitConfig,
    validation: Option<&'a Split<'a>>,
    cache: usize,
    random: Option<&'a mut dyn Randomness>,
    on_epoch: Option<OnEpoch<'a>>,
}

/// Hears of each epoch, and may end the run.
type OnEpoch<'a> = &'a mut dyn FnMut(&EpochStats) -> ControlFlow<()>;

impl<'a> Trainer<'a> {
    /// Of heads with so many classes.
    pub fn new(classes: usize, config: &'a FitConfig) -> Self {
        Self { classes, config, validation: None, cache: CACHE_BYTES, random: None, on_epoch: None }
    }

    /// Evaluates this split after every epoch; without one there is no early stopping.
    #[must_use]
    pub fn validation(self, split: Option<&'a Split<'a>>) -> Self {
        Self { validation: split, ..self }
    }

    /// Keeps features in at most so many bytes, instead of [`CACHE_BYTES`].
    #[must_use]
    pub fn cache_bytes(self, bytes: usize) -> Self {
        Self { cache: bytes, ..self }
    }

    /// Takes random choices from here, instead of from the seed.
    #[must_use]
    pub fn random(self, random: &'a mut dyn Randomness) -> Self {
        Self { random: Some(random), ..self }
    }

    /// Calls this after every epoch; it may end the run.
    #[must_use]
    pub fn on_epoch(self, call: &'a mut dyn FnMut(&EpochStats) -> ControlFlow<()>) -> Self {
        Self { on_epoch: Some(call), ..self }
    }

    /// Trains on these rows. Of rows that have several views, another is taken each epoch: row i begins with one that the seed
    /// draws, and takes the next in each further epoch, the first after the last. Validation sees view 0.
    ///
    /// # Errors
    /// A setting or split that can't be used, or a loss that is no number.
    pub fn fit(self, train: &Split<'_>) -> Result<Fitted, HeadError> {
        let Self { classes, config, validation, mut cache, random, mut on_epoch } = self;
        let mut seeded = Seeded::new(config.seed);
        let random = random.unwrap_or(&mut seeded);
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
        let views = train.features.views();
        check::check_sizes(train.features.len(), views, &widths, config)?;

        let labels = class_indices(train.labels);
        let weights = class_weights(&labels, classes, config.class_weight);
        let all = Unrolled(train.features);
        let rows = RowStore::read("train", &all, &mut cache).map_err(|e| all.error_of_row(e))?;
        let views = Schedule::new(train.features.len(), views, random);
        let mut validation = validation.map(|v| ValidationSet::read(v, cache)).transpose()?;
        let mut network = Network::random(&widths, config.optimizer, random);
        let mut run =
            Run { rows, views, labels, weights, config, width, step: 0, mask: Vec::new() };

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
            let seen = validation.as_mut().map(|w| w.evaluate(&mut network));
            let val_loss = seen.map(|s| diverged("validation loss", s.mean_loss())).transpose()?;
            let stats = EpochStats {
                epoch,
                loss,
                accuracy: sums.accuracy(),
                val_loss,
                val_accuracy: seen.map(|s| s.accuracy()),
                seconds: start.elapsed().as_secs_f64(),
            };
            interrupted = on_epoch.as_mut().is_some_and(|call| call(&stats).is_break());
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
}

/// Labels that [`check_split`] has seen.
pub(crate) fn class_indices(labels: &[i64]) -> Vec<usize> {
    labels.iter().map(|&l| usize::try_from(l).unwrap_or(0)).collect()
}

/// Weight of each class; "balanced" is scikit-learn's `n / (classes * n_c)`.
pub(crate) fn class_weights(labels: &[usize], classes: usize, kind: ClassWeight) -> Vec<f64> {
    match kind {
        ClassWeight::None => vec![1.0; classes],
        ClassWeight::Balanced => {
            let mut counts = vec![0_usize; classes];
            labels.iter().for_each(|&l| counts[l] += 1);
            counts.iter().map(|&c| labels.len() as f64 / (classes as f64 * c as f64)).collect()
        }
    }
}

fn order(rows: usize) -> Vec<u32> {
    (0..rows as u32).collect()
}

#[cfg(test)]
mod tests;
