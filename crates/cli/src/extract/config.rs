//! Raw flags become one validated configuration before any work.

use anyhow::{Context as _, Result};
use backbone::{Base, EngineInfo, EngineOptions, Pooling};
use cache::{Dtype, Existing, OpenOptions};
use images::{Interpolation, LoadSpec, Preprocess};
use pipeline::{NUMERICS, Recipe, WeightsId};
use std::path::PathBuf;
use weights::PreprocessHint;

use super::args::{PreprocessChoice, Profile, RunArgs};
use crate::failure::hinted;

/// What `extract` will do.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) data: PathBuf,
    /// Split names, at least one.
    pub(super) splits: Vec<String>,
    pub(super) features: PathBuf,
    /// The base up to the layer that is kept.
    pub(super) base: Base,
    pub(super) pooling: Pooling,
    pub(super) weights: String,
    pub(super) models: PathBuf,
    pub(super) offline: bool,
    pub(super) index_url: Option<weights::Url>,
    pub(super) size: images::ImageSize,
    pub(super) interpolation: Interpolation,
    pub(super) preprocess: PreprocessChoice,
    pub(super) batch_size: usize,
    pub(super) dtype: Dtype,
    pub(super) engine: EngineOptions,
    pub(super) threads: Option<usize>,
    pub(super) open: OpenOptions,
}

impl Config {
    /// Checks everything that can be checked without weights and without reading an image.
    ///
    /// # Errors
    /// A layer or size that the base does not have, a data folder or split that is not there.
    pub(super) fn new(args: RunArgs) -> Result<Self> {
        let base = Base::ending_at(&args.base.backbone, args.base.layer.as_deref())?;
        let weights = args.weights.clone().or_else(|| base.default_weights.map(str::to_owned));
        let weights = weights.ok_or_else(|| {
            hinted(
                format!("weights for {}: the hub has none", base.name),
                "give a file with --weights FILE: docs/weights.md says who publishes one",
            )
        })?;
        let size = args.base.image_size(&base);
        base.output_shape(size.height as usize, size.width as usize)?;
        let splits = splits(&args)?;
        if args.features.exists() && !args.features.is_dir() {
            return Err(hinted(
                format!(
                    "features folder '{}': expected a folder or nothing, found a file",
                    args.features.display()
                ),
                "choose another folder with --features DIR",
            ));
        }
        let lesson = args.profile == Some(Profile::Lesson);
        let interpolation = if lesson { Interpolation::Nearest } else { Interpolation::Bilinear };
        let preprocess = if lesson {
            PreprocessChoice::Fixed(Preprocess::Rescale)
        } else {
            PreprocessChoice::Auto
        };
        Ok(Self {
            weights,
            data: args.data,
            splits,
            features: args.features,
            base,
            pooling: args.base.pooling,
            models: args.models,
            offline: args.offline,
            index_url: args.index_url,
            size,
            interpolation: args.interpolation.unwrap_or(interpolation),
            preprocess: args.preprocess.unwrap_or(preprocess),
            batch_size: args.batch_size as usize,
            dtype: args.dtype,
            engine: EngineOptions { device: args.device, precision: args.precision, isa: args.isa },
            threads: args.threads,
            open: OpenOptions {
                existing: match (args.overwrite, args.update) {
                    (true, _) => Existing::Overwrite,
                    (_, true) => Existing::Update,
                    _ => Existing::Refuse,
                },
                shard: args.shard,
                on_error: args.on_error,
                rules: Recipe::RULES,
            },
        })
    }

    /// How files become pixels, once it is known what the weights were trained with.
    pub(super) fn load_spec(&self, trained: Preprocess) -> LoadSpec {
        let preprocess = match self.preprocess {
            PreprocessChoice::Fixed(fixed) => fixed,
            PreprocessChoice::Auto => trained,
        };
        LoadSpec { size: self.size, interpolation: self.interpolation, preprocess }
    }

    /// Everything that decides the bits of a row.
    pub(super) fn recipe(
        &self,
        base: &Base,
        weights: WeightsId,
        spec: &LoadSpec,
        engine: &EngineInfo,
    ) -> Recipe {
        Recipe {
            numerics: NUMERICS,
            backbone: base.name.to_owned(),
            variant: base.variant().map(str::to_owned),
            layer: base.last_layer().to_owned(),
            pooling: self.pooling,
            weights,
            image_size: spec.size,
            interpolation: spec.interpolation,
            preprocess: spec.preprocess,
            precision: engine.precision,
            hardware: engine.hardware.clone(),
            dtype: self.dtype,
        }
    }
}

/// The preprocessing that weights were trained with.
pub(crate) fn preprocess_of(hint: PreprocessHint) -> Preprocess {
    match hint {
        PreprocessHint::Torch => Preprocess::Torch,
        PreprocessHint::Caffe => Preprocess::Caffe,
        PreprocessHint::Tf => Preprocess::Tf,
    }
}

/// The splits asked for, or those that exist.
fn splits(args: &RunArgs) -> Result<Vec<String>> {
    let data = args.data.display();
    if !args.data.is_dir() {
        return Err(hinted(
            format!(
                "data folder '{data}': expected a folder with train, validation and test, found none"
            ),
            "give its path with --data DIR",
        ));
    }
    if args.split.is_empty() {
        return images::find_splits(&args.data).with_context(|| format!("data folder '{data}'"));
    }
    let mut splits = Vec::new();
    for split in &args.split {
        if !args.data.join(split).is_dir() {
            return Err(hinted(
                format!("split '{split}': expected a folder '{}'", args.data.join(split).display()),
                "name an existing folder with --split, or leave it out to take all",
            ));
        }
        if !splits.contains(split) {
            splits.push(split.clone());
        }
    }
    Ok(splits)
}
