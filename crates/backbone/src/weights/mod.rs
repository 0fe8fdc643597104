//! Pretrained weights: found, fetched, checked and read.
//!
//! [`resolve`] turns what a user writes (`timm/vgg16.tv_in1k`, `my/vgg16.pth`, `mirror`, `random:7`) into the convolution
//! kernels and biases that an architecture asks for, always as f32 and OIHW, whatever the file's layout was. The formats,
//! the order of the ways, the cache and the digest are described in `docs/weights.md`.

mod archive;
mod cache;
mod canonical;
mod convert;
mod error;
#[doc(hidden)]
pub mod format;
mod http;
mod hub;
mod index;
mod local;
mod mirror;
mod options;
mod pins;
mod pip;
mod random;
mod resolve;
mod schemes;
#[cfg(test)]
mod tests;

pub use error::{ErrorKind, Tried, WeightsError};
pub use index::{PackageIndex, parse_url as parse_index_url};
pub use options::{NoProgress, Options, Progress};
pub use pins::pinned as pinned_sha256;
pub use resolve::resolve;
pub use url::Url;

use std::collections::BTreeMap;

/// The hub id that is used when the user names none.
pub const DEFAULT_WEIGHTS: &str = "timm/vgg16.tv_in1k";

/// A dense array of f32 in C order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extent of each axis, outermost first.
    pub shape: Vec<usize>,
    /// The values, `shape.iter().product()` of them. f16, bf16 and f64 sources are converted.
    pub data: Vec<f32>,
}

/// Which preprocessing of the pixels a set of weights was trained with.
///
/// The names are those of Keras's `imagenet_utils.preprocess_input`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreprocessHint {
    /// RGB in 0..1, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225).
    Torch,
    /// BGR in 0..255, minus (103.939, 116.779, 123.68).
    Caffe,
    /// RGB, over 127.5, minus 1.
    Tf,
}

impl PreprocessHint {
    /// Every hint.
    pub const ALL: &'static [Self] = &[Self::Torch, Self::Caffe, Self::Tf];

    /// The name on the command line and in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Torch => "torch",
            Self::Caffe => "caffe",
            Self::Tf => "tf",
        }
    }
}

impl std::fmt::Display for PreprocessHint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for PreprocessHint {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        (Self::ALL.iter().copied().find(|h| h.name() == s))
            .ok_or_else(|| format!("unknown preprocessing '{s}': expected torch, caffe or tf"))
    }
}

/// One convolution layer that an architecture needs weights for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvSpec {
    /// Keras's name of the layer, such as `block1_conv1`.
    pub keras_name: String,
    /// torchvision's name of the layer, such as `features.0`.
    pub torch_name: String,
    /// Number of filters.
    pub out_channels: usize,
    /// Number of input channels.
    pub in_channels: usize,
    /// Height and width of a filter.
    pub kernel: [usize; 2],
}

impl ConvSpec {
    /// Shape of the kernel as it is handed out: (out, in, height, width).
    pub fn oihw(&self) -> [usize; 4] {
        [self.out_channels, self.in_channels, self.kernel[0], self.kernel[1]]
    }

    /// Shape of the kernel in Keras, TensorFlow and Flax files: (height, width, in, out).
    pub fn hwio(&self) -> [usize; 4] {
        [self.kernel[0], self.kernel[1], self.in_channels, self.out_channels]
    }
}

/// The weights of one base, complete and checked against its architecture.
#[derive(Clone, Debug)]
pub struct Weights {
    /// What was asked for: a hub id such as `timm/vgg16.tv_in1k`, a file's name, or `random:SEED`.
    pub name: String,
    /// Where the values came from, for people and manifests.
    pub source: String,
    /// sha256 of the canonical safetensors form of these tensors (lower-case hex); equal for equal weights, whatever file
    /// or server they came from.
    pub sha256: String,
    /// The preprocessing that these weights were trained with.
    pub preprocess: PreprocessHint,
    /// `<keras_name>/kernel` (OIHW) and `<keras_name>/bias`.
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// The kernel of a layer by its Keras name, as (out, in, height, width).
    pub fn kernel(&self, keras_name: &str) -> Option<&Tensor> {
        self.tensors.get(&format!("{keras_name}/kernel"))
    }

    /// The bias of a layer by its Keras name, as (out,).
    pub fn bias(&self, keras_name: &str) -> Option<&Tensor> {
        self.tensors.get(&format!("{keras_name}/bias"))
    }

    /// All tensors, `<keras_name>/kernel` and `<keras_name>/bias`, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }
}
