//! A head on the features of a folder: training, metrics on every split, further seeds, files.

pub(crate) mod evaluate;
pub(crate) mod features;
mod memory_estimate;
mod repeat;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;
use train::{FitConfig, Fitted, HeadFolder, HeadManifest, HeadRows, Trainer};

pub use evaluate::{Calibrated, Evaluated, evaluate};
pub use features::{AllFeatures, Features};
pub use repeat::{RepeatedMetric, Repeats};

use crate::error::{BoxError, Error};
use crate::feature_source::FeatureSource;
use crate::progress::{Event, Progress};
use evaluate::Judged;
use repeat::Seeds;

/// A training that can begin: it fits into memory, and its folder can be written.
pub struct Fit<'a> {
    features: &'a AllFeatures,
    config: &'a FitConfig,
    repeats: u16,
    /// Bytes in which features may be kept.
    cache_bytes: usize,
    folder: HeadFolder,
    /// The `features` section of the head's manifest.
    described: serde_json::Value,
}

/// What a training gave.
pub struct FitOutcome<'a> {
    /// The first seed's head, which is saved.
    pub fitted: Fitted,
    /// How long its training took.
    pub seconds: f64,
    /// What it does on every split.
    pub evaluated: Vec<(&'a Features, Evaluated)>,
    /// How far its probabilities can be taken at their word, and what the validation split chose.
    pub calibrated: Calibrated,
    /// What several seeds gave; `None` for one.
    pub repeats: Option<Repeats>,
}

impl<'a> Fit<'a> {
    /// Checks what would fail after the training: memory, and the folder at `head`, which is held from here on.
    ///
    /// # Errors
    /// Both, and features of which a head can't say how they were made.
    pub fn new(
        features: &'a AllFeatures,
        config: &'a FitConfig,
        repeats: u16,
        head: &Path,
    ) -> Result<Self, Error> {
        let described = describe(&features.source()?)?;
        let cache_bytes = memory_estimate::check_memory(features, config, repeats)?;
        let folder = HeadFolder::open(head).map_err(|error| Error::HeadFolder {
            path: head.to_owned(),
            source: Box::new(error),
        })?;
        Ok(Self { features, config, repeats, cache_bytes, folder, described })
    }

    /// Trains, evaluates, and saves the head; `None` where the caller stopped it: then nothing was saved. Runs on the rayon
    /// pool it is called in.
    ///
    /// # Errors
    /// Training fails, or the head can't be saved.
    pub fn run(self, progress: &dyn Progress) -> Result<Option<FitOutcome<'a>>, Error> {
        let Self { features, config, .. } = &self;
        let started = Instant::now();
        let mut failed = None;
        let rows = self.rows()?;
        let mut on_epoch = |stats: &train::EpochStats| {
            failed = progress.event(Event::Epoch(stats)).err();
            if failed.is_some() || progress.stop() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let fitted = Trainer::new(config).on_epoch(&mut on_epoch).fit_rows(&rows)?;
        stop_on(failed)?;
        if fitted.outcome.interrupted {
            return Ok(None);
        }
        let seconds = started.elapsed().as_secs_f64();
        let event = |event: Event<'_>| progress.event(event).map_err(Error::Progress);
        event(Event::Trained { fitted: &fitted, seconds })?;
        let mut evaluated: Vec<(&Features, Evaluated)> = Vec::new();
        for one in features.iter() {
            evaluated.push((one, evaluate(&fitted.head, one)?));
        }
        event(Event::Evaluated(&evaluated))?;
        let classes = features.classes();
        let validation = features.validation.as_ref().map(Features::name);
        let judged: Vec<Judged<'_>> = evaluated
            .iter()
            .map(|(one, result)| Judged { name: one.name(), labels: one.reader.labels(), result })
            .collect();
        let calibrated = evaluate::calibrate(&judged, validation, classes.len())?;
        event(Event::Calibrated(&calibrated))?;
        let test = evaluated.iter().find(|(one, _)| one.name() == "test");
        let mut seeds = Seeds::default();
        seeds.add(config.seed, &fitted, test.map(|(_, result)| &result.metrics));
        self.further_seeds(&rows, &mut seeds, progress)?;
        let described = self.described.clone();
        let mut manifest = HeadManifest::of_head(&fitted, config, classes.to_vec(), described);
        manifest.calibration = calibrated.choice.as_ref().map(|choice| choice.calibration.clone());
        fitted.head.save(&self.folder, &manifest)?;
        Ok(Some(FitOutcome { fitted, seconds, evaluated, calibrated, repeats: seeds.summary() }))
    }

    /// Train and validation, read once for all seeds.
    fn rows(&self) -> Result<HeadRows<'a>, Error> {
        let features = self.features;
        let (train, validation) = (features.train.split(), &features.validation);
        let validation = validation.as_ref().map(Features::split);
        let (names, cache) = (&self.config.class_names, self.cache_bytes);
        self.config.check(validation.is_some())?;
        Ok(HeadRows::read(features.classes().len(), names, cache, &train, validation.as_ref())?)
    }

    /// Trains with each further seed, until the caller stops it.
    fn further_seeds(
        &self,
        rows: &HeadRows<'_>,
        seeds: &mut Seeds,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        for i in 1..u64::from(self.repeats) {
            let seed = self.config.seed.wrapping_add(i);
            let config = FitConfig { seed, ..self.config.clone() };
            let mut stop = |_: &train::EpochStats| match progress.stop() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            let fitted = Trainer::new(&config).on_epoch(&mut stop).fit_rows(rows)?;
            if fitted.outcome.interrupted {
                return Ok(());
            }
            let test = self.features.test.as_ref();
            let test = test.map(|test| evaluate(&fitted.head, test)).transpose()?;
            seeds.add(seed, &fitted, test.as_ref().map(|t| &t.metrics));
            progress.event(Event::Seed { seed, values: &seeds.last() }).map_err(Error::Progress)?;
        }
        Ok(())
    }
}

/// What a head says of its features. It comes from elsewhere: so it is bounded before any of it is printed.
///
/// # Errors
/// It is too long for a head.
pub fn describe(source: &FeatureSource) -> Result<serde_json::Value, Error> {
    let described = serde_json::to_value(source)?;
    train::check_features(&described)?;
    Ok(described)
}

fn stop_on(failed: Option<BoxError>) -> Result<(), Error> {
    failed.map_or(Ok(()), |error| Err(Error::Progress(error)))
}
