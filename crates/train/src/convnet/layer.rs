//! What a step computes, made ready for its sizes.

use super::Machine;
use crate::HeadError;
use graph::{Activation as Act, Depthwise, Op, PoolKind, Shape};
use kernels::train::{Conv, ConvShape, Dense, Norm, Pool, PoolShape};
use kernels::{Activation, Padding};

/// All that a step's passes need but for values.
#[derive(Debug)]
pub(super) enum Layer {
    /// The network's input.
    Input,
    Conv {
        conv: Box<Conv>,
        activation: Activation,
    },
    Dense {
        dense: Dense,
        activation: Activation,
    },
    Norm {
        norm: Norm,
        /// Of the way from the stored statistics to a batch's, a step.
        drift: f32,
    },
    Act(Activation),
    Pool(Box<Pool>),
    /// Mean or maximum over images of this shape.
    Global {
        is_max: bool,
        input: [usize; 3],
    },
    /// The first plus a factor times the second.
    Add(f32),
    Concat,
    Pad(Padded),
    /// The same values.
    Same,
    /// The share of values that training drops.
    Dropout(f32),
    /// What follows the logits: left to the loss.
    Outputs,
}

/// Zeros around images.
#[derive(Clone, Copy, Debug)]
pub(super) struct Padded {
    top: usize,
    left: usize,
    input: [usize; 3],
    output: [usize; 3],
}

impl Padded {
    /// For each line of `batch` images: where it begins without the zeros and with them, and its length.
    pub(super) fn lines(self, batch: usize) -> impl Iterator<Item = [usize; 3]> {
        let ([h, w, channels], [oh, ow, _]) = (self.input, self.output);
        (0..batch * h).map(move |row| {
            let (image, y) = (row / h, row % h);
            let padded = ((image * oh + y + self.top) * ow + self.left) * channels;
            [row * w * channels, padded, w * channels]
        })
    }
}

/// The node that a step belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Description<'a> {
    pub(super) name: &'a str,
    /// Whether its output are the logits: a sigmoid or softmax is left to the loss.
    pub(super) is_logits: bool,
}

impl Layer {
    pub(super) fn new(
        description: Description<'_>,
        op: &Op,
        inputs: &[Shape],
        machine: Machine,
        by_input: bool,
    ) -> Result<Self, HeadError> {
        let refuse = |found: &str| HeadError::Layer {
            layer: description.name.to_owned(),
            detail: format!("expected a layer that can be trained, found {found}"),
        };
        let of = |activation: Option<Act>| match activation {
            None => Ok(Activation::None),
            Some(Act::Relu) => Ok(Activation::Relu),
            Some(Act::Relu6) => Ok(Activation::Relu6),
            Some(Act::Sigmoid | Act::Softmax) if description.is_logits => Ok(Activation::None),
            Some(other) => Err(refuse(&format!("the activation {other:?} within the network"))),
        };
        let map = inputs.first().map(|shape| image(*shape)).unwrap_or_default();
        let size = [map[0], map[1]];
        let conv = |shape: ConvShape| {
            let conv = Conv::new(shape, map, machine.isa, machine.precision, by_input)
                .map_err(|e| refuse(&e.to_string()))?;
            Ok::<Self, HeadError>(Self::Conv { conv: Box::new(conv), activation: shape.activation })
        };
        Ok(match op {
            Op::Input { .. } => Self::Input,
            Op::Conv(c) if c.dilation != [1, 1] => return Err(refuse("a dilated convolution")),
            Op::Conv(c) => conv(ConvShape {
                in_channels: map[2],
                out_channels: c.filters,
                kernel: c.kernel,
                stride: c.stride,
                padding: sides(c.padding.resolve(size, &c.window())),
                groups: c.groups.max(1),
                activation: of(c.activation)?,
            })?,
            Op::Depthwise(d) => match depthwise(d, map) {
                Some(shape) => conv(shape)?,
                None => return Err(refuse("a depth multiplier or a dilation")),
            },
            Op::Dense(d) => {
                let Some(Shape::Vector { len }) = inputs.first() else {
                    return Err(refuse("a dense layer on feature maps: flatten them"));
                };
                let activation = of(d.activation)?;
                Self::Dense {
                    dense: Dense::new([*len, d.units], activation, machine.isa)?,
                    activation,
                }
            }
            Op::Norm(n) => {
                let norm = Norm { channels: map[2], epsilon: n.epsilon, isa: machine.isa };
                Self::Norm { norm, drift: (1.0 - n.momentum) as f32 }
            }
            Op::Act(Act::Sigmoid | Act::Softmax) => Self::Outputs,
            Op::Act(activation) => Self::Act(of(Some(*activation))?),
            Op::Pool(pool) => {
                let shape = PoolShape {
                    is_max: pool.kind == PoolKind::Max,
                    size: pool.size,
                    stride: pool.stride,
                    padding: sides(pool.padding.resolve(size, &pool.window())),
                    count_padding: pool.count_padding,
                };
                Self::Pool(Box::new(Pool::new(shape, map, machine.isa)?))
            }
            Op::GlobalPool { kind, .. } => {
                Self::Global { is_max: *kind == PoolKind::Max, input: map }
            }
            Op::Add { scale } => Self::Add(scale.unwrap_or(1.0) as f32),
            Op::Concat => Self::Concat,
            Op::Pad(pad) => {
                let [top, left, bottom, right] = pad.resolve(size);
                let output = [map[0] + top + bottom, map[1] + left + right, map[2]];
                Self::Pad(Padded { top, left, input: map, output })
            }
            Op::Flatten | Op::Reshape(_) => Self::Same,
            Op::Dropout { rate } => Self::Dropout(*rate as f32),
            Op::Separable(_) | Op::Multiply => return Err(refuse(op.class_name())),
        })
    }
}

impl Layer {
    /// The activation that ends it.
    pub(super) fn activation(&self) -> Activation {
        match self {
            Self::Conv { activation, .. }
            | Self::Dense { activation, .. }
            | Self::Act(activation) => *activation,
            _ => Activation::None,
        }
    }
}

/// A shape as the kernels have it.
fn image(shape: Shape) -> [usize; 3] {
    match shape {
        Shape::Map { height, width, channels } => [height, width, channels],
        Shape::Tokens { count, width } => [1, count, width],
        Shape::Vector { len } => [1, 1, len],
    }
}

fn sides([top, left, bottom, right]: [usize; 4]) -> Padding {
    Padding { top, left, bottom, right }
}

fn depthwise(d: &Depthwise, input: [usize; 3]) -> Option<ConvShape> {
    (d.multiplier == 1 && d.dilation == [1, 1]).then(|| ConvShape {
        in_channels: input[2],
        out_channels: input[2],
        kernel: d.kernel,
        stride: d.stride,
        padding: sides(d.padding.resolve([input[0], input[1]], &d.window())),
        groups: input[2],
        activation: Activation::None,
    })
}
