//! `fit-head --unfreeze`: the rest of the base and a head on cached rows.

use anyhow::Result;
use pipeline::fit::AllFeatures;
use pipeline::fit_report::Thumbnails;
use pipeline::train::{RowTraining, TrainReport, describe, freezing};
use serde_json::json;
use std::process::ExitCode;
use train::FitConfig;

use super::{FitArgs, missing_pictures};
use crate::console::Console;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::progress::Transfer;
use crate::train::{Follower, result};

/// Trains and reports.
pub(super) fn run(
    args: &FitArgs,
    layer: &str,
    features: &AllFeatures,
    config: &FitConfig,
    thumbnails: &mut Thumbnails,
    console: Console<'_>,
    interrupt: &Interrupt,
) -> Result<ExitCode> {
    let transfer = Transfer::new(console);
    let search = args.source.search(&transfer);
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
    result::say(outcome, calibrated, console)?;
    let more = [("head", json!(images::display_name(&args.head)))];
    let json = result::to_json(training.network(), outcome, calibrated, more);
    let report = TrainReport::of_rows(&training, features, config, &done, console.command_line())?;
    let written = report.write(&args.head, thumbnails)?;
    missing_pictures(thumbnails, console)?;
    console.say(format!("head   {}", args.head.display()))?;
    console.say(format!("report {}", written.page.display()))?;
    console.json(&json)?;
    Ok(ExitCode::SUCCESS)
}
