//! A head on disk: `head.safetensors` and `head.json`.

use crate::{Activation, EpochStats, FitConfig, Head, HeadError};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Version of `head.json` that this crate writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;
/// File of weights: Keras-layout kernels (in, out) and biases, f32, named `dense/kernel`, `dense/bias`, `dense_1/kernel`, …
pub const HEAD_TENSORS: &str = "head.safetensors";
/// File of everything else that prediction needs.
pub const HEAD_JSON: &str = "head.json";

/// One layer in `head.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// `dense`, `dense_1`, …
    pub name: String,
    /// Width of the input.
    pub inputs: usize,
    /// Width of the output.
    pub outputs: usize,
    /// What follows the affine map.
    pub activation: Activation,
}

/// How a head was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// The settings.
    pub config: FitConfig,
    /// One entry an epoch.
    pub history: Vec<EpochStats>,
    /// Epoch of the lowest validation loss, from 1.
    pub best_epoch: Option<usize>,
    /// The weights are those of `best_epoch`, not of the last epoch.
    pub restored_best: bool,
}

/// `head.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadManifest {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Version of the tool that wrote it.
    pub tool_version: String,
    /// Class names in index order.
    pub classes: Vec<String>,
    /// Layers in order; must agree with the weights.
    pub layers: Vec<LayerRecord>,
    /// How it was trained.
    pub training: TrainingRecord,
    /// Where the features come from (base, weights, size, preprocessing, …): the command line's part, opaque here.
    pub features: serde_json::Value,
}

impl HeadManifest {
    /// The manifest of a training run.
    pub fn new(
        fitted: &crate::Fitted,
        config: &FitConfig,
        classes: Vec<String>,
        features: serde_json::Value,
    ) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            classes,
            layers: Vec::new(),
            training: TrainingRecord {
                config: config.clone(),
                history: fitted.history.clone(),
                best_epoch: fitted.best_epoch,
                restored_best: fitted.restored_best,
            },
            features,
        }
    }
}

impl Head {
    /// Writes both files into `dir` (made if missing), each by a temporary file, fsync and rename.
    pub fn save(&self, dir: &Path, _manifest: &HeadManifest) -> Result<(), HeadError> {
        Err(HeadError::Format {
            path: dir.to_owned(),
            detail: "not yet".to_owned(),
        })
    }
    /// Reads both files from `dir`, trusting neither.
    pub fn load(dir: &Path) -> Result<(Self, HeadManifest), HeadError> {
        Err(HeadError::Format {
            path: dir.to_owned(),
            detail: "not yet".to_owned(),
        })
    }
}
