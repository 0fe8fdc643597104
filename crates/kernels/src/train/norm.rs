//! Batch normalisation, with the statistics of the batch or with stored ones: forward, and its gradients.

use rayon::prelude::*;

use super::sums::over_pixels;
use crate::Isa;
use crate::simd::vectorise;

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
        let pixel = |index: usize| &input[index * channels..][..channels];
        let sums = over_pixels(self.isa, pixels, channels, |index, sums| {
            sums.iter_mut().zip(pixel(index)).for_each(|(sum, x)| *sum += x);
        });
        let mean: Vec<f32> = sums.iter().map(|sum| (sum / pixels as f64) as f32).collect();
        let sums = over_pixels(self.isa, pixels, channels, |index, sums| {
            for ((sum, x), mean) in sums.iter_mut().zip(pixel(index)).zip(&mean) {
                *sum += (x - mean) * (x - mean);
            }
        });
        let variance = sums.iter().map(|sum| (sum / pixels as f64) as f32).collect();
        BatchStatistics { mean, variance }
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
        self.each_pixel(output, |index, to| {
            let from = &input[index * self.channels..][..self.channels];
            for (c, (to, x)) in to.iter_mut().zip(from).enumerate() {
                *to = (x - statistics.mean[c]) * factors[c] + beta.map_or(0.0, |beta| beta[c]);
            }
        });
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
        let sums =
            over_pixels(self.isa, gradient.len() / channels.max(1), 2 * channels, |index, sums| {
                let at = index * channels;
                let (by_gamma, by_beta) = sums.split_at_mut(channels);
                for c in 0..channels {
                    let g = gradient[at + c];
                    by_gamma[c] += g * (input[at + c] - statistics.mean[c]) * scales[c];
                    by_beta[c] += g;
                }
            });
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
        self.each_pixel(gradient, |index, gradient| {
            let x = &input[index * channels..][..channels];
            match of_batch {
                Some([by_gamma, by_beta]) => {
                    for c in 0..channels {
                        let normal = (x[c] - statistics.mean[c]) * scales[c];
                        let rest = (by_beta[c] + normal * by_gamma[c]) / n;
                        gradient[c] = factors[c] * (gradient[c] - rest);
                    }
                }
                None => gradient.iter_mut().zip(&factors).for_each(|(g, f)| *g *= f),
            }
        });
    }

    fn each_pixel(&self, values: &mut [f32], task: impl Fn(usize, &mut [f32]) + Sync + Send) {
        const PIXELS: usize = 256;
        let channels = self.channels.max(1);
        values.par_chunks_mut(PIXELS * channels).enumerate().for_each(|(piece, values)| {
            vectorise(self.isa, || {
                for (index, pixel) in values.chunks_exact_mut(channels).enumerate() {
                    task(piece * PIXELS + index, pixel);
                }
            });
        });
    }
}
