//! Pretrained weights: found, fetched, checked and read.
//!
//! [`resolve`] turns what a user writes (`timm/vgg16.tv_in1k`, `my/vgg16.pth`, `mirror`, `random:7`) into the tensors that an
//! [`Architecture`] asks for, always as f32 and in PyTorch's layout, whatever the file's was. Which variant of the base they
//! are for, and which preprocessing, follows from the file. The formats, the order of the ways, the cache and the digest are
//! described in `docs/weights.md`.
//!
//! This crate knows names and shapes of parameters; it does not know what is computed with them. It starts no program but
//! the pip that a user has named, and asks no server but those of the user's own configuration.
//!
//! ```
//! use graph::{Builder, Conv, Op, Role};
//! use weights::{Architecture, Framework, NoProgress, Options, PreprocessHint, Variant};
//!
//! let mut builder = Builder::new();
//! let pixels = builder.input("input_1", 3);
//! let conv = builder.add("conv1", Op::Conv(Conv::new(8, [3, 3])), &[pixels]);
//! let graph = builder.finish(conv)?;
//! let variant = Variant::new("mine", Framework::Keras, PreprocessHint::Tf, &graph, [32, 32])?;
//! let architecture = Architecture {
//!     base: "tiny".into(),
//!     with_classifier: false,
//!     variants: vec![variant],
//!     published: vec![],
//! };
//! let options = Options::from_lookup("models".as_ref(), true, &NoProgress, &|_| None);
//! let weights = weights::resolve("random:7", &architecture, &options)?;
//! assert_eq!(weights.get("conv1", Role::Kernel).unwrap().shape, [8, 3, 3, 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod architecture;
mod canonical;
mod error;
#[doc(hidden)]
pub mod format;
mod http;
mod layout;
mod names;
mod options;
mod pins;
mod plan;
mod resolve;
mod source;
mod spec;
#[cfg(test)]
mod tests;

pub use architecture::{
    Architecture, Framework, Parameter, PreprocessHint, PublishedDigest, PublishedFile, Variant,
};
pub use error::{ErrorKind, Remedy, Tried, WeightsError};
pub use layout::fits_state_dict;
pub use options::{NoProgress, Options, Progress};
pub use pins::pinned_sha256;
pub use resolve::resolve;
pub use source::index::{PackageIndex, parse_url as parse_index_url};
pub use url::Url;

use graph::Role;

/// The hub id of the usual weights of VGG16, which the package-index mirror has too.
pub const DEFAULT_WEIGHTS: &str = "timm/vgg16.tv_in1k";

/// A dense array of f32 in C order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extent of each axis, outermost first.
    pub shape: Vec<usize>,
    /// The values, `shape.iter().product()` of them. f16, bf16 and f64 sources are converted.
    pub data: Vec<f32>,
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
    /// Whose form of the base they are for: the name of a [`Variant`].
    pub variant: &'static str,
    /// The preprocessing that these weights were trained with.
    pub preprocess: PreprocessHint,
    tensors: Vec<(Parameter, Tensor)>,
}

impl Weights {
    /// A parameter of a layer, by Keras's name of the layer.
    ///
    /// # Shapes
    /// See [`Parameter::shape`]. A dense layer that reads a flattened map takes its values channel by channel.
    pub fn get(&self, node: &str, role: Role) -> Option<&Tensor> {
        self.find(node, role).map(|(_, tensor)| tensor)
    }

    /// The values of a parameter for engines that flatten maps pixel by pixel, as NHWC has them in storage: those of a dense
    /// layer that reads a flattened map are reordered.
    pub fn nhwc_values(&self, node: &str, role: Role) -> Option<Vec<f32>> {
        let (parameter, tensor) = self.find(node, role)?;
        Some(pixel_by_pixel(parameter, tensor).unwrap_or_else(|| tensor.data.clone()))
    }

    /// As [`Weights::nhwc_values`]; the parameter is taken out of the weights, so that it is not copied.
    pub fn take_nhwc_values(&mut self, node: &str, role: Role) -> Option<Vec<f32>> {
        let is_it =
            |parameter: &Parameter| parameter.spec.role == role && parameter.spec.node == node;
        let at = self.tensors.iter().position(|(parameter, _)| is_it(parameter))?;
        let (parameter, tensor) = self.tensors.remove(at);
        Some(pixel_by_pixel(&parameter, &tensor).unwrap_or(tensor.data))
    }

    /// All parameters, node by node, within a node in Keras's order.
    pub fn iter(&self) -> impl Iterator<Item = (&Parameter, &Tensor)> {
        self.tensors.iter().map(|(parameter, tensor)| (parameter, tensor))
    }

    fn find(&self, node: &str, role: Role) -> Option<(&Parameter, &Tensor)> {
        self.iter()
            .find(|(parameter, _)| parameter.spec.role == role && parameter.spec.node == node)
    }
}

/// The values of a dense layer that reads a flattened map, reordered from channel by channel to pixel by pixel; none for others.
fn pixel_by_pixel(parameter: &Parameter, tensor: &Tensor) -> Option<Vec<f32>> {
    match (parameter.flattened, tensor.shape.as_slice()) {
        (Some([h, w, c]), &[out, _]) => {
            Some(util::permute(&tensor.data, [out, c, h, w], [0, 2, 3, 1]))
        }
        _ => None,
    }
}
