//! A network on pictures, or on cached rows: training, metrics on every split, files.

mod lesson;
mod network;
mod on_pictures;
mod on_rows;
mod pictures;
mod report;
mod save;
mod start;

pub use lesson::lesson_network;
pub(crate) use network::keras_values;
pub use network::{Counts, Network};
pub use on_pictures::{Architecture, PictureOutcome, PictureTraining, TrainOptions};
pub use on_rows::RowTraining;
pub use pictures::{PictureInputs, Pictures};
pub use report::{TrainReport, describe, freezing};
pub use start::Start;

use serde_json::Value;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;
use train::convnet::{
    CHECKPOINT, Checkpoint, ConvNet, Inputs, Labelled, TensorCounts, probabilities,
};
use train::{FitConfig, HeadFolder, Outcome, Trainer, metrics};

use crate::error::Error;
use crate::fit::Evaluated;
use crate::fit::features::is_validation;
use crate::progress::{Event, Progress};

/// A split with its inputs.
pub struct Split<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the network is fed with.
    pub inputs: &'a dyn Inputs,
    /// (N,), class indices.
    pub labels: &'a [i64],
}

impl<'a> Split<'a> {
    fn labelled(&self) -> Labelled<'a> {
        Labelled { inputs: self.inputs, labels: self.labels }
    }
}

/// What a training needs beside its network.
pub struct Training<'a> {
    /// The settings.
    pub config: &'a FitConfig,
    /// What is trained on.
    pub train: Split<'a>,
    /// The other splits; one of the name `validation` or `val` is watched.
    pub others: Vec<Split<'a>>,
    /// Epochs from one checkpoint to the next; `None` for no checkpoints.
    pub checkpoint_every: Option<usize>,
    /// Go on from the checkpoint in the model's folder, if there is one.
    pub resume: bool,
    /// All that decides the run's bits, beside the tensors: a checkpoint of another run is refused.
    pub run: Value,
}

/// What a training gave.
pub struct TrainOutcome {
    /// Epochs, and how they ended.
    pub fitted: Outcome,
    /// How long the training took, without what an earlier run did.
    pub seconds: f64,
    /// Epochs that were done before.
    pub resumed: usize,
    /// What the network does on every split, train first.
    pub evaluated: Vec<(String, Evaluated)>,
    /// Its tensors.
    pub counts: TensorCounts,
}

impl Training<'_> {
    /// Trains `net`, evaluates it, and gives what it does; `None` where the caller stopped it: then the last checkpoint is what
    /// is left. Runs on the rayon pool it is called in.
    ///
    /// # Errors
    /// Training fails, or the checkpoint can't be read or written. A loss that is no number ends the training, see
    /// [`Outcome::diverged`].
    pub fn run(
        &self,
        net: &mut ConvNet,
        folder: &HeadFolder,
        progress: &dyn Progress,
    ) -> Result<Option<TrainOutcome>, Error> {
        let started = Instant::now();
        let checkpoint = folder.path().join(CHECKPOINT);
        let resume = self.checkpoint(net, &checkpoint)?;
        let resumed = resume.as_ref().map_or(0, Checkpoint::epochs);
        if let Some(resume) = &resume {
            progress.event(Event::Resumed(resume.history())).map_err(Error::Progress)?;
        }
        let watched = self.others.iter().find(|split| is_validation(split.name));
        let watched = watched.map(Split::labelled);
        let mut failed = None;
        let mut on_epoch = |stats: &train::EpochStats| {
            failed = progress.event(Event::Epoch(stats)).err();
            if failed.is_some() || progress.stop() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let mut write = |made: Checkpoint| made.save(&checkpoint, &self.run);
        let mut trainer = Trainer::new(self.config).resume(resume).on_epoch(&mut on_epoch);
        if let Some(every) = self.checkpoint_every {
            trainer = trainer.on_checkpoint(every, &mut write);
        }
        let fitted = trainer.fit_network(net, self.train.labelled(), watched)?;
        if let Some(error) = failed {
            return Err(Error::Progress(error));
        }
        if fitted.interrupted {
            return Ok(None);
        }
        let seconds = started.elapsed().as_secs_f64();
        let mut evaluated = Vec::new();
        let splits = std::iter::once(&self.train).chain(&self.others);
        for split in splits.filter(|_| fitted.diverged.is_none()) {
            evaluated.push((split.name.to_owned(), self.evaluate(net, split)?));
        }
        let counts = net.counts();
        Ok(Some(TrainOutcome { fitted, seconds, resumed, evaluated, counts }))
    }

    fn evaluate(&self, net: &mut ConvNet, split: &Split<'_>) -> Result<Evaluated, Error> {
        let probabilities = probabilities(net, split.inputs, self.config.batch_size)?;
        let metrics = metrics::evaluate(&probabilities, split.labels, net.classes())?;
        Ok(Evaluated { metrics, probabilities })
    }

    /// The checkpoint to go on from.
    fn checkpoint(&self, net: &ConvNet, path: &Path) -> Result<Option<Checkpoint>, Error> {
        let exists = path.symlink_metadata().is_ok();
        match (exists, self.resume) {
            (true, true) => Ok(Some(Checkpoint::load(path, net, &self.run)?)),
            (true, false) => Err(Error::CheckpointThere { path: PathBuf::from(path) }),
            (false, _) => Ok(None),
        }
    }
}
