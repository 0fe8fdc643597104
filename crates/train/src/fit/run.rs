//! The loop over epochs, the same for every model.

use super::{Divergence, OnCheckpoint, OnEpoch, Outcome};
use crate::convnet::Checkpoint;
use crate::network::Sums;
use crate::{EpochStats, FitConfig, HeadError, Randomness};
use std::time::Instant;

/// What is trained, with its data: the loop knows no more of it.
pub(crate) trait Model {
    /// What is kept of the best epoch.
    type Weights;

    /// One pass over the training rows. `steps` counts the optimizer's steps over all epochs.
    fn epoch(
        &mut self,
        epoch: usize,
        steps: &mut u32,
        random: &mut dyn Randomness,
    ) -> Result<Sums, HeadError>;

    /// Loss and hits on the validation rows, where there are any.
    fn validate(&mut self) -> Result<Option<Sums>, HeadError>;

    /// The weights as they are.
    fn weights(&self) -> Self::Weights;

    /// What the run can be resumed from, for models that can be.
    fn checkpoint(&self, state: &State<Self::Weights>) -> Option<Checkpoint>;
}

/// What lasts from epoch to epoch beside the model.
#[derive(Clone, Debug)]
pub(crate) struct State<W> {
    /// The epoch of the lowest validation loss.
    pub(crate) best: Option<Best<W>>,
    pub(crate) history: Vec<EpochStats>,
    /// Steps of the optimizer so far.
    pub(crate) steps: u32,
}

/// The best epoch so far.
#[derive(Clone, Debug)]
pub(crate) struct Best<W> {
    pub(crate) epoch: usize,
    pub(crate) loss: f64,
    pub(crate) weights: W,
}

impl<W> Default for State<W> {
    fn default() -> Self {
        Self { best: None, history: Vec::new(), steps: 0 }
    }
}

impl<W> State<W> {
    /// Whether early stopping ends the run here. As in Keras, the count of epochs without improvement is raised first and then
    /// held against the patience.
    fn stops_early(&self, config: &FitConfig) -> bool {
        let epoch = self.history.len();
        let waited = self.best.as_ref().map_or(0, |best| epoch.saturating_sub(best.epoch));
        epoch < config.epochs && config.early_stopping.is_some_and(|p| waited > 0 && waited >= p)
    }
}

/// Who hears of the run.
pub(crate) struct Listeners<'a> {
    pub(crate) on_epoch: Option<OnEpoch<'a>>,
    pub(crate) on_checkpoint: Option<(usize, OnCheckpoint<'a>)>,
}

/// Trains `model` from `state` on, and returns the weights to go back to: those of the best epoch, where early stopping asks for
/// it or the run diverged, and the last epoch was another.
pub(crate) fn run<M: Model>(
    model: &mut M,
    mut state: State<M::Weights>,
    config: &FitConfig,
    random: &mut dyn Randomness,
    listeners: Listeners<'_>,
) -> Result<(Outcome, Option<M::Weights>), HeadError> {
    let Listeners { mut on_epoch, mut on_checkpoint } = listeners;
    let every = on_checkpoint.as_ref().map(|(every, _)| *every);
    // A run may have ended right after its last checkpoint.
    let mut stopped_early = state.stops_early(config);
    let (mut interrupted, mut diverged) = (false, None);
    while state.history.len() < config.epochs && !stopped_early && !interrupted {
        let (epoch, start) = (state.history.len() + 1, Instant::now());
        let sums = model.epoch(epoch, &mut state.steps, random)?;
        let finite = |what, value: f64| match value.is_finite() {
            true => None,
            false => Some(Divergence { epoch, what, value }),
        };
        let loss = sums.mean_loss();
        diverged = finite("training loss", loss);
        let seen = match diverged {
            None => model.validate()?,
            Some(_) => break,
        };
        let val_loss = seen.map(|sums| sums.mean_loss());
        diverged = val_loss.and_then(|loss| finite("validation loss", loss));
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
        if let Some(loss) = val_loss
            && state.best.as_ref().is_none_or(|best| loss < best.loss)
        {
            state.best = Some(Best { epoch, loss, weights: model.weights() });
        }
        stopped_early = state.stops_early(config);
        let mut write = |state: &State<M::Weights>| match &mut on_checkpoint {
            Some((_, call)) => model.checkpoint(state).map_or(Ok(()), call),
            None => Ok(()),
        };
        let due = every.is_some_and(|n| epoch.is_multiple_of(n)) || epoch == config.epochs;
        if due {
            write(&state)?;
        }
        interrupted = on_epoch.as_mut().is_some_and(|call| call(&stats).is_break());
        if interrupted && !due {
            write(&state)?;
        }
    }
    let State { best, history, .. } = state;
    let best_epoch = best.as_ref().map(|best| best.epoch);
    let wants_best = config.early_stopping.is_some() || diverged.is_some();
    let restored = best
        .filter(|best| wants_best && (best.epoch != history.len() || diverged.is_some()))
        .map(|best| best.weights);
    let restored_best = restored.is_some();
    let outcome =
        Outcome { history, best_epoch, stopped_early, interrupted, restored_best, diverged };
    Ok((outcome, restored))
}
