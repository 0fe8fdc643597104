//! The layers of a graph as Keras's.

use super::config::with_batch;
use super::layers::{Kind, Layer, Layers};
use super::pixels;
use crate::{ExportError, Model};
use graph::{Activation, Graph, Node, Op, Padding, Pool, PoolKind, Shape, Window};
use serde_json::{Value, json};
use std::collections::HashSet;

/// Keras's layers for a model, in Keras's order.
pub(super) fn layers(model: &Model) -> Result<Vec<Layer<'_>>, ExportError> {
    let graph = &model.graph;
    let [height, width, _] = model.input;
    let shapes = graph.shapes([height, width])?;
    let frozen = frozen(model);
    let mut made = Converter { layers: Layers::default(), graph, shapes: &shapes, at: Vec::new() };
    made.input(model);
    let mut tensors = model.tensors.iter().peekable();
    for position in 1..graph.nodes().len() {
        let node = &graph.nodes()[position];
        let first = made.layers.len();
        let at = made.node(position)?;
        // A layer with tensors is the last of those that a node becomes.
        while let Some((spec, values)) = tensors.next_if(|(spec, _)| spec.node == node.name) {
            made.layers.weight(spec.shape.clone(), values.as_slice());
        }
        if frozen.contains(node.name.as_str()) {
            made.layers.freeze_from(first);
        }
        made.at.push(at);
    }
    Ok(made.layers.finish())
}

/// The layers of the base, which was not trained.
fn frozen(model: &Model) -> HashSet<&str> {
    let end = model.base.as_ref().filter(|_| model.pixels.is_some());
    let base = end.and_then(|base| model.graph.position(&base.layer).ok());
    // All that a layer depends on comes before it, and nothing else does in a base that is cut there.
    let nodes = model.graph.nodes().iter();
    nodes.take(base.map_or(0, |end| end + 1)).map(|node| node.name.as_str()).collect()
}

struct Converter<'m, 'a> {
    layers: Layers<'m>,
    graph: &'m Graph,
    shapes: &'a [Shape],
    /// The layer that has the output of each node so far.
    at: Vec<usize>,
}

impl Converter<'_, '_> {
    /// The first layer, and what is done to pixels.
    fn input(&mut self, model: &Model) {
        let flattened = |node: &Node| !node.inputs.contains(&0) || matches!(node.op, Op::Flatten);
        let is_flattened = self.graph.nodes().iter().all(flattened);
        let name = if model.pixels.is_some() { "pixels" } else { "features" };
        let axes = &model.input_axes;
        let config = json!({"batch_shape": with_batch(axes), "sparse": false});
        let mut at = self.layers.add(name, Kind("InputLayer", config), &[], axes.clone());
        if axes[..] != model.input && !is_flattened {
            let map = model.input.to_vec();
            let kind = Kind("Reshape", json!({"target_shape": map}));
            at = self.layers.add("features_map", kind, &[at], map);
        }
        if let Some(spec) = model.pixels {
            at = pixels::add(&mut self.layers, at, spec.preprocess);
        }
        self.at.push(at);
    }

    fn node(&mut self, position: usize) -> Result<usize, ExportError> {
        let node = &self.graph.nodes()[position];
        let mut inputs: Vec<usize> = node.inputs.iter().map(|&input| self.at[input]).collect();
        let input = self.shapes[node.inputs.first().copied().unwrap_or_default()];
        let shape = self.shapes[position].dims();
        let kind = match &node.op {
            Op::Input { .. } => return Ok(inputs.first().copied().unwrap_or_default()),
            Op::Conv(conv) => {
                if conv.dilation != [1, 1] && conv.stride != [1, 1] {
                    return Err(missing(node, "convolution with both a stride and a dilation"));
                }
                let padding = self.padding(node, input, conv.padding, &conv.window(), &mut inputs);
                let config = json!({
                    "filters": conv.filters,
                    "kernel_size": conv.kernel,
                    "strides": conv.stride,
                    "padding": padding,
                    "data_format": "channels_last",
                    "dilation_rate": conv.dilation,
                    "groups": conv.groups,
                    "activation": own_activation(conv.activation),
                    "use_bias": conv.bias,
                });
                Kind("Conv2D", config)
            }
            Op::Depthwise(depthwise) | Op::Separable(graph::Separable { depthwise, .. }) => {
                if depthwise.stride[0] != depthwise.stride[1] {
                    return Err(missing(node, "depthwise convolution with unequal strides"));
                }
                if depthwise.dilation != [1, 1] && depthwise.stride != [1, 1] {
                    return Err(missing(node, "convolution with both a stride and a dilation"));
                }
                let window = depthwise.window();
                let padding = self.padding(node, input, depthwise.padding, &window, &mut inputs);
                let mut config = json!({
                    "depth_multiplier": depthwise.multiplier,
                    "kernel_size": depthwise.kernel,
                    "strides": depthwise.stride,
                    "padding": padding,
                    "data_format": "channels_last",
                    "dilation_rate": depthwise.dilation,
                    "activation": "linear",
                    "use_bias": depthwise.bias,
                });
                if let Op::Separable(separable) = &node.op {
                    config["filters"] = json!(separable.filters);
                    config["use_bias"] = json!(separable.bias);
                    Kind("SeparableConv2D", config)
                } else {
                    Kind("DepthwiseConv2D", config)
                }
            }
            Op::Norm(norm) => {
                let config = json!({
                    "axis": -1,
                    "epsilon": norm.epsilon,
                    "momentum": norm.momentum,
                    "center": norm.center,
                    "scale": norm.scale,
                });
                Kind("BatchNormalization", config)
            }
            Op::Act(Activation::Relu6) => Kind("ReLU", json!({"max_value": 6.0})),
            Op::Act(other) => Kind("Activation", json!({"activation": name_of(*other)})),
            Op::Pool(pool) => return self.pool(node, input, pool, inputs[0], shape),
            Op::GlobalPool { kind, keep_dims } => {
                let class = match (kind, input) {
                    (PoolKind::Max, Shape::Map { .. }) => "GlobalMaxPooling2D",
                    (PoolKind::Avg, Shape::Map { .. }) => "GlobalAveragePooling2D",
                    (PoolKind::Max, _) => "GlobalMaxPooling1D",
                    (PoolKind::Avg, _) => "GlobalAveragePooling1D",
                };
                let format = "channels_last";
                Kind(class, json!({"data_format": format, "keepdims": keep_dims}))
            }
            Op::Add { scale } => {
                if let Some(scale) = scale {
                    let name = format!("{}_scale", node.name);
                    let kind = pixels::rescaling(*scale, 0.0);
                    inputs[1] = self.layers.add(&name, kind, &inputs[1..], shape.clone());
                }
                Kind("Add", json!({}))
            }
            Op::Concat => Kind("Concatenate", json!({"axis": -1})),
            Op::Multiply => Kind("Multiply", json!({})),
            Op::Pad(pad) => zeros(pad.resolve(extent(input))),
            Op::Flatten => Kind("Flatten", json!({"data_format": "channels_last"})),
            Op::Reshape(_) => Kind("Reshape", json!({"target_shape": shape})),
            Op::Dense(dense) => {
                let config = json!({
                    "units": dense.units,
                    "activation": own_activation(dense.activation),
                    "use_bias": dense.bias,
                });
                Kind("Dense", config)
            }
            Op::Dropout { rate } => Kind("Dropout", json!({"rate": rate})),
        };
        Ok(self.layers.add(&node.name, kind, &inputs, shape))
    }

    /// Whether a window pads by itself, as Keras names it; other padding becomes a layer before it.
    fn padding(
        &mut self,
        node: &Node,
        input: Shape,
        padding: Padding,
        window: &Window,
        inputs: &mut [usize],
    ) -> &'static str {
        let sides = padding.resolve(extent(input), window);
        if sides == [0; 4] {
            return "valid";
        }
        if sides == Padding::Same.resolve(extent(input), window) {
            return "same";
        }
        inputs[0] = self.pad(node, sides, inputs[0]);
        "valid"
    }

    fn pad(&mut self, node: &Node, sides: [usize; 4], input: usize) -> usize {
        let [top, left, bottom, right] = sides;
        let mut shape = self.layers.shape(input);
        shape[0] += top + bottom;
        shape[1] += left + right;
        self.layers.add(&format!("{}_pad", node.name), zeros(sides), &[input], shape)
    }

    fn pool(
        &mut self,
        node: &Node,
        input: Shape,
        pool: &Pool,
        from: usize,
        shape: Vec<usize>,
    ) -> Result<usize, ExportError> {
        let window = pool.window();
        let sides = pool.padding.resolve(extent(input), &window);
        let is_same = sides == Padding::Same.resolve(extent(input), &window);
        let class = match pool.kind {
            PoolKind::Max => "MaxPooling2D",
            PoolKind::Avg => "AveragePooling2D",
        };
        let kind = |stride: [usize; 2], padding: &str| {
            let config = json!({
                "pool_size": pool.size,
                "strides": stride,
                "padding": padding,
                "data_format": "channels_last",
            });
            Kind(class, config)
        };
        if sides == [0; 4] {
            return Ok(self.layers.add(&node.name, kind(pool.stride, "valid"), &[from], shape));
        }
        // Keras's own padding is never the largest value, nor does it count in an average.
        if is_same && !(pool.kind == PoolKind::Avg && pool.count_padding) {
            return Ok(self.layers.add(&node.name, kind(pool.stride, "same"), &[from], shape));
        }
        match pool.kind {
            PoolKind::Avg if pool.count_padding => {
                let padded = self.pad(node, sides, from);
                Ok(self.layers.add(&node.name, kind(pool.stride, "valid"), &[padded], shape))
            }
            PoolKind::Avg => Err(missing(node, "average pooling with such padding")),
            PoolKind::Max if self.is_never_negative(node) => {
                let padded = self.pad(node, sides, from);
                Ok(self.layers.add(&node.name, kind(pool.stride, "valid"), &[padded], shape))
            }
            PoolKind::Max => {
                // Zeros could be the largest. A window at every pixel has "same" padding of (size - 1) / 2 before it;
                // where that is the padding that is asked for, the windows wanted are every stride-th of those.
                let [height, width] = pool.size.map(|size| size.saturating_sub(1) / 2);
                if sides[..2] != [height, width] {
                    return Err(missing(node, "max pooling with such padding"));
                }
                let every = self.layers.shape(from);
                let name = format!("{}_every", node.name);
                let all = self.layers.add(&name, kind([1, 1], "same"), &[from], every.clone());
                let taken: Vec<usize> =
                    every.iter().zip(pool.stride).map(|(n, stride)| n.div_ceil(stride)).collect();
                if taken[..] != shape[..2] {
                    return Err(missing(node, "max pooling with such padding"));
                }
                let config = json!({
                    "pool_size": [1, 1],
                    "strides": pool.stride,
                    "padding": "valid",
                    "data_format": "channels_last",
                });
                Ok(self.layers.add(&node.name, Kind(class, config), &[all], shape))
            }
        }
    }

    /// Whether zeros around a node's input change no maximum, since nothing in it is below them.
    fn is_never_negative(&self, node: &Node) -> bool {
        let positive = |activation: Option<Activation>| {
            use Activation::{Relu, Relu6, Sigmoid, Softmax};
            matches!(activation, Some(Relu | Relu6 | Sigmoid | Softmax))
        };
        let mut at = node.inputs.first();
        while let Some(&position) = at {
            let before = &self.graph.nodes()[position];
            match &before.op {
                Op::Act(activation) => return positive(Some(*activation)),
                Op::Conv(conv) => return positive(conv.activation),
                // They keep the sign.
                Op::Pool(_) | Op::Pad(_) | Op::Dropout { .. } => at = before.inputs.first(),
                _ => return false,
            }
        }
        false
    }
}

/// Zeros as a layer.
fn zeros([top, left, bottom, right]: [usize; 4]) -> Kind {
    let padding = json!([[top, bottom], [left, right]]);
    Kind("ZeroPadding2D", json!({"padding": padding, "data_format": "channels_last"}))
}

/// The activation that a layer applies by itself.
fn own_activation(activation: Option<Activation>) -> Value {
    json!(activation.map_or("linear", name_of))
}

fn name_of(activation: Activation) -> &'static str {
    match activation {
        Activation::Relu => "relu",
        Activation::Relu6 => "relu6",
        Activation::Sigmoid => "sigmoid",
        Activation::Softmax => "softmax",
        Activation::Swish => "silu",
        Activation::Gelu => "gelu",
    }
}

fn missing(node: &Node, what: &str) -> ExportError {
    ExportError::Layer { layer: node.name.clone(), format: "Keras", what: what.to_owned() }
}

fn extent(shape: Shape) -> [usize; 2] {
    match shape {
        Shape::Map { height, width, .. } => [height, width],
        Shape::Tokens { .. } | Shape::Vector { .. } => [1, 1],
    }
}
