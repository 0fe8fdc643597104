//! The one list of metrics that programs and reports go through.

use super::Metrics;

/// A number and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Stable key, as in JSON.
    pub key: &'static str,
    /// As in a sentence: `accuracy`, `ROC AUC`.
    pub label: &'static str,
    /// The value; none where it is not defined.
    pub value: Option<f64>,
    /// One sentence.
    pub definition: String,
}

impl Metrics {
    /// Every number of the whole split, in the order to show them in; `classes` are names in label order.
    pub fn named(&self, classes: &[String]) -> Vec<Named> {
        let (of, mean) = match classes {
            [_, positive] => (format!("class '{positive}'"), ""),
            _ => ("one class".to_owned(), "; mean over the classes where it is defined"),
        };
        let auc = match classes {
            [_, _] => format!(
                "Chance that a random row of {of} scores higher than a random row of the other class."
            ),
            _ => format!("Area under the ROC curve of each class against the rest{mean}."),
        };
        let named = |key, label, value, definition| Named { key, label, value, definition };
        vec![
            named(
                "accuracy",
                "accuracy",
                Some(self.accuracy),
                "Share of rows predicted right.".to_owned(),
            ),
            named(
                "precision",
                "precision",
                self.precision,
                format!("Of the rows predicted as {of}, the share that is{mean}."),
            ),
            named(
                "recall",
                "recall",
                self.recall,
                format!("Of the rows of {of}, the share predicted so{mean}."),
            ),
            named("f1", "F1", self.f1, format!("Harmonic mean of precision and recall{mean}.")),
            named("roc_auc", "ROC AUC", self.roc_auc, auc),
            named(
                "log_loss",
                "log loss",
                Some(self.log_loss),
                "Mean of -ln of the probability given to the true class.".to_owned(),
            ),
        ]
    }
}
