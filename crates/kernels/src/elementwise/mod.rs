//! Operations that treat each value, channel or pixel by itself, and means and maxima over whole images.

use crate::Activation;
use crate::place::Place;
use crate::simd::{Element, Job, Simd};

/// What is computed of a pixel's channels.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pixelwise<'a, E> {
    Copy,
    /// First + scale · second.
    Add(&'a [E], f32),
    /// Factors and summands, one a channel.
    Affine(&'a [f32], &'a [f32]),
}

/// Some pixels of all images.
///
/// The caller promises that `to` has room for them and that nobody else writes their channels meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PixelTask<'a, E> {
    pub(crate) kind: Pixelwise<'a, E>,
    pub(crate) activation: Activation,
    /// All images' pixels.
    pub(crate) input: &'a [E],
    pub(crate) channels: usize,
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) to: Place,
}

impl<E: Element> Job for PixelTask<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.channels;
        for pixel in self.first..self.last {
            let at = pixel * channels;
            let from = &self.input[at..at + channels];
            // SAFETY: the pixel is one of the task's; no more lanes are read and written than are inside.
            unsafe {
                let to = self.to.pixel::<E>(pixel);
                let mut c = 0;
                while c < channels {
                    let lanes = S::LANES.min(channels - c);
                    let value = E::load::<S>(from[c..c + lanes].as_ptr(), lanes);
                    let value = match self.kind {
                        Pixelwise::Copy => value,
                        Pixelwise::Add(second, scale) => {
                            let second =
                                E::load::<S>(second[at + c..at + c + lanes].as_ptr(), lanes);
                            S::mul_add(S::splat(scale), second, value)
                        }
                        Pixelwise::Affine(scale, shift) => {
                            let scale = f32::load::<S>(scale[c..c + lanes].as_ptr(), lanes);
                            S::mul_add(
                                scale,
                                value,
                                f32::load::<S>(shift[c..c + lanes].as_ptr(), lanes),
                            )
                        }
                    };
                    let value = S::activate(value, self.activation);
                    E::store::<S>(to.add(c), value, lanes);
                    c += S::LANES;
                }
            }
        }
    }
}

/// The mean of each channel over an image's pixels, as [`Layer::GlobalAvgPool`](crate::Layer::GlobalAvgPool) takes it. Sums are
/// taken in f64, so their order leaves no trace in f32. NaN stays.
///
/// # Shapes
/// `image`: (pixels, `channels`); `to`: (`channels`,). An image without pixels gives NaN.
pub fn channel_means(image: &[f32], channels: usize, to: &mut [f32]) {
    let mut sums = vec![0.0f64; channels];
    for pixel in image.chunks_exact(channels) {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += f64::from(*value);
        }
    }
    let count = (image.len() / channels) as f64;
    for (to, sum) in to.iter_mut().zip(sums) {
        *to = (sum / count) as f32;
    }
}

/// The largest of each channel over an image's pixels, as [`Layer::GlobalMaxPool`](crate::Layer::GlobalMaxPool) takes it. NaN
/// wins.
///
/// # Shapes
/// `image`: (pixels, `channels`); `to`: (`channels`,). An image without pixels gives −∞.
pub fn channel_maxima(image: &[f32], channels: usize, to: &mut [f32]) {
    to.fill(f32::NEG_INFINITY);
    for pixel in image.chunks_exact(channels) {
        for (to, value) in to.iter_mut().zip(pixel) {
            if *value > *to || value.is_nan() {
                *to = *value;
            }
        }
    }
}

/// Softmax of one pixel's channels, summed in f64.
pub(crate) fn softmax(from: &[f32], to: &mut [f32]) {
    let largest = from.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials = from.iter().map(|v| f64::from(*v - largest).exp());
    let sum: f64 = exponentials.clone().sum();
    for (to, e) in to.iter_mut().zip(exponentials) {
        *to = (e / sum) as f32;
    }
}
