//! Batch normalisation, with the statistics of the batch or with stored ones: forward, and its gradients.

use rayon::prelude::*;

use super::sums::{Terms, Values, over_pixels};
use crate::Isa;
use crate::simd::{Loops, vectorise};

/// Batch normalisation of the last axis: `gamma · (x − mean) / √(variance + epsilon) + beta`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// Channels.
    pub channels: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Instruction set, which must be available: the operations panic otherwise.
    pub isa: Isa,
}

/// Mean and (biased) variance of each channel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BatchStatistics {
    /// (channels,).
    pub mean: Vec<f32>,
    /// (channels,), divided by the number of values, as Keras's moving variance.
    pub variance: Vec<f32>,
}

impl Norm {
    /// The statistics of a batch: the mean, then the mean of squared differences from it.
    pub fn statistics(&self, input: &[f32]) -> BatchStatistics {
        let channels = self.channels;
        let pixels = input.len() / channels.max(1);
        let means = |terms: Vec<f64>| -> Vec<f32> {
            terms.iter().map(|sum| (sum / pixels as f64) as f32).collect()
        };
        let sums = over_pixels(self.isa, pixels, channels, &Values { values: input, channels });
        let mean = means(sums);
        let squares = over_pixels(self.isa, pixels, channels, &Squares { input, mean: &mean });
        BatchStatistics { variance: means(squares), mean }
    }

    /// 1 / √(variance + epsilon).
    fn scales(&self, statistics: &BatchStatistics) -> Vec<f32> {
        let scale = |v: &f32| (1.0 / (f64::from(*v) + self.epsilon).sqrt()) as f32;
        statistics.variance.iter().map(scale).collect()
    }

    /// The normalised batch. Gamma is 1 and beta 0 where they are `None`.
    pub fn forward(
        &self,
        input: &[f32],
        statistics: &BatchStatistics,
        [gamma, beta]: [Option<&[f32]>; 2],
        output: &mut [f32],
    ) {
        let scales = self.scales(statistics);
        let factor = |c: usize| scales[c] * gamma.map_or(1.0, |gamma| gamma[c]);
        let factors: Vec<f32> = (0..self.channels).map(factor).collect();
        let (mean, factors) = (&statistics.mean[..], &factors[..]);
        self.each_pixel(output, &Normalise { input, mean, factors, beta });
    }

    /// The gradients by gamma and by beta.
    pub fn backward_weights(
        &self,
        input: &[f32],
        statistics: &BatchStatistics,
        gradient: &[f32],
        gamma: &mut [f32],
        beta: &mut [f32],
    ) {
        let channels = self.channels;
        let scales = self.scales(statistics);
        let (mean, scales) = (&statistics.mean[..], &scales[..]);
        let terms = WeightTerms { input, gradient, mean, scales };
        let pixels = gradient.len() / channels.max(1);
        let sums = over_pixels(self.isa, pixels, 2 * channels, &terms);
        let (by_gamma, by_beta) = sums.split_at(channels);
        gamma.iter_mut().zip(by_gamma).for_each(|(to, sum)| *to = *sum as f32);
        beta.iter_mut().zip(by_beta).for_each(|(to, sum)| *to = *sum as f32);
    }

    /// The gradient by the input, written over the gradient by the output. With the batch's own statistics (`of_batch`), these
    /// depend on the input too: with `x̂` the normalised input and `n` values a channel,
    /// `dx = gamma · scale · (dy − mean(dy) − x̂ · mean(dy · x̂))` (Ioffe and Szegedy 2015). `by_gamma` and `by_beta` are what
    /// [`Norm::backward_weights`] made: the sums of `dy · x̂` and of `dy`.
    pub fn backward_input(
        &self,
        input: &[f32],
        statistics: &BatchStatistics,
        gamma: Option<&[f32]>,
        of_batch: Option<[&[f32]; 2]>,
        gradient: &mut [f32],
    ) {
        let channels = self.channels;
        let scales = self.scales(statistics);
        let factors: Vec<f32> =
            (0..channels).map(|c| scales[c] * gamma.map_or(1.0, |gamma| gamma[c])).collect();
        let n = (gradient.len() / channels.max(1)) as f32;
        let mean = &statistics.mean[..];
        let task = InputGradient { input, mean, scales: &scales, factors: &factors, n, of_batch };
        self.each_pixel(gradient, &task);
    }

    fn each_pixel(&self, values: &mut [f32], task: &impl Pixel) {
        const PIXELS: usize = 256;
        let channels = self.channels.max(1);
        values.par_chunks_mut(PIXELS * channels).enumerate().for_each(|(piece, values)| {
            vectorise(self.isa, Pixels { task, first: piece * PIXELS, values, channels });
        });
    }
}

/// What is done to each pixel of an array.
trait Pixel: Sync {
    /// Writes a pixel's channels. Implementations are `#[inline(always)]`.
    fn write(&self, index: usize, to: &mut [f32]);
}

/// Some pixels, of which the first has this index.
struct Pixels<'a, P> {
    task: &'a P,
    first: usize,
    values: &'a mut [f32],
    channels: usize,
}

impl<P: Pixel> Loops for Pixels<'_, P> {
    #[inline(always)]
    fn run(self) {
        for (index, pixel) in self.values.chunks_exact_mut(self.channels).enumerate() {
            self.task.write(self.first + index, pixel);
        }
    }
}

/// Squared differences from the mean.
struct Squares<'a> {
    input: &'a [f32],
    mean: &'a [f32],
}

impl Terms for Squares<'_> {
    #[inline(always)]
    fn add(&self, pixel: usize, sums: &mut [f32]) {
        let channels = self.mean.len();
        let values = &self.input[pixel * channels..][..channels];
        for ((sum, x), mean) in sums.iter_mut().zip(values).zip(self.mean) {
            *sum += (x - mean) * (x - mean);
        }
    }
}

/// `(x − mean) · factor + beta`.
struct Normalise<'a> {
    input: &'a [f32],
    mean: &'a [f32],
    factors: &'a [f32],
    beta: Option<&'a [f32]>,
}

impl Pixel for Normalise<'_> {
    #[inline(always)]
    fn write(&self, index: usize, to: &mut [f32]) {
        let Self { mean, factors, .. } = *self;
        let from = &self.input[index * mean.len()..][..mean.len()];
        for (c, (to, x)) in to.iter_mut().zip(from).enumerate() {
            *to = (x - mean[c]) * factors[c] + self.beta.map_or(0.0, |beta| beta[c]);
        }
    }
}

/// The terms of gamma's gradient, then those of beta's.
struct WeightTerms<'a> {
    input: &'a [f32],
    gradient: &'a [f32],
    mean: &'a [f32],
    scales: &'a [f32],
}

impl Terms for WeightTerms<'_> {
    #[inline(always)]
    fn add(&self, pixel: usize, sums: &mut [f32]) {
        let channels = self.mean.len();
        let (x, g) = (
            &self.input[pixel * channels..][..channels],
            &self.gradient[pixel * channels..][..channels],
        );
        let (by_gamma, by_beta) = sums.split_at_mut(channels);
        for c in 0..channels {
            by_gamma[c] += g[c] * (x[c] - self.mean[c]) * self.scales[c];
            by_beta[c] += g[c];
        }
    }
}

/// The gradient by the input from the gradient by the output.
struct InputGradient<'a> {
    input: &'a [f32],
    mean: &'a [f32],
    scales: &'a [f32],
    factors: &'a [f32],
    /// Values a channel.
    n: f32,
    of_batch: Option<[&'a [f32]; 2]>,
}

impl Pixel for InputGradient<'_> {
    #[inline(always)]
    fn write(&self, index: usize, gradient: &mut [f32]) {
        let Self { mean, scales, factors, .. } = *self;
        let x = &self.input[index * mean.len()..][..mean.len()];
        match self.of_batch {
            Some([by_gamma, by_beta]) => {
                for c in 0..mean.len() {
                    let normal = (x[c] - mean[c]) * scales[c];
                    let rest = (by_beta[c] + normal * by_gamma[c]) / self.n;
                    gradient[c] = factors[c] * (gradient[c] - rest);
                }
            }
            None => gradient.iter_mut().zip(factors).for_each(|(g, f)| *g *= f),
        }
    }
}
