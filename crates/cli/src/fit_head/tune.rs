//! `fit-head --unfreeze`: the rest of the base and a head on cached rows.

use anyhow::Result;
use head::FitConfig;
use pipeline::WeightsSearch;
use pipeline::fit::AllFeatures;
use pipeline::fit_report::Thumbnails;
use pipeline::train::{RowTraining, TrainReport, describe, freezing};
use serde_json::{Value, json};
use std::process::ExitCode;

use super::{FitArgs, missing_pictures, print};
use crate::console::Console;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::progress::Transfer;
use crate::train::Follower;
use crate::typed;

/// Trains and reports.
pub(super) fn run(
    args: &FitArgs,
    layer: &str,
    features: &AllFeatures,
    config: &FitConfig,
    thumbnails: &mut Thumbnails,
    console: Console,
    interrupt: &Interrupt,
) -> Result<ExitCode> {
    let transfer = Transfer::new(console);
    let search = WeightsSearch {
        models_dir: &args.models,
        offline: args.offline,
        index_url: args.index_url.as_ref(),
        progress: &transfer,
    };
    let (_, weights) = features.source()?.base(args.weights.as_deref(), &search)?;
    let start = args.from.as_deref();
    let mut training = RowTraining::new(features, config, layer, &weights, start, &args.head)?;
    drop(weights);
    console.say(format!("network  {}", describe(training.network())))?;
    console.say(freezing(training.network(), training.net().counts().trainable))?;
    let follower = Follower::new(console, interrupt, config.epochs);
    let Some(done) = training.run(&follower)? else {
        console.warn("stopped; no model was written");
        return Ok(ExitCode::from(EXIT_INTERRUPTED));
    };
    let (outcome, calibrated) = &done;
    for (name, result) in &outcome.evaluated {
        console.say(print::metrics(name, &result.metrics))?;
    }
    for line in print::calibration(calibrated) {
        console.say(line)?;
    }
    let fitted = &outcome.fitted;
    let metrics: serde_json::Map<String, Value> = outcome
        .evaluated
        .iter()
        .map(|(name, result)| (name.clone(), json!(result.metrics)))
        .collect();
    let choice = calibrated.choice.as_ref().map(|choice| &choice.calibration);
    let json = json!({
        "head": images::display_name(&args.head),
        "parameters": training.network().whole.parameters,
        "tensors": training.network().whole.tensors,
        "trainable_tensors": outcome.counts.trainable,
        "training_seconds": outcome.seconds,
        "history": fitted.history,
        "best_epoch": fitted.best_epoch,
        "stopped_early": fitted.stopped_early,
        "restored_best": fitted.restored_best,
        "metrics": metrics,
        "calibration": {
            "temperature": choice.and_then(|c| c.temperature),
            "threshold": choice.and_then(|c| c.threshold),
        },
    });
    let report = TrainReport::of_rows(&training, features, config, &done, typed::command_line())?;
    let written = report.write(&args.head, thumbnails)?;
    missing_pictures(thumbnails, console)?;
    console.say(format!("head   {}", args.head.display()))?;
    console.say(format!("report {}", written.page.display()))?;
    console.json(&json)?;
    Ok(ExitCode::SUCCESS)
}
