//! `feature-cache train`: a network on pictures, and its report.

mod args;
mod follower;
pub(crate) mod result;

use anyhow::Result;
use backbone::{Base, EngineOptions, Pooling};
use graph::description::Description;
use images::{ImageSize, Interpolation, Preprocess};
use pipeline::fit_report::Thumbnails;
use pipeline::train::{
    Architecture, PictureOutcome, PictureTraining, TrainOptions, TrainReport, describe, freezing,
    lesson_network,
};
use pipeline::{Augmented, Error};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

use crate::console::Console;
use crate::extract::{PreprocessChoice, Profile};
use crate::failure::{EXIT_SKIPPED, exit_with};
use crate::fit_head::missing_pictures;
use crate::hints::hinted;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::progress::Transfer;
use crate::{text, threads};
pub(crate) use args::TrainArgs;
pub(crate) use follower::Follower;

/// How long the epoch in hand may take; files are replaced whole or not at all, so it can end at any time.
const GRACE: Duration = Duration::from_secs(2);
/// The lesson's image size, for networks from scratch.
const SIDE: u32 = 150;
/// Bytes of a network's description at most.
const LONGEST_DESCRIPTION: u64 = 4 << 20;

/// Runs it with these arguments.
pub(crate) fn execute(args: &TrainArgs) -> ExitCode {
    exit_with(|| {
        let interrupt = Interrupt::listen(GRACE, "run the command again with --resume")?;
        let pool = threads::pool(args.threads)?;
        pool.install(|| run(args, Console::new(args.quiet, args.json), &interrupt))
    })
}

/// Trains and reports; in the pool that it is called in.
pub(crate) fn run(
    args: &TrainArgs,
    console: Console<'_>,
    interrupt: &Interrupt,
) -> Result<ExitCode> {
    let options = options(args)?;
    backbone::check_device(&options.engine)?;
    let transfer = Transfer::new(console);
    let search = args.source.search(&transfer);
    let weights = match &options.architecture {
        Architecture::OnBase { base, weights_spec, .. } => {
            Some(search.resolve(base, weights_spec)?)
        }
        Architecture::Own(_) => None,
    };
    let follower = Follower::new(console, interrupt, args.epochs);
    let Some(mut training) = PictureTraining::new(options, weights.as_ref(), &follower)? else {
        console.warn("stopped");
        return Ok(ExitCode::from(EXIT_INTERRUPTED));
    };
    drop(weights);
    let skipped = announce(&training, console)?;
    let Some(outcome) = training.run(&follower)? else {
        console.warn("stopped; --resume goes on from the last checkpoint");
        return Ok(ExitCode::from(EXIT_INTERRUPTED));
    };
    result::say(&outcome.outcome, &outcome.calibrated, console)?;
    let json = json_result(args, &training, &outcome);
    let mut thumbnails = Thumbnails::new(Some(&args.data))?;
    let report = TrainReport::of_pictures(&training, &outcome, console.command_line());
    let written = report.write(&args.model, &mut thumbnails)?;
    missing_pictures(&thumbnails, console)?;
    console.say(format!("model  {}", args.model.display()))?;
    console.say(format!("report {}", written.page.display()))?;
    console.json(&json)?;
    Ok(if skipped > 0 { ExitCode::from(EXIT_SKIPPED) } else { ExitCode::SUCCESS })
}

/// Raw flags become options before any work.
fn options(args: &TrainArgs) -> Result<TrainOptions> {
    if args.model.exists() && !args.model.is_dir() {
        return Err(hinted(
            format!("model '{}': expected a folder or nothing, found a file", args.model.display()),
            "choose another folder with --model DIR",
        ));
    }
    let side = |side: u32| args.image_size.unwrap_or(ImageSize { width: side, height: side });
    let (architecture, size) = match args.backbone.as_str() {
        "none" => {
            for (given, flag) in
                [(args.unfreeze.is_some(), "--unfreeze"), (args.weights.is_some(), "--weights")]
            {
                if given {
                    return Err(hinted(
                        format!(
                            "{flag} is for the layers of a base: expected --backbone NAME, found none"
                        ),
                        "leave it out: a network from scratch is trained whole",
                    ));
                }
            }
            if args.pooling != Pooling::None || args.hidden.is_some() {
                let flag = if args.hidden.is_some() { "--hidden" } else { "--pooling" };
                return Err(hinted(
                    format!(
                        "{flag} is for the head on a base: expected --backbone NAME, found none"
                    ),
                    "leave it out, or write the layers of the whole network with --architecture FILE",
                ));
            }
            (Architecture::Own(own_network(args)?), side(SIDE))
        }
        name => {
            if args.architecture.is_some() {
                return Err(hinted(
                    format!(
                        "--architecture is a whole network: expected --backbone none, found {name}"
                    ),
                    "add --backbone none",
                ));
            }
            let base = Base::named(name)?;
            let spec = args.weights.clone().or_else(|| base.default_weights.map(str::to_owned));
            let weights_spec = spec.ok_or(Error::NoWeights { base: base.name })?;
            let size = side(base.default_size as u32);
            let unfreeze = args.unfreeze.clone();
            let base = Box::new(base);
            (Architecture::OnBase { base, unfreeze, pooling: args.pooling, weights_spec }, size)
        }
    };
    let lesson = args.profile == Some(Profile::Lesson);
    let interpolation = if lesson { Interpolation::Nearest } else { Interpolation::Bilinear };
    let preprocess = match args.preprocess {
        Some(PreprocessChoice::Fixed(fixed)) => Some(fixed),
        Some(PreprocessChoice::Auto) => None,
        None => lesson.then_some(Preprocess::Rescale),
    };
    Ok(TrainOptions {
        data: args.data.clone(),
        model: args.model.clone(),
        architecture,
        size,
        interpolation: args.interpolation.unwrap_or(interpolation),
        preprocess,
        augmentation: args.augment.map(|transforms| Augmented { transforms, seed: args.seed }),
        engine: EngineOptions {
            device: args.device,
            precision: Some(args.precision),
            isa: args.isa,
        },
        config: args.config(),
        start: args.from.clone(),
        checkpoint_every: (args.checkpoint_every > 0).then_some(args.checkpoint_every),
        resume: args.resume,
    })
}

/// The network of the file, or the lesson's.
fn own_network(args: &TrainArgs) -> Result<graph::Graph> {
    let Some(path) = &args.architecture else { return Ok(lesson_network(args.dropout)?) };
    if args.dropout != 0.0 {
        return Err(hinted(
            format!("--dropout is for the built-in layers: expected them in '{}'", path.display()),
            "write op = \"dropout\" with a rate where the network has one, and leave --dropout out",
        ));
    }
    let bytes = util::regular::read(path, LONGEST_DESCRIPTION)
        .map_err(|source| Error::ArchitectureFile { path: path.clone(), source })?;
    let text = String::from_utf8_lossy(&bytes);
    let graph = Description::from_toml(&text).and_then(|description| description.build(3));
    Ok(graph.map_err(|source| Error::Architecture { path: path.clone(), source })?)
}

/// Says what is trained on what; gives the number of files that are left out.
fn announce(training: &PictureTraining, console: Console<'_>) -> Result<usize> {
    let mut skipped = 0;
    for split in training.splits() {
        for (file, reason) in &split.skipped {
            skipped += 1;
            console.warn(format!("skipped {}/{file}: {reason}", split.name));
        }
    }
    let pictures = training
        .splits()
        .iter()
        .map(|split| format!("{} {}", split.name, text::thousands(split.len())));
    console.say(format!("pictures {}", pictures.collect::<Vec<_>>().join(", ")))?;
    if let Some(augmented) = &training.options().augmentation {
        let transforms = &augmented.transforms;
        console.say(format!(
            "views    another of each picture of train in each epoch: {transforms}"
        ))?;
    }
    let recipe = &training.source().recipe;
    if recipe.has_backbone() {
        console.say(format!(
            "frozen   {} up to {} ({}, {})",
            recipe.backbone, recipe.layer, recipe.hardware, recipe.precision
        ))?;
    }
    let network = training.network();
    console.say(format!("network  {}", describe(network)))?;
    console.say(freezing(network, training.net().counts().trainable))?;
    Ok(skipped)
}

fn json_result(args: &TrainArgs, training: &PictureTraining, done: &PictureOutcome) -> Value {
    let PictureOutcome { outcome, calibrated } = done;
    let skipped: usize = training.splits().iter().map(|split| split.skipped.len()).sum();
    let more = [
        ("model", json!(images::display_name(&args.model))),
        ("resumed_epochs", json!(outcome.resumed)),
        ("skipped", json!(skipped)),
    ];
    result::to_json(training.network(), outcome, calibrated, more)
}
