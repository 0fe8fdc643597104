//! What is written, whatever the format.

use graph::{Activation, Graph, Op, ParamSpec, Shape};
use images::LoadSpec;
use std::fmt;

use crate::ExportError;

/// Which part of a trained model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Part {
    /// From pixels to probabilities: the base, and what was trained on it.
    #[default]
    Whole,
    /// From cached features to probabilities: only what was trained.
    Head,
}

util::named!(Part, "part", { Whole = "whole", Head = "head" });

/// A model for another program: one graph from pixels or features to probabilities, with its tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What it is called: the name of its folder.
    pub name: String,
    /// The layers. The first is the input, a map of [`Model::input`]; the last is a sigmoid of one value for two classes (the
    /// probability of the second), else a softmax with a value a class. Batch normalisation is not folded, dropout is there.
    pub graph: Graph,
    /// A value for each of [`Graph::params`], in that order and in Keras's layouts: kernels (height, width, in, out) and (in, out).
    pub tensors: Vec<(ParamSpec, Vec<f32>)>,
    /// Height, width and channels of the graph's input.
    pub input: [usize; 3],
    /// How an input is stored: of features as in the `.npy` file without the axis of the rows, so `[channels]` where they were
    /// pooled; else as [`Model::input`].
    pub input_axes: Vec<usize>,
    /// How a picture becomes the graph's input: its size and the filter, then what is done to the values 0 to 255. `None` for a head on features.
    pub pixels: Option<LoadSpec>,
    /// The classes, in label order, at least 2.
    pub classes: Vec<String>,
    /// Probabilities with this temperature are right as often as they say; `None` where no validation split chose one.
    pub temperature: Option<f64>,
    /// Above which probability of the second of two classes the validation split chose to predict it.
    pub threshold: Option<f64>,
    /// The base that features come from; `None` for a network of its own on pixels.
    pub base: Option<BaseOrigin>,
    /// Version of the tool that trained it.
    pub trained_with: String,
    /// Where the written model and `predict` may differ by more than the rounding of f32.
    pub remarks: Vec<Remark>,
}

/// The base of a model, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseOrigin {
    /// Such as `vgg16`.
    pub name: String,
    /// The layer whose output is the features.
    pub layer: String,
    /// The weights, as they were requested.
    pub weights: String,
    /// Their digest.
    pub weights_sha256: String,
}

/// Why the written model may give other probabilities than `predict`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Features were cached with 16 bits, and `predict` rounds them so.
    HalfFeatures,
    /// Resized pictures had fractions of levels, and the model takes whole ones.
    Fractions,
    /// The base was run with less than full precision.
    Precision(String),
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HalfFeatures => f.write_str(
                "predict rounds the features to f16, as they were cached; the exported model does not: probabilities differ by up to about 0.001",
            ),
            Self::Fractions => f.write_str(
                "predict resizes with tf-bilinear to fractions of levels; the exported model takes whole levels: probabilities differ a little",
            ),
            Self::Precision(name) => write!(
                f,
                "the features were computed with precision {name}; the exported model computes with f32: probabilities differ a little"
            ),
        }
    }
}

impl Model {
    /// Refuses a model whose tensors are not those of its graph, or whose output is not a probability a class.
    ///
    /// # Errors
    /// [`ExportError::Graph`], [`ExportError::Tensors`].
    pub fn check(&self) -> Result<(), ExportError> {
        let wrong = |expected: String, found: String| Err(ExportError::Tensors { expected, found });
        let [height, width, channels] = self.input;
        let specs = self.graph.params([height, width])?;
        let of_input = match self.graph.nodes()[0].op {
            Op::Input { channels } => channels,
            _ => 0,
        };
        let values: usize = self.input_axes.iter().product();
        if of_input != channels || values != height * width * channels {
            return wrong(
                format!("an input of {:?}", self.input),
                format!("{of_input} channels, axes {:?}", self.input_axes),
            );
        }
        if specs.len() != self.tensors.len() {
            return wrong(
                format!("{} parameters", specs.len()),
                format!("{} tensors", self.tensors.len()),
            );
        }
        for (spec, (own, values)) in specs.iter().zip(&self.tensors) {
            if spec != own || values.len() != spec.values() {
                let found = format!("{} values of {} {:?}", values.len(), own.path(), own.shape);
                return wrong(format!("{} {:?}", spec.path(), spec.shape), found);
            }
        }
        let outputs = if self.classes.len() == 2 { 1 } else { self.classes.len() };
        let shape = self.graph.output_shape([height, width])?;
        if self.classes.len() < 2 || shape != (Shape::Vector { len: outputs }) {
            return wrong(format!("{outputs} outputs"), format!("an output of {shape}"));
        }
        let activation = match self.graph.output().op {
            Op::Dense(dense) => dense.activation,
            Op::Act(activation) => Some(activation),
            _ => None,
        };
        let expected = if outputs == 1 { Activation::Sigmoid } else { Activation::Softmax };
        if activation != Some(expected) {
            let last = &self.graph.output().name;
            return wrong(format!("a {expected:?} at the end"), format!("the layer '{last}'"));
        }
        Ok(())
    }

    /// The values of a parameter; none where the graph has no such parameter.
    pub fn values(&self, node: &str, role: graph::Role) -> Option<&[f32]> {
        let found = self.tensors.iter().find(|(spec, _)| spec.role == role && spec.node == node);
        found.map(|(_, values)| values.as_slice())
    }
}
