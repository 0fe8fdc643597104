//! Several models on the same split: what is compared, as plain values and as JSON.

use serde_json::{Value, json};
use train::calibration::Reliability;
use train::metrics::{Metrics, wilson};

use crate::model::{Epoch, ModelFacts};

/// Models side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// When it was made, ready to read.
    pub created: String,
    /// The command as it was typed; may be empty.
    pub command_line: String,
    /// Name and version of the tool.
    pub tool_version: String,
    /// The split that all were evaluated on.
    pub split: String,
    /// Class names in label order, as cells of a table have them.
    pub classes: Vec<String>,
    /// In the order to show them in.
    pub models: Vec<ComparedModel>,
    /// Every two of them.
    pub pairs: Vec<Pair>,
}

/// One model.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedModel {
    /// What it is called: each name once.
    pub name: String,
    /// Its folder.
    pub folder: String,
    /// One entry an epoch.
    pub history: Vec<Epoch>,
    /// Size and time; none where the folder does not say.
    pub facts: Option<ModelFacts>,
    /// Bytes of its weights.
    pub weight_bytes: u64,
    /// How good it is on the split.
    pub metrics: Metrics,
    /// How far its probabilities can be taken at their word.
    pub reliability: Reliability,
}

impl ComparedModel {
    /// Wilson's 95% interval of the accuracy.
    pub fn interval(&self) -> Option<(f64, f64)> {
        wilson(self.metrics.right(), self.metrics.rows)
    }
}

/// Two models on the same pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Index of one model.
    pub first: usize,
    /// Index of the other.
    pub second: usize,
    /// What McNemar's test says, or why it can't say anything.
    pub test: Result<PairTest, String>,
}

/// Pictures on which two models differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairTest {
    /// Pictures that the first alone predicts right.
    pub only_first: u64,
    /// Pictures that the second alone predicts right.
    pub only_second: u64,
    /// [`train::metrics::mcnemar`] of both.
    pub p_value: f64,
}

impl Comparison {
    /// Why pairs have no test, each reason once.
    pub fn reasons(&self) -> Vec<&str> {
        let mut reasons: Vec<&str> = Vec::new();
        for reason in self.pairs.iter().filter_map(|pair| pair.test.as_ref().err()) {
            if !reasons.contains(&reason.as_str()) {
                reasons.push(reason);
            }
        }
        reasons
    }

    /// Everything with a number. Numbers that are none are `null`.
    pub fn to_json(&self) -> Value {
        let models = self.models.iter().map(|model| {
            json!({
                "name": model.name, "folder": model.folder, "model": model.facts,
                "weight_bytes": model.weight_bytes, "epochs": model.history.len(),
                "accuracy_95": model.interval().map(|(low, high)| [low, high]),
                "ece": model.reliability.ece, "metrics": model.metrics,
            })
        });
        let pairs = self.pairs.iter().map(|pair| {
            let (first, second) = (&self.models[pair.first].name, &self.models[pair.second].name);
            match &pair.test {
                Ok(test) => json!({
                    "first": first, "second": second, "only_first": test.only_first,
                    "only_second": test.only_second, "p_value": test.p_value,
                }),
                Err(reason) => {
                    json!({ "first": first, "second": second, "p_value": null, "reason": reason })
                }
            }
        });
        json!({
            "format_version": 1,
            "split": self.split,
            "classes": self.classes,
            "models": models.collect::<Vec<_>>(),
            "pairs": pairs.collect::<Vec<_>>(),
        })
    }
}
