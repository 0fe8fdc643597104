//! How a feature row is made from a file: what a head must know of its features to predict, and `predict` to make them.

use anyhow::{Context as _, bail};
use backbone::{Base, Device, EngineOptions, Extractor, Pooling};
use cache::{Dtype, Settings, WeightsId};
use images::{ImageSize, Interpolation, LoadSpec, MAX_SIDE, Preprocess};
use serde::{Deserialize, Serialize};
use std::path::Path;
use weights::{self, Weights};

use crate::console::Console;
use crate::failure::hinted;
use crate::progress::Transfer;
use crate::{available, text};

/// The `features` section of `head.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FeatureSource {
    pub(crate) backbone: String,
    pub(crate) layer: String,
    pub(crate) pooling: String,
    pub(crate) weights: WeightsId,
    /// (width, height).
    pub(crate) image_size: [u32; 2],
    pub(crate) interpolation: String,
    pub(crate) preprocess: String,
    pub(crate) precision: String,
    pub(crate) engine: String,
    pub(crate) isa_or_gpu: String,
    pub(crate) dtype: Dtype,
    pub(crate) row_shape: Vec<usize>,
    /// Version of what was computed; 0 where a head does not tell.
    #[serde(default)]
    pub(crate) numerics: u32,
}

impl From<&Settings> for FeatureSource {
    fn from(s: &Settings) -> Self {
        Self {
            backbone: s.backbone.clone(),
            layer: s.layer.clone(),
            pooling: s.pooling.clone(),
            weights: s.weights.clone(),
            image_size: s.image_size,
            interpolation: s.interpolation.clone(),
            preprocess: s.preprocess.clone(),
            precision: s.precision.clone(),
            engine: s.engine.clone(),
            isa_or_gpu: s.isa_or_gpu.clone(),
            dtype: s.dtype,
            row_shape: s.row_shape.clone(),
            numerics: s.numerics,
        }
    }
}

impl FeatureSource {
    /// The pixels' part.
    ///
    /// # Errors
    /// A name that this version does not know.
    pub(crate) fn load_spec(&self) -> anyhow::Result<LoadSpec> {
        let [width, height] = self.image_size;
        Ok(LoadSpec {
            size: ImageSize { width, height },
            interpolation: self.interpolation.parse::<Interpolation>()?,
            preprocess: self.preprocess.parse::<Preprocess>()?,
        })
    }

    /// Whether a head of so many inputs can be fed, and whether batches of so many images fit into memory: before weights are
    /// looked for or an image is opened.
    ///
    /// # Errors
    /// They can't or don't.
    pub(crate) fn check(&self, inputs: usize, batch: usize) -> anyhow::Result<()> {
        let values = self.row_shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
        if values != Some(inputs) {
            bail!("expected rows of {inputs} values, found the shape {:?}", self.row_shape);
        }
        let [width, height] = self.image_size;
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            bail!("expected images of sides from 1 to {MAX_SIDE}, found {width}x{height}");
        }
        let base = Base::ending_at(&self.backbone, Some(&self.layer))?;
        let shapes = base.shapes(height as usize, width as usize)?;
        // Two batches of pixels, and at least the largest layer of one image beside the one before it.
        let pixels = 2 * batch as u64 * u64::from(width) * u64::from(height) * 3;
        let layers =
            shapes.windows(2).map(|w| (w[0].values() + w[1].values()) as u64).max().unwrap_or(0);
        let needed = 4 * (pixels + layers);
        match available::memory() {
            Some(available) if needed > available => Err(hinted(
                format!(
                    "images of {width}x{height} take at least {}, {} are available",
                    text::gib(needed),
                    text::gib(available)
                ),
                "give a smaller --batch-size, or free memory",
            )),
            _ => Ok(()),
        }
    }

    /// The base's part, with the same engine and precision; the weights must be bitwise those of the features.
    ///
    /// # Errors
    /// Weights can't be had or differ, or the device can't be had.
    pub(crate) fn extractor(
        &self,
        weights_spec: Option<&str>,
        find: &WeightsSearch<'_>,
        device: Device,
    ) -> anyhow::Result<Extractor> {
        let base = Base::ending_at(&self.backbone, Some(&self.layer))?;
        let weights = match weights_spec {
            Some(spec) => find.resolve(&base, spec)?,
            None => self.named_weights(&base, find)?,
        };
        if weights.sha256 != self.weights.sha256 {
            return Err(hinted(
                format!(
                    "weights '{}': expected sha256 {}, found {}",
                    weights.name, self.weights.sha256, weights.sha256
                ),
                "give --weights the file that the features were made with",
            ));
        }
        let base = base.for_variant(weights.variant)?;
        let pooling: Pooling = self.pooling.parse().map_err(anyhow::Error::msg)?;
        let precision = self.precision.parse()?;
        // The same instruction set where it exists, for the same bits.
        let isa = self.isa_or_gpu.parse().ok().filter(|isa: &backbone::Isa| isa.is_available());
        let on_cpu = matches!(device, Device::Auto | Device::Cpu) && self.engine == "cpu";
        let device = if on_cpu { Device::Cpu } else { device };
        let options =
            EngineOptions { device, precision: Some(precision), isa: isa.filter(|_| on_cpu) };
        let [width, height] = self.image_size.map(|n| n as usize);
        let extractor = Extractor::new(&base, &weights, [height, width], pooling, &options)?;
        if extractor.row_shape() != self.row_shape {
            bail!(
                "the base gives rows {:?}, the head was trained on {:?}",
                extractor.row_shape(),
                self.row_shape
            );
        }
        Ok(extractor)
    }
}

impl FeatureSource {
    /// The weights that the head names, if the name is one that this program knows by itself.
    ///
    /// A head may come from a stranger, and its words are data: they can't choose a file, an address or a program. What is
    /// left is what `extract` fetches of its own accord, in the same ways but without pip, and numbers that are drawn here.
    fn named_weights(&self, base: &Base, find: &WeightsSearch<'_>) -> anyhow::Result<Weights> {
        let WeightsId { name, sha256, .. } = &self.weights;
        if name.starts_with("random:") {
            return find.resolve(base, name);
        }
        match weights::pinned_sha256(name, &base.architecture()?) {
            Some(pinned) if pinned == sha256 => {
                find.resolve_changed(base, name, |options| options.pip = None)
            }
            // Known beforehand: nothing has to be fetched to find it out.
            Some(pinned) => Err(hinted(
                format!(
                    "weights '{name}': the head expects sha256 {}, they have {pinned}",
                    util::visible(sha256)
                ),
                "give --weights the file that the features were made with",
            )),
            None => Err(hinted(
                format!(
                    "the head's features were made with the weights '{}', which a head alone can't choose",
                    util::visible(name)
                ),
                "give them with --weights FILE or --weights OWNER/NAME, as for extract",
            )),
        }
    }
}

/// Where weights are looked for.
pub(crate) struct WeightsSearch<'a> {
    pub(crate) models_dir: &'a Path,
    pub(crate) offline: bool,
    /// The one package index to ask.
    pub(crate) index_url: Option<&'a weights::Url>,
    pub(crate) console: Console,
}

impl WeightsSearch<'_> {
    /// Weights for the whole base, so that their digest does not depend on the layer that features are taken from.
    ///
    /// # Errors
    /// See [`weights::resolve`].
    pub(crate) fn resolve(&self, base: &Base, spec: &str) -> anyhow::Result<Weights> {
        self.resolve_changed(base, spec, |_| ())
    }

    fn resolve_changed(
        &self,
        base: &Base,
        spec: &str,
        change: impl FnOnce(&mut weights::Options<'_>),
    ) -> anyhow::Result<Weights> {
        let progress = Transfer::new(self.console);
        let mut options = weights::Options::from_env(self.models_dir, self.offline, &progress);
        if let Some(url) = self.index_url {
            options.use_index(url.clone());
        }
        change(&mut options);
        weights::resolve(spec, &base.architecture()?, &options)
            .with_context(|| format!("weights for {}", base.name))
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
