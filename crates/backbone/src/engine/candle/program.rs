//! A program on candle's tensors: the same operations, with the same folded weights, that the CPU kernels run.
//!
//! Images are (batch, channels, height, width) here, as candle has them.

use candle_core::{DType, Device, Result, Tensor};
use kernels::{Activation, Conv2d, Layer, Padding, Program, Value};

/// A program whose weights are on the device.
pub(super) struct Steps {
    steps: Vec<Step>,
    dtype: DType,
}

struct Step {
    operation: Operation,
    inputs: Vec<Value>,
    /// What no later step reads.
    dead: Vec<usize>,
}

enum Operation {
    Conv {
        weight: Tensor,
        bias: Tensor,
        shape: Window,
        groups: usize,
        activation: Activation,
    },
    /// Each window as a column of a matrix, tap by tap; `weight` is (outputs, taps * inputs).
    Columns {
        weight: Tensor,
        bias: Tensor,
        shape: Window,
        activation: Activation,
    },
    /// One factor a channel for each tap, in f32.
    Depthwise {
        taps: Vec<Tensor>,
        bias: Tensor,
        shape: Window,
        activation: Activation,
    },
    AvgPool {
        size: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
        factors: Tensor,
    },
    Affine {
        scale: Tensor,
        shift: Tensor,
        activation: Activation,
    },
    /// Without parameters.
    Plain(Layer),
}

/// What slides over an image.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
}

/// How to run it.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    pub(super) device: &'a Device,
    /// The type of values between operations, and of products.
    pub(super) dtype: DType,
    /// Whether convolutions are products of matrices that are made here, and not candle's own.
    pub(super) columns: bool,
}

/// Why a program can't run on candle: the operation, where it is not an error of candle's.
pub(super) enum Refusal {
    /// The number of an operation of which candle has no such kind.
    Unsupported(usize),
    Candle(candle_core::Error),
}

impl From<candle_core::Error> for Refusal {
    fn from(error: candle_core::Error) -> Self {
        Self::Candle(error)
    }
}

impl Steps {
    /// Moves the weights to the device.
    ///
    /// `input` is height, width and channels of an image, `shapes` those of each operation's output.
    pub(super) fn new(
        program: Program,
        input: [usize; 3],
        shapes: &[[usize; 3]],
        how: How<'_>,
    ) -> std::result::Result<Self, Refusal> {
        let mut last_reader = vec![None; program.operations.len()];
        for (reader, operation) in program.operations.iter().enumerate() {
            for value in &operation.inputs {
                if let Value::Of(index) = value {
                    last_reader[*index] = Some(reader);
                }
            }
        }
        let mut steps = Vec::with_capacity(program.operations.len());
        for (index, operation) in program.operations.into_iter().enumerate() {
            let from = match operation.inputs[0] {
                Value::Input => input,
                Value::Of(index) => shapes[index],
            };
            let dead = (0..index).filter(|value| last_reader[*value] == Some(index)).collect();
            let made = of_layer(operation.layer, [from, shapes[index]], how)?;
            let operation_ = made.ok_or(Refusal::Unsupported(index))?;
            steps.push(Step { operation: operation_, inputs: operation.inputs, dead });
        }
        Ok(Self { steps, dtype: how.dtype })
    }

    /// The program's output in f32.
    ///
    /// # Shapes
    /// `images`: (batch, height, width, 3). The output: (batch, h, w, c).
    pub(super) fn run(&self, images: &Tensor) -> Result<Tensor> {
        let images = images.permute((0, 3, 1, 2))?.contiguous()?.to_dtype(self.dtype)?;
        let mut values: Vec<Option<Tensor>> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let mut inputs = Vec::with_capacity(step.inputs.len());
            for value in &step.inputs {
                inputs.push(match value {
                    Value::Input => images.clone(),
                    Value::Of(index) => values[*index].clone().ok_or_else(|| {
                        candle_core::Error::Msg(format!("operation {index} has no output"))
                    })?,
                });
            }
            values.push(Some(step.operation.run(&inputs)?));
            drop(inputs);
            for index in &step.dead {
                values[*index] = None;
            }
        }
        let output = values.pop().flatten().unwrap_or(images);
        output.permute((0, 2, 3, 1))?.to_dtype(DType::F32)
    }
}

/// An operation with its weights on the device; `None` for a kind that candle lacks. `shapes` are (height, width, channels) of
/// its first input and its output.
fn of_layer(
    layer: Layer,
    [input, output]: [[usize; 3]; 2],
    how: How<'_>,
) -> Result<Option<Operation>> {
    let How { dtype, device, columns } = how;
    let channels = |values: &[f32], dtype: DType| {
        Tensor::from_slice(values, (1, values.len(), 1, 1), device)?.to_dtype(dtype)
    };
    Ok(Some(match layer {
        Layer::Conv(conv) => {
            let Conv2d { kernel: [kh, kw], groups, activation, .. } = conv;
            let shape = Window { kernel: [kh, kw], stride: conv.stride, padding: conv.padding };
            if groups > 1 && groups == conv.in_channels {
                // candle would run one convolution a channel.
                let tap = |tap: usize| {
                    let values: Vec<f32> =
                        conv.weight.iter().skip(tap).step_by(kh * kw).copied().collect();
                    channels(&values, DType::F32)
                };
                let taps = (0..kh * kw).map(tap).collect::<Result<_>>()?;
                let bias = channels(&conv.bias, DType::F32)?;
                return Ok(Some(Operation::Depthwise { taps, bias, shape, activation }));
            }
            let weight = (conv.out_channels, conv.in_channels / groups, kh, kw);
            let weight = Tensor::from_slice(&conv.weight, weight, device)?.to_dtype(dtype)?;
            let bias = channels(&conv.bias, dtype)?;
            // candle has one step for both directions.
            if !columns && conv.stride[0] == conv.stride[1] {
                return Ok(Some(Operation::Conv { weight, bias, shape, groups, activation }));
            }
            if groups > 1 {
                return Ok(None);
            }
            let matrix = (conv.out_channels, kh * kw * conv.in_channels);
            let weight = weight.permute((0, 2, 3, 1))?.contiguous()?.reshape(matrix)?;
            Operation::Columns { weight, bias, shape, activation }
        }
        Layer::Affine { scale, shift, activation } => Operation::Affine {
            scale: channels(&scale, dtype)?,
            shift: channels(&shift, dtype)?,
            activation,
        },
        Layer::AvgPool { size, stride, padding, count_padding } => {
            let window = size[0] * size[1];
            let factor = |y: usize, x: usize| {
                let rows = inside(y * stride[0], size[0], padding.top, input[0]);
                let columns = inside(x * stride[1], size[1], padding.left, input[1]);
                if count_padding { 1.0 } else { window as f32 / (rows * columns) as f32 }
            };
            let [height, width, _] = output;
            let factors: Vec<f32> =
                (0..height * width).map(|at| factor(at / width, at % width)).collect();
            let factors = Tensor::from_vec(factors, (1, 1, height, width), device)?;
            Operation::AvgPool { size, stride, padding, factors: factors.to_dtype(dtype)? }
        }
        plain => Operation::Plain(plain),
    }))
}

/// Places of a window that are within the image, not in the padding before or after it. `start` counts from the padding's edge.
fn inside(start: usize, size: usize, before: usize, length: usize) -> usize {
    (start + size).min(before + length).saturating_sub(start.max(before))
}

impl Operation {
    fn run(&self, inputs: &[Tensor]) -> Result<Tensor> {
        let x = &inputs[0];
        match self {
            Self::Conv { weight, bias, shape, groups, activation } => {
                let Window { padding, stride, .. } = shape;
                // candle's own padding is the same on all sides.
                let even = *padding == Padding::from([padding.top; 2]);
                let (x, own) = match even {
                    true => (x.clone(), padding.top),
                    false => (pad(x, *padding, 0.0)?, 0),
                };
                let sums = x.conv2d(weight, own, stride[0], 1, *groups)?.broadcast_add(bias)?;
                finish(sums, inputs, *activation)
            }
            Self::Columns { weight, bias, shape, activation } => {
                let sums = product(x, weight, shape)?.broadcast_add(bias)?;
                finish(sums, inputs, *activation)
            }
            Self::Depthwise { taps, bias, shape, activation } => {
                let sums = depthwise(&x.to_dtype(DType::F32)?, taps, bias, shape)?;
                finish(sums, inputs, *activation)?.to_dtype(x.dtype())
            }
            Self::AvgPool { size, stride, padding, factors } => {
                let means = pad(x, *padding, 0.0)?
                    .avg_pool2d_with_stride((size[0], size[1]), (stride[0], stride[1]))?;
                means.broadcast_mul(factors)
            }
            Self::Affine { scale, shift, activation } => {
                activate(x.broadcast_mul(scale)?.broadcast_add(shift)?, *activation)
            }
            Self::Plain(layer) => plain(layer, inputs),
        }
    }
}

/// Operations without parameters.
fn plain(layer: &Layer, inputs: &[Tensor]) -> Result<Tensor> {
    let x = &inputs[0];
    match layer {
        Layer::MaxPool { size, stride, padding } => {
            let (size, stride) = ((size[0], size[1]), (stride[0], stride[1]));
            pad(x, *padding, f32::NEG_INFINITY)?.max_pool2d_with_stride(size, stride)
        }
        // Sums of a whole map are in f32 whatever its own type.
        Layer::GlobalAvgPool => x.to_dtype(DType::F32)?.mean_keepdim((2, 3))?.to_dtype(x.dtype()),
        Layer::GlobalMaxPool => x.max_keepdim(3)?.max_keepdim(2),
        Layer::Add { scale, activation } => {
            activate((x + (&inputs[1] * f64::from(*scale))?)?, *activation)
        }
        Layer::Activate(activation) => activate(x.clone(), *activation),
        Layer::Pad(padding) => pad(x, *padding, 0.0),
        Layer::Concat => Tensor::cat(inputs, 1),
        Layer::Flatten => {
            let (batch, channels, height, width) = x.dims4()?;
            let in_memory_order = x.permute((0, 2, 3, 1))?.contiguous()?;
            in_memory_order.reshape((batch, height * width * channels, 1, 1))
        }
        Layer::Softmax => candle_nn::ops::softmax(x, 1),
        other => Err(candle_core::Error::Msg(format!("no such operation: {other:?}"))),
    }
}

/// Sums of products with each tap, in the order of the taps, then the bias.
///
/// # Shapes
/// `x`: (batch, channels, height, width). With a multiplier m, m outputs of one input channel are neighbours.
fn depthwise(x: &Tensor, taps: &[Tensor], bias: &Tensor, shape: &Window) -> Result<Tensor> {
    let (batch, channels, ..) = x.dims4()?;
    let multiplier = bias.dim(1)? / channels;
    let mut sums = None;
    for (mut places, tap) in shape.places(x)?.into_iter().zip(taps) {
        if multiplier > 1 {
            let (_, _, h, w) = places.dims4()?;
            places = places
                .unsqueeze(2)?
                .broadcast_as((batch, channels, multiplier, h, w))?
                .reshape((batch, channels * multiplier, h, w))?;
        }
        let products = places.broadcast_mul(tap)?;
        sums = Some(match sums {
            None => products,
            Some(sums) => (sums + products)?,
        });
    }
    let sums = sums.ok_or_else(|| candle_core::Error::Msg("a kernel without taps".to_owned()))?;
    sums.broadcast_add(bias)
}

/// Products of each window with the weights.
///
/// # Shapes
/// `x`: (batch, channels, height, width); `weight`: (outputs, taps * channels).
fn product(x: &Tensor, weight: &Tensor, shape: &Window) -> Result<Tensor> {
    let columns = Tensor::cat(&shape.places(x)?, 1)?;
    let (batch, depth, height, width) = columns.dims4()?;
    let outputs = weight.dim(0)?;
    let columns = columns.reshape((batch, depth, height * width))?;
    // The same matrix for each image: not copied, its stride is 0.
    weight.broadcast_left(batch)?.matmul(&columns)?.reshape((batch, outputs, height, width))
}

impl Window {
    /// What each tap meets, tap by tap in the order of memory: (batch, channels, h, w) each.
    fn places(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let Self { kernel, stride, padding } = self;
        let (_, _, height, width) = x.dims4()?;
        let sides = [[padding.top, padding.bottom], [padding.left, padding.right]];
        let outputs = [(height, 0), (width, 1)].map(|(length, axis): (usize, usize)| {
            (length + sides[axis][0] + sides[axis][1] - kernel[axis]) / stride[axis] + 1
        });
        // One stride more at the end, so that all places of a tap are the first of a whole stride.
        let more = Padding {
            bottom: padding.bottom + stride[0] - 1,
            right: padding.right + stride[1] - 1,
            ..*padding
        };
        let padded = pad(x, more, 0.0)?;
        let place = |tap: usize| {
            let rows = every(&padded, 2, tap / kernel[1], stride[0], outputs[0])?;
            every(&rows, 3, tap % kernel[1], stride[1], outputs[1])
        };
        (0..kernel[0] * kernel[1]).map(place).collect()
    }
}

/// `count` places from `start` on, each `stride` after the one before it, along an axis.
fn every(x: &Tensor, axis: usize, start: usize, stride: usize, count: usize) -> Result<Tensor> {
    let part = x.narrow(axis, start, count * stride)?;
    if stride == 1 {
        return Ok(part);
    }
    let mut split = part.dims().to_vec();
    split[axis] = count;
    split.insert(axis + 1, stride);
    part.contiguous()?.reshape(split)?.narrow(axis + 1, 0, 1)?.squeeze(axis + 1)
}

/// This value around the images.
fn pad(x: &Tensor, padding: Padding, value: f32) -> Result<Tensor> {
    let mut padded = x.clone();
    for (axis, before, after) in
        [(2, padding.top, padding.bottom), (3, padding.left, padding.right)]
    {
        if before + after == 0 {
            continue;
        }
        let border = |width: usize| {
            let mut shape = padded.dims().to_vec();
            shape[axis] = width;
            Tensor::full(value, shape, x.device())?.to_dtype(x.dtype())
        };
        let parts = [border(before)?, padded.clone(), border(after)?];
        let parts: Vec<&Tensor> = parts.iter().filter(|part| part.dims()[axis] > 0).collect();
        padded = Tensor::cat(&parts, axis)?;
    }
    Ok(padded)
}

/// What follows a convolution's sums: its second input, if it has one, then the activation.
fn finish(mut sums: Tensor, inputs: &[Tensor], activation: Activation) -> Result<Tensor> {
    if let Some(other) = inputs.get(1) {
        sums = (&sums + other.to_dtype(sums.dtype())?)?;
    }
    activate(sums, activation)
}

fn activate(x: Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::None => Ok(x),
        Activation::Relu => x.relu(),
        Activation::Relu6 => x.clamp(0.0, 6.0),
    }
}
