//! The layers together: forward passes for evaluation, and one step of training.

use crate::batch::{Batch, Use};
use crate::layer::{DenseLayer, PanelGradients};
use crate::loss;
use crate::optimizer::{self, Rule};
use crate::{Activation, Head, Layer, Optimizer, Randomness};
use pulp::Arch;

/// Widths from the features to the logits.
pub(crate) fn widths(inputs: usize, hidden: &[usize], classes: usize) -> Vec<usize> {
    let outputs = if classes == 2 { 1 } else { classes };
    std::iter::once(inputs).chain(hidden.iter().copied()).chain([outputs]).collect()
}

/// Keras's name of dense layer `i` of a model.
pub(crate) fn layer_name(i: usize) -> String {
    if i == 0 { "dense".to_owned() } else { format!("dense_{i}") }
}

/// All layers, and room for one batch.
pub(crate) struct Network {
    layers: Vec<DenseLayer>,
    /// Input of each layer after the first: activations behind dropout.
    hidden: Vec<Batch>,
    /// For each hidden layer, the factor by which its output's gradient passes: dropout times ReLU's slope.
    gates: Vec<Vec<f32>>,
    outputs: Vec<f32>,
    gradient: Vec<f32>,
    upstream: Vec<f32>,
    panel_gradients: Vec<PanelGradients>,
}

/// Sums over the rows of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) loss: f64,
    pub(crate) correct: usize,
    pub(crate) rows: usize,
}

impl Sums {
    pub(crate) fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.correct += other.correct;
        self.rows += other.rows;
    }
    pub(crate) fn mean_loss(&self) -> f64 {
        self.loss / self.rows as f64
    }
    pub(crate) fn accuracy(&self) -> f64 {
        self.correct as f64 / self.rows as f64
    }
}

/// What a training step needs beside its features.
pub(crate) struct Step<'a> {
    /// From 1.
    pub(crate) number: u32,
    pub(crate) labels: &'a [usize],
    /// Of each class.
    pub(crate) weights: &'a [f64],
    pub(crate) dropout: f32,
    pub(crate) rule: Rule,
}

impl Network {
    /// A network with random kernels and zero biases.
    pub(crate) fn random(
        widths: &[usize],
        optimizer: Optimizer,
        random: &mut dyn Randomness,
    ) -> Self {
        let arch = Arch::new();
        let make = |(i, w): (usize, &[usize])| {
            let mut kernel = vec![0.0; w[0] * w[1]];
            random.kernel(i, w[0], w[1], &mut kernel);
            DenseLayer::new(
                arch,
                w[0],
                w[1],
                optimizer::slots(optimizer),
                &kernel,
                &vec![0.0; w[1]],
            )
        };
        Self::of(widths.windows(2).enumerate().map(make).collect())
    }

    /// For prediction only.
    pub(crate) fn from_head(head: &Head) -> Self {
        let arch = Arch::new();
        Self::of(
            head.layers
                .iter()
                .map(|l| DenseLayer::new(arch, l.inputs, l.outputs, 1, &l.kernel, &l.bias))
                .collect(),
        )
    }

    fn of(layers: Vec<DenseLayer>) -> Self {
        let hidden = layers.iter().skip(1).map(|l| Batch::new(l.inputs)).collect();
        let gates = vec![Vec::new(); layers.len() - 1];
        let panel_gradients = layers.iter().map(|_| PanelGradients::default()).collect();
        Self {
            layers,
            hidden,
            gates,
            outputs: Vec::new(),
            gradient: Vec::new(),
            upstream: Vec::new(),
            panel_gradients,
        }
    }

    /// The weights as they are.
    pub(crate) fn head(&self) -> Head {
        let last = self.layers.len() - 1;
        let layers = self.layers.iter().enumerate().map(|(i, layer)| {
            let (kernel, bias) = layer.export();
            let activation = match (i == last, layer.outputs) {
                (false, _) => Activation::Relu,
                (true, 1) => Activation::Sigmoid,
                (true, _) => Activation::Softmax,
            };
            Layer {
                name: layer_name(i),
                inputs: layer.inputs,
                outputs: layer.outputs,
                kernel,
                bias,
                activation,
            }
        });
        Head { layers: layers.collect() }
    }

    /// Multiplies a batch of features by the first layer: what [`Network::logits`] and [`Network::step`] start from.
    pub(crate) fn enter(&mut self, batch: &Batch) {
        self.layers[0].sweep(None, Some(batch));
    }

    /// Logits (rows, outputs) of the batch that entered, without dropout.
    pub(crate) fn logits(&mut self, rows: usize) -> &[f32] {
        self.forward(rows, |_, _, _| {});
        &self.outputs
    }

    /// Upper layers; `gate` may change the gate (0 or 1 by ReLU) of a hidden layer.
    fn forward(&mut self, rows: usize, mut gate: impl FnMut(usize, usize, &mut [f32])) {
        self.layers[0].collect(rows, &mut self.outputs);
        for l in 1..self.layers.len() {
            let gates = &mut self.gates[l - 1];
            gates.clear();
            gates.extend(
                self.outputs.iter().map(|z| if *z > 0.0 || z.is_nan() { 1.0 } else { 0.0 }),
            );
            gate(l - 1, self.layers[l].inputs, gates);
            self.outputs.iter_mut().zip(gates.iter()).for_each(|(z, g)| *z *= g);
            self.hidden[l - 1].set_dense(&self.outputs, rows, Use::Training);
            self.layers[l].sweep(None, Some(&self.hidden[l - 1]));
            self.layers[l].collect(rows, &mut self.outputs);
        }
    }

    /// One step on the batch that entered, but for the first layer's kernel: forward with dropout, loss, gradients,
    /// update of all else. [`Network::finish`] must follow.
    pub(crate) fn step(
        &mut self,
        step: &Step<'_>,
        random: &mut dyn Randomness,
        mask: &mut Vec<f32>,
    ) -> Sums {
        let rows = step.labels.len();
        self.forward(rows, |layer, units, gates| {
            if step.dropout > 0.0 {
                mask.clear();
                mask.resize(gates.len(), 0.0);
                random.mask(step.number as usize - 1, layer, units, step.dropout, mask);
                gates.iter_mut().zip(mask.iter()).for_each(|(g, m)| *g *= m);
            }
        });
        let mut sums = Sums { rows, ..Sums::default() };
        let outputs = self.outputs.len() / rows;
        self.gradient.clear();
        self.gradient.resize(self.outputs.len(), 0.0);
        let logits = self.outputs.chunks_exact(outputs);
        for ((logits, gradient), &label) in
            logits.zip(self.gradient.chunks_exact_mut(outputs)).zip(step.labels)
        {
            let weight = step.weights[label];
            let row = loss::row_loss(logits, label, weight / rows as f64, gradient);
            sums.loss += weight * row.loss;
            sums.correct += usize::from(row.correct);
        }
        for l in (0..self.layers.len()).rev() {
            let layer = &mut self.layers[l];
            layer.update_bias(&self.gradient, step.rule);
            layer.split_into_panels(&self.gradient, rows, &mut self.panel_gradients[l]);
            if l > 0 {
                layer.input_gradient(
                    &self.panel_gradients[l],
                    &self.gates[l - 1],
                    &mut self.upstream,
                );
                layer.sweep(
                    Some((&self.hidden[l - 1], &self.panel_gradients[l], step.rule, step.number)),
                    None,
                );
                std::mem::swap(&mut self.gradient, &mut self.upstream);
            }
        }
        sums
    }

    /// The traversal of the first layer: update by the batch of the step just done, product of the next batch.
    pub(crate) fn finish(&mut self, step: &Step<'_>, batch: &Batch, next: Option<&Batch>) {
        self.layers[0].sweep(Some((batch, &self.panel_gradients[0], step.rule, step.number)), next);
    }
}

/// Loss and hits of rows of logits, unweighted.
pub(crate) fn evaluate(logits: &[f32], labels: &[usize]) -> Sums {
    let mut sums = Sums { rows: labels.len(), ..Sums::default() };
    let outputs = logits.len() / labels.len().max(1);
    let mut gradient = vec![0.0; outputs];
    for (logits, &label) in logits.chunks_exact(outputs.max(1)).zip(labels) {
        let row = loss::row_loss(logits, label, 1.0, &mut gradient);
        sums.loss += row.loss;
        sums.correct += usize::from(row.correct);
    }
    sums
}
