//! The report of a run.

use anyhow::Result;
use head::FitConfig;
use pipeline::fit::{AllFeatures, FitOutcome};
use pipeline::{Augmented, Recipe};
use report::{
    Epoch, Mistake, RepeatedMetric, Repeats, Run, Section, Skipped, SplitResult,
    most_confident_mistakes,
};
use std::collections::HashMap;
use std::path::Path;

use super::print;
use super::split_result::split_result;
use super::thumbnails::Thumbnails;
use crate::text;

/// Mistakes that the page shows.
const MISTAKES: usize = 12;
/// Classes that the title names.
const TITLED: usize = 10;

/// A training.
pub(super) struct Trained<'a> {
    pub(super) features: &'a AllFeatures,
    pub(super) recipe: &'a Recipe,
    pub(super) config: &'a FitConfig,
    pub(super) outcome: &'a FitOutcome<'a>,
}

/// Writes the report beside the head.
pub(super) fn write(
    dir: &Path,
    trained: &Trained<'_>,
    notes: Vec<String>,
    thumbnails: &mut Thumbnails,
) -> Result<report::Written> {
    let Trained { features, outcome, .. } = *trained;
    let fitted = &outcome.fitted;
    let classes = features.classes().len();
    let results = outcome.evaluated.iter();
    let splits: Result<Vec<_>> =
        results.map(|(one, result)| split_result(one, result, classes)).collect();
    let splits = splits?;
    let name = dir.file_name().unwrap_or(dir.as_os_str());
    let run = Run {
        title: title(features.classes()),
        created: text::now(),
        command_line: command_line(),
        tool_version: format!("feature-cache {}", env!("CARGO_PKG_VERSION")),
        sections: sections(&name.to_string_lossy(), trained),
        classes: features.classes().to_vec(),
        history: fitted
            .history
            .iter()
            .map(|e| Epoch {
                epoch: e.epoch,
                loss: e.loss,
                accuracy: e.accuracy,
                val_loss: e.val_loss,
                val_accuracy: e.val_accuracy,
            })
            .collect(),
        mistakes: mistakes(features, &splits, thumbnails)?,
        splits,
        repeats: outcome.repeats.as_ref().map(repeats),
        skipped: skipped(features)?,
        notes,
    };
    Ok(report::write(&run, dir)?)
}

/// `cats or dogs`; the first of many.
fn title(classes: &[String]) -> String {
    match classes.len().checked_sub(TITLED) {
        Some(more @ 1..) => {
            format!("{} or {} more", classes[..TITLED].join(" or "), text::thousands(more))
        }
        _ => classes.join(" or "),
    }
}

fn command_line() -> String {
    let quoted = std::env::args_os().enumerate().map(|(i, arg)| {
        let arg = if i == 0 {
            Path::new(&arg).file_name().unwrap_or(&arg).to_string_lossy().into_owned()
        } else {
            arg.to_string_lossy().into_owned()
        };
        let plain = !arg.is_empty()
            && arg.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,+%@".contains(c));
        if plain { arg } else { format!("'{}'", arg.replace('\'', r"'\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn sections(name: &str, trained: &Trained<'_>) -> Vec<Section> {
    let Trained { features, recipe, config, outcome } = *trained;
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
            format!("{} rows ({})", text::thousands(one.reader.len()), counts.join(", ")),
        )
    });
    let mut training = vec![
        ("network", print::layers(&fitted.head, config.dropout)),
        ("optimizer", format!("{}, learning rate {}", config.optimizer, config.learning_rate)),
        (
            "epochs",
            match fitted.stopped_early {
                true => format!("{} of {} (stopped early)", fitted.history.len(), config.epochs),
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
                ("row shape", text::shape(row_shape)),
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
fn mistakes(
    features: &AllFeatures,
    splits: &[SplitResult],
    thumbnails: &mut Thumbnails,
) -> Result<Vec<Mistake>> {
    let Some(split) = splits.iter().find(|s| s.name == "test").or(splits.last()) else {
        return Ok(Vec::new());
    };
    let source = features.iter().find(|one| one.name() == split.name);
    let shown = most_confident_mistakes(split, MISTAKES);
    let mut sha256: HashMap<u64, [u8; 32]> = HashMap::new();
    for entry in source.map(|one| one.reader.index()).transpose()?.unwrap_or_default() {
        if let (Some(row), Some(sha)) = (entry.row, entry.sha256)
            && shown.iter().any(|p| p.row == row)
        {
            sha256.insert(row, sha);
        }
    }
    Ok(shown
        .into_iter()
        .map(|p| Mistake {
            split: split.name.clone(),
            file: p.file.clone(),
            truth: p.truth.unwrap_or_default(),
            predicted: p.predicted,
            probability: p.probabilities.get(p.predicted).copied().unwrap_or(f32::NAN),
            thumbnail_jpeg: thumbnails.take(&split.name, &p.file, sha256.get(&p.row).copied()),
        })
        .collect())
}

fn repeats(found: &pipeline::fit::Repeats) -> Repeats {
    let metrics = found.metrics.iter().map(|m| RepeatedMetric {
        key: m.key.to_owned(),
        label: m.label.to_owned(),
        values: m.values.clone(),
        mean: m.mean,
        half_width: m.half_width,
    });
    Repeats { seeds: found.seeds.clone(), metrics: metrics.collect() }
}

fn skipped(features: &AllFeatures) -> Result<Vec<Skipped>> {
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
