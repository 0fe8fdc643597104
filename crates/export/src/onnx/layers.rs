//! What each kind of layer becomes.

use graph::{Activation, Depthwise, Node, Norm, Op, Padding, Pool, PoolKind, Role, Shape, Window};
use std::borrow::Cow;
use util::permute;

use super::network::{Drafting, Value};
use super::proto::{Attribute, Data};
use crate::ExportError;

type Attributes = Vec<(&'static str, Attribute)>;

impl<'a> Drafting<'a> {
    /// Adds the node at this position of the graph.
    pub(super) fn layer(&mut self, at: usize) -> Result<(), ExportError> {
        let model = self.model;
        let node = &model.graph.nodes()[at];
        let first = node.inputs.first().copied().unwrap_or(0);
        let tokens = |shape: &Shape| matches!(shape, Shape::Tokens { .. });
        if tokens(&self.shapes[at]) {
            return Err(unsupported(node, "tokens"));
        }
        let name = self.names[at].clone();
        let layer = node.name.as_str();
        match &node.op {
            Op::Input { .. } => return Err(unsupported(node, "second input")),
            // The same values under another name.
            Op::Dropout { .. } => {
                let value = self.values[first].clone();
                self.values.push(value);
                return Ok(());
            }
            Op::Conv(conv) => {
                let x = self.channels_first(first);
                let attributes = self.window(first, conv.padding, &conv.window(), conv.groups);
                let kernel = self.kernel(layer, Role::Kernel, [3, 2, 0, 1]);
                let bias = conv.bias.then(|| self.vector(layer, Role::Bias));
                self.convolution(&name, layer, [&x, &kernel], bias, &attributes, conv.activation);
            }
            Op::Depthwise(depthwise) => {
                let x = self.channels_first(first);
                let attributes = self.depthwise_window(first, depthwise);
                let kernel = self.kernel(layer, Role::DepthwiseKernel, [2, 3, 0, 1]);
                let bias = depthwise.bias.then(|| self.vector(layer, Role::Bias));
                self.convolution(&name, layer, [&x, &kernel], bias, &attributes, None);
            }
            Op::Separable(separable) => {
                let x = self.channels_first(first);
                let attributes = self.depthwise_window(first, &separable.depthwise);
                let kernel = self.kernel(layer, Role::DepthwiseKernel, [2, 3, 0, 1]);
                let half = format!("{layer}/depthwise");
                let middle = self.draft.node("Conv", &half, &[&x, &kernel], &attributes);
                let kernel = self.kernel(layer, Role::PointwiseKernel, [3, 2, 0, 1]);
                let bias = separable.bias.then(|| self.vector(layer, Role::Bias));
                self.convolution(&name, layer, [&middle, &kernel], bias, &[], None);
            }
            Op::Norm(norm) => {
                let x = self.channels_first(first);
                self.norm(&name, layer, &x, norm, self.shapes[at].channels());
            }
            Op::Act(activation) => {
                let x = self.channels_first(first);
                self.activation(*activation, &name, layer, &x);
            }
            Op::Pool(pool) => {
                let x = self.channels_first(first);
                self.pool(&name, layer, first, &x, pool);
            }
            Op::GlobalPool { kind, keep_dims } => {
                let operator = match kind {
                    PoolKind::Max => "GlobalMaxPool",
                    PoolKind::Avg => "GlobalAveragePool",
                };
                let x = self.channels_first(first);
                if *keep_dims {
                    self.draft.node_to(&name, operator, layer, &[&x], &[]);
                } else {
                    let pooled = self.draft.name(&format!("{layer}/map"));
                    self.draft.node_to(&pooled, operator, layer, &[&x], &[]);
                    self.flatten(&name, &format!("{layer}/flatten"), &pooled);
                }
            }
            Op::Add { scale } => {
                let second = node.inputs.get(1).copied().unwrap_or(first);
                let (x, mut y) = (self.channels_first(first), self.channels_first(second));
                if let Some(scale) = scale {
                    let factor = self.draft.float(&format!("{layer}/factor"), *scale as f32);
                    y = self.draft.node("Mul", &format!("{layer}/scale"), &[&y, &factor], &[]);
                }
                self.draft.node_to(&name, "Add", layer, &[&x, &y], &[]);
            }
            Op::Multiply => {
                let second = node.inputs.get(1).copied().unwrap_or(first);
                let (x, y) = (self.channels_first(first), self.channels_first(second));
                self.draft.node_to(&name, "Mul", layer, &[&x, &y], &[]);
            }
            Op::Concat => {
                let inputs: Vec<String> =
                    node.inputs.iter().map(|&input| self.channels_first(input)).collect();
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                let axis = [("axis", Attribute::Int(1))];
                self.draft.node_to(&name, "Concat", layer, &inputs, &axis);
            }
            Op::Pad(pad) => {
                let x = self.channels_first(first);
                let [top, left, bottom, right] =
                    pad.resolve(extent(self.shapes[first])).map(|n| n as i64);
                let sides = [0, 0, top, left, 0, 0, bottom, right];
                let sides = self.draft.ints(&format!("{layer}/pads"), &sides);
                self.draft.node_to(&name, "Pad", layer, &[&x, &sides], &[]);
            }
            Op::Flatten if matches!(self.shapes[first], Shape::Vector { .. }) => {
                let value = self.values[first].clone();
                self.values.push(value);
                return Ok(());
            }
            Op::Flatten => {
                let x = self.storage(first);
                self.flatten(&name, layer, &x);
            }
            Op::Reshape(shape) => {
                let x = self.storage(first);
                let dims = shape.dims().into_iter().map(|extent| extent as i64);
                let dims: Vec<i64> = std::iter::once(-1).chain(dims).collect();
                let dims = self.draft.ints(&format!("{layer}/shape"), &dims);
                self.draft.node_to(&name, "Reshape", layer, &[&x, &dims], &[]);
                self.values.push(Value { storage: Some(name), channels_first: None });
                return Ok(());
            }
            Op::Dense(dense) => {
                let x = self.storage(first);
                let shape = [self.shapes[first].channels(), dense.units];
                let kernel = self.parameter(layer, Role::Kernel);
                let kernel = self.draft.constant(
                    &format!("{layer}/kernel"),
                    &shape,
                    Data::Float(Cow::Borrowed(kernel)),
                );
                let bias = dense.bias.then(|| self.vector(layer, Role::Bias));
                let mut inputs = vec![x.as_str(), kernel.as_str()];
                inputs.extend(bias.as_deref());
                self.with_activation(&name, layer, "Gemm", &inputs, &[], dense.activation);
            }
        }
        self.values.push(match self.shapes[at] {
            Shape::Map { .. } => Value { storage: None, channels_first: Some(name) },
            _ => Value { storage: Some(name), channels_first: None },
        });
        Ok(())
    }

    /// The values of a parameter, which [`crate::Model::check`] has seen.
    fn parameter(&self, layer: &str, role: Role) -> &'a [f32] {
        self.model.values(layer, role).unwrap_or_default()
    }

    fn vector(&mut self, layer: &str, role: Role) -> String {
        let values = self.parameter(layer, role);
        let name = format!("{layer}/{}", role.keras_name());
        self.draft.constant(&name, &[values.len()], Data::Float(Cow::Borrowed(values)))
    }

    /// A kernel of four axes in another order. Of a depthwise one, (in, multiplier, …) becomes (in · multiplier, 1, …).
    fn kernel(&mut self, layer: &str, role: Role, order: [usize; 4]) -> String {
        let model = self.model;
        let found = model.tensors.iter().find(|(s, _)| s.role == role && s.node == layer);
        let (shape, values) = found.map_or((&[][..], &[][..]), |(s, v)| (&s.shape[..], &v[..]));
        let shape: [usize; 4] = shape.try_into().unwrap_or([0; 4]);
        let mut dims = order.map(|axis| shape[axis]);
        let values = permute(values, shape, order);
        if role == Role::DepthwiseKernel {
            dims = [dims[0] * dims[1], 1, dims[2], dims[3]];
        }
        let name = format!("{layer}/{}", role.keras_name());
        self.draft.constant(&name, &dims, Data::Float(Cow::Owned(values)))
    }

    fn window(&self, input: usize, padding: Padding, window: &Window, groups: usize) -> Attributes {
        let ints = |values: &[usize]| Attribute::Ints(values.iter().map(|&n| n as i64).collect());
        let pads = padding.resolve(extent(self.shapes[input]), window);
        vec![
            ("kernel_shape", ints(&window.size)),
            ("strides", ints(&window.stride)),
            ("pads", ints(&pads)),
            ("dilations", ints(&window.dilation)),
            ("group", Attribute::Int(groups as i64)),
        ]
    }

    fn depthwise_window(&self, input: usize, depthwise: &Depthwise) -> Attributes {
        let channels = self.shapes[input].channels();
        self.window(input, depthwise.padding, &depthwise.window(), channels)
    }

    fn convolution(
        &mut self,
        to: &str,
        layer: &str,
        [x, kernel]: [&str; 2],
        bias: Option<String>,
        attributes: &[(&str, Attribute)],
        activation: Option<Activation>,
    ) {
        let mut inputs = vec![x, kernel];
        inputs.extend(bias.as_deref());
        self.with_activation(to, layer, "Conv", &inputs, attributes, activation);
    }

    /// A node under the layer's name, and the layer's activation behind it.
    fn with_activation(
        &mut self,
        to: &str,
        layer: &str,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
        activation: Option<Activation>,
    ) {
        let Some(activation) = activation else {
            return self.draft.node_to(to, operator, layer, inputs, attributes);
        };
        let linear = self.draft.name(&format!("{layer}/linear"));
        self.draft.node_to(&linear, operator, layer, inputs, attributes);
        self.activation(activation, to, &format!("{layer}/activation"), &linear);
    }

    fn activation(&mut self, activation: Activation, to: &str, name: &str, x: &str) {
        let draft = &mut self.draft;
        match activation {
            Activation::Relu => draft.node_to(to, "Relu", name, &[x], &[]),
            Activation::Relu6 => {
                let least = draft.float(&format!("{name}/min"), 0.0);
                let most = draft.float(&format!("{name}/max"), 6.0);
                draft.node_to(to, "Clip", name, &[x, &least, &most], &[]);
            }
            Activation::Sigmoid => draft.node_to(to, "Sigmoid", name, &[x], &[]),
            // Channels are the second axis of maps and of vectors.
            Activation::Softmax => {
                draft.node_to(to, "Softmax", name, &[x], &[("axis", Attribute::Int(1))]);
            }
            Activation::Swish => {
                let gate = draft.node("Sigmoid", &format!("{name}/sigmoid"), &[x], &[]);
                draft.node_to(to, "Mul", name, &[x, &gate], &[]);
            }
            Activation::Gelu => {
                let root = draft.float(&format!("{name}/sqrt2"), std::f32::consts::SQRT_2);
                let one = draft.float(&format!("{name}/1"), 1.0);
                let half = draft.float(&format!("{name}/0.5"), 0.5);
                let inner = draft.node("Div", &format!("{name}/scaled"), &[x, &root], &[]);
                let erf = draft.node("Erf", &format!("{name}/erf"), &[&inner], &[]);
                let sum = draft.node("Add", &format!("{name}/sum"), &[&erf, &one], &[]);
                let twice = draft.node("Mul", &format!("{name}/twice"), &[x, &sum], &[]);
                draft.node_to(to, "Mul", name, &[&twice, &half], &[]);
            }
        }
    }

    fn norm(&mut self, to: &str, layer: &str, x: &str, norm: &Norm, channels: usize) {
        let gamma = match norm.scale {
            true => self.vector(layer, Role::Gamma),
            false => self.draft.floats(&format!("{layer}/gamma"), &vec![1.0; channels]),
        };
        let beta = match norm.center {
            true => self.vector(layer, Role::Beta),
            false => self.draft.floats(&format!("{layer}/beta"), &vec![0.0; channels]),
        };
        let mean = self.vector(layer, Role::Mean);
        let variance = self.vector(layer, Role::Variance);
        let epsilon = [("epsilon", Attribute::Float(norm.epsilon as f32))];
        let inputs = [x, &gamma, &beta, &mean, &variance];
        self.draft.node_to(to, "BatchNormalization", layer, &inputs, &epsilon);
    }

    fn pool(&mut self, to: &str, layer: &str, input: usize, x: &str, pool: &Pool) {
        let mut attributes = self.window(input, pool.padding, &pool.window(), 1);
        // Pools of this opset have no groups, and averages no dilation.
        attributes.truncate(3);
        let operator = match pool.kind {
            PoolKind::Max => "MaxPool",
            PoolKind::Avg => {
                let count = i64::from(pool.count_padding);
                attributes.push(("count_include_pad", Attribute::Int(count)));
                "AveragePool"
            }
        };
        self.draft.node_to(to, operator, layer, &[x], &attributes);
    }

    fn flatten(&mut self, to: &str, name: &str, x: &str) {
        self.draft.node_to(to, "Flatten", name, &[x], &[("axis", Attribute::Int(1))]);
    }
}

fn unsupported(node: &Node, what: &str) -> ExportError {
    ExportError::Layer { layer: node.name.clone(), format: "ONNX", what: what.to_owned() }
}

/// Height and width; a vector is one pixel.
fn extent(shape: Shape) -> [usize; 2] {
    match shape {
        Shape::Map { height, width, .. } => [height, width],
        Shape::Tokens { .. } | Shape::Vector { .. } => [1, 1],
    }
}
