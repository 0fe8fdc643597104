//! Training.

use crate::{EpochStats, FitConfig, Head, HeadError, Randomness, Seeded, Split};
use std::ops::ControlFlow;

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
    fit_with(
        train,
        validation,
        classes,
        config,
        &mut Seeded::new(config.seed),
        on_epoch,
    )
}

/// [`fit`] with random choices from elsewhere.
pub fn fit_with(
    _train: &Split<'_>,
    _validation: Option<&Split<'_>>,
    _classes: usize,
    _config: &FitConfig,
    _random: &mut dyn Randomness,
    _on_epoch: &mut dyn FnMut(&EpochStats) -> ControlFlow<()>,
) -> Result<Fitted, HeadError> {
    Err(HeadError::NoValidation)
}
