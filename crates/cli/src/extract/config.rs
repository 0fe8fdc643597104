//! Raw flags become one validated configuration before any work.

use anyhow::{Context as _, Result};
use backbone::{Base, EngineOptions};
use cache::{Existing, OpenOptions};
use images::{Interpolation, Preprocess};
use pipeline::extract::{ExtractOptions, Views};
use pipeline::{Augmented, Error, Recipe};

use super::args::{PreprocessChoice, Profile, RunArgs};
use crate::hints::hinted;
use crate::source_args::SourceArgs;

/// Views beside the picture where nothing else is said.
const VIEWS: u32 = 8;

/// What `extract` will do.
#[derive(Debug)]
pub(crate) struct Config {
    /// Split names, at least one.
    pub(crate) splits: Vec<String>,
    pub(crate) source: SourceArgs,
    pub(crate) threads: Option<usize>,
    /// What the library needs.
    pub(crate) options: ExtractOptions,
}

impl Config {
    /// Checks everything that can be checked without weights and without reading an image.
    ///
    /// # Errors
    /// A layer or size that the base does not have, a data folder or split that is not there.
    pub(crate) fn new(args: RunArgs) -> Result<Self> {
        let mut config = Self::without_data(args.clone())?;
        config.splits = splits(&args)?;
        if args.features.exists() && !args.features.is_dir() {
            return Err(hinted(
                format!(
                    "features folder '{}': expected a folder or nothing, found a file",
                    args.features.display()
                ),
                "choose another folder with --features DIR",
            ));
        }
        Ok(config)
    }

    /// The same without a folder of pictures: no splits.
    ///
    /// # Errors
    /// A layer or size that the base does not have.
    pub(crate) fn without_data(args: RunArgs) -> Result<Self> {
        let base = Base::ending_at(&args.base.backbone, args.base.layer.as_deref())?;
        let weights = args.weights.clone().or_else(|| base.default_weights.map(str::to_owned));
        let weights_spec = weights.ok_or(Error::NoWeights { base: base.name })?;
        let size = args.base.image_size(&base);
        base.output_shape(size.height as usize, size.width as usize)?;
        let lesson = args.profile == Some(Profile::Lesson);
        let interpolation = if lesson { Interpolation::Nearest } else { Interpolation::Bilinear };
        let preprocess = match args.preprocess {
            Some(PreprocessChoice::Fixed(fixed)) => Some(fixed),
            Some(PreprocessChoice::Auto) => None,
            None => lesson.then_some(Preprocess::Rescale),
        };
        let views = args.augment.map(|transforms| Views {
            count: args.views.unwrap_or(VIEWS),
            augmented: Augmented { transforms, seed: args.seed.unwrap_or_default() },
        });
        let options = ExtractOptions {
            data: args.data,
            features: args.features,
            base,
            pooling: args.base.pooling,
            weights_spec,
            size,
            interpolation: args.interpolation.unwrap_or(interpolation),
            preprocess,
            views,
            batch_size: args.batch_size as usize,
            dtype: args.dtype,
            engine: EngineOptions {
                device: args.device.with_engine(args.engine),
                precision: args.precision,
                isa: args.isa,
            },
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
        };
        Ok(Self { splits: Vec::new(), source: args.source, threads: args.threads, options })
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
