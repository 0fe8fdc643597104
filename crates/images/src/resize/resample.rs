//! Pillow's convolution resampling (`BILINEAR`, `BICUBIC`, `LANCZOS`) for 8-bit images.
//!
//! Formulas of Pillow's documentation and of its published algorithm: a filter that widens with the scale when
//! shrinking, weights normalised in f64 and then rounded to 22-bit fixed point, and two passes, horizontal and
//! vertical, each rounded and clipped to 8 bits.

use super::CHANNELS;
use crate::{ImageSize, Rgb8Image};

/// Fraction bits of the weights: 32 minus 8 for the pixel minus 2 for overshoot and sign.
const PRECISION_BITS: u32 = 32 - 8 - 2;
/// Half a level, so that the shift rounds.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// The filter kernels.
#[derive(Clone, Copy)]
pub(super) enum Filter {
    /// `1 - |x|`.
    Triangle,
    /// Keys' cubic with a = -0.5.
    Cubic,
    /// `sinc(x) sinc(x / 3)`.
    Lanczos3,
}

impl Filter {
    /// The kernel is 0 outside of plus and minus this.
    fn support(self) -> f64 {
        match self {
            Self::Triangle => 1.0,
            Self::Cubic => 2.0,
            Self::Lanczos3 => 3.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        match self {
            Self::Triangle => (1.0 - x.abs()).max(0.0),
            Self::Cubic => {
                const A: f64 = -0.5;
                let x = x.abs();
                if x < 1.0 {
                    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * A
                } else {
                    0.0
                }
            }
            Self::Lanczos3 => {
                if (-3.0..3.0).contains(&x) {
                    sinc(x) * sinc(x / 3.0)
                } else {
                    0.0
                }
            }
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// For one axis: which input pixels make each output pixel, and their fixed-point weights.
struct Taps {
    /// First input pixel and number of weights of each output pixel.
    spans: Vec<(usize, usize)>,
    /// The weights, `longest` places for each output pixel.
    weights: Vec<i32>,
    longest: usize,
}

impl Taps {
    fn new(from: u32, to: u32, filter: Filter) -> Self {
        let scale = f64::from(from) / f64::from(to);
        let filter_scale = scale.max(1.0);
        let support = filter.support() * filter_scale;
        let longest = support.ceil() as usize * 2 + 1;
        let mut spans = Vec::with_capacity(to as usize);
        let mut weights = vec![0; longest * to as usize];
        let mut exact = Vec::with_capacity(longest);
        for (out, fixed) in weights.chunks_exact_mut(longest).enumerate() {
            let centre = (out as f64 + 0.5) * scale;
            // Casts cut off the fraction and take negative numbers to 0.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(from as usize);
            exact.clear();
            exact.extend(
                (first..end).map(|x| filter.at((x as f64 - centre + 0.5) * (1.0 / filter_scale))),
            );
            let sum: f64 = exact.iter().sum();
            for (fixed, &weight) in fixed.iter_mut().zip(&exact) {
                let weight = if sum == 0.0 { weight } else { weight / sum };
                let scaled = weight * f64::from(1u32 << PRECISION_BITS);
                *fixed = (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i32;
            }
            spans.push((first, exact.len()));
        }
        Self { spans, weights, longest }
    }

    /// First input pixel and weights of each output pixel.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let places = self.weights.chunks_exact(self.longest);
        self.spans.iter().zip(places).map(|(&(first, count), weights)| (first, &weights[..count]))
    }
}

pub(super) fn resize(image: &Rgb8Image, size: ImageSize, filter: Filter) -> Vec<u8> {
    // Integers give the same result on every machine; wider vectors only give it sooner.
    pulp::Arch::new().dispatch(|| passes(image, size, filter))
}

/// Bytes of the weights, of the lines in hand, and of what is between the passes.
pub(super) fn working_bytes(from: ImageSize, to: ImageSize, filter: Filter) -> u64 {
    let taps = |from: u32, to: u32| {
        let support = filter.support() * (f64::from(from) / f64::from(to)).max(1.0);
        let longest = support.ceil() as u64 * 2 + 1;
        // Weights, spans, and one pixel's weights in f64.
        longest * u64::from(to) * 4 + u64::from(to) * 16 + longest * 8
    };
    let between = match vertical_first(from, to) {
        true => u64::from(from.width) * u64::from(to.height),
        false => u64::from(to.width) * u64::from(from.height),
    };
    let lines = u64::from(from.width.max(to.width)) * (16 + 12);
    taps(from.width, to.width) + taps(from.height, to.height) + lines + between * 3
}

#[inline(always)]
fn passes(image: &Rgb8Image, size: ImageSize, filter: Filter) -> Vec<u8> {
    let mut data = std::borrow::Cow::Borrowed(image.data.as_slice());
    let mut width = image.width;
    let vertical_first =
        vertical_first(ImageSize { width: image.width, height: image.height }, size);
    for is_vertical in [vertical_first, !vertical_first] {
        if is_vertical && image.height != size.height {
            let taps = Taps::new(image.height, size.height, filter);
            data = vertical(&data, width, &taps).into();
        } else if !is_vertical && image.width != size.width {
            let taps = Taps::new(image.width, size.width, filter);
            data = horizontal(&data, width, &taps).into();
            width = size.width;
        }
    }
    data.into_owned()
}

/// Pillow 13 does the vertical pass first where it takes away more than twice as many rows as the horizontal pass takes
/// away columns, so that the latter has less to do. As each pass rounds, the order shows in some values by one level.
fn vertical_first(from: ImageSize, to: ImageSize) -> bool {
    let fewer_rows = i64::from(from.height) - i64::from(to.height);
    let fewer_columns = i64::from(from.width) - i64::from(to.width);
    fewer_rows > 0 && fewer_rows > 2 * fewer_columns
}

#[inline(always)]
fn horizontal(data: &[u8], width: u32, taps: &Taps) -> Vec<u8> {
    let stride = width as usize * CHANNELS;
    let rows = data.len() / stride;
    let mut out = Vec::with_capacity(rows * taps.spans.len() * CHANNELS);
    // One line widened to four lanes a pixel, so that a pixel is one vector.
    let mut pixels = vec![[0i32; 4]; width as usize];
    for line in data.chunks_exact(stride) {
        let (line, _) = line.as_chunks::<CHANNELS>();
        for (pixel, &[r, g, b]) in pixels.iter_mut().zip(line) {
            *pixel = [r.into(), g.into(), b.into(), 0];
        }
        for (first, weights) in taps.iter() {
            let mut sums = [HALF; 4];
            for (pixel, &weight) in pixels[first..].iter().zip(weights) {
                for lane in 0..4 {
                    sums[lane] = sums[lane].wrapping_add(pixel[lane].wrapping_mul(weight));
                }
            }
            let [r, g, b, _] = sums.map(clip);
            out.extend([r, g, b]);
        }
    }
    out
}

#[inline(always)]
fn vertical(data: &[u8], width: u32, taps: &Taps) -> Vec<u8> {
    let stride = width as usize * CHANNELS;
    let mut out = Vec::with_capacity(taps.spans.len() * stride);
    let mut sums = vec![HALF; stride];
    for (first, weights) in taps.iter() {
        sums.fill(HALF);
        for (line, &weight) in data[first * stride..].chunks_exact(stride).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(line) {
                *sum = sum.wrapping_add(i32::from(value).wrapping_mul(weight));
            }
        }
        out.extend(sums.iter().map(|&sum| clip(sum)));
    }
    out
}

#[inline(always)]
fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}
