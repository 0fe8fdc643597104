//! The report of a run.

use anyhow::Result;
use head::{FitConfig, Fitted};
use report::{
    Epoch, Mistake, Repeats, Run, Section, Skipped, SplitResult, most_confident_mistakes,
};
use std::path::Path;

use super::features::{AllFeatures, Features};
use super::print;
use crate::text;

/// Mistakes that the page shows.
const MISTAKES: usize = 12;
/// Longer side of a mistake's picture, in pixels.
const THUMBNAIL: u32 = 256;

/// Writes the report beside the head, and removes predictions of an earlier run's splits.
pub(super) fn write(
    dir: &Path,
    features: &AllFeatures,
    config: &FitConfig,
    fitted: &Fitted,
    splits: Vec<SplitResult>,
    repeats: Option<Repeats>,
    notes: Vec<String>,
) -> Result<report::Written> {
    let name = dir.file_name().unwrap_or(dir.as_os_str());
    let run = Run {
        title: features.classes().join(" or "),
        created: text::now(),
        command_line: command_line(),
        tool_version: format!("feature-cache {}", env!("CARGO_PKG_VERSION")),
        sections: sections(&name.to_string_lossy(), features, config, fitted),
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
        mistakes: mistakes(features, &splits),
        splits,
        repeats,
        skipped: skipped(features)?,
        notes,
    };
    let written = report::write(&run, dir)?;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let stale = name.starts_with("predictions_") && name.ends_with(".csv");
        if stale && !written.files.contains(&path) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(written)
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

fn sections(
    name: &str,
    features: &AllFeatures,
    config: &FitConfig,
    fitted: &Fitted,
) -> Vec<Section> {
    let manifest = features.train.manifest();
    let s = &manifest.settings;
    let [width, height] = s.image_size;
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
                ("base", format!("{} up to {}", s.backbone, s.layer)),
                ("pooling", s.pooling.clone()),
                ("weights", s.weights.name.clone()),
                ("weights sha256", s.weights.sha256.clone()),
                ("image size", format!("{width}x{height}")),
                ("interpolation", s.interpolation.clone()),
                ("preprocessing", s.preprocess.clone()),
                ("row shape", text::shape(&s.row_shape)),
                ("stored as", s.dtype.to_string()),
                ("engine", format!("{} {}", s.engine, s.isa_or_gpu)),
                ("precision", s.precision.clone()),
            ],
        ),
        Section::new("Training", training),
    ]
}

/// The mistakes of the split that the page puts first, with their pictures where the files are still there.
fn mistakes(features: &AllFeatures, splits: &[SplitResult]) -> Vec<Mistake> {
    let Some(split) = splits.iter().find(|s| s.name == "test").or(splits.last()) else {
        return Vec::new();
    };
    let source = features.iter().find(|one| one.name() == split.name);
    most_confident_mistakes(split, MISTAKES)
        .into_iter()
        .map(|p| Mistake {
            split: split.name.clone(),
            file: p.file.clone(),
            truth: p.truth.unwrap_or_default(),
            predicted: p.predicted,
            probability: p.probabilities.get(p.predicted).copied().unwrap_or(f32::NAN),
            thumbnail_jpeg: source.and_then(|one| thumbnail(one, &p.file)),
        })
        .collect()
}

fn thumbnail(features: &Features, file: &str) -> Option<Vec<u8>> {
    let folder = features.manifest().run.extra.get("data")?.as_str()?;
    let folder = images::parse_name(folder).ok()?;
    let file = images::parse_name(file).ok()?;
    let bytes = images::read_file(&folder.join(file)).ok()?;
    images::thumbnail_jpeg(&bytes, THUMBNAIL).ok()
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
