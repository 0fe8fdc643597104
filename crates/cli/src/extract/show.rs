//! What `extract` says of its run.

use anyhow::Result;
use backbone::{EngineInfo, Hardware};
use cache::leaks::{self, Leak};
use pipeline::extract::{ExtractOptions, Extraction, SplitOutcome, TRAIN};
use pipeline::{Augmented, WeightsId};
use serde_json::{Value, json};
use std::time::Duration;

use crate::console::Console;
use crate::leaks::describe_leak;
use crate::text;

/// Pictures shared by two splits that are shown before the rest is only counted.
const SHOWN_LEAKS: usize = 3;

/// What will really run.
pub(super) fn announce(
    extraction: &Extraction<'_>,
    splits: &[String],
    threads: usize,
    console: Console<'_>,
) -> Result<()> {
    let recipe = extraction.recipe();
    let WeightsId { name, sha256, .. } = &recipe.weights;
    let info = extraction.info();
    let EngineInfo { hardware, device, precision, .. } = &info;
    let pooling = match recipe.pooling {
        backbone::Pooling::None => String::new(),
        pooling => format!(", {pooling} pooling"),
    };
    console.say(format!(
        "base     {} up to {}{pooling}, weights {} (sha256 {}…)",
        recipe.backbone,
        recipe.layer,
        name,
        sha256.get(..12).unwrap_or(sha256)
    ))?;
    console.say(format!(
        "images   {}, {} resize, {} preprocessing",
        recipe.image_size, recipe.interpolation, recipe.preprocess
    ))?;
    let train = extraction.recipe_of(TRAIN);
    if let Some(Augmented { transforms, seed }) = &train.augmentation {
        let views = train.views - 1;
        console.say(format!(
            "views    {views} of each picture of {TRAIN} beside itself: {transforms}, seed {seed}"
        ))?;
        let others: Vec<&str> = splits.iter().map(String::as_str).filter(|s| *s != TRAIN).collect();
        if !others.is_empty() {
            console.say(format!("         pictures of {} as they are", others.join(" and ")))?;
        }
    }
    let on = match hardware {
        Hardware::Cpu(isa) => {
            let threads = text::count(threads, "thread", "threads");
            format!("cpu {isa}, {threads}")
        }
        other => format!("{} {device}", other.engine()),
    };
    let how = info.method_counts().join(", ");
    console.say(format!("engine   {on}, precision {precision} ({how})"))?;
    Ok(())
}

/// How a split ended.
pub(super) fn outcome(
    split: &str,
    outcome: &SplitOutcome,
    options: &ExtractOptions,
    console: Console<'_>,
) -> Result<()> {
    let features = options.features.display();
    match outcome {
        SplitOutcome::UpToDate(manifest) => {
            let rows = text::count(manifest.rows as usize, "row", "rows");
            console.say(format!("{split}: up to date, {rows} in {features}"))?;
        }
        SplitOutcome::Written { manifest, computed, time } => {
            let rate = *computed as f64 / time.as_secs_f64();
            let views = match manifest.settings.views {
                1 => String::new(),
                views => format!(", {:.1} views/s", rate * views as f64),
            };
            console.say(format!(
                "{split}: {} {} → {}  ({}, {rate:.1} images/s{views})",
                util::shape(&manifest.shape),
                manifest.settings.dtype,
                options.features.join(&manifest.files.features.name).display(),
                text::duration(*time),
            ))?;
        }
        SplitOutcome::Interrupted { split, rows, total } => {
            console.warn(format!("{split}: stopped after {rows} of {total} images"));
            console.note("hint: run the same command again to go on from there");
        }
    }
    Ok(())
}

/// Looks for pictures that are in two splits of the features folder, and says so.
pub(super) fn leaks(
    outcomes: &[SplitOutcome],
    options: &ExtractOptions,
    console: Console<'_>,
) -> Result<Vec<Leak>> {
    // A shard's index is not the split's.
    if options.open.shard.is_some() || !outcomes.iter().all(|one| one.manifest().is_some()) {
        return Ok(Vec::new());
    }
    let found = pipeline::shared_pictures(&options.features, leaks::DEFAULT_DISTANCE)?;
    for leak in found.iter().take(SHOWN_LEAKS) {
        console.warn(describe_leak(leak));
    }
    if found.len() > SHOWN_LEAKS {
        let more = text::thousands(found.len() - SHOWN_LEAKS);
        console.warn(format!("… and {more} more shared by two splits; `cache leaks` lists them"));
    }
    Ok(found)
}

/// The run as one JSON value.
pub(super) fn json(
    info: &EngineInfo,
    outcomes: &[SplitOutcome],
    leaks: &[Leak],
    options: &ExtractOptions,
    time: Duration,
) -> Value {
    let splits = outcomes.iter().map(|one| match one {
        SplitOutcome::Interrupted { split, rows, total } => {
            json!({ "split": split, "state": "interrupted", "inputs_done": rows, "inputs": total })
        }
        SplitOutcome::UpToDate(m) | SplitOutcome::Written { manifest: m, .. } => json!({
            "split": m.split,
            "state": match one {
                SplitOutcome::Written { .. } => "written",
                _ => "up-to-date",
            },
            "features": images::display_name(&options.features.join(&m.files.features.name)),
            "shape": m.shape,
            "rows": m.rows,
            "skipped": m.skipped,
            "classes": m.settings.classes,
            "class_counts": m.class_counts,
            "settings": m.settings,
            "run": m.run,
        }),
    });
    json!({
        "splits": splits.collect::<Vec<_>>(),
        "engine": {
            "engine": info.hardware.engine(),
            "device": info.device,
            "isa": info.hardware.isa_or_gpu(),
            "precision": info.precision,
            "algorithms": info.method_counts(),
        },
        "leaks": leaks.iter().map(describe_leak).collect::<Vec<_>>(),
        "seconds": time.as_secs_f64(),
    })
}
