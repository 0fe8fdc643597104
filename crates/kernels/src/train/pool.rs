//! Pooling: forward, and the gradient by its input.

use rayon::prelude::*;

use super::activation::close;
use crate::error::check_length;
use crate::simd::{Loops, vectorise};
use crate::{Activation, Isa, KernelError, Layer, Network, Padding, Precision};

/// A pool over windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolShape {
    /// The maximum; otherwise the mean.
    pub is_max: bool,
    /// Window height and width.
    pub size: [usize; 2],
    /// Step between windows, vertical and horizontal.
    pub stride: [usize; 2],
    /// Border that windows may reach into.
    pub padding: Padding,
    /// For means: whether places in the border count.
    pub count_padding: bool,
}

/// A pool made ready for one image size.
#[derive(Debug)]
pub struct Pool {
    shape: PoolShape,
    input: [usize; 3],
    output: [usize; 3],
    forward: Network,
    isa: Isa,
}

impl Pool {
    /// For images of `input` (height, width, channels).
    ///
    /// # Errors
    /// When `isa` is not available, or a window does not fit the image.
    pub fn new(shape: PoolShape, input: [usize; 3], isa: Isa) -> Result<Self, KernelError> {
        let PoolShape { size, stride, padding, count_padding, .. } = shape;
        let layer = if shape.is_max {
            Layer::MaxPool { size, stride, padding }
        } else {
            Layer::AvgPool { size, stride, padding, count_padding }
        };
        let forward = Network::new(&[layer], input, isa, Precision::Highest)?;
        Ok(Self { shape, input, output: forward.output_shape(), forward, isa })
    }

    /// Height, width and channels of one image of the output.
    pub fn output_shape(&self) -> [usize; 3] {
        self.output
    }

    /// The pool of `batch` images.
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

    /// The gradient by the input. Of a maximum it goes to the first of equal values, row by row, as in PyTorch.
    ///
    /// Where the input is the output of an `activation`, the gradient is that by the activation's input: see
    /// [`gate`](super::gate).
    ///
    /// # Errors
    /// When a slice has not the length that the batch asks for.
    pub fn backward(
        &self,
        batch: usize,
        input: &[f32],
        gradient: &[f32],
        activation: Activation,
        to: &mut [f32],
    ) -> Result<(), KernelError> {
        let (from, out) =
            (self.input.iter().product::<usize>(), self.output.iter().product::<usize>());
        check_length("input", batch * from, input.len())?;
        check_length("input gradient", batch * from, to.len())?;
        check_length("output gradient", batch * out, gradient.len())?;
        to.par_chunks_mut(from.max(1)).enumerate().for_each(|(image, to)| {
            let gradient = &gradient[image * out..][..out];
            let input = &input[image * from..][..from];
            vectorise(self.isa, Image { pool: self, input, gradient, activation, to });
        });
        Ok(())
    }

    /// Whether windows neither overlap nor reach into the border.
    fn is_apart(&self) -> bool {
        let PoolShape { size, stride, padding, .. } = self.shape;
        padding == Padding::default() && size.iter().zip(stride).all(|(size, step)| *size <= step)
    }

    /// The window's first row or column in the image, and one after its last.
    fn span(&self, axis: usize, index: usize) -> [usize; 2] {
        let padding = [self.shape.padding.top, self.shape.padding.left][axis];
        let first = index * self.shape.stride[axis];
        let last = first + self.shape.size[axis];
        [first.saturating_sub(padding), (last - padding.min(last)).min(self.input[axis])]
    }

    /// Whether every place is in exactly one window, and no window reaches into the border.
    fn is_whole(&self) -> bool {
        let PoolShape { is_max, size, stride, .. } = self.shape;
        is_max
            && self.is_apart()
            && size == stride
            && self.input[..2].iter().zip(size).all(|(length, size)| length.is_multiple_of(size))
    }

    /// Windows that do not overlap and are wholly in the image: every place is written once.
    #[inline(always)]
    fn max_image_apart(
        &self,
        input: &[f32],
        gradient: &[f32],
        activation: Activation,
        to: &mut [f32],
    ) {
        let ([_, w, channels], [oh, ow, _]) = (self.input, self.output);
        let [height, width] = self.shape.size;
        let mut best = vec![0.0f32; channels];
        // What of a window's gradient is not given yet.
        let mut rest = vec![0.0f32; channels];
        for oy in 0..oh {
            for ox in 0..ow {
                let corner = oy * self.shape.stride[0] * w + ox * self.shape.stride[1];
                let places = (0..height)
                    .flat_map(|y| (0..width).map(move |x| (corner + y * w + x) * channels));
                best.copy_from_slice(&input[corner * channels..][..channels]);
                for at in places.clone().skip(1) {
                    for (best, x) in best.iter_mut().zip(&input[at..at + channels]) {
                        let is_more = *x > *best || x.is_nan();
                        *best = if is_more { *x } else { *best };
                    }
                }
                rest.copy_from_slice(&gradient[(oy * ow + ox) * channels..][..channels]);
                close(activation, &best, &mut rest);
                for at in places {
                    let pixels = to[at..at + channels].iter_mut().zip(&input[at..at + channels]);
                    for ((to, x), (best, rest)) in pixels.zip(best.iter().zip(&mut rest)) {
                        let is_best = *x == *best || x.is_nan();
                        *to = if is_best { *rest } else { 0.0 };
                        *rest = if is_best { 0.0 } else { *rest };
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn max_image(&self, input: &[f32], gradient: &[f32], to: &mut [f32]) {
        let ([_, w, channels], [oh, ow, _]) = (self.input, self.output);
        let mut best = vec![0.0f32; channels];
        let mut place = vec![0u32; channels];
        for oy in 0..oh {
            let [top, bottom] = self.span(0, oy);
            for ox in 0..ow {
                let [left, right] = self.span(1, ox);
                let mut is_first = true;
                for y in top..bottom {
                    for x in left..right {
                        let at = (y * w + x) * channels;
                        let pixel = &input[at..at + channels];
                        if is_first {
                            best.copy_from_slice(pixel);
                            place.fill(at as u32);
                            is_first = false;
                            continue;
                        }
                        for ((best, place), x) in best.iter_mut().zip(&mut place).zip(pixel) {
                            let is_more = *x > *best || (x.is_nan() && !best.is_nan());
                            *best = if is_more { *x } else { *best };
                            *place = if is_more { at as u32 } else { *place };
                        }
                    }
                }
                let gradient = &gradient[(oy * ow + ox) * channels..][..channels];
                for (c, (place, g)) in place.iter().zip(gradient).enumerate() {
                    to[*place as usize + c] += g;
                }
            }
        }
    }

    #[inline(always)]
    fn mean_image(&self, gradient: &[f32], to: &mut [f32]) {
        let ([h, w, channels], [oh, ow, _]) = (self.input, self.output);
        let Padding { top: pad_top, left: pad_left, bottom: pad_bottom, right: pad_right } =
            self.shape.padding;
        // Places that count: those of the padded image, or of the image.
        let length = |axis: usize, index: usize, padded: usize| {
            let first = index * self.shape.stride[axis];
            (first + self.shape.size[axis]).min(padded) - first
        };
        for oy in 0..oh {
            let [top, bottom] = self.span(0, oy);
            for ox in 0..ow {
                let [left, right] = self.span(1, ox);
                let count = if self.shape.count_padding {
                    length(0, oy, h + pad_top + pad_bottom)
                        * length(1, ox, w + pad_left + pad_right)
                } else {
                    (bottom - top) * (right - left)
                };
                let share = 1.0 / count as f32;
                let gradient = &gradient[(oy * ow + ox) * channels..][..channels];
                for y in top..bottom {
                    for x in left..right {
                        let to = &mut to[(y * w + x) * channels..][..channels];
                        to.iter_mut().zip(gradient).for_each(|(to, g)| *to += g * share);
                    }
                }
            }
        }
    }
}

/// The gradient of one image.
struct Image<'a> {
    pool: &'a Pool,
    input: &'a [f32],
    gradient: &'a [f32],
    activation: Activation,
    to: &'a mut [f32],
}

impl Loops for Image<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { pool, input, gradient, activation, to } = self;
        if !pool.is_whole() {
            to.fill(0.0);
        }
        match (pool.shape.is_max, pool.is_apart()) {
            // A closed gate at the maximum is closed for the whole window.
            (true, true) => return pool.max_image_apart(input, gradient, activation, to),
            (true, false) => pool.max_image(input, gradient, to),
            (false, _) => pool.mean_image(gradient, to),
        }
        close(activation, input, to);
    }
}

/// The gradient by the input of a mean over whole images of `[height, width, channels]`.
///
/// # Panics
/// When the slices have not the lengths of as many images.
pub fn global_average_backward([h, w, channels]: [usize; 3], gradient: &[f32], to: &mut [f32]) {
    assert_eq!(gradient.len() * h * w, to.len(), "gradients of other images");
    let share = 1.0 / (h * w) as f32;
    to.par_chunks_mut((h * w * channels).max(1))
        .zip(gradient.par_chunks(channels.max(1)))
        .for_each(|(to, gradient)| {
            for pixel in to.chunks_exact_mut(channels) {
                pixel.iter_mut().zip(gradient).for_each(|(to, g)| *to = g * share);
            }
        });
}

/// The gradient by the input of a maximum over whole images of `[height, width, channels]`: it goes to the first of equal values.
///
/// # Panics
/// When the slices have not the lengths of as many images.
pub fn global_max_backward(
    [h, w, channels]: [usize; 3],
    input: &[f32],
    gradient: &[f32],
    to: &mut [f32],
) {
    assert_eq!(input.len(), to.len(), "gradients of other images");
    assert_eq!(gradient.len() * h * w, to.len(), "gradients of other images");
    let length = (h * w * channels).max(1);
    let images = to.par_chunks_mut(length).zip(input.par_chunks(length));
    images.zip(gradient.par_chunks(channels.max(1))).for_each(|((to, input), gradient)| {
        to.fill(0.0);
        for (c, g) in gradient.iter().enumerate() {
            let mut best = c;
            for at in (c..input.len()).step_by(channels) {
                if input[at] > input[best] || (input[at].is_nan() && !input[best].is_nan()) {
                    best = at;
                }
            }
            to[best] = *g;
        }
    });
}
