//! From inputs to logits.

use super::ConvNet;
use super::layer::Layer;
use super::step::{Step, values};
use super::tensor::Tensor;
use crate::{HeadError, Randomness};
use kernels::train::BatchStatistics;
use kernels::{Activation, channel_maxima, channel_means};
use rayon::prelude::*;

/// What training does differently from inference.
pub(super) struct Training<'a> {
    /// Steps of the optimizer before this one, over all epochs.
    pub(super) step: usize,
    pub(super) random: &'a mut dyn Randomness,
}

/// Values a task, where each is treated by itself.
pub(super) const PIECE: usize = 64 * 1024;

impl ConvNet {
    /// Logits of `batch` inputs, (batch, outputs): without dropout, with stored statistics.
    ///
    /// # Errors
    /// [`HeadError::Width`] when `input` has not as many values.
    pub fn logits(&mut self, batch: usize, input: &[f32]) -> Result<&[f32], HeadError> {
        self.forward(batch, input, None)?;
        Ok(&self.steps[self.logits].values)
    }

    pub(super) fn forward(
        &mut self,
        batch: usize,
        input: &[f32],
        mut training: Option<Training<'_>>,
    ) -> Result<(), HeadError> {
        let expected = batch * self.input.values();
        if input.len() != expected {
            let (what, found) = ("inputs of a batch".to_owned(), input.len());
            return Err(HeadError::Width { what, expected, found });
        }
        let mut dropouts = 0;
        for index in 0..=self.logits {
            let (before, rest) = self.steps.split_at_mut(index);
            let step = &mut rest[0];
            step.values.resize(batch * step.shape.values(), 0.0);
            if let Layer::Dropout(rate) = step.layer {
                let x = &before[step.inputs[0]].values;
                let training = training.as_mut().filter(|_| rate > 0.0);
                dropout(step, x, rate, training.map(|training| (training, dropouts)));
                dropouts += 1;
                continue;
            }
            run(step, before, &self.tensors, batch, input, training.is_some())?;
        }
        Ok(())
    }

    /// Moves the stored statistics of trained batch normalisations towards those of the last batch.
    pub(super) fn drift_statistics(&mut self) {
        for step in self.steps.iter().filter(|step| step.is_trained) {
            let Layer::Norm { drift, .. } = step.layer else { continue };
            let BatchStatistics { mean, variance } = &step.statistics;
            for (at, value) in [(step.weights.mean, mean), (step.weights.variance, variance)] {
                if let Some(at) = at {
                    self.tensors[at].drift(value, drift);
                }
            }
        }
    }
}

/// One step but for dropout. `before` are the steps that it may read.
fn run(
    step: &mut Step,
    before: &[Step],
    tensors: &[Tensor],
    batch: usize,
    input: &[f32],
    is_training: bool,
) -> Result<(), HeadError> {
    let from = |i: usize| step.inputs.get(i).map_or(&[][..], |at| &before[*at].values);
    let (x, to) = (from(0), &mut step.values);
    let weights = step.weights;
    match &step.layer {
        Layer::Input => to.copy_from_slice(input),
        Layer::Conv { conv, .. } => conv.forward(batch, x, to)?,
        Layer::Dense { dense, .. } => {
            let zeros = vec![0.0; step.shape.values()];
            let bias = values(tensors, weights.bias).unwrap_or(&zeros);
            let kernel = values(tensors, weights.kernel).unwrap_or_default();
            dense.forward(batch, x, [kernel, bias], to)?;
        }
        Layer::Norm { norm, .. } => {
            step.statistics = if is_training && step.is_trained {
                norm.statistics(x)
            } else {
                let of = |at| values(tensors, at).unwrap_or_default().to_vec();
                BatchStatistics { mean: of(weights.mean), variance: of(weights.variance) }
            };
            let affine = [values(tensors, weights.kernel), values(tensors, weights.bias)];
            norm.forward(x, &step.statistics, affine, to);
        }
        Layer::Act(activation) => {
            to.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(to, x)| {
                to.iter_mut().zip(x).for_each(|(to, x)| *to = activate(*x, *activation));
            });
        }
        Layer::Pool(pool) => pool.forward(batch, x, to)?,
        Layer::Global { is_max, input: [h, w, channels] } => {
            let images = x.par_chunks((h * w * channels).max(1));
            images.zip(to.par_chunks_mut((*channels).max(1))).for_each(
                |(image, to)| match is_max {
                    true => channel_maxima(image, *channels, to),
                    false => channel_means(image, *channels, to),
                },
            );
        }
        Layer::Add(scale) => {
            let pieces = to.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE));
            pieces.zip(from(1).par_chunks(PIECE)).for_each(|((to, x), y)| {
                to.iter_mut().zip(x).zip(y).for_each(|((to, x), y)| *to = x + scale * y);
            });
        }
        Layer::Concat => {
            let width = step.shape.channels();
            let mut offset = 0;
            for (i, input) in step.inputs.iter().enumerate() {
                let channels = before[*input].shape.channels();
                let pixels = to.chunks_exact_mut(width).zip(from(i).chunks_exact(channels));
                pixels.for_each(|(to, x)| to[offset..offset + channels].copy_from_slice(x));
                offset += channels;
            }
        }
        Layer::Pad(padded) => {
            to.fill(0.0);
            for [at, padded, length] in padded.lines(batch) {
                to[padded..padded + length].copy_from_slice(&x[at..at + length]);
            }
        }
        Layer::Same => to.copy_from_slice(x),
        Layer::Dropout(_) | Layer::Outputs => {}
    }
    Ok(())
}

/// `training` also says which of the network's dropouts this is, from 0.
fn dropout(step: &mut Step, x: &[f32], rate: f32, training: Option<(&mut Training<'_>, usize)>) {
    step.values.copy_from_slice(x);
    step.mask.clear();
    if let Some((Training { step: number, random }, place)) = training {
        step.mask.resize(x.len(), 0.0);
        random.mask(*number, place, step.shape.values(), rate, &mut step.mask);
        step.values.iter_mut().zip(&step.mask).for_each(|(x, factor)| *x *= factor);
    }
}

/// NaN stays NaN.
fn activate(x: f32, activation: Activation) -> f32 {
    match activation {
        Activation::Relu if x < 0.0 => 0.0,
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::None | Activation::Relu => x,
    }
}
