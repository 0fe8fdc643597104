//! How a feature row is made from a file: what a head must know of its features to predict, and `predict` to make them.

use backbone::{Base, Device, EngineOptions, Extractor, Hardware, Isa};
use cache::{Dtype, Settings};
use images::{ImageSize, MAX_SIDE};
use serde::{Deserialize, Serialize};
use std::path::Path;
use weights::{self, Architecture, Weights};

use crate::error::{Error, MemoryUse};
use crate::memory;
use crate::recipe::{Recipe, RecipeError, WeightsId};

/// The `features` section of `head.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureSource {
    /// How a row is computed.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// Shape of a row.
    pub row_shape: Vec<usize>,
}

impl FeatureSource {
    /// Of the rows of a cache.
    ///
    /// # Errors
    /// See [`Recipe::of`].
    pub fn of(settings: &Settings) -> Result<Self, RecipeError> {
        Ok(Self { recipe: Recipe::of(settings)?, row_shape: settings.row_shape.clone() })
    }

    /// Whether a head of so many inputs can be fed, and whether batches of so many images fit into memory: before weights are
    /// looked for or an image is opened.
    ///
    /// # Errors
    /// They can't or don't.
    pub fn check(&self, inputs: usize, batch: usize) -> Result<(), Error> {
        let values = self.row_shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
        if values != Some(inputs) {
            return Err(Error::RowShape { inputs, shape: self.row_shape.clone() });
        }
        let ImageSize { width, height } = self.recipe.image_size;
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(Error::ImageSize { width, height });
        }
        let shapes = match self.recipe.has_backbone() {
            true => {
                let base = Base::ending_at(&self.recipe.backbone, Some(&self.recipe.layer))?;
                base.shapes(height as usize, width as usize)?
            }
            // Rows are pixels.
            false if self.row_shape == [height as usize, width as usize, 3] => Vec::new(),
            false => return Err(Error::RowShape { inputs, shape: self.row_shape.clone() }),
        };
        // Two batches of pixels, and at least the largest layer of one image beside the one before it.
        let pixels = 2 * batch as u64 * u64::from(width) * u64::from(height) * 3;
        let layers =
            shapes.windows(2).map(|w| (w[0].values() + w[1].values()) as u64).max().unwrap_or(0);
        let needed = 4 * (pixels + layers);
        match memory::available() {
            Some(available) if needed > available => {
                let what = MemoryUse::Images { width, height };
                Err(Error::Memory { what, needed, available })
            }
            _ => Ok(()),
        }
    }

    /// The base's part, with the same engine and precision; the weights must be bitwise those of the features.
    ///
    /// # Errors
    /// Weights can't be had or differ, or the device can't be had.
    pub fn extractor(
        &self,
        weights_spec: Option<&str>,
        find: &WeightsSearch<'_>,
        device: Device,
    ) -> Result<Extractor, Error> {
        let recipe = &self.recipe;
        let (base, weights) = self.base(weights_spec, find)?;
        let (device, isa) = match (&recipe.hardware, device) {
            // The fastest that gives the same bits, where there is one.
            (Hardware::Cpu(isa), Device::Auto | Device::Cpu) => {
                let best = Isa::best_for(recipe.precision);
                let same = best.bits(recipe.precision) == isa.bits(recipe.precision);
                (Device::Cpu, Some(if same { best } else { *isa }).filter(|isa| isa.is_available()))
            }
            (Hardware::Other { engine, .. }, Device::Auto) if engine == "cpu" => {
                (Device::Cpu, None)
            }
            (_, device) => (device, None),
        };
        let options = EngineOptions { device, precision: Some(recipe.precision), isa };
        let ImageSize { width, height } = recipe.image_size;
        let size = [height as usize, width as usize];
        let extractor = Extractor::new(&base, weights, size, recipe.pooling, &options)?;
        if extractor.row_shape() != self.row_shape {
            return Err(Error::OtherRows {
                found: extractor.row_shape(),
                expected: self.row_shape.clone(),
            });
        }
        Ok(extractor)
    }
}

impl FeatureSource {
    /// The base up to the layer, with its weights, which must be bitwise those of the features.
    ///
    /// # Errors
    /// Weights can't be had or differ.
    pub fn base(
        &self,
        weights_spec: Option<&str>,
        find: &WeightsSearch<'_>,
    ) -> Result<(Base, Weights), Error> {
        let recipe = &self.recipe;
        let base = Base::ending_at(&recipe.backbone, Some(&recipe.layer))?;
        let architecture = base.architecture()?;
        let weights = match weights_spec {
            Some(spec) => find.resolve_for(&architecture, spec, |_| ())?,
            None => self.named_weights(&architecture, find)?,
        };
        if weights.sha256 != recipe.weights.sha256 {
            return Err(Error::WeightsDiffer {
                name: weights.name,
                expected: recipe.weights.sha256.clone(),
                found: weights.sha256,
            });
        }
        Ok((base.for_variant(weights.variant)?, weights))
    }

    /// The weights that the head names, if the name is one that this program knows by itself.
    ///
    /// A head may come from a stranger, and its words are data: they can't choose a file, an address or a program. What is
    /// left is what `extract` fetches of its own accord, in the same ways but without pip, and numbers that are drawn here.
    fn named_weights(
        &self,
        architecture: &Architecture,
        find: &WeightsSearch<'_>,
    ) -> Result<Weights, Error> {
        let WeightsId { name, sha256, .. } = &self.recipe.weights;
        if name.starts_with("random:") {
            return find.resolve_for(architecture, name, |_| ());
        }
        match weights::pinned_sha256(name, architecture) {
            Some(pinned) if pinned == sha256 => {
                find.resolve_for(architecture, name, |options| options.pip = None)
            }
            // Known beforehand: nothing has to be fetched to find it out.
            Some(pinned) => Err(Error::PinnedWeightsDiffer {
                name: name.clone(),
                expected: sha256.clone(),
                pinned: pinned.to_owned(),
            }),
            None => Err(Error::UnknownWeights { name: name.clone() }),
        }
    }
}

/// Where weights are looked for.
pub struct WeightsSearch<'a> {
    /// Folder that downloaded weights are kept in.
    pub models_dir: &'a Path,
    /// Never use the network.
    pub offline: bool,
    /// The one package index to ask.
    pub index_url: Option<&'a weights::Url>,
    /// Follows transfers.
    pub progress: &'a dyn weights::Progress,
}

impl WeightsSearch<'_> {
    /// Weights for the whole base, so that their digest does not depend on the layer that features are taken from.
    ///
    /// # Errors
    /// See [`weights::resolve`].
    pub fn resolve(&self, base: &Base, spec: &str) -> Result<Weights, Error> {
        self.resolve_for(&base.architecture()?, spec, |_| ())
    }

    fn resolve_for(
        &self,
        architecture: &Architecture,
        spec: &str,
        change: impl FnOnce(&mut weights::Options<'_>),
    ) -> Result<Weights, Error> {
        let mut options = weights::Options::from_env(self.models_dir, self.offline, self.progress);
        if let Some(url) = self.index_url {
            options.use_index(url.clone());
        }
        change(&mut options);
        weights::resolve(spec, architecture, &options).map_err(|source| {
            let base = architecture.base.clone();
            Error::Weights { base, source: Box::new(source) }
        })
    }
}

/// What the cache would have kept of a row: f16 features lose their lower bits before a head sees them.
pub(crate) fn round_to(dtype: Dtype, row: &mut [f32]) {
    if dtype == Dtype::F16 {
        for value in row {
            *value = half::f16::from_f32(*value).to_f32();
        }
    }
}
