//! Training.

mod check;
mod head;
mod rows;
mod run;
mod validation;

use crate::convnet::{Checkpoint, ConvNet, Labelled};
use crate::{ClassWeight, EpochStats, FitConfig, Head, HeadError, Randomness, Seeded, Split};
use std::ops::ControlFlow;

pub(crate) use check::check_config;
pub use rows::HeadRows;
pub(crate) use run::{Best, Model, State};
use run::{Listeners, run};

/// Memory for features without their zeros, where nothing else is said. What does not fit is read again every epoch.
pub const CACHE_BYTES: usize = 512 << 20;
/// Rows a forward pass takes at once outside training.
pub(crate) const EVALUATION_BATCH: usize = 64;

/// What a training run did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// One entry an epoch.
    pub history: Vec<EpochStats>,
    /// Epoch (from 1) of the lowest validation loss, where there is validation data.
    pub best_epoch: Option<usize>,
    /// Early stopping ended the run before `epochs`.
    pub stopped_early: bool,
    /// `on_epoch` ended the run.
    pub interrupted: bool,
    /// The weights are those of `best_epoch`, not of the last.
    pub restored_best: bool,
    /// How the run ended, where the loss left the finite numbers.
    pub diverged: Option<Divergence>,
}

/// A loss that is no finite number.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// From 1.
    pub epoch: usize,
    /// Which loss.
    pub what: &'static str,
    /// It.
    pub value: f64,
}

impl From<Divergence> for HeadError {
    fn from(Divergence { epoch, what, value }: Divergence) -> Self {
        Self::Diverged { epoch, what, value }
    }
}

/// A trained head, and how it was trained.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// With the weights of the last epoch, or of the best one where early stopping is set.
    pub head: Head,
    /// The run.
    pub outcome: Outcome,
}

/// Trains any model, a head on cached rows or a network; what is not set is the default.
///
/// Runs on the rayon pool it is called in. The result is bitwise the same whatever the number of its threads, whether the rows
/// fit in the cache or are read again every epoch, and whether the run was resumed from a checkpoint.
///
/// ```
/// use train::{DenseRows, FitConfig, Split, Trainer};
///
/// // Four rows of two features; the class is whether the second is larger.
/// let features = DenseRows::new(vec![0.1, 0.9, 0.8, 0.2, 0.0, 0.7, 0.6, 0.1], 2);
/// let train = Split { features: &features, labels: &[1, 0, 1, 0] };
/// let config = FitConfig { hidden: vec![8], dropout: 0.0, learning_rate: 0.05, ..FitConfig::default() };
/// let fitted = Trainer::new(&config).fit_head(2, &train, None)?;
/// assert_eq!(fitted.outcome.history.len(), 30);
/// assert_eq!(fitted.outcome.history[29].accuracy, 1.0);
/// # Ok::<(), train::HeadError>(())
/// ```
pub struct Trainer<'a> {
    config: &'a FitConfig,
    cache: usize,
    random: Option<&'a mut dyn Randomness>,
    listeners: Listeners<'a>,
    resume: Option<Checkpoint>,
}

/// Hears of each epoch, and may end the run.
type OnEpoch<'a> = &'a mut dyn FnMut(&EpochStats) -> ControlFlow<()>;
/// Takes what a run can be resumed from.
type OnCheckpoint<'a> = &'a mut dyn FnMut(Checkpoint) -> Result<(), HeadError>;

impl<'a> Trainer<'a> {
    /// With these settings.
    pub fn new(config: &'a FitConfig) -> Self {
        let listeners = Listeners { on_epoch: None, on_checkpoint: None };
        Self { config, cache: CACHE_BYTES, random: None, listeners, resume: None }
    }

    /// Keeps the features of a head in at most so many bytes, instead of [`CACHE_BYTES`].
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
    pub fn on_epoch(mut self, call: OnEpoch<'a>) -> Self {
        self.listeners.on_epoch = Some(call);
        self
    }

    /// Calls this after every `epochs` epochs (at least 1) of a network, before [`Trainer::on_epoch`], and after an epoch in which
    /// that ended the run.
    #[must_use]
    pub fn on_checkpoint(mut self, epochs: usize, call: OnCheckpoint<'a>) -> Self {
        self.listeners.on_checkpoint = Some((epochs.max(1), call));
        self
    }

    /// Goes on from here, with a network.
    #[must_use]
    pub fn resume(self, checkpoint: Option<Checkpoint>) -> Self {
        Self { resume: checkpoint, ..self }
    }

    /// Trains a head of dense layers for so many classes on rows, whose zeros cost nothing, and evaluates it on `validation`
    /// after every epoch; without that there is no early stopping. Of rows that have several views, another is taken each epoch:
    /// row i begins with one that the seed draws, and takes the next in each further epoch, the first after the last. Validation
    /// sees view 0.
    ///
    /// # Errors
    /// A setting or split that can't be used, or a loss that is no number.
    pub fn fit_head(
        self,
        classes: usize,
        train: &Split<'_>,
        validation: Option<&Split<'_>>,
    ) -> Result<Fitted, HeadError> {
        check_config(self.config, validation.is_some())?;
        let names = &self.config.class_names;
        let rows = HeadRows::read(classes, names, self.cache, train, validation)?;
        self.fit_rows(&rows)
    }

    /// The same on rows that were read before, by this training or another.
    ///
    /// # Errors
    /// A setting that can't be used, or a loss that is no number.
    pub fn fit_rows(self, rows: &HeadRows<'_>) -> Result<Fitted, HeadError> {
        let Self { config, cache: _, random, listeners, resume: _ } = self;
        let mut seeded = Seeded::new(config.seed);
        let random = random.unwrap_or(&mut seeded);
        let mut model = head::OnRows::new(rows, config, random)?;
        let (mut outcome, restored) = run(&mut model, State::default(), config, random, listeners)?;
        match outcome.diverged.take() {
            Some(divergence) => Err(divergence.into()),
            None => {
                Ok(Fitted { head: restored.flatten().unwrap_or_else(|| model.head()), outcome })
            }
        }
    }

    /// Trains the layers of `net` that are to be trained, and evaluates it on `validation` after every epoch; without that there
    /// is no early stopping. The widths of hidden layers and the dropout of the settings are not looked at: they are the
    /// network's. It holds the weights of the last epoch then, or of the best one where early stopping is set or the run
    /// diverged.
    ///
    /// # Errors
    /// A setting or split that can't be used, inputs that can't be read, a checkpoint of another network. A loss that is no number
    /// is not an error: it ends the run, see [`Outcome::diverged`].
    pub fn fit_network(
        self,
        net: &mut ConvNet,
        train: Labelled<'_>,
        validation: Option<Labelled<'_>>,
    ) -> Result<Outcome, HeadError> {
        let Self { config, cache: _, random, listeners, resume } = self;
        let mut seeded = Seeded::new(config.seed);
        let random = random.unwrap_or(&mut seeded);
        let mut model = net.on_inputs(config, train, validation)?;
        let state = model.resume(resume)?;
        let (outcome, restored) = run(&mut model, state, config, random, listeners)?;
        if let Some(tensors) = restored {
            net.set_tensors(&tensors)?;
        }
        Ok(outcome)
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

#[cfg(test)]
mod tests;
