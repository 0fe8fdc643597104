//! A trained head: dense layers in Keras's layout, and prediction.

use crate::{FeatureRows, HeadError};
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
        self.layers
            .iter()
            .map(|l| l.kernel.len() + l.bias.len())
            .sum()
    }
    /// Outputs of the last layer before its activation: 1 value for two classes, else one a class.
    pub fn logits(&self, _row: &[f32]) -> Result<Vec<f32>, HeadError> {
        Ok(Vec::new())
    }
    /// Class probabilities of one row, `classes()` values (also for sigmoid: `[1 - p, p]`). The bits do not depend on
    /// how many rows are predicted.
    pub fn predict(&self, row: &[f32]) -> Result<Vec<f32>, HeadError> {
        self.logits(row)
    }
    /// Class probabilities of every row, (N, classes) in C order, on the rayon pool it is called in; bitwise what
    /// [`Head::predict`] gives for each. `split` names the rows in messages.
    pub fn predict_rows(
        &self,
        _split: &str,
        _rows: &dyn FeatureRows,
    ) -> Result<Vec<f32>, HeadError> {
        Ok(Vec::new())
    }
}
