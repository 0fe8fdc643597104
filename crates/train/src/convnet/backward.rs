//! From the gradient by the logits to those by tensors.

use super::layer::Layer;
use super::step::{Step, values};
use super::tensor::Tensor;
use super::{ConvNet, forward::Training};
use crate::network::Sums;
use crate::optimizer::{self, Rule};
use crate::{HeadError, Optimizer, Randomness, Seeded, loss};
use kernels::Isa;
use kernels::train::{gate, global_average_backward, global_max_backward};

/// A batch and what the loss needs to know of it.
pub(crate) struct Batch<'a> {
    /// (rows, values of an input).
    pub(crate) input: &'a [f32],
    /// Class index of each row.
    pub(crate) labels: &'a [usize],
    /// Weight of each class in the loss.
    pub(crate) weights: &'a [f64],
}

impl ConvNet {
    /// Forward with dropout, loss, and the gradients of all trained tensors, which stay as they are until
    /// [`ConvNet::update`]. `step` counts from 0 over all epochs.
    pub(crate) fn gradients(
        &mut self,
        batch: &Batch<'_>,
        step: usize,
        random: &mut dyn Randomness,
    ) -> Result<Sums, HeadError> {
        let rows = batch.labels.len();
        self.forward(rows, batch.input, Some(Training { step, random }))?;
        let outputs = self.outputs();
        let mut sums = Sums { rows, ..Sums::default() };
        let logits = &mut self.steps[self.logits];
        logits.gradient.resize(rows * outputs, 0.0);
        let each =
            logits.values.chunks_exact(outputs).zip(logits.gradient.chunks_exact_mut(outputs));
        for ((logits, gradient), &label) in each.zip(batch.labels) {
            let weight = batch.weights[label];
            let row = loss::row_loss(logits, label, weight / rows as f64, gradient);
            sums.loss += weight * row.loss;
            sums.correct += usize::from(row.correct);
        }
        self.backward(rows)?;
        Ok(sums)
    }

    /// The mean loss of a batch without class weights, as `dropout` rates of 0 have it, and the gradients of all trained tensors:
    /// [`Tensor::gradient`]. `input` is (rows, values of an input); labels are class indices.
    ///
    /// # Errors
    /// [`HeadError::Width`] when `input` has not as many rows, [`HeadError::LabelRange`].
    pub fn loss_and_gradients(&mut self, input: &[f32], labels: &[i64]) -> Result<f64, HeadError> {
        let classes = self.classes();
        let of = |(row, label): (usize, &i64)| {
            let label = usize::try_from(*label).ok().filter(|label| *label < classes);
            let (split, found) = ("given".to_owned(), labels[row]);
            label.ok_or(HeadError::LabelRange { split, row, label: found, classes })
        };
        let labels = labels.iter().enumerate().map(of).collect::<Result<Vec<usize>, _>>()?;
        let batch = Batch { input, labels: &labels, weights: &vec![1.0; classes] };
        Ok(self.gradients(&batch, 0, &mut Seeded::new(0))?.mean_loss())
    }

    /// Moves all trained tensors by their gradients. `step` counts from 1.
    pub(crate) fn update(
        &mut self,
        optimizer: Optimizer,
        learning_rate: f32,
        step: u32,
    ) -> Result<(), HeadError> {
        let rule = Rule::new(optimizer, learning_rate, step);
        let slots = optimizer::slots(optimizer);
        for tensor in self.tensors.iter_mut().filter(|tensor| tensor.is_trainable()) {
            tensor.update(rule, slots);
        }
        self.drift_statistics();
        self.repack(false)
    }

    fn backward(&mut self, batch: usize) -> Result<(), HeadError> {
        // Steps whose gradient has a first term already.
        let mut is_begun = vec![false; self.steps.len()];
        is_begun[self.logits] = true;
        for index in (0..=self.logits).rev() {
            let (before, rest) = self.steps.split_at_mut(index);
            let step = &mut rest[0];
            if !step.is_reached || !is_begun[index] {
                continue;
            }
            by_tensors(step, before, &mut self.tensors, batch, self.isa)?;
            for place in 0..step.inputs.len() {
                let input = step.inputs[place];
                if !before[input].is_reached {
                    continue;
                }
                let mut to = std::mem::take(&mut before[input].gradient);
                to.resize(before[input].values.len(), 0.0);
                if is_begun[input] {
                    let mut term = vec![0.0; to.len()];
                    by_input(step, before, place, &self.tensors, batch, &mut term)?;
                    to.iter_mut().zip(&term).for_each(|(to, x)| *to += x);
                } else {
                    by_input(step, before, place, &self.tensors, batch, &mut to)?;
                    is_begun[input] = true;
                }
                before[input].gradient = to;
            }
        }
        Ok(())
    }
}

/// Turns the gradient by the output into that by the sum before the activation, and computes the gradients of tensors.
fn by_tensors(
    step: &mut Step,
    before: &[Step],
    tensors: &mut [Tensor],
    batch: usize,
    isa: Isa,
) -> Result<(), HeadError> {
    let x = step.inputs.first().map_or(&[][..], |at| &before[*at].values);
    gate(isa, step.own_gate, &step.values, &mut step.gradient);
    if !step.is_trained {
        return Ok(());
    }
    let channels = step.shape.channels();
    // Taken out, so that both can be written while tensors are read.
    let mut take = |at: Option<usize>| match at {
        Some(at) => tensors[at].take_gradient(),
        None => vec![0.0; channels],
    };
    let (mut kernel, mut bias) = (take(step.weights.kernel), take(step.weights.bias));
    match &step.layer {
        Layer::Conv { conv, .. } => {
            conv.backward_weights(batch, x, &step.gradient, &mut kernel, &mut bias)?;
        }
        Layer::Dense { dense, .. } => {
            dense.backward_weights(batch, x, &step.gradient, &mut kernel, &mut bias)?;
        }
        Layer::Norm { norm, .. } => {
            norm.backward_weights(x, &step.statistics, &step.gradient, &mut kernel, &mut bias);
        }
        _ => {}
    }
    for (at, gradient) in [(step.weights.kernel, kernel), (step.weights.bias, bias)] {
        if let Some(at) = at {
            tensors[at].put_gradient(gradient);
        }
    }
    Ok(())
}

/// The gradient by input number `place`, written to `to`.
fn by_input(
    step: &mut Step,
    before: &[Step],
    place: usize,
    tensors: &[Tensor],
    batch: usize,
    to: &mut [f32],
) -> Result<(), HeadError> {
    let x = &before[step.inputs[place]].values;
    let weights = step.weights;
    match &step.layer {
        Layer::Conv { conv, .. } => conv.backward_input(batch, &step.gradient, to)?,
        Layer::Dense { dense, .. } => {
            let kernel = values(tensors, weights.kernel).unwrap_or_default();
            dense.backward_input(batch, &step.gradient, kernel, to)?;
        }
        Layer::Norm { norm, .. } => {
            to.copy_from_slice(&step.gradient);
            let gradient = |at: Option<usize>| at.map(|at| tensors[at].gradient());
            let sums = step.is_trained.then(|| [gradient(weights.kernel), gradient(weights.bias)]);
            let own;
            let of_batch = match sums {
                Some([Some(by_gamma), Some(by_beta)]) => Some([by_gamma, by_beta]),
                // A normalisation without gamma or beta: the sums are needed all the same.
                Some(_) => {
                    let channels = step.shape.channels();
                    let mut sums = [vec![0.0; channels], vec![0.0; channels]];
                    let [by_gamma, by_beta] = &mut sums;
                    norm.backward_weights(x, &step.statistics, to, by_gamma, by_beta);
                    own = sums;
                    Some([&own[0][..], &own[1][..]])
                }
                None => None,
            };
            let gamma = values(tensors, weights.kernel);
            norm.backward_input(x, &step.statistics, gamma, of_batch, to);
        }
        Layer::Act(_) | Layer::Same => to.copy_from_slice(&step.gradient),
        Layer::Pool(pool) => pool.backward(batch, x, &step.gradient, step.input_gate, to)?,
        Layer::Global { is_max: true, input } => {
            global_max_backward(*input, x, &step.gradient, to);
        }
        Layer::Global { is_max: false, input } => {
            global_average_backward(*input, &step.gradient, to);
        }
        Layer::Add(scale) => {
            let factor = if place == 0 { 1.0 } else { *scale };
            to.iter_mut().zip(&step.gradient).for_each(|(to, g)| *to = factor * g);
        }
        Layer::Concat => {
            let width = step.shape.channels();
            let channels = |at: &usize| before[*at].shape.channels();
            let offset: usize = step.inputs[..place].iter().map(channels).sum();
            let length = channels(&step.inputs[place]);
            let pixels = to.chunks_exact_mut(length).zip(step.gradient.chunks_exact(width));
            pixels.for_each(|(to, g)| to.copy_from_slice(&g[offset..offset + length]));
        }
        Layer::Pad(padded) => {
            for [at, padded, length] in padded.lines(batch) {
                to[at..at + length].copy_from_slice(&step.gradient[padded..padded + length]);
            }
        }
        Layer::Dropout(_) if step.mask.is_empty() => to.copy_from_slice(&step.gradient),
        Layer::Dropout(_) => {
            let both = step.gradient.iter().zip(&step.mask);
            to.iter_mut().zip(both).for_each(|(to, (g, factor))| *to = g * factor);
        }
        Layer::Input | Layer::Outputs => {}
    }
    Ok(())
}
