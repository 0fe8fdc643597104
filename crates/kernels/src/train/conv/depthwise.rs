//! The gradient by the kernel of a depthwise convolution.

use rayon::prelude::*;

use super::ConvShape;
use crate::Isa;
use crate::simd::{Loops, vectorise};

#[derive(Debug)]
pub(super) struct DepthwiseGradient {
    pub(super) shape: ConvShape,
    pub(super) input: [usize; 3],
    pub(super) output: [usize; 3],
    pub(super) isa: Isa,
}

impl DepthwiseGradient {
    /// Writes the gradient, (height, width, channels): one sum an image, then over images.
    pub(super) fn run(&self, images: usize, input: &[f32], gradient: &[f32], to: &mut [f32]) {
        let (from, out) =
            (self.input.iter().product::<usize>(), self.output.iter().product::<usize>());
        let mut parts = vec![0.0f32; images * to.len()];
        parts.par_chunks_mut(to.len().max(1)).enumerate().for_each(|(image, to)| {
            let (input, gradient) =
                (&input[image * from..][..from], &gradient[image * out..][..out]);
            vectorise(self.isa, Image { plan: self, input, gradient, to });
        });
        to.fill(0.0);
        for part in parts.chunks_exact(to.len().max(1)) {
            to.iter_mut().zip(part).for_each(|(to, x)| *to += x);
        }
    }
}

/// The sum of one image.
struct Image<'a> {
    plan: &'a DepthwiseGradient,
    input: &'a [f32],
    gradient: &'a [f32],
    to: &'a mut [f32],
}

impl Loops for Image<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { plan, input, gradient, to } = self;
        let ([h, w, channels], [oh, ow, _]) = (plan.input, plan.output);
        let ([kh, kw], [sy, sx]) = (plan.shape.kernel, plan.shape.stride);
        let mut line = vec![0.0f32; channels];
        for ky in 0..kh {
            for kx in 0..kw {
                let to = &mut to[(ky * kw + kx) * channels..][..channels];
                for oy in 0..oh {
                    let y = (oy * sy + ky).wrapping_sub(plan.shape.padding.top);
                    if y >= h {
                        continue;
                    }
                    // Shorter chains of additions round less than one long one.
                    line.fill(0.0);
                    for ox in 0..ow {
                        let x = (ox * sx + kx).wrapping_sub(plan.shape.padding.left);
                        if x >= w {
                            continue;
                        }
                        let pixel = &input[(y * w + x) * channels..][..channels];
                        let gradient = &gradient[(oy * ow + ox) * channels..][..channels];
                        for ((sum, x), g) in line.iter_mut().zip(pixel).zip(gradient) {
                            *sum += x * g;
                        }
                    }
                    to.iter_mut().zip(&line).for_each(|(to, x)| *to += x);
                }
            }
        }
    }
}
