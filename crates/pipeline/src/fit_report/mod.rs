//! The report of a training: what `report` draws, made of what [`Fit`](crate::fit::Fit) gave.

pub(crate) mod split_result;
mod thumbnails;

pub use thumbnails::Thumbnails;

use report::{
    Chosen, Epoch, Mistake, ModelFacts, RepeatedMetric, Repeats, Run, Section, Skipped,
    SplitResult, most_confident_mistakes,
};
use std::path::Path;
use train::{Activation, EpochStats, FitConfig, Head};
use util::thousands;

use crate::error::Error;
use crate::fit::{self, AllFeatures, FitOutcome};
use crate::recipe::{Augmented, Recipe};
use split_result::split_result;

/// Mistakes that the page shows.
const MISTAKES: usize = 12;
/// Classes that the title names.
const TITLED: usize = 10;

/// A training to report on.
pub struct FitReport<'a> {
    /// What it was trained and judged on.
    pub features: &'a AllFeatures,
    /// How their rows were made.
    pub recipe: &'a Recipe,
    /// The settings.
    pub config: &'a FitConfig,
    /// What it gave.
    pub outcome: &'a FitOutcome<'a>,
    /// How somebody can do it again: a command as it was typed, or a call. May be empty.
    pub command_line: String,
    /// What a reader should see first.
    pub notes: Vec<String>,
}

impl FitReport<'_> {
    /// Writes the report into `dir`, beside the head. The pictures of mistakes come from `thumbnails`.
    ///
    /// # Errors
    /// An index that can't be read, or a folder that can't be written.
    pub fn write(&self, dir: &Path, thumbnails: &mut Thumbnails) -> Result<report::Written, Error> {
        Ok(report::write(&self.content(dir, thumbnails)?, dir)?)
    }

    fn content(&self, dir: &Path, thumbnails: &mut Thumbnails) -> Result<Run, Error> {
        let Self { features, outcome, .. } = *self;
        let fitted = &outcome.fitted;
        let classes = features.classes().len();
        let calibrated = &outcome.calibrated;
        let splits = outcome.evaluated.iter().map(|(one, result)| {
            let calibration = calibrated.splits.iter().find(|(name, _)| name == one.name());
            split_result(one, result, calibration.map(|(_, judged)| judged), classes)
        });
        let splits = splits.collect::<Result<Vec<_>, Error>>()?;
        let chosen_on = features.validation.as_ref().map(|one| one.name().to_owned());
        let name = dir.file_name().unwrap_or(dir.as_os_str());
        Ok(Run {
            title: title(features.classes()),
            created: crate::now(),
            command_line: self.command_line.clone(),
            tool_version: format!("feature-cache {}", env!("CARGO_PKG_VERSION")),
            sections: sections(&name.to_string_lossy(), self),
            model: Some(ModelFacts {
                parameters: fitted.head.parameter_count() as u64,
                training_seconds: outcome.seconds,
            }),
            calibration: chosen_on
                .zip(calibrated.choice.clone())
                .map(|(split, choice)| Chosen { split, choice }),
            classes: features.classes().to_vec(),
            history: history(&fitted.outcome.history),
            mistakes: mistakes(&splits, thumbnails),
            splits,
            repeats: outcome.repeats.as_ref().map(repeats),
            skipped: skipped(features)?,
            notes: self.notes.clone(),
        })
    }
}

/// `8192 → dense 256 relu → dropout 0.5 → dense 1 sigmoid, 2,097,665 parameters`.
pub fn layers(head: &Head, dropout: f32) -> String {
    let mut line = head.inputs().to_string();
    let last = head.layers().len().saturating_sub(1);
    for (i, layer) in head.layers().iter().enumerate() {
        let activation = match layer.activation {
            Activation::Relu => "relu",
            Activation::Sigmoid => "sigmoid",
            Activation::Softmax => "softmax",
        };
        line.push_str(&format!(" → dense {} {activation}", layer.outputs));
        if i < last && dropout > 0.0 {
            line.push_str(&format!(" → dropout {dropout}"));
        }
    }
    format!("{line}, {} parameters", thousands(head.parameter_count()))
}

/// The epochs as the report has them.
pub(crate) fn history(epochs: &[EpochStats]) -> Vec<Epoch> {
    let epoch = |e: &EpochStats| Epoch {
        epoch: e.epoch,
        loss: e.loss,
        accuracy: e.accuracy,
        val_loss: e.val_loss,
        val_accuracy: e.val_accuracy,
    };
    epochs.iter().map(epoch).collect()
}

/// `cats or dogs`; the first of many.
pub(crate) fn title(classes: &[String]) -> String {
    match classes.len().checked_sub(TITLED) {
        Some(more @ 1..) => {
            format!("{} or {} more", classes[..TITLED].join(" or "), thousands(more))
        }
        _ => classes.join(" or "),
    }
}

fn sections(name: &str, trained: &FitReport<'_>) -> Vec<Section> {
    let FitReport { features, recipe, config, outcome, .. } = *trained;
    let fitted = &outcome.fitted;
    let row_shape = &features.train.manifest().settings.row_shape;
    let views = recipe.augmentation.as_ref().map(|Augmented { transforms, seed }| {
        let count = recipe.views;
        let text = format!(
            "{count} of each picture of train, another each epoch: {transforms}, seed {seed}"
        );
        ("views", text)
    });
    let rows = features.iter().map(|one| {
        let counts = one.manifest().settings.classes.iter().zip(&one.manifest().class_counts);
        let counts: Vec<String> = counts.map(|(class, n)| format!("{class} {n}")).collect();
        (
            one.name().to_owned(),
            format!("{} rows ({})", thousands(one.reader.len()), counts.join(", ")),
        )
    });
    let mut training = vec![
        ("network", layers(&fitted.head, config.dropout)),
        ("optimizer", format!("{}, learning rate {}", config.optimizer, config.learning_rate)),
        (
            "epochs",
            match fitted.outcome.stopped_early {
                true => {
                    format!("{} of {} (stopped early)", fitted.outcome.history.len(), config.epochs)
                }
                false => fitted.outcome.history.len().to_string(),
            },
        ),
        ("batch size", config.batch_size.to_string()),
        ("class weight", config.class_weight.to_string()),
        ("seed", config.seed.to_string()),
        (
            "training time",
            format!("{:.2} s", fitted.outcome.history.iter().map(|e| e.seconds).sum::<f64>()),
        ),
    ];
    if fitted.outcome.restored_best {
        let best = fitted.outcome.best_epoch.unwrap_or_default();
        training
            .push(("weights kept", format!("those of epoch {best}, the lowest validation loss")));
    }
    vec![
        Section::new("Data", rows.chain([("head".to_owned(), name.to_owned())])),
        Section::new(
            "Features",
            [
                ("base", format!("{} up to {}", recipe.backbone, recipe.layer)),
                ("pooling", recipe.pooling.to_string()),
                ("weights", recipe.weights.name.clone()),
                ("weights sha256", recipe.weights.sha256.clone()),
                ("image size", recipe.image_size.to_string()),
                ("interpolation", recipe.interpolation.to_string()),
                ("preprocessing", recipe.preprocess.to_string()),
                ("row shape", util::shape(row_shape)),
                ("stored as", recipe.dtype.to_string()),
                ("engine", recipe.hardware.to_string()),
                ("precision", recipe.precision.to_string()),
            ]
            .into_iter()
            .chain(views),
        ),
        Section::new("Training", training),
    ]
}

/// The mistakes of the split that the page puts first, with their pictures where the files are still there.
pub(crate) fn mistakes(splits: &[SplitResult], thumbnails: &mut Thumbnails) -> Vec<Mistake> {
    let Some(split) = splits.iter().find(|s| s.name == "test").or(splits.last()) else {
        return Vec::new();
    };
    let shown = most_confident_mistakes(split, MISTAKES);
    shown
        .into_iter()
        .map(|p| Mistake {
            split: split.name.clone(),
            file: p.file.clone(),
            truth: p.truth.unwrap_or_default(),
            predicted: p.predicted,
            probability: p.probabilities.get(p.predicted).copied().unwrap_or(f32::NAN),
            thumbnail_jpeg: thumbnails.take(&split.name, &p.file, p.sha256),
        })
        .collect()
}

fn repeats(found: &fit::Repeats) -> Repeats {
    let metrics = found.metrics.iter().map(|m| RepeatedMetric {
        key: m.key.to_owned(),
        label: m.label.to_owned(),
        values: m.values.clone(),
        mean: m.mean,
        half_width: m.half_width,
    });
    Repeats { seeds: found.seeds.clone(), metrics: metrics.collect() }
}

fn skipped(features: &AllFeatures) -> Result<Vec<Skipped>, Error> {
    let mut skipped = Vec::new();
    for one in features.iter() {
        let bad = one.reader.index()?.into_iter().filter(|entry| entry.row.is_none());
        skipped.extend(bad.map(|entry| Skipped {
            split: one.name().to_owned(),
            file: entry.file,
            reason: entry.reason,
        }));
    }
    Ok(skipped)
}
