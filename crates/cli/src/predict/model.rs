//! What is asked for classes: a head on features, or a base's own classifier.

use anyhow::{Context as _, Result};
use backbone::bases::{Filter, View};
use backbone::{Base, EngineOptions, Extractor, Pooling};
use cache::Dtype;
use head::Head;
use images::{ImageError, ImageSize, Interpolation, LoadSpec, Rgb8Image};

use pipeline::NUMERICS;

use super::args::PredictArgs;
use super::numerics;
use crate::available;
use crate::console::Console;
use crate::extract::preprocess_of;
use crate::failure::hinted;
use crate::feature_source::{FeatureSource, WeightsSearch, round_to};

/// Pictures in, probabilities out.
pub(super) struct Model {
    pub(super) extractor: Extractor,
    pub(super) classes: Vec<String>,
    spec: LoadSpec,
    /// Length of the shorter side that the middle is cut out of.
    crop: Option<u32>,
    /// The head and how its features were stored; a base's own classifier gives probabilities by itself.
    head: Option<(Head, Dtype)>,
}

impl Model {
    /// The one that the flags name.
    ///
    /// # Errors
    /// The head can't be read, or the base, its weights or the device can't be had.
    pub(super) fn new(
        args: &PredictArgs,
        search: &WeightsSearch<'_>,
        console: Console,
    ) -> Result<Self> {
        match &args.backbone {
            Some(name) => Self::classifier(name, args, search),
            None => Self::with_head(args, search, console),
        }
    }

    fn with_head(args: &PredictArgs, search: &WeightsSearch<'_>, console: Console) -> Result<Self> {
        let room = available::memory().unwrap_or(u64::MAX);
        let (head, manifest) = Head::load_within(room, &args.head)?;
        let features = || format!("head '{}': what it says of its features", args.head.display());
        let source: FeatureSource =
            serde_json::from_value(manifest.features.clone()).with_context(features)?;
        source.check(head.inputs(), args.batch_size as usize).with_context(features)?;
        let recipe = &source.recipe;
        let spec = recipe.load_spec();
        let extractor = source.extractor(args.weights.as_deref(), search, args.device)?;
        let info = extractor.info();
        if !args.quiet && info.hardware != recipe.hardware {
            console.warn(format!(
                "the head's features were made by {}, here runs {}: probabilities may differ in their last digits",
                recipe.hardware, info.hardware
            ));
        }
        if !args.quiet && recipe.numerics != NUMERICS {
            console.warn(numerics(recipe.numerics));
        }
        let head = Some((head, recipe.dtype));
        Ok(Self { extractor, classes: manifest.classes, spec, crop: None, head })
    }

    fn classifier(name: &str, args: &PredictArgs, search: &WeightsSearch<'_>) -> Result<Self> {
        let base = Base::with_classifier(name)?;
        let weights = args.weights.as_deref().or(base.default_weights).ok_or_else(|| {
            hinted(
                format!("weights for {name}: the hub has none"),
                "give a file with --weights FILE",
            )
        })?;
        let weights = search.resolve(&base, weights)?;
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
        let options = EngineOptions { device: args.device, precision: None, isa: None };
        let extractor = Extractor::new(&base, &weights, [side; 2], Pooling::None, &options)?;
        let classes = backbone::imagenet_classes().into_iter().map(str::to_owned).collect();
        Ok(Self { extractor, classes, spec, crop, head: None })
    }

    /// The specification that decoding sets memory aside for.
    pub(super) fn spec(&self) -> &LoadSpec {
        &self.spec
    }

    /// A picture's values for the base.
    ///
    /// # Errors
    /// As [`LoadSpec::fill`] and [`images::center_crop`].
    pub(super) fn fill(&self, image: &Rgb8Image, pixels: &mut [f32]) -> Result<(), ImageError> {
        match self.crop {
            None => self.spec.fill(image, pixels),
            Some(shorter) => {
                let LoadSpec { size, interpolation, .. } = self.spec;
                let middle = images::center_crop(image, shorter, size, interpolation)?;
                self.spec.fill(&middle, pixels)
            }
        }
    }

    /// The probability of each class, from what the base gave.
    ///
    /// # Errors
    /// As [`Head::predict`].
    pub(super) fn probabilities(&self, row: &[f32]) -> Result<Vec<f32>> {
        let mut row = row.to_vec();
        if let Some((head, dtype)) = &self.head {
            round_to(*dtype, &mut row);
            row = head.predict(&row)?;
        }
        Ok(row)
    }
}
