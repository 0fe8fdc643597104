//! What a report is made of: plain values, filled by the caller.
//!
//! Classes are indices into [`Run::classes`]; a confusion matrix has a row for each true class and a column for each predicted one.
//! Files are named by text, as the split's `index.csv` names them (bytes that are no UTF-8 are escaped there already).
//! A number that has no value (for example the precision of a class that was never predicted) is `None`: pages say "not defined",
//! JSON says `null`. A loss that is no number (NaN, infinite) is told so on the page, and is `null` in JSON too.

use serde::{Deserialize, Serialize};
use train::calibration::{Choice, SplitCalibration};
use train::metrics::Metrics;

/// All that a report says of one trained head.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// The page's heading, for example `cats or dogs`.
    pub title: String,
    /// When the run ended, ready to read, for example `2026-05-04 17:20:03 UTC`.
    pub created: String,
    /// The command as it was typed.
    pub command_line: String,
    /// Name and version of the tool.
    pub tool_version: String,
    /// What was run, in groups: base, weights, size, preprocessing, engine, precision, training settings.
    pub sections: Vec<Section>,
    /// How large the model is and how long it took; none where nobody knows.
    pub model: Option<ModelFacts>,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// One entry an epoch, in order.
    pub history: Vec<Epoch>,
    /// One entry an evaluated split, in the order to show them in.
    pub splits: Vec<SplitResult>,
    /// The temperature and the threshold, where a validation split chose them.
    pub calibration: Option<Chosen>,
    /// The mistakes to show, most confident first (see [`most_confident_mistakes`](crate::most_confident_mistakes)).
    pub mistakes: Vec<Mistake>,
    /// Results over several seeds, when there were several.
    pub repeats: Option<Repeats>,
    /// Input files that gave no row.
    pub skipped: Vec<Skipped>,
    /// Remarks that a reader should see first: warnings, fallbacks that were asked for, limits.
    pub notes: Vec<String>,
}

impl Run {
    /// The split that the page puts first: `test` where there is one, else the last evaluated.
    #[must_use]
    pub fn headline(&self) -> Option<&SplitResult> {
        self.splits.iter().find(|split| split.name == "test").or_else(|| self.splits.last())
    }
}

/// How large a model is, and how long its training took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Weights and biases that were trained.
    pub parameters: u64,
    /// Wall-clock time of the training, without the making of features.
    pub training_seconds: f64,
}

/// What a split chose.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The split.
    pub split: String,
    /// What it chose.
    pub choice: Choice,
}

/// A titled group of names and values, for example `Base`: `backbone` = `vgg16`, `layer` = `block5_pool`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// The group's title.
    pub title: String,
    /// Names and values in the order to show them in.
    pub rows: Vec<(String, String)>,
}

impl Section {
    /// A group from its title and its rows.
    pub fn new<N: Into<String>, V: Into<String>>(
        title: impl Into<String>,
        rows: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self {
            title: title.into(),
            rows: rows.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }
}

/// Loss and accuracy at the end of one epoch, as Keras's history has them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean training loss (cross-entropy in nats).
    pub loss: f64,
    /// Training accuracy, 0 to 1.
    pub accuracy: f64,
    /// Validation loss, where there is a validation split.
    pub val_loss: Option<f64>,
    /// Validation accuracy, 0 to 1, where there is a validation split.
    pub val_accuracy: Option<f64>,
}

/// What the head did on one split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SplitResult {
    /// `train`, `validation`, `test`, …; part of a file name, so letters, digits, `-`, `_` and `.` only.
    pub name: String,
    /// How good the predictions are, with the confusion matrix; none when nothing was labelled.
    pub metrics: Option<Metrics>,
    /// How far the probabilities can be taken at their word; none where nobody asks.
    pub calibration: Option<SplitCalibration>,
    /// One entry a row of the split.
    pub predictions: Vec<Prediction>,
}

/// What the head said of one row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prediction {
    /// Row in the split's feature array.
    pub row: u64,
    /// The file that the row came from.
    pub file: String,
    /// sha256 of the file's bytes, where it is known.
    pub sha256: Option<[u8; 32]>,
    /// True class, where it is known.
    pub truth: Option<usize>,
    /// Class that was predicted.
    pub predicted: usize,
    /// One probability a class, in class order (two for a single sigmoid unit: `1 - p`, `p`).
    pub probabilities: Vec<f32>,
}

/// A mistake to show with its picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mistake {
    /// The split that it was made on.
    pub split: String,
    /// The file.
    pub file: String,
    /// True class.
    pub truth: usize,
    /// Class that was predicted.
    pub predicted: usize,
    /// Probability that the head gave to the predicted class.
    pub probability: f32,
    /// A small JPEG (about 256 pixels on the longer side), where the file could be read.
    pub thumbnail_jpeg: Option<Vec<u8>>,
}

/// Results over several seeds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Repeats {
    /// The seeds, one a training.
    pub seeds: Vec<u64>,
    /// One entry a metric.
    pub metrics: Vec<RepeatedMetric>,
}

/// One metric over several seeds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RepeatedMetric {
    /// Stable key in `metrics.json`, for example `test_accuracy`.
    pub key: String,
    /// Name to show.
    pub label: String,
    /// One value a seed, in the order of [`Repeats::seeds`].
    pub values: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Half the width of the 95% interval of the mean; none for a single seed.
    pub half_width: Option<f64>,
}

/// An input file that gave no row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped {
    /// The split that it is in.
    pub split: String,
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
}
