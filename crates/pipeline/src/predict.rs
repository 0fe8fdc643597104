//! A trained head, or a base's own classifier, on new images.

use backbone::bases::{Filter, View};
use backbone::{Base, Device, EngineInfo, EngineOptions, Extractor, Hardware, Isa, Pooling};
use images::{ImageError, ImageSize, Interpolation, LoadSpec, Memory, Rgb8Image};
use rayon::ThreadPool;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use train::calibration::{Calibration, at_temperature};
use train::convnet::{ConvNet, Machine};
use train::metrics::{predicted_above, predicted_class};
use train::{Head, HeadManifest, SavedModel};

use crate::batches::{Batches, Rows};
use crate::error::Error;
use crate::feature_source::{FeatureSource, WeightsSearch, round_to};
use crate::memory;
use crate::picture::Picture;
use crate::recipe::{Recipe, preprocess_of};

/// Pictures in, probabilities out: a base with a trained head or network, or with its own classifier, or a network alone.
pub struct Predictor {
    /// None for a network that takes pixels.
    extractor: Option<Extractor>,
    classes: Vec<String>,
    spec: LoadSpec,
    /// Length of the shorter side that the middle is cut out of.
    crop: Option<u32>,
    /// A base's own classifier gives probabilities by itself.
    model: Option<(Model, FeatureSource)>,
    calibration: Option<Calibration>,
    temperature: Option<f64>,
    threshold: Option<Decided>,
}

/// How a head's probabilities are used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Decision {
    /// Tell probabilities with the temperature that the head's validation split chose.
    pub calibrated: bool,
    /// What decides between two classes, if not the higher probability.
    pub threshold: Option<Threshold>,
}

/// A threshold, and for which probabilities it is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Decided {
    at: f64,
    /// The head's own, whatever is told in the end; else those that are told.
    of_own: bool,
}

impl Decision {
    /// The temperature and the threshold, by what a head has.
    fn of(
        self,
        calibration: Option<&Calibration>,
        classes: usize,
    ) -> Result<(Option<f64>, Option<Decided>), Error> {
        let temperature = match self.calibrated {
            true => Some(calibration.and_then(|c| c.temperature).ok_or(Error::NoTemperature)?),
            false => None,
        };
        if self.threshold.is_some() && classes != 2 {
            return Err(Error::ThresholdClasses { classes });
        }
        let threshold = match self.threshold {
            None => None,
            Some(Threshold::At(at)) => Some(Decided { at, of_own: false }),
            Some(Threshold::Chosen) => {
                let at = calibration.and_then(|c| c.threshold).ok_or(Error::NoThreshold)?;
                Some(Decided { at, of_own: true })
            }
        };
        Ok((temperature, threshold))
    }
}

/// Above which probability of class 1, of two, a picture is of that class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// The one that the head's validation split chose, for the head's own probabilities.
    Chosen,
    /// This one, for the probabilities that are told: those with the temperature, where there is one.
    At(f64),
}

/// What is told of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction<'a> {
    /// One probability a class, in label order.
    pub probabilities: &'a [f32],
    /// The predicted class: of the highest probability, or by the threshold.
    pub class: usize,
}

/// What was trained.
enum Model {
    Head(Head),
    /// It keeps room for a batch, so that one batch runs at a time.
    Network(Box<Mutex<ConvNet>>),
}

impl Predictor {
    /// The head or network of a folder, fed with batches of so many images. The base is that of its features; weights are those of
    /// `weights_spec`, or those that the head names if they are known ones. To be called in the pool that runs it.
    ///
    /// # Errors
    /// Files that are no head, a decision that it can't make, features that this version does not know or that don't fit the
    /// head, too little memory, and those of [`FeatureSource::extractor`].
    pub fn with_head(
        dir: &Path,
        decision: Decision,
        batch_size: usize,
        weights_spec: Option<&str>,
        find: &WeightsSearch<'_>,
        device: Device,
    ) -> Result<Self, Error> {
        let available = memory::available().unwrap_or(u64::MAX);
        let (model, manifest) = SavedModel::load_within(available, dir)?;
        let features =
            |error: Error| Error::HeadFeatures { path: dir.to_owned(), source: Box::new(error) };
        let source: FeatureSource =
            serde_json::from_value(manifest.features.clone()).map_err(|e| features(e.into()))?;
        source.check(model.inputs(), batch_size).map_err(features)?;
        let HeadManifest { classes, calibration, .. } = manifest;
        let (temperature, threshold) = decision.of(calibration.as_ref(), classes.len())?;
        let extractor = match source.recipe.has_backbone() {
            true => Some(source.extractor(weights_spec, find, device)?),
            false => None,
        };
        let spec = source.recipe.load_spec();
        let model = match model {
            SavedModel::Head(_) if extractor.is_none() => {
                let (inputs, shape) = (0, source.row_shape.clone());
                return Err(features(Error::RowShape { inputs, shape }));
            }
            SavedModel::Head(head) => Model::Head(head),
            SavedModel::Network(network) => {
                let machine = machine(&source.recipe);
                let (graph, input) = network.layers();
                memory::check_network(graph, input, 0, batch_size).map_err(features)?;
                Model::Network(Box::new(Mutex::new(network.ready(machine)?)))
            }
        };
        let model = Some((model, source));
        Ok(Self {
            extractor,
            classes,
            spec,
            crop: None,
            model,
            calibration,
            temperature,
            threshold,
        })
    }

    /// A base's own classifier, of the classes of ImageNet. To be called in the pool that runs it.
    ///
    /// # Errors
    /// The base, its weights or the device can't be had.
    pub fn with_classifier(
        backbone: &str,
        weights_spec: Option<&str>,
        find: &WeightsSearch<'_>,
        device: Device,
    ) -> Result<Self, Error> {
        let base = Base::with_classifier(backbone)?;
        let spec = weights_spec.or(base.default_weights);
        let weights = find.resolve(&base, spec.ok_or(Error::NoWeights { base: base.name })?)?;
        let base = base.for_variant(weights.variant)?;
        let (crop, interpolation) = match base.view() {
            // Keras's examples load pictures with its default.
            View::Stretched => (None, Interpolation::Nearest),
            View::Center { shorter, filter: Filter::Bilinear } => {
                (Some(shorter), Interpolation::Bilinear)
            }
            View::Center { shorter, filter: Filter::Bicubic } => {
                (Some(shorter), Interpolation::Bicubic)
            }
        };
        let side = base.default_size;
        let spec = LoadSpec {
            size: ImageSize::square(side as u32),
            interpolation,
            preprocess: preprocess_of(weights.preprocess),
        };
        let options = EngineOptions { device, precision: None, isa: None };
        let extractor = Extractor::new(&base, weights, [side; 2], Pooling::None, &options)?;
        let extractor = Some(extractor);
        let classes = backbone::imagenet_classes().into_iter().map(str::to_owned).collect();
        let (model, calibration, temperature, threshold) = (None, None, None, None);
        Ok(Self { extractor, classes, spec, crop, model, calibration, temperature, threshold })
    }

    /// Uses the probabilities in another way from here on.
    ///
    /// # Errors
    /// A decision that the head can't make; then it stays as it was.
    pub fn set_decision(&mut self, decision: Decision) -> Result<(), Error> {
        (self.temperature, self.threshold) =
            decision.of(self.calibration.as_ref(), self.classes.len())?;
        Ok(())
    }

    /// The classes, in label order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How the head's features were made; `None` for a base's own classifier.
    pub fn recipe(&self) -> Option<&Recipe> {
        self.model.as_ref().map(|(_, source)| &source.recipe)
    }

    /// What computes features here; the head's own may have been made by something else. None for a network on pixels.
    pub fn info(&self) -> Option<EngineInfo> {
        self.extractor.as_ref().map(Extractor::info)
    }

    /// A picture's values for the base.
    fn fill(&self, image: &Rgb8Image, pixels: &mut [f32]) -> Result<(), ImageError> {
        match self.crop {
            None => self.spec.fill(image, pixels),
            Some(shorter) => {
                let LoadSpec { size, interpolation, .. } = self.spec;
                let middle = images::center_crop(image, shorter, size, interpolation)?;
                self.spec.fill(&middle, pixels)
            }
        }
    }

    /// The probability of each class, from a row.
    fn probabilities(&self, row: &[f32]) -> Result<Vec<f32>, Error> {
        let mut row = row.to_vec();
        if let Some((Model::Head(head), source)) = &self.model {
            round_to(source.recipe.dtype, &mut row);
            row = head.predict(&row)?;
        }
        Ok(row)
    }

    /// The class and the probabilities to tell, of the head's own probabilities, which are replaced.
    fn decide(&self, probabilities: &mut Vec<f32>) -> usize {
        let above = |p: &[f32], of_own| match self.threshold {
            Some(Decided { at, of_own: own }) if own == of_own => Some(predicted_above(p, at)),
            _ => None,
        };
        let own = above(probabilities, true);
        if let Some(temperature) = self.temperature {
            *probabilities = at_temperature(probabilities, self.classes.len(), temperature);
        }
        own.or_else(|| above(probabilities, false))
            .unwrap_or_else(|| predicted_class(probabilities))
    }

    /// Predicts `pictures` in order until the end or until `stop` says so. `sink` gets every one, with its prediction, or why
    /// there is none. Returns whether all were done.
    ///
    /// # Errors
    /// The engine's, what `sink` gives, and [`Error::Machine`] where the machine is short of something.
    pub fn run<E: From<Error>>(
        &self,
        pictures: &[Picture],
        pool: &ThreadPool,
        batch_size: usize,
        stop: impl Fn() -> bool,
        mut sink: impl FnMut(&Picture, Result<Prediction<'_>, ImageError>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let batches = Batches { extractor: self, pool, batch_size, views: 1 };
        let memory = Memory::default();
        batches.run_pictures(
            pictures,
            |picture, pixels| picture.with(&memory, &self.spec, |image| self.fill(image, pixels)),
            stop,
            |picture, row| match row {
                Ok(row) => {
                    let mut probabilities = self.probabilities(row)?;
                    let class = self.decide(&mut probabilities);
                    sink(picture, Ok(Prediction { probabilities: &probabilities, class }))
                }
                Err(error) => sink(picture, Err(error)),
            },
        )
    }
}

/// Of a network rows are probabilities; else what the base gives.
impl Rows for Predictor {
    fn image_values(&self) -> usize {
        self.extractor.as_ref().map_or(self.spec.values(), Extractor::image_values)
    }

    fn pass_images(&self) -> usize {
        self.extractor.as_ref().map_or(1, Extractor::pass_images)
    }

    fn row_values(&self) -> usize {
        match (&self.model, &self.extractor) {
            (Some((Model::Network(_), _)), _) | (_, None) => self.classes.len(),
            (_, Some(extractor)) => extractor.row_values(),
        }
    }

    fn run(&self, batch: usize, images: &[f32], rows: &mut [f32]) -> Result<(), Error> {
        let Some((Model::Network(net), source)) = &self.model else {
            return match &self.extractor {
                Some(extractor) => Ok(extractor.run(batch, images, rows)?),
                None => Ok(()),
            };
        };
        let features;
        let inputs = match &self.extractor {
            None => images,
            Some(extractor) => {
                let mut made = vec![0.0; batch * extractor.row_values()];
                extractor.run(batch, images, &mut made)?;
                round_to(source.recipe.dtype, &mut made);
                features = made;
                &features
            }
        };
        let mut net = net.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(net.probabilities(batch, inputs, rows)?)
    }
}

/// What runs a network as it was trained, where this machine has it. Only the frozen part ever ran on a GPU.
pub(crate) fn machine(recipe: &Recipe) -> Machine {
    let precision = recipe.precision.on_cpu();
    let isa = match &recipe.hardware {
        Hardware::Cpu(isa) if isa.is_available() => *isa,
        _ => Isa::best_for(precision),
    };
    Machine { isa, precision }
}

/// The predicted class, then the most probable others, `k` in all; equal ones in class order.
pub fn most_probable<'a>(
    prediction: Prediction<'_>,
    classes: &'a [String],
    k: usize,
) -> Vec<(&'a str, f32)> {
    let named = classes.iter().map(String::as_str).zip(prediction.probabilities.iter().copied());
    let mut all: Vec<(usize, (&str, f32))> = named.enumerate().collect();
    all.sort_by(|(i, a), (j, b)| {
        let other = |class: &usize| *class != prediction.class;
        other(i).cmp(&other(j)).then(b.1.total_cmp(&a.1))
    });
    all.into_iter().take(k).map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_classes_come_first_and_ties_keep_their_order() {
        let classes = ["a", "b", "c"].map(str::to_owned);
        let of = |class, k| {
            most_probable(Prediction { probabilities: &[0.25, 0.5, 0.25], class }, &classes, k)
        };
        assert_eq!(of(1, 2), [("b", 0.5), ("a", 0.25)]);
        assert_eq!(of(1, 9).len(), 3);
        // A threshold may choose the less probable one.
        assert_eq!(of(2, 2), [("c", 0.25), ("b", 0.5)]);
    }
}
