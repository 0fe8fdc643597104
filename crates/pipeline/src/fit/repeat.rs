//! The same training with several seeds.

use train::Fitted;
use train::metrics::Metrics;
use train::repeats::mean_interval;

/// What several seeds gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeats {
    /// The seeds, the first one's head was kept.
    pub seeds: Vec<u64>,
    /// What is compared between them.
    pub metrics: Vec<RepeatedMetric>,
}

/// One value a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct RepeatedMetric {
    /// A stable name.
    pub key: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// In the order of the seeds.
    pub values: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Half of the 95% interval's width; none for a single value.
    pub half_width: Option<f64>,
}

/// One value a seed of everything that is compared between seeds.
#[derive(Default)]
pub(crate) struct Seeds {
    seeds: Vec<u64>,
    /// In the order of first mention.
    values: Vec<(&'static str, &'static str, Vec<f64>)>,
}

impl Seeds {
    fn push(&mut self, key: &'static str, label: &'static str, value: f64) {
        match self.values.iter_mut().find(|(known, _, _)| *known == key) {
            Some((_, _, values)) => values.push(value),
            None => self.values.push((key, label, vec![value])),
        }
    }

    /// Takes one training's results in.
    pub(crate) fn add(&mut self, seed: u64, fitted: &Fitted, test: Option<&Metrics>) {
        self.seeds.push(seed);
        let accuracies: Vec<f64> =
            fitted.outcome.history.iter().filter_map(|e| e.val_accuracy).collect();
        if let Some(&last) = accuracies.last() {
            self.push("val_accuracy_last", "Validation accuracy, last epoch", last);
            let best = accuracies.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            self.push("val_accuracy_best", "Validation accuracy, best epoch", best);
        }
        if let Some(loss) = fitted.outcome.history.last().and_then(|e| e.val_loss) {
            self.push("val_loss_last", "Validation loss, last epoch", loss);
        }
        if let Some(test) = test {
            self.push("test_accuracy", "Test accuracy", test.accuracy);
            // Whether these are defined depends on the labels alone: for every seed, or for none.
            for (key, label, value) in
                [("test_f1", "Test F1", test.f1), ("test_roc_auc", "Test ROC AUC", test.roc_auc)]
            {
                if let Some(value) = value {
                    self.push(key, label, value);
                }
            }
            self.push("test_log_loss", "Test log loss", test.log_loss);
        }
    }

    /// The values of the last seed.
    pub(crate) fn last(&self) -> Vec<(&'static str, &'static str, f64)> {
        let last = self.values.iter();
        last.filter_map(|(key, label, values)| Some((*key, *label, *values.last()?))).collect()
    }

    /// Means and 95% intervals; none for a single seed.
    pub(crate) fn summary(&self) -> Option<Repeats> {
        if self.seeds.len() < 2 {
            return None;
        }
        let metrics = self.values.iter().filter_map(|(key, label, values)| {
            let interval = mean_interval(values)?;
            Some(RepeatedMetric {
                key,
                label,
                values: values.clone(),
                mean: interval.mean,
                half_width: interval.half_width,
            })
        });
        Some(Repeats { seeds: self.seeds.clone(), metrics: metrics.collect() })
    }
}
