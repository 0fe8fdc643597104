//! The same training with several seeds.

use anyhow::Result;
use head::metrics::Metrics;
use head::repeats::mean_interval;
use head::{FitConfig, Fitted};
use report::{RepeatedMetric, Repeats};
use std::ops::ControlFlow;

use super::evaluate::evaluate;
use super::features::AllFeatures;
use crate::console::Console;
use crate::interrupt::Interrupt;

/// One value a seed of everything that is compared between seeds.
#[derive(Default)]
pub(super) struct Seeds {
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
    pub(super) fn add(&mut self, seed: u64, fitted: &Fitted, test: Option<&Metrics>) {
        self.seeds.push(seed);
        let accuracies: Vec<f64> = fitted.history.iter().filter_map(|e| e.val_accuracy).collect();
        if let Some(&last) = accuracies.last() {
            self.push("val_accuracy_last", "Validation accuracy, last epoch", last);
            let best = accuracies.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            self.push("val_accuracy_best", "Validation accuracy, best epoch", best);
        }
        if let Some(loss) = fitted.history.last().and_then(|e| e.val_loss) {
            self.push("val_loss_last", "Validation loss, last epoch", loss);
        }
        if let Some(test) = test {
            self.push("test_accuracy", "Test accuracy", test.accuracy);
            self.push("test_f1", "Test F1", test.f1);
            if let Some(auc) = test.roc_auc {
                self.push("test_roc_auc", "Test ROC AUC", auc);
            }
            self.push("test_log_loss", "Test log loss", test.log_loss);
        }
    }

    /// Trains with each further seed, keeping features in `room` bytes.
    ///
    /// # Errors
    /// Training fails.
    pub(super) fn run(
        &mut self,
        features: &AllFeatures,
        config: &FitConfig,
        room: usize,
        further: impl Iterator<Item = u64>,
        console: Console,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let validation = features.validation.as_ref().map(super::features::Features::split);
        for seed in further {
            let config = FitConfig { seed, ..config.clone() };
            let on_epoch = &mut |_: &head::EpochStats| match interrupt.requested() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            let trainer = head::Trainer::new(features.classes().len(), &config);
            let trainer = trainer.validation(validation.as_ref()).cache_bytes(room);
            let fitted = trainer.on_epoch(on_epoch).fit(&features.train.split())?;
            if fitted.interrupted {
                return Ok(());
            }
            let test =
                features.test.as_ref().map(|test| evaluate(&fitted.head, test)).transpose()?;
            self.add(seed, &fitted, test.as_ref().map(|t| &t.metrics));
            let line: Vec<String> = (self.values.iter())
                .filter(|(key, _, _)| key.contains("accuracy"))
                .filter_map(|(_, label, values)| {
                    Some(format!("{} {:.4}", label.to_lowercase(), values.last()?))
                })
                .collect();
            console.say(format!("seed {seed}: {}", line.join(", ")))?;
        }
        Ok(())
    }

    /// Means and 95% intervals; none for a single seed.
    pub(super) fn summary(&self) -> Option<Repeats> {
        if self.seeds.len() < 2 {
            return None;
        }
        let metrics = self.values.iter().filter_map(|(key, label, values)| {
            let interval = mean_interval(values)?;
            Some(RepeatedMetric {
                key: (*key).to_owned(),
                label: (*label).to_owned(),
                values: values.clone(),
                mean: interval.mean,
                half_width: interval.half_width.unwrap_or(f64::NAN),
            })
        });
        Some(Repeats { seeds: self.seeds.clone(), metrics: metrics.collect() })
    }
}
