//! A network as text: what people write by hand as TOML, and what saved models hold as JSON.
//!
//! ```
//! let text = r#"
//!     [[layer]]
//!     op = "conv"
//!     filters = 32
//!     kernel = 3
//!     activation = "relu"
//!
//!     [[layer]]
//!     op = "max-pool"
//!
//!     [[layer]]
//!     op = "flatten"
//!
//!     [[layer]]
//!     op = "dense"
//!     name = "top"
//!     units = 10
//! "#;
//! let graph = graph::description::Description::from_toml(text)?.build(3)?;
//! let names: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
//! assert_eq!(names, ["input_1", "conv2d", "max_pooling2d", "flatten", "top"]);
//! # Ok::<(), graph::description::DescriptionError>(())
//! ```
//!
//! Each layer has an `op`. `name` is Keras's automatic name without one, `inputs` the layer before; the first layer takes the
//! input, whose name is `input_1` or that of a field `input` above the first layer. `tensors` is [`Node::tensors`]. The other
//! fields and their defaults are Keras's, words joined by hyphens:
//!
//! | op | fields |
//! |---|---|
//! | `conv` | `filters`, `kernel`, `stride = 1`, `padding = "valid"`, `dilation = 1`, `groups = 1`, `bias = true`, `activation` |
//! | `depthwise-conv` | `kernel`, `stride = 1`, `padding = "valid"`, `dilation = 1`, `multiplier = 1`, `bias = true` |
//! | `separable-conv` | `filters`, `kernel`, `stride = 1`, `padding = "valid"`, `dilation = 1`, `multiplier = 1`, `bias = true` |
//! | `batch-norm` | `epsilon = 0.001`, `momentum = 0.99` (PyTorch's is 1 minus this), `center = true`, `scale = true` |
//! | `activation` | `activation`: `"relu"`, `"relu6"`, `"sigmoid"`, `"softmax"`, `"swish"` or `"gelu"` |
//! | `max-pool` | `size = 2`, `stride` = the size, `padding = "valid"` |
//! | `average-pool` | as `max-pool`, and `count-padding = false` |
//! | `global-max-pool`, `global-average-pool` | `keep-dims = false` |
//! | `add` | `scale`: a factor of the second input |
//! | `concat`, `multiply`, `flatten` | – |
//! | `pad` | `padding = 1`, or `same-for`: a window such as `{ size = 3, stride = 2 }` |
//! | `reshape` | `shape`, such as `[7, 7, 64]` |
//! | `dense` | `units`, `bias = true`, `activation` |
//! | `dropout` | `rate` |
//!
//! `kernel`, `stride`, `dilation` and `size` are a number or `[vertical, horizontal]`; a padding is a name, a number, or
//! `[top, left, bottom, right]`.

mod build;
mod error;
mod field;
mod layer;
mod op;
#[cfg(test)]
mod tests;

pub use error::DescriptionError;

use crate::Graph;
use layer::Layer;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

#[cfg(doc)]
use crate::Node;

/// The most layers that a description may have: more than ten times the deepest base.
pub const MAX_LAYERS: usize = 10_000;

/// The name of the input where a description has none.
const INPUT: &str = "input_1";

/// The layers of a network, each with its name and the names of what it takes. See the [module](self) for the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    input: Option<String>,
    layers: Vec<Layer>,
}

/// As it is written, before the fields of each layer are checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    layer: Vec<Map<String, Value>>,
}

impl Description {
    /// Reads a description that somebody wrote as TOML. It may still be one that can't be built.
    ///
    /// # Errors
    /// [`DescriptionError::Toml`], [`DescriptionError::TooManyLayers`]; [`DescriptionError::Layer`]: an operation or a field
    /// that there is not, a field that is missing, or a value that it does not take.
    pub fn from_toml(text: &str) -> Result<Self, DescriptionError> {
        let written: Written = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.as_bytes().iter().take(start);
            let line = before.filter(|byte| **byte == b'\n').count() + 1;
            let reason = util::visible(&error.message().replace('\n', "; ")).into_owned();
            DescriptionError::Toml { line, reason }
        })?;
        Self::read(written)
    }

    /// Describes a graph; [`Description::build`] makes the same graph of it.
    pub fn of(graph: &Graph) -> Self {
        let nodes = graph.nodes();
        let input = Some(nodes[0].name.clone()).filter(|name| name != INPUT);
        let layers = nodes.iter().enumerate().skip(1).map(|(index, node)| {
            let names = || node.inputs.iter().map(|&input| nodes[input].name.clone()).collect();
            let follows = node.inputs == [index - 1];
            Layer {
                op: node.op,
                name: Some(node.name.clone()),
                inputs: if follows { None } else { Some(names()) },
                tensors: node.tensors.clone(),
            }
        });
        Self { input, layers: layers.collect() }
    }

    fn read(written: Written) -> Result<Self, DescriptionError> {
        if written.layer.len() > MAX_LAYERS {
            return Err(DescriptionError::TooManyLayers(written.layer.len()));
        }
        let layers = written.layer.into_iter().zip(1..).map(|(layer, n)| Layer::read(layer, n));
        Ok(Self { input: written.input, layers: layers.collect::<Result<_, _>>()? })
    }
}

/// As text of the layers' fields; fields with their defaults are left out.
impl Serialize for Description {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let layer = self.layers.iter().map(Layer::write).collect();
        Written { input: self.input.clone(), layer }.serialize(serializer)
    }
}

/// As strict as [`Description::from_toml`].
impl<'de> Deserialize<'de> for Description {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Written::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
