//! The rest of a base, and a head, trained on cached rows: fine-tuning without running the frozen part again.

use backbone::{Base, Isa, Pooling};
use serde_json::Value;
use std::path::Path;
use train::convnet::{ConvNet, Inputs, Machine, RowInputs};
use train::{FitConfig, HeadFolder};
use weights::Weights;

use super::{Network, Split, Start, TrainOutcome, Training, save};
use crate::error::Error;
use crate::feature_source::FeatureSource;
use crate::fit::AllFeatures;
use crate::fit::evaluate::Calibrated;
use crate::fit::features::is_validation;
use crate::predict::machine;
use crate::progress::{Event, Progress};

/// A training on cached rows that is ready to begin.
pub struct RowTraining<'a> {
    features: &'a AllFeatures,
    config: &'a FitConfig,
    network: Network,
    net: ConvNet,
    source: FeatureSource,
    folder: HeadFolder,
}

impl<'a> RowTraining<'a> {
    /// Makes the base's layers after the rows and a head ready; those from `unfreeze` on are trained. `weights` are those that the
    /// rows were made with. The model's folder `head` is held from here on.
    ///
    /// # Errors
    /// Rows that are pooled, or of a layer after `unfreeze` or in a branch of the base; a start that does not fit; a folder that
    /// can't be written.
    pub fn new(
        features: &'a AllFeatures,
        config: &'a FitConfig,
        unfreeze: &str,
        weights: &Weights,
        start: Option<&Path>,
        head: &Path,
    ) -> Result<Self, Error> {
        let source = features.source()?;
        let folder = HeadFolder::open(head).map_err(|error| Error::HeadFolder {
            path: head.to_owned(),
            source: Box::new(error),
        })?;
        config.check(features.iter().any(|one| is_validation(one.name())))?;
        let start = start.map(Start::load).transpose()?;
        let recipe = &source.recipe;
        if recipe.pooling != Pooling::None {
            return Err(Error::PooledRows { pooling: recipe.pooling });
        }
        let base = Base::named(&recipe.backbone)?.for_variant(weights.variant)?;
        let size = [recipe.image_size.height as usize, recipe.image_size.width as usize];
        let classes = features.classes().len();
        let network = Network::on_base(
            &base,
            size,
            Some(unfreeze),
            Some(&recipe.layer),
            Pooling::None,
            config,
            classes,
        )?;
        let machine = machine(recipe);
        let machine = Machine { isa: Isa::best_for(machine.precision), ..machine };
        network.fits(config, features.train.reader.len())?;
        let net = network.ready(machine, Some(weights), start.as_ref(), config.seed)?;
        Ok(Self { features, config, network, net, source, folder })
    }

    /// Both parts of the network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The part that is trained.
    pub fn net(&self) -> &ConvNet {
        &self.net
    }

    /// How its inputs are made.
    pub fn source(&self) -> &FeatureSource {
        &self.source
    }

    /// Trains, evaluates, calibrates and saves; `None` where the caller stopped it: then nothing was saved. Runs on the rayon pool it
    /// is called in.
    ///
    /// # Errors
    /// Those of [`Training::run`], [`Error::Diverged`], or the model can't be saved.
    pub fn run(
        &mut self,
        progress: &dyn Progress,
    ) -> Result<Option<(TrainOutcome, Calibrated)>, Error> {
        let inputs: Vec<RowInputs<'_>> =
            self.features.iter().map(|one| RowInputs::new(one, self.config.seed)).collect();
        let mut splits = self.features.iter().zip(&inputs).map(|(one, inputs)| Split {
            name: one.name(),
            inputs: inputs as &dyn Inputs,
            labels: one.reader.labels(),
        });
        let Some(train) = splits.next() else { return Ok(None) };
        let training = Training {
            config: self.config,
            train,
            others: splits.collect(),
            checkpoint_every: None,
            resume: false,
            run: Value::Null,
        };
        let Some(outcome) = training.run(&mut self.net, &self.folder, progress)? else {
            return Ok(None);
        };
        let labels = self.features.iter().map(|one| (one.name(), one.reader.labels()));
        let labels: Vec<_> = labels.collect();
        let calibrated =
            save::model(&self.net, &self.folder, &outcome, self.config, &self.source, &labels)?;
        progress.event(Event::Calibrated(&calibrated)).map_err(Error::Progress)?;
        Ok(Some((outcome, calibrated)))
    }
}
