//! Convolution: forward, and the gradients by its input, its kernel and its bias.

mod depthwise;
mod lines;
mod patches;

use rayon::prelude::*;

use self::depthwise::DepthwiseGradient;
use self::lines::LineGradient;
use self::patches::PatchGradient;
use super::sums;
use crate::error::check_length;
use crate::memory::{Buffer, Pool};
use crate::network::gradient_tile;
use crate::winograd::gradient::KernelGradient;
use crate::{Activation, Conv2d, Isa, KernelError, Layer, Network, Padding, Precision};

/// A convolution without its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Step between outputs, vertical and horizontal.
    pub stride: [usize; 2],
    /// Zeros around the image.
    pub padding: Padding,
    /// 1, or as many as there are input channels and output channels (depthwise).
    pub groups: usize,
    /// What follows the sum.
    pub activation: Activation,
}

/// A convolution that is trained, made ready for one image size and instruction set.
///
/// Kernels and their gradients are in Keras's layout, (height, width, inputs, outputs); of a depthwise convolution (height,
/// width, channels).
#[derive(Debug)]
pub struct Conv {
    shape: ConvShape,
    input: [usize; 3],
    output: [usize; 3],
    forward: Network,
    backward: Option<Backward>,
    gradient: Gradient,
}

/// The convolution of output gradients that gives input gradients.
#[derive(Debug)]
struct Backward {
    network: Network,
    shape: ConvShape,
    /// The flipped and transposed kernel.
    kernel: Vec<f32>,
    /// Height, width and channels of output gradients with zeros between them; none at stride 1.
    spread: Option<[usize; 3]>,
    buffers: Pool<Buffer>,
}

#[derive(Debug)]
enum Gradient {
    Winograd(KernelGradient),
    Lines(LineGradient),
    Patches(PatchGradient),
    Depthwise(DepthwiseGradient),
}

impl Conv {
    /// For images of `input` (height, width, channels). `input_gradient` says whether [`Conv::backward_input`] will be called.
    /// All weights are zero until [`Conv::set_weights`].
    ///
    /// # Errors
    /// When `isa` is not available, the layer does not fit its input, or it has groups that are not depthwise.
    pub fn new(
        shape: ConvShape,
        input: [usize; 3],
        isa: Isa,
        precision: Precision,
        input_gradient: bool,
    ) -> Result<Self, KernelError> {
        let depthwise = shape.groups > 1;
        if depthwise && [shape.in_channels, shape.out_channels].iter().any(|n| *n != shape.groups) {
            return Err(KernelError::BadLayer {
                layer: 0,
                what: "groups of a convolution that is trained",
                expected: format!("1, or {} channels in and out", shape.groups),
                found: format!("{} in, {} out", shape.in_channels, shape.out_channels),
            });
        }
        let conv = shape.zeros();
        let forward = Network::for_training(Layer::Conv(conv.clone()), input, isa, precision)?;
        let output = forward.output_shape();
        let backward = input_gradient
            .then(|| Backward::new(shape, input, output, isa, precision))
            .transpose()?;
        let gradient = if depthwise {
            Gradient::Depthwise(DepthwiseGradient { shape, input, output, isa })
        } else {
            match gradient_tile(&conv, output) {
                Some(tile) => {
                    Gradient::Winograd(KernelGradient::new(input, output, shape.padding, tile, isa))
                }
                None if LineGradient::fits(&shape) => {
                    Gradient::Lines(LineGradient::new(shape, input, output, isa))
                }
                None => Gradient::Patches(PatchGradient::new(shape, input, output, isa)),
            }
        };
        Ok(Self { shape, input, output, forward, backward, gradient })
    }

    /// Height, width and channels of one image of the output.
    pub fn output_shape(&self) -> [usize; 3] {
        self.output
    }

    /// Values of the kernel.
    pub fn kernel_len(&self) -> usize {
        self.shape.kernel_len()
    }

    /// Takes other weights: packs them for all passes, on all threads.
    ///
    /// # Errors
    /// When `kernel` or `bias` has not the layer's length.
    pub fn set_weights(&mut self, kernel: &[f32], bias: &[f32]) -> Result<(), KernelError> {
        check_length("kernel", self.kernel_len(), kernel.len())?;
        check_length("bias", self.shape.out_channels, bias.len())?;
        self.forward.set_weights(kernel, bias, || self.shape.with(kernel, bias))?;
        if let Some(backward) = &mut self.backward {
            self.shape.flip(kernel, &mut backward.kernel);
            let (shape, kernel) = (backward.shape, &backward.kernel);
            let bias = vec![0.0; shape.out_channels];
            backward.network.set_weights(kernel, &bias, || shape.with(kernel, &bias))?;
        }
        Ok(())
    }

    /// The convolution of `batch` images, with bias and activation.
    ///
    /// # Errors
    /// When a slice has not the length that the batch asks for.
    pub fn forward(
        &self,
        batch: usize,
        input: &[f32],
        output: &mut [f32],
    ) -> Result<(), KernelError> {
        self.forward.run(batch, input, output)
    }

    /// The gradient by the input, from the gradient by the sum before the activation (see [`gate`](super::gate)).
    ///
    /// # Errors
    /// When a slice has not the length that the batch asks for.
    ///
    /// # Panics
    /// When the layer was made without an input gradient.
    pub fn backward_input(
        &self,
        batch: usize,
        gradient: &[f32],
        to: &mut [f32],
    ) -> Result<(), KernelError> {
        check_length(
            "output gradient",
            batch * self.output.iter().product::<usize>(),
            gradient.len(),
        )?;
        let Some(backward) = &self.backward else { panic!("made without an input gradient") };
        let Some([h, w, channels]) = backward.spread else {
            return backward.network.run(batch, gradient, to);
        };
        let ([oh, ow, _], [sy, sx]) = (self.output, self.shape.stride);
        backward.buffers.with(|buffer| {
            buffer.reserve(batch * h * w * channels);
            let spread = &mut buffer.as_mut_slice()[..batch * h * w * channels];
            spread.par_chunks_mut(w * channels).enumerate().for_each(|(row, line)| {
                line.fill(0.0);
                let (image, y) = (row / h, row % h);
                if y.is_multiple_of(sy) {
                    let from = &gradient[(image * oh + y / sy) * ow * channels..][..ow * channels];
                    for (to, from) in
                        line.chunks_mut(sx * channels).zip(from.chunks_exact(channels))
                    {
                        to[..channels].copy_from_slice(from);
                    }
                }
            });
            backward.network.run(batch, spread, to)
        })
    }

    /// The gradients by kernel and bias, summed over the batch, from the input and the gradient by the sum before the
    /// activation.
    ///
    /// # Errors
    /// When a slice has not the length that the layer and the batch ask for.
    pub fn backward_weights(
        &self,
        batch: usize,
        input: &[f32],
        gradient: &[f32],
        kernel: &mut [f32],
        bias: &mut [f32],
    ) -> Result<(), KernelError> {
        check_length("input", batch * self.input.iter().product::<usize>(), input.len())?;
        check_length(
            "output gradient",
            batch * self.output.iter().product::<usize>(),
            gradient.len(),
        )?;
        check_length("kernel gradient", self.kernel_len(), kernel.len())?;
        check_length("bias gradient", self.shape.out_channels, bias.len())?;
        match &self.gradient {
            Gradient::Winograd(winograd) => winograd.run(batch, input, gradient, kernel),
            Gradient::Lines(lines) => lines.run(batch, input, gradient, kernel),
            Gradient::Patches(patches) => patches.run(batch, input, gradient, kernel),
            Gradient::Depthwise(depthwise) => depthwise.run(batch, input, gradient, kernel),
        }
        sums::channels(self.forward.isa(), gradient, self.shape.out_channels, bias);
        Ok(())
    }
}

impl ConvShape {
    fn kernel_len(&self) -> usize {
        self.kernel[0] * self.kernel[1] * (self.in_channels / self.groups) * self.out_channels
    }

    fn zeros(&self) -> Conv2d {
        Conv2d {
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
            groups: self.groups,
            activation: self.activation,
            weight: vec![0.0; self.kernel_len()],
            bias: vec![0.0; self.out_channels],
            bias_last: false,
        }
    }

    /// With weights in Keras's layout.
    fn with(&self, kernel: &[f32], bias: &[f32]) -> Conv2d {
        let mut conv = self.zeros();
        conv.bias.copy_from_slice(bias);
        let taps = self.kernel[0] * self.kernel[1];
        let inputs = self.in_channels / self.groups;
        for (at, value) in kernel.iter().enumerate() {
            let (tap, input, output) = (
                at / (inputs * self.out_channels),
                at / self.out_channels % inputs,
                at % self.out_channels,
            );
            conv.weight[(output * inputs + input) * taps + tap] = *value;
        }
        conv
    }

    /// The kernel with its taps turned round and inputs and outputs exchanged.
    fn flip(&self, kernel: &[f32], to: &mut [f32]) {
        let taps = self.kernel[0] * self.kernel[1];
        if self.groups > 1 {
            let channels = self.out_channels;
            for (to, from) in to.chunks_exact_mut(channels).zip(kernel.chunks_exact(channels).rev())
            {
                to.copy_from_slice(from);
            }
            return;
        }
        let (inputs, outputs) = (self.in_channels, self.out_channels);
        to.par_chunks_mut(outputs * inputs).enumerate().for_each(|(tap, to)| {
            let from = &kernel[(taps - 1 - tap) * inputs * outputs..][..inputs * outputs];
            transpose(from, [inputs, outputs], to);
        });
    }
}

/// Writes the transpose of a matrix of `rows` by `columns`, in square blocks: every cache line is read and written once.
fn transpose(from: &[f32], [rows, columns]: [usize; 2], to: &mut [f32]) {
    const SIDE: usize = 16;
    to.par_chunks_mut(SIDE * rows).enumerate().for_each(|(band, to)| {
        let first = band * SIDE;
        let width = SIDE.min(columns - first);
        for row in (0..rows).step_by(SIDE) {
            let height = SIDE.min(rows - row);
            let mut block = [[0.0f32; SIDE]; SIDE];
            for (i, line) in block.iter_mut().enumerate().take(height) {
                line[..width].copy_from_slice(&from[(row + i) * columns + first..][..width]);
            }
            for j in 0..width {
                let line: [f32; SIDE] = std::array::from_fn(|i| block[i][j]);
                to[j * rows + row..][..height].copy_from_slice(&line[..height]);
            }
        }
    });
}

impl Backward {
    fn new(
        shape: ConvShape,
        input: [usize; 3],
        output: [usize; 3],
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, KernelError> {
        let spread = |axis: usize| (output[axis] - 1) * shape.stride[axis] + 1;
        let spread = [spread(0), spread(1), output[2]];
        let Padding { top, left, bottom: _, right: _ } = shape.padding;
        // Zeros such that as many outputs come out as there were inputs. More padding than the kernel covers would mean outputs
        // that depend on no input.
        let ends = |axis: usize, begin: usize| {
            let taps = shape.kernel[axis] - 1;
            let first = taps.checked_sub(begin)?;
            let last = (input[axis] + taps).checked_sub(spread[axis] + first)?;
            Some([first, last])
        };
        let (Some([top, bottom]), Some([left, right])) = (ends(0, top), ends(1, left)) else {
            return Err(KernelError::BadLayer {
                layer: 0,
                what: "padding of a convolution that is trained",
                expected: format!("less than the kernel's {:?}", shape.kernel),
                found: format!("{:?}", shape.padding),
            });
        };
        let back = ConvShape {
            in_channels: shape.out_channels,
            out_channels: shape.in_channels,
            stride: [1, 1],
            padding: Padding { top, left, bottom, right },
            activation: Activation::None,
            ..shape
        };
        let network = Network::for_training(Layer::Conv(back.zeros()), spread, isa, precision)?;
        Ok(Self {
            network,
            shape: back,
            kernel: vec![0.0; shape.kernel_len()],
            spread: (shape.stride != [1, 1]).then_some(spread),
            buffers: Pool::default(),
        })
    }
}
