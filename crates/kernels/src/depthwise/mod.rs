//! Convolution of each channel by itself: vectors run over channels, no matrix product.

use crate::elementwise::load;
use crate::layer::{Activation, Conv2d, Padding};
use crate::memory::Buffer;
use crate::parallel::for_each;
use crate::place::Place;
use crate::simd::{Job, Simd, dispatch};
use crate::{Isa, simd};

/// A depthwise convolution packed for one instruction set.
#[derive(Debug)]
pub(crate) struct Depthwise {
    isa: Isa,
    input: [usize; 3],
    output: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    activation: Activation,
    /// Tap, channel; channels filled up to whole vectors.
    weights: Buffer,
    bias: Buffer,
    bias_last: bool,
    /// Channels filled up to whole vectors.
    width: usize,
}

impl Depthwise {
    /// Packs a checked layer whose groups are its input and output channels.
    pub(crate) fn new(conv: &Conv2d, input: [usize; 3], output: [usize; 3], isa: Isa) -> Self {
        let width = input[2].next_multiple_of(simd::shape(isa).lanes);
        let taps = conv.kernel[0] * conv.kernel[1];
        let mut weights = Buffer::zeroed(taps * width);
        for (channel, values) in conv.weight.chunks_exact(taps).enumerate() {
            for (tap, value) in values.iter().enumerate() {
                weights.as_mut_slice()[tap * width + channel] = *value;
            }
        }
        let mut bias = Buffer::zeroed(width);
        bias.as_mut_slice()[..conv.bias.len()].copy_from_slice(&conv.bias);
        let Conv2d { kernel, stride, padding, activation, bias_last, .. } = *conv;
        Self {
            isa,
            input,
            output,
            kernel,
            stride,
            padding,
            activation,
            weights,
            bias,
            bias_last,
            width,
        }
    }

    /// Bytes of packed weights.
    pub(crate) fn packed_bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Convolves `images` images; lengths were checked by the network.
    pub(crate) fn run(&self, images: usize, input: &[f32], output: Place) {
        let image_in: usize = self.input.iter().product();
        let [oh, ow, _] = self.output;
        for_each(images * oh, |index| {
            let image = &input[index / oh * image_in..][..image_in];
            // SAFETY: row `index` of all images' rows is inside `output`, and only this task writes it.
            unsafe {
                let to = output.pixel(index * ow);
                let stride = output.stride;
                dispatch(self.isa, RowTask { plan: self, image, y: index % oh, to, stride });
            }
        });
    }
}

/// One row of output, at `to`.
#[derive(Debug)]
struct RowTask<'a> {
    plan: &'a Depthwise,
    image: &'a [f32],
    y: usize,
    to: *mut f32,
    /// f32 from one pixel of the output to the next.
    stride: usize,
}

impl Job for RowTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let plan = self.plan;
        let [h, w, channels] = plan.input;
        let (weights, bias) = (plan.weights.as_slice(), plan.bias.as_slice());
        for x in 0..plan.output[1] {
            let mut c = 0;
            while c < channels {
                let lanes = S::LANES.min(channels - c);
                // SAFETY: weights and bias are filled up to whole vectors; a pixel's last channels are copied to
                // and from a local array where they do not fill one; rows and columns are checked.
                unsafe {
                    let bias = S::load(bias[c..c + S::LANES].as_ptr());
                    let mut acc = if plan.bias_last { S::splat(0.0) } else { bias };
                    for ky in 0..plan.kernel[0] {
                        let y = (self.y * plan.stride[0] + ky).wrapping_sub(plan.padding.top);
                        for kx in 0..plan.kernel[1] {
                            let x = (x * plan.stride[1] + kx).wrapping_sub(plan.padding.left);
                            if y >= h || x >= w {
                                continue;
                            }
                            let pixel = &self.image[(y * w + x) * channels + c..][..lanes];
                            let tap = ky * plan.kernel[1] + kx;
                            let weight =
                                S::load(weights[tap * plan.width + c..][..S::LANES].as_ptr());
                            acc = S::mul_add(load::<S>(pixel), weight, acc);
                        }
                    }
                    if plan.bias_last {
                        acc = S::add(acc, bias);
                    }
                    acc = S::activate(acc, plan.activation);
                    let to = self.to.add(x * self.stride + c);
                    if lanes == S::LANES {
                        S::store(to, acc);
                    } else {
                        let mut part = [0.0f32; 16];
                        S::store(part.as_mut_ptr(), acc);
                        std::ptr::copy_nonoverlapping(part.as_ptr(), to, lanes);
                    }
                }
                c += S::LANES;
            }
        }
    }
}
