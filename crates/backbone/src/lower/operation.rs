//! What each kind of layer becomes.

use super::{LowerError, Parameters};
use graph::{Activation as Act, Dense, Depthwise, Norm, Op, Padding as Sides, Pool, PoolKind};
use graph::{Node, Role, Shape};
use kernels::{Activation, Conv2d, Layer as Kernel, Padding};

/// An operation of the program while later ones may still become a part of it.
pub(super) enum Draft {
    /// The images.
    Input,
    /// A convolution. Factors and summands of batch normalisation are kept in f64 until the end, and rounded once.
    Conv(Conv64),
    /// A batch normalisation by itself, in f64.
    Affine { scale: Vec<f64>, shift: Vec<f64>, activation: Activation },
    /// Zeros around the image.
    Pad(Padding),
    /// Anything else, as the kernels have it.
    Other(Kernel),
}

/// A convolution whose weights are rounded when all is known.
pub(super) struct Conv64 {
    /// With the weights as they were read, and no bias.
    pub(super) conv: Conv2d,
    /// A factor of each output channel, if there is one.
    pub(super) scale: Option<Vec<f64>>,
    pub(super) bias: Vec<f64>,
    /// Whether another value is added before the activation.
    pub(super) residual: bool,
}

impl Draft {
    /// The operation for the kernels, all rounded to f32; none for the images themselves.
    pub(super) fn layer(self) -> Option<Kernel> {
        let round = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect();
        Some(match self {
            Self::Input => return None,
            Self::Conv(Conv64 { mut conv, scale, bias, .. }) => {
                if let Some(scale) = scale {
                    let per_filter = (conv.weight.len() / conv.out_channels.max(1)).max(1);
                    for (filter, factor) in conv.weight.chunks_exact_mut(per_filter).zip(scale) {
                        filter.iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
                    }
                }
                conv.bias = round(bias);
                Kernel::Conv(conv)
            }
            Self::Affine { scale, shift, activation } => {
                Kernel::Affine { scale: round(scale), shift: round(shift), activation }
            }
            Self::Pad(padding) => Kernel::Pad(padding),
            Self::Other(kernel) => kernel,
        })
    }
}

/// A layer of the graph with its shapes.
pub(super) struct Layer<'a> {
    pub(super) node: &'a Node,
    pub(super) inputs: &'a [Shape],
}

impl Layer<'_> {
    /// The operations that the layer is, one after the other.
    pub(super) fn drafts(&self, parameters: &Parameters<'_>) -> Result<Vec<Draft>, LowerError> {
        let get = |role: Role, expected: usize| self.parameter(parameters, role, expected);
        let zeros = |n: usize| vec![0.0; n];
        Ok(match &self.node.op {
            Op::Conv(conv) => {
                let channels = self.inputs[0].channels();
                let (groups, out) = (conv.groups.max(1), conv.filters);
                let [kh, kw] = conv.kernel;
                let depth = channels / groups;
                let weight = get(Role::Kernel, kh * kw * depth * out)?;
                let bias = if conv.bias { widen(&get(Role::Bias, out)?) } else { zeros(out) };
                let conv2d = Conv2d {
                    in_channels: channels,
                    out_channels: out,
                    kernel: conv.kernel,
                    stride: conv.stride,
                    padding: self.padding(conv.padding, &conv.window()),
                    groups,
                    activation: Activation::None,
                    weight,
                    bias: Vec::new(),
                    bias_last: false,
                };
                self.check_dilation(conv.dilation)?;
                self.with_activation(convolution(conv2d, bias), conv.activation)?
            }
            Op::Depthwise(depthwise) => {
                let bias = match depthwise.bias {
                    true => {
                        widen(&get(Role::Bias, self.inputs[0].channels() * depthwise.multiplier)?)
                    }
                    false => zeros(self.inputs[0].channels() * depthwise.multiplier),
                };
                vec![convolution(self.depthwise(depthwise, &get)?, bias)]
            }
            Op::Separable(separable) => {
                let middle = self.inputs[0].channels() * separable.depthwise.multiplier;
                let out = separable.filters;
                let weight = get(Role::PointwiseKernel, middle * out)?;
                let pointwise = pointwise(middle, out, weight);
                let bias = if separable.bias { widen(&get(Role::Bias, out)?) } else { zeros(out) };
                let depthwise = self.depthwise(&separable.depthwise, &get)?;
                vec![convolution(depthwise, zeros(middle)), convolution(pointwise, bias)]
            }
            Op::Dense(dense) => self.dense(dense, &get)?,
            Op::Norm(norm) => {
                let (scale, shift) = affine(norm, self.inputs[0].channels(), &get)?;
                vec![Draft::Affine { scale, shift, activation: Activation::None }]
            }
            Op::Act(activation) => vec![Draft::Other(self.activation(*activation)?)],
            Op::Pool(pool) => vec![Draft::Other(self.pool(pool))],
            Op::GlobalPool { kind: PoolKind::Avg, .. } => vec![Draft::Other(Kernel::GlobalAvgPool)],
            Op::GlobalPool { kind: PoolKind::Max, .. } => vec![Draft::Other(Kernel::GlobalMaxPool)],
            Op::Add { scale } => {
                let scale = scale.unwrap_or(1.0) as f32;
                vec![Draft::Other(Kernel::Add { scale, activation: Activation::None })]
            }
            Op::Concat => vec![Draft::Other(Kernel::Concat)],
            Op::Pad(pad) => vec![Draft::Pad(sides(pad.resolve(extent(self.inputs[0]))))],
            Op::Flatten => vec![Draft::Other(Kernel::Flatten)],
            // A vector of the same values, as far as the kernels know shapes.
            Op::Reshape(Shape::Vector { .. }) => vec![Draft::Other(Kernel::Flatten)],
            Op::Reshape(_) | Op::Multiply | Op::Input { .. } | Op::Dropout { .. } => {
                return Err(self.unsupported(self.node.op.class_name()));
            }
        })
    }

    fn unsupported(&self, what: &str) -> LowerError {
        LowerError::Unsupported { node: self.node.name.clone(), what: what.to_owned() }
    }

    fn parameter(
        &self,
        parameters: &Parameters<'_>,
        role: Role,
        expected: usize,
    ) -> Result<Vec<f32>, LowerError> {
        let found = parameters(&self.node.name, role).unwrap_or_default();
        if found.len() == expected {
            return Ok(found);
        }
        let (node, found) = (self.node.name.clone(), found.len());
        Err(LowerError::Parameter { node, role, expected, found })
    }

    fn check_dilation(&self, dilation: [usize; 2]) -> Result<(), LowerError> {
        match dilation {
            [1, 1] => Ok(()),
            _ => Err(self.unsupported("dilated convolutions")),
        }
    }

    fn padding(&self, padding: Sides, window: &graph::Window) -> Padding {
        sides(padding.resolve(extent(self.inputs[0]), window))
    }

    /// The depthwise half, without its bias.
    fn depthwise(
        &self,
        depthwise: &Depthwise,
        get: &dyn Fn(Role, usize) -> Result<Vec<f32>, LowerError>,
    ) -> Result<Conv2d, LowerError> {
        self.check_dilation(depthwise.dilation)?;
        let channels = self.inputs[0].channels();
        let taps = depthwise.kernel[0] * depthwise.kernel[1];
        let out = channels * depthwise.multiplier;
        let weight = get(Role::DepthwiseKernel, taps * out)?;
        Ok(Conv2d {
            in_channels: channels,
            out_channels: out,
            kernel: depthwise.kernel,
            stride: depthwise.stride,
            padding: self.padding(depthwise.padding, &depthwise.window()),
            groups: channels,
            activation: Activation::None,
            weight,
            bias: Vec::new(),
            bias_last: false,
        })
    }

    fn dense(
        &self,
        dense: &Dense,
        get: &dyn Fn(Role, usize) -> Result<Vec<f32>, LowerError>,
    ) -> Result<Vec<Draft>, LowerError> {
        let (inputs, out) = (self.inputs[0].channels(), dense.units);
        let weight = get(Role::Kernel, inputs * out)?;
        let bias = if dense.bias { widen(&get(Role::Bias, out)?) } else { vec![0.0; out] };
        self.with_activation(convolution(pointwise(inputs, out, weight), bias), dense.activation)
    }

    fn with_activation(
        &self,
        draft: Draft,
        activation: Option<Act>,
    ) -> Result<Vec<Draft>, LowerError> {
        let mut drafts = vec![draft];
        if let Some(activation) = activation {
            drafts.push(Draft::Other(self.activation(activation)?));
        }
        Ok(drafts)
    }

    fn activation(&self, activation: Act) -> Result<Kernel, LowerError> {
        match activation {
            Act::Relu => Ok(Kernel::Activate(Activation::Relu)),
            Act::Relu6 => Ok(Kernel::Activate(Activation::Relu6)),
            Act::Softmax => Ok(Kernel::Softmax),
            Act::Sigmoid | Act::Swish | Act::Gelu => {
                Err(self.unsupported(&format!("the activation {activation:?}")))
            }
        }
    }

    fn pool(&self, pool: &Pool) -> Kernel {
        let padding = self.padding(pool.padding, &pool.window());
        let (size, stride) = (pool.size, pool.stride);
        match pool.kind {
            PoolKind::Max => Kernel::MaxPool { size, stride, padding },
            PoolKind::Avg => {
                Kernel::AvgPool { size, stride, padding, count_padding: pool.count_padding }
            }
        }
    }
}

/// Factors and summands of batch normalisation, in f64: γ / √(σ² + ε), and β − μ · that.
fn affine(
    norm: &Norm,
    channels: usize,
    get: &dyn Fn(Role, usize) -> Result<Vec<f32>, LowerError>,
) -> Result<(Vec<f64>, Vec<f64>), LowerError> {
    let gamma = if norm.scale { widen(&get(Role::Gamma, channels)?) } else { vec![1.0; channels] };
    let beta = if norm.center { widen(&get(Role::Beta, channels)?) } else { vec![0.0; channels] };
    let (mean, variance) = (get(Role::Mean, channels)?, get(Role::Variance, channels)?);
    let scale: Vec<f64> = gamma
        .iter()
        .zip(&variance)
        .map(|(gamma, variance)| gamma / (f64::from(*variance) + norm.epsilon).sqrt())
        .collect();
    let shift = beta
        .iter()
        .zip(&mean)
        .zip(&scale)
        .map(|((beta, mean), scale)| beta - f64::from(*mean) * scale)
        .collect();
    Ok((scale, shift))
}

fn convolution(conv: Conv2d, bias: Vec<f64>) -> Draft {
    Draft::Conv(Conv64 { conv, scale: None, bias, residual: false })
}

/// A 1×1 convolution with weights (out, in).
fn pointwise(inputs: usize, outputs: usize, weight: Vec<f32>) -> Conv2d {
    Conv2d {
        in_channels: inputs,
        out_channels: outputs,
        kernel: [1, 1],
        stride: [1, 1],
        padding: Padding::default(),
        groups: 1,
        activation: Activation::None,
        weight,
        bias: Vec::new(),
        bias_last: false,
    }
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

fn sides([top, left, bottom, right]: [usize; 4]) -> Padding {
    Padding { top, left, bottom, right }
}

/// Height and width; a vector is one pixel.
fn extent(shape: Shape) -> [usize; 2] {
    match shape {
        Shape::Map { height, width, .. } => [height, width],
        Shape::Tokens { .. } | Shape::Vector { .. } => [1, 1],
    }
}
