//! The report of a network's training.

use graph::{Activation, Op};
use report::{Chosen, ModelFacts, Run, Section, Skipped, SplitResult};
use std::path::Path;
use train::FitConfig;
use util::thousands;

use super::on_rows::RowTraining;
use super::{Network, PictureOutcome, PictureTraining, TrainOutcome};
use crate::error::Error;
use crate::fit::AllFeatures;
use crate::fit::evaluate::{Calibrated, Judged};
use crate::fit::features::is_validation;
use crate::fit_report::split_result::of_files;
use crate::fit_report::{self, Thumbnails};
use crate::recipe::Recipe;

/// A report that only has to be written.
pub struct TrainReport {
    content: Run,
    splits: Vec<SplitResult>,
}

/// What a report says of every training alike.
struct Parts<'a> {
    network: &'a Network,
    recipe: &'a Recipe,
    config: &'a FitConfig,
    outcome: &'a TrainOutcome,
    calibrated: &'a Calibrated,
    /// How training saw pictures.
    augmentation: Option<String>,
    /// How somebody can do it again.
    command_line: String,
}

impl TrainReport {
    /// Of a training on pictures. `command_line` says how somebody can do it again, and may be empty.
    pub fn of_pictures(
        training: &PictureTraining,
        done: &PictureOutcome,
        command_line: String,
    ) -> Self {
        let PictureOutcome { outcome, calibrated } = done;
        let splits =
            training.splits().iter().zip(&outcome.evaluated).map(|(split, (_, result))| {
                let judged = Judged { name: &split.name, labels: split.labels(), result };
                let files = (0..split.len())
                    .map(|row| (split.file(row).to_owned(), Some(split.sha256(row))));
                let calibration = calibrated.splits.iter().find(|(name, _)| *name == split.name);
                of_files(judged, files, calibration.map(|(_, judged)| judged), split.classes.len())
            });
        let skipped = training.splits().iter().flat_map(|split| {
            split.skipped.iter().map(|(file, reason)| Skipped {
                split: split.name.clone(),
                file: file.clone(),
                reason: reason.clone(),
            })
        });
        let augmentation = training.options().augmentation.as_ref();
        let augmentation = augmentation
            .map(|a| format!("another view each epoch: {}, seed {}", a.transforms, a.seed));
        let parts = Parts {
            network: training.network(),
            recipe: &training.source().recipe,
            config: &training.options().config,
            outcome,
            calibrated,
            augmentation,
            command_line,
        };
        parts.report(splits.collect(), skipped.collect())
    }

    /// Of a training on cached rows.
    ///
    /// # Errors
    /// An index that can't be read.
    pub fn of_rows(
        training: &RowTraining<'_>,
        features: &AllFeatures,
        config: &FitConfig,
        (outcome, calibrated): &(TrainOutcome, Calibrated),
        command_line: String,
    ) -> Result<Self, Error> {
        let (mut splits, mut skipped) = (Vec::new(), Vec::new());
        for (one, (_, result)) in features.iter().zip(&outcome.evaluated) {
            let (good, bad): (Vec<_>, Vec<_>) =
                one.reader.index()?.into_iter().partition(|entry| entry.row.is_some());
            let judged = Judged { name: one.name(), labels: one.reader.labels(), result };
            let files = good.into_iter().map(|entry| (entry.file, entry.sha256));
            let calibration = calibrated.splits.iter().find(|(name, _)| name == one.name());
            let calibration = calibration.map(|(_, judged)| judged);
            splits.push(of_files(judged, files, calibration, features.classes().len()));
            skipped.extend(bad.into_iter().map(|entry| Skipped {
                split: one.name().to_owned(),
                file: entry.file,
                reason: entry.reason,
            }));
        }
        let parts = Parts {
            network: training.network(),
            recipe: &training.source().recipe,
            config,
            outcome,
            calibrated,
            augmentation: None,
            command_line,
        };
        Ok(parts.report(splits, skipped))
    }

    /// Writes the report into `dir`, beside the model. The pictures of mistakes come from `thumbnails`.
    ///
    /// # Errors
    /// A folder that can't be written.
    pub fn write(self, dir: &Path, thumbnails: &mut Thumbnails) -> Result<report::Written, Error> {
        let mistakes = fit_report::mistakes(&self.splits, thumbnails);
        let content = Run { mistakes, splits: self.splits, ..self.content };
        Ok(report::write(&content, dir)?)
    }
}

impl Parts<'_> {
    fn report(self, splits: Vec<SplitResult>, skipped: Vec<Skipped>) -> TrainReport {
        let Self { network, config, outcome, calibrated, .. } = &self;
        let watched = splits.iter().map(|split| &split.name);
        let watched = watched.into_iter().find(|name| is_validation(name));
        let content = Run {
            title: fit_report::title(&config.class_names),
            created: crate::now(),
            command_line: self.command_line.clone(),
            tool_version: format!("feature-cache {}", env!("CARGO_PKG_VERSION")),
            sections: self.sections(&splits),
            model: Some(ModelFacts {
                parameters: network.whole.parameters as u64,
                training_seconds: outcome.fitted.history.iter().map(|e| e.seconds).sum(),
            }),
            calibration: watched
                .cloned()
                .zip(calibrated.choice.clone())
                .map(|(split, choice)| Chosen { split, choice }),
            classes: config.class_names.clone(),
            history: fit_report::history(&outcome.fitted.history),
            mistakes: Vec::new(),
            splits: Vec::new(),
            repeats: None,
            skipped,
            notes: Vec::new(),
        };
        TrainReport { content, splits }
    }

    fn sections(&self, splits: &[SplitResult]) -> Vec<Section> {
        let Self { network, recipe, config, outcome, augmentation, .. } = self;
        let fitted = &outcome.fitted;
        let rows = splits.iter().map(|split| {
            let rows = thousands(split.predictions.len());
            (split.name.clone(), format!("{rows} pictures"))
        });
        let base = match recipe.has_backbone() {
            true => format!("{} up to {}, frozen", recipe.backbone, recipe.layer),
            false => "none".to_owned(),
        };
        let mut inputs = vec![("base", base)];
        if recipe.has_backbone() {
            inputs.push(("weights", recipe.weights.name.clone()));
            inputs.push(("weights sha256", recipe.weights.sha256.clone()));
        }
        inputs.push(("image size", recipe.image_size.to_string()));
        inputs.push(("interpolation", recipe.interpolation.to_string()));
        inputs.push(("preprocessing", recipe.preprocess.to_string()));
        inputs.push(("engine", recipe.hardware.to_string()));
        inputs.push(("precision", recipe.precision.to_string()));
        inputs.extend(augmentation.iter().map(|text| ("augmentation", text.clone())));
        let mut training = vec![
            ("network", describe(network)),
            ("tensors", freezing(network, outcome.counts.trainable)),
            (
                "optimizer",
                format!(
                    "{}, learning rate {} ({})",
                    config.optimizer, config.learning_rate, config.schedule
                ),
            ),
            (
                "epochs",
                match fitted.stopped_early {
                    true => {
                        format!("{} of {} (stopped early)", fitted.history.len(), config.epochs)
                    }
                    false => fitted.history.len().to_string(),
                },
            ),
            ("batch size", config.batch_size.to_string()),
            ("class weight", config.class_weight.to_string()),
            ("seed", config.seed.to_string()),
            (
                "training time",
                format!("{:.2} s", fitted.history.iter().map(|e| e.seconds).sum::<f64>()),
            ),
        ];
        if fitted.restored_best {
            let best = fitted.best_epoch.unwrap_or_default();
            let text = format!("those of epoch {best}, the lowest validation loss");
            training.push(("weights kept", text));
        }
        vec![
            Section::new("Data", rows),
            Section::new("Inputs", inputs),
            Section::new("Training", training),
        ]
    }
}

/// `30 → 4 after freezing`, or the number of tensors where none is frozen.
pub fn freezing(network: &Network, trainable: usize) -> String {
    match network.whole.tensors {
        all if all == trainable => format!("trainable tensors: {all}"),
        all => format!("trainable tensors: {all} → {trainable} after freezing"),
    }
}

/// `9x9x512 → 3 convolutions → flatten → dense 256 relu → dense 1 sigmoid, 16,812,353 parameters`.
pub fn describe(network: &Network) -> String {
    let mut steps: Vec<String> = Vec::new();
    let mut convolutions = 0;
    let mut others = 0;
    let flush = |steps: &mut Vec<String>, convolutions: &mut usize, others: &mut usize| {
        match (*convolutions, *others) {
            (0, 0) => {}
            (0, n) => steps.push(format!("{n} layer{}", if n == 1 { "" } else { "s" })),
            (n, 0) => steps.push(format!("{n} convolution{}", if n == 1 { "" } else { "s" })),
            (n, m) => {
                let plural = |count: usize| if count == 1 { "" } else { "s" };
                let (of_n, of_m) = (plural(n), plural(m));
                steps.push(format!("{n} convolution{of_n} and {m} other layer{of_m}"));
            }
        }
        (*convolutions, *others) = (0, 0);
    };
    for node in network.graph.nodes().iter().skip(1) {
        match &node.op {
            Op::Dense(dense) => {
                flush(&mut steps, &mut convolutions, &mut others);
                let activation = match dense.activation {
                    Some(Activation::Relu) => " relu",
                    Some(Activation::Sigmoid) => " sigmoid",
                    Some(Activation::Softmax) => " softmax",
                    _ => "",
                };
                steps.push(format!("dense {}{activation}", dense.units));
            }
            Op::Dropout { rate } => {
                flush(&mut steps, &mut convolutions, &mut others);
                steps.push(format!("dropout {rate}"));
            }
            Op::Conv(_) | Op::Depthwise(_) | Op::Separable(_) => convolutions += 1,
            Op::Flatten | Op::Reshape(_) => {}
            _ => others += 1,
        }
    }
    flush(&mut steps, &mut convolutions, &mut others);
    let from = match &network.cut {
        Some(cut) => format!("{cut} → "),
        None => String::new(),
    };
    format!("{from}{}, {} parameters", steps.join(" → "), thousands(network.whole.parameters))
}
