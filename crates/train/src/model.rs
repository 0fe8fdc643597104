//! A trained head: dense layers in Keras's layout, and prediction.

use crate::batch::{Batch, Use};
use crate::fit::EVALUATION_BATCH;
use crate::network::Network;
use crate::row_store;
use crate::sparse::CHUNK;
use crate::{FeatureRows, HeadError, loss};
use pulp::Arch;
use serde::{Deserialize, Serialize};

/// What follows a layer's affine map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `1 / (1 + exp(-x))`: the output of a head of two classes, the probability of class 1.
    Sigmoid,
    /// `exp(x_k) / Σ exp(x_j)`.
    Softmax,
}

/// One dense layer: `activation(x · kernel + bias)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Keras's name: `dense`, `dense_1`, …
    pub name: String,
    /// Width of the input.
    pub inputs: usize,
    /// Width of the output.
    pub outputs: usize,
    /// (inputs, outputs), C order.
    pub kernel: Vec<f32>,
    /// (outputs,).
    pub bias: Vec<f32>,
    /// What follows.
    pub activation: Activation,
}

/// A classifier on feature rows. The last layer is one sigmoid unit for two classes, else softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub(crate) layers: Vec<Layer>,
}

impl Head {
    /// The layers in order.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }
    /// Features a row.
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |l| l.inputs)
    }
    /// Number of classes, at least 2.
    pub fn classes(&self) -> usize {
        self.layers.last().map_or(0, |l| l.outputs.max(2))
    }
    /// Weights and biases.
    pub fn parameter_count(&self) -> usize {
        self.layers.iter().map(|l| l.kernel.len() + l.bias.len()).sum()
    }
    /// Outputs of the last layer before its activation: 1 value for two classes, else one a class.
    ///
    /// # Errors
    /// [`HeadError::Width`] for a row of another length, [`HeadError::NotFinite`].
    pub fn logits(&self, row: &[f32]) -> Result<Vec<f32>, HeadError> {
        if row.len() != self.inputs() {
            let what = "features of a row".to_owned();
            return Err(HeadError::Width { what, expected: self.inputs(), found: row.len() });
        }
        if let Some(column) = row.iter().position(|x| !x.is_finite()) {
            return Err(HeadError::NotFinite {
                split: "given".to_owned(),
                row: 0,
                column,
                value: row[column],
            });
        }
        let last = self.layers.len() - 1;
        let mut values = row.to_vec();
        for (i, layer) in self.layers.iter().enumerate() {
            values = Arch::new().dispatch(|| layer.affine(&values));
            if i < last {
                // As in training: the value times ReLU's slope.
                values
                    .iter_mut()
                    .for_each(|z| *z *= if *z > 0.0 || z.is_nan() { 1.0 } else { 0.0 });
            }
        }
        Ok(values)
    }

    /// Class probabilities of one row, `classes()` values (also for sigmoid: `[1 - p, p]`). The bits do not depend on
    /// how many rows are predicted.
    ///
    /// # Errors
    /// As [`Head::logits`].
    pub fn predict(&self, row: &[f32]) -> Result<Vec<f32>, HeadError> {
        let mut out = vec![0.0; self.classes()];
        loss::probabilities(&self.logits(row)?, &mut out);
        Ok(out)
    }

    /// Class probabilities of every row, (N, classes) in C order, on the rayon pool it is called in; bitwise what
    /// [`Head::predict`] gives for each. `split` names the rows in messages. Holds a few rows at a time.
    ///
    /// # Errors
    /// [`HeadError::Width`] for rows of another length, [`HeadError::NotFinite`].
    pub fn predict_rows(&self, split: &str, rows: &dyn FeatureRows) -> Result<Vec<f32>, HeadError> {
        let (width, classes) = (rows.width(), self.classes());
        if width != self.inputs() {
            return Err(HeadError::Width {
                what: format!("{split} features"),
                expected: self.inputs(),
                found: width,
            });
        }
        let mut network = Network::from_head(self);
        let mut batch = Batch::new(width);
        let mut out = vec![0.0; rows.len() * classes];
        for (i, out) in out.chunks_mut(EVALUATION_BATCH * classes).enumerate() {
            let first = i * EVALUATION_BATCH;
            let count = out.len() / classes;
            let read = row_store::read_rows(split, rows, first..first + count)?;
            batch.set(&read.iter().collect::<Vec<_>>(), Use::Evaluation);
            network.enter(&batch);
            let logits = network.logits(count);
            for (logits, out) in
                logits.chunks_exact(logits.len() / count).zip(out.chunks_exact_mut(classes))
            {
                loss::probabilities(logits, out);
            }
        }
        Ok(out)
    }
}

impl Layer {
    /// `x · kernel + bias`: zeros skipped, chunks summed one by one, each in the order of its columns, as in training.
    #[inline(always)]
    fn affine(&self, x: &[f32]) -> Vec<f32> {
        let mut sum = vec![0.0_f32; self.outputs];
        let mut part = vec![0.0_f32; self.outputs];
        for (x, kernel) in x.chunks(CHUNK).zip(self.kernel.chunks(CHUNK * self.outputs)) {
            part.fill(0.0);
            for (x, w) in x.iter().zip(kernel.chunks_exact(self.outputs)) {
                if *x != 0.0 {
                    part.iter_mut().zip(w).for_each(|(p, w)| *p = x.mul_add(*w, *p));
                }
            }
            sum.iter_mut().zip(&part).for_each(|(s, p)| *s += p);
        }
        sum.iter_mut().zip(&self.bias).for_each(|(s, b)| *s += b);
        sum
    }
}
