//! What one epoch of training reports.

use serde::{Deserialize, Serialize};

/// One line of the history, with Keras's meaning: `loss` and `accuracy` are means over the epoch's batches while the
/// weights change and dropout is on; the `val_` values are taken at the end of the epoch, without dropout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochStats {
    /// From 1.
    pub epoch: usize,
    /// Mean training loss (natural logarithm; class weights included), each batch weighted by its rows.
    pub loss: f64,
    /// Share of training rows predicted right, unweighted.
    pub accuracy: f64,
    /// Mean validation loss, where there is validation data.
    pub val_loss: Option<f64>,
    /// Share of validation rows predicted right.
    pub val_accuracy: Option<f64>,
    /// Wall-clock time of the epoch, validation included.
    pub seconds: f64,
}
