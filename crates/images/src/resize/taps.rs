//! The weights of Pillow's resampling: a filter that widens with the scale when shrinking, normalised in f64 and then
//! rounded to 22-bit fixed point.

/// Fraction bits of the weights: 32 minus 8 for the pixel minus 2 for overshoot and sign.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;

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
    pub(super) fn support(self) -> f64 {
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
pub(super) struct Taps {
    /// First input pixel and number of weights of each output pixel.
    spans: Vec<(usize, usize)>,
    /// The weights, `longest` places for each output pixel.
    weights: Vec<i32>,
    longest: usize,
}

impl Taps {
    pub(super) fn new(from: u32, to: u32, filter: Filter) -> Self {
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

    /// Output pixels.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// First input pixel and weights of each output pixel.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let places = self.weights.chunks_exact(self.longest);
        self.spans.iter().zip(places).map(|(&(first, count), weights)| (first, &weights[..count]))
    }
}
