//! The settings of an extraction.

use backbone::{Base, EngineInfo, EngineOptions, Pooling};
use cache::{Dtype, OpenOptions};
use images::{ImageSize, Interpolation, Preprocess};
use std::path::PathBuf;

use crate::recipe::{Augmented, NUMERICS, Recipe, WeightsId};

/// What to extract, and how.
#[derive(Debug)]
pub struct ExtractOptions {
    /// Folder with a folder a split.
    pub data: PathBuf,
    /// Folder for the arrays.
    pub features: PathBuf,
    /// The base up to the layer that is kept.
    pub base: Base,
    /// Pooling after it.
    pub pooling: Pooling,
    /// The weights as they were requested, for the record.
    pub weights_spec: String,
    /// Size that images are resized to.
    pub size: ImageSize,
    /// How.
    pub interpolation: Interpolation,
    /// How pixels become numbers; `None`: as the weights were trained.
    pub preprocess: Option<Preprocess>,
    /// Views of each picture of the split [`TRAIN`] beside the picture itself; all other splits have the pictures alone.
    pub views: Option<Views>,
    /// Images the base takes at once.
    pub batch_size: usize,
    /// How features are stored.
    pub dtype: Dtype,
    /// What runs the base.
    pub engine: EngineOptions,
    /// What to do with what is in the folder.
    pub open: OpenOptions,
}

/// The split whose pictures may have several views.
pub const TRAIN: &str = "train";

/// Random views of pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Views {
    /// How many beside the picture itself.
    pub count: u32,
    /// How they are drawn.
    pub augmented: Augmented,
}

impl ExtractOptions {
    pub(crate) fn recipe(&self, base: &Base, weights: WeightsId, engine: &EngineInfo) -> Recipe {
        Recipe {
            numerics: NUMERICS,
            backbone: base.name.to_owned(),
            variant: base.variant().map(str::to_owned),
            layer: base.last_layer().to_owned(),
            pooling: self.pooling,
            image_size: self.size,
            interpolation: self.interpolation,
            preprocess: self.preprocess.unwrap_or(weights.preprocess),
            precision: engine.precision,
            hardware: engine.hardware.clone(),
            dtype: self.dtype,
            weights,
            views: 1,
            augmentation: None,
        }
    }
}
