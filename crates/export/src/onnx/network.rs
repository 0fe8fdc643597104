//! A model's layers as ONNX's nodes.
//!
//! Maps are (N, channels, height, width) in ONNX and (N, height, width, channels) here. A value has both forms where both are
//! asked for, so that a transposition is only where the order counts: before convolutions, pools and the like, and before
//! what flattens.

use graph::{Graph, Op, Shape};

use super::draft::Draft;
use super::pixels;
use super::proto::{Attribute, Constant, Dim, Type, value};
use super::protobuf::Message;
use super::resize;
use crate::{ExportError, Model};

/// The input's name where it is pixels.
pub(super) const PIXELS: &str = "pixels";
/// The input's name where it is features.
pub(super) const FEATURES: &str = "features";
/// The output's name.
pub(super) const PROBABILITIES: &str = "probabilities";

/// All that `GraphProto` holds.
#[derive(Debug)]
pub(super) struct Network<'a> {
    pub(super) name: String,
    pub(super) nodes: Vec<Message>,
    pub(super) constants: Vec<Constant<'a>>,
    pub(super) input: Message,
    pub(super) output: Message,
}

/// What a node of the graph became.
#[derive(Clone, Debug, Default)]
pub(super) struct Value {
    /// Name of the value in storage order: of a map (N, height, width, channels).
    pub(super) storage: Option<String>,
    /// Of a map: name of the value with channels first.
    pub(super) channels_first: Option<String>,
}

/// The network while it is put together.
pub(super) struct Drafting<'a> {
    pub(super) model: &'a Model,
    pub(super) draft: Draft<'a>,
    /// By the position of the node.
    pub(super) shapes: Vec<Shape>,
    pub(super) values: Vec<Value>,
    /// What each node's output is called.
    pub(super) names: Vec<String>,
}

impl<'a> Network<'a> {
    /// The network of a model.
    pub(super) fn of(model: &'a Model, with_resize: bool) -> Result<Self, ExportError> {
        let [height, width, _] = model.input;
        let mut shapes = model.graph.shapes([height, width])?;
        let mut draft = Draft::default();
        let (input, output) = (draft.name(input_name(model)), draft.name(PROBABILITIES));
        let last = shapes.len() - 1;
        let is_binary = model.classes.len() == 2;
        let mut names: Vec<String> = Vec::with_capacity(shapes.len());
        for (at, node) in model.graph.nodes().iter().enumerate() {
            let is_output = at == last && !is_binary;
            names.push(if is_output { output.clone() } else { draft.name(&node.name) });
        }
        if is_vector(model) && reads_a_vector(&model.graph) {
            shapes[0] = Shape::Vector { len: shapes[0].values() };
        }
        let mut drafting = Drafting { model, draft, shapes, values: Vec::new(), names };
        let with_resize = with_resize && model.pixels.is_some();
        drafting.input(&input, with_resize)?;
        for at in 1..=last {
            drafting.layer(at)?;
        }
        let made = drafting.storage(last);
        let mut draft = drafting.draft;
        if is_binary {
            // The probability of the second class alone becomes one a class.
            let one = draft.float("classes/1", 1.0);
            let first = draft.node("Sub", "classes/first", &[&one, &made], &[]);
            let axis = [("axis", Attribute::Int(1))];
            draft.node_to(&output, "Concat", "classes", &[&first, &made], &axis);
        } else if made != output {
            draft.node_to(&output, "Identity", "classes", &[&made], &[]);
        }
        let fixed = model.input_axes.iter().map(|&extent| Dim::Fixed(extent));
        let mut dims: Vec<Dim<'_>> = std::iter::once(Dim::Any("N")).chain(fixed).collect();
        if with_resize {
            dims = vec![Dim::Fixed(1), Dim::Any("H"), Dim::Any("W"), Dim::Fixed(3)];
        }
        let kind = if model.pixels.is_some() { Type::Uint8 } else { Type::Float };
        let outputs = [
            if with_resize { Dim::Fixed(1) } else { Dim::Any("N") },
            Dim::Fixed(model.classes.len()),
        ];
        Ok(Self {
            name: model.name.clone(),
            nodes: draft.nodes,
            constants: draft.constants,
            input: value(&input, kind, &dims),
            output: value(&output, Type::Float, &outputs),
        })
    }
}

/// What the input is called.
pub(super) fn input_name(model: &Model) -> &'static str {
    if model.pixels.is_some() { PIXELS } else { FEATURES }
}

fn is_vector(model: &Model) -> bool {
    model.input_axes.len() == 1
}

/// Whether all that reads the input flattens it, so that it may be a vector as well.
fn reads_a_vector(graph: &Graph) -> bool {
    let readers = graph.nodes().iter().filter(|node| node.inputs.contains(&0));
    readers.into_iter().all(|node| matches!(node.op, Op::Flatten))
}

impl Drafting<'_> {
    fn input(&mut self, input: &str, with_resize: bool) -> Result<(), ExportError> {
        let name = self.names[0].clone();
        let storage = match self.model.pixels {
            Some(spec) => {
                let float = [("to", Attribute::Int(Type::Float as i64))];
                let values = match with_resize {
                    true => resize::resize(&mut self.draft, input, spec.size, spec.interpolation)?,
                    false => self.draft.node("Cast", "preprocessing/float", &[input], &float),
                };
                pixels::preprocess(&mut self.draft, &values, spec.preprocess, &name);
                name
            }
            None if is_vector(self.model) && matches!(self.shapes[0], Shape::Map { .. }) => {
                let [height, width, channels] = self.model.input.map(|extent| extent as i64);
                let shape = self.draft.ints("input/shape", &[-1, height, width, channels]);
                self.draft.node_to(&name, "Reshape", "input", &[input, &shape], &[]);
                name
            }
            None => input.to_owned(),
        };
        self.values.push(Value { storage: Some(storage), channels_first: None });
        Ok(())
    }

    /// A value in storage order; it must have been made.
    pub(super) fn storage(&mut self, at: usize) -> String {
        let value = &self.values[at];
        match (&value.storage, &value.channels_first) {
            (Some(name), _) => name.clone(),
            (None, Some(name)) => {
                let name = name.clone();
                let made = self.transpose(at, &name, "channels_last", [0, 2, 3, 1]);
                self.values[at].storage = Some(made.clone());
                made
            }
            (None, None) => String::new(),
        }
    }

    /// A map with channels first; a vector as it is.
    pub(super) fn channels_first(&mut self, at: usize) -> String {
        if !matches!(self.shapes[at], Shape::Map { .. }) {
            return self.storage(at);
        }
        if let Some(name) = &self.values[at].channels_first {
            return name.clone();
        }
        let name = self.storage(at);
        let made = self.transpose(at, &name, "channels_first", [0, 3, 1, 2]);
        self.values[at].channels_first = Some(made.clone());
        made
    }

    fn transpose(&mut self, at: usize, value: &str, order: &str, axes: [i64; 4]) -> String {
        let name = format!("{}/{order}", self.model.graph.nodes()[at].name);
        self.draft.node("Transpose", &name, &[value], &[("perm", Attribute::Ints(axes.to_vec()))])
    }
}
