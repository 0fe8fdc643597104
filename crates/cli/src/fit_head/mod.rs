//! `fit-head`: a dense classifier on cached features, and its report.

mod args;
mod evaluate;
mod features;
mod page;
mod print;
mod repeat;
mod room;
mod thumbnails;

use anyhow::{Context as _, Result};
use head::{FitConfig, Fitted, HeadFolder, HeadManifest};
use pipeline::Recipe;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::console::{Console, parse};
use crate::failure::{exit_with, hinted};
use crate::feature_source::FeatureSource;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::shared_pictures::{self, describe_leak};
use crate::{text, threads};
pub(crate) use args::FitArgs;
use evaluate::{Evaluated, evaluate, split_result};
use features::{AllFeatures, Features};
use repeat::Seeds;
use thumbnails::Thumbnails;

/// How long the epoch in hand may take; files are replaced whole or not at all, so it can end at any time.
const GRACE: Duration = Duration::from_secs(2);

/// Runs `fit-head` with the process's arguments.
pub fn main() -> ExitCode {
    execute(&parse())
}

/// Runs it with these arguments.
pub(crate) fn execute(args: &FitArgs) -> ExitCode {
    exit_with(|| {
        let interrupt = Interrupt::listen(GRACE, "run the command again")?;
        let pool = threads::pool(args.threads)?;
        pool.install(|| run(args, &interrupt))
    })
}

fn run(args: &FitArgs, interrupt: &Interrupt) -> Result<ExitCode> {
    let console = Console { quiet: args.quiet, json: args.json };
    if args.head.exists() && !args.head.is_dir() {
        return Err(hinted(
            format!("head '{}': expected a folder or nothing, found a file", args.head.display()),
            "choose another folder with --head DIR",
        ));
    }
    let mut thumbnails = Thumbnails::new(args.data.as_deref())?;
    let features = AllFeatures::open(&args.features, console)?;
    let source =
        FeatureSource::of(&features.train.manifest().settings).context("the split 'train'")?;
    let described = serde_json::to_value(&source).context("describing the features")?;
    // What comes from elsewhere is bounded before any of it is printed.
    head::check_features(&described)?;
    let notes = check_leaks(args, console)?;
    announce(&features, &source.recipe, console)?;

    // What would fail after the training fails before it.
    let config = args.config(features.classes());
    let room = room::check_memory(&features, &config, args.repeats)?;
    let folder = open_folder(&args.head)?;
    let started = Instant::now();
    let fitted = train(&features, &config, room, console, interrupt)?;
    let seconds = started.elapsed().as_secs_f64();
    if fitted.interrupted {
        console.warn("stopped; no head was written");
        return Ok(ExitCode::from(EXIT_INTERRUPTED));
    }
    console.say(format!(
        "trained {} in {seconds:.2} s",
        print::layers(&fitted.head, config.dropout)
    ))?;
    if fitted.restored_best {
        console
            .say(format!("kept the weights of epoch {}", fitted.best_epoch.unwrap_or_default()))?;
    }

    let mut evaluated: Vec<(&Features, Evaluated)> = Vec::new();
    for one in features.iter() {
        evaluated.push((one, evaluate(&fitted.head, one)?));
    }
    for (one, result) in &evaluated {
        console.say(print::metrics(one.name(), &result.metrics))?;
    }
    if let Some((one, result)) = evaluated.last() {
        console.say("")?;
        console.say(format!("{} rows:", one.name()))?;
        for line in print::confusion(&result.metrics, features.classes()) {
            console.say(line)?;
        }
        console.say("")?;
    }

    let mut seeds = Seeds::default();
    let test =
        evaluated.iter().find(|(one, _)| one.name() == "test").map(|(_, result)| &result.metrics);
    seeds.add(config.seed, &fitted, test);
    let further = (1..u64::from(args.repeats)).map(|i| config.seed.wrapping_add(i));
    seeds.run(&features, &config, room, further, console, interrupt)?;
    let repeats = seeds.summary();
    for metric in repeats.iter().flat_map(|r| &r.metrics) {
        let count = metric.values.len();
        console.say(format!(
            "{}: {:.4} ± {:.4} (mean and 95% interval of {count} seeds)",
            metric.label, metric.mean, metric.half_width
        ))?;
    }

    let manifest = HeadManifest::new(&fitted, &config, features.classes().to_vec(), described);
    fitted.head.save(&folder, &manifest)?;
    let json = json_result(args, &fitted, seconds, &evaluated, repeats.as_ref());
    let splits: Result<Vec<_>> = evaluated
        .iter()
        .map(|(one, result)| split_result(one, result, features.classes().len()))
        .collect();
    let trained = page::Trained {
        features: &features,
        recipe: &source.recipe,
        config: &config,
        fitted: &fitted,
    };
    let written = page::write(&args.head, &trained, splits?, repeats, notes, &mut thumbnails)?;
    thumbnails.report(console)?;
    console.say(format!("head   {}", args.head.display()))?;
    console.say(format!("report {}", written.page.display()))?;
    console.json(&json)?;
    Ok(ExitCode::SUCCESS)
}

/// The head's folder, held for this run alone.
fn open_folder(path: &Path) -> Result<HeadFolder> {
    HeadFolder::open(path).map_err(|error| {
        let other = "choose another folder with --head DIR";
        let hint = match error.hint() {
            Some(hint) => format!("{hint}, or {other}"),
            None => other.to_owned(),
        };
        hinted(format!("head '{}': {error}", path.display()), hint)
    })
}

fn train(
    features: &AllFeatures,
    config: &FitConfig,
    room: usize,
    console: Console,
    interrupt: &Interrupt,
) -> Result<Fitted> {
    let validation = features.validation.as_ref().map(Features::split);
    let mut printing = Ok(());
    let on_epoch = &mut |stats: &head::EpochStats| {
        printing = console.say(print::epoch(stats, config.epochs));
        if interrupt.requested() || printing.is_err() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let trainer = head::Trainer::new(features.classes().len(), config);
    let trainer = trainer.validation(validation.as_ref()).cache_bytes(room).on_epoch(on_epoch);
    let fitted = trainer.fit(&features.train.split())?;
    printing?;
    Ok(fitted)
}

/// Pictures that two splits share make validation and test look better than they are.
fn check_leaks(args: &FitArgs, console: Console) -> Result<Vec<String>> {
    let leaks = shared_pictures::find(&args.features, cache::leaks::DEFAULT_DISTANCE)?;
    let lines: Vec<String> = leaks.iter().map(describe_leak).collect();
    if args.fail_on_leak
        && let Some(first) = lines.first()
    {
        return Err(hinted(
            format!(
                "{} of pictures in two splits: {first}",
                text::count(lines.len(), "pair", "pairs")
            ),
            "`cache leaks` lists them; remove them from one split and run extract --update",
        ));
    }
    let Some(first) = lines.first() else {
        return Ok(Vec::new());
    };
    let more = match lines.len() - 1 {
        0 => String::new(),
        more => format!("; and {} more, which `cache leaks` lists", text::thousands(more)),
    };
    let note = format!("{first}{more}");
    console.warn(&note);
    Ok(vec![format!("Splits share pictures, so results may look better than they are: {note}.")])
}

fn announce(features: &AllFeatures, recipe: &Recipe, console: Console) -> Result<()> {
    let rows =
        features.iter().map(|one| format!("{} {}", one.name(), text::thousands(one.reader.len())));
    let s = &features.train.manifest().settings;
    console.say(format!(
        "features {} of {} {} up to {}: {} rows",
        text::shape(&s.row_shape),
        recipe.dtype,
        recipe.backbone,
        recipe.layer,
        rows.collect::<Vec<_>>().join(", ")
    ))?;
    console.say(format!("classes  {}", print::some(features.classes())))?;
    Ok(())
}

fn json_result(
    args: &FitArgs,
    fitted: &Fitted,
    seconds: f64,
    evaluated: &[(&Features, Evaluated)],
    repeats: Option<&report::Repeats>,
) -> Value {
    let metrics: serde_json::Map<String, Value> = evaluated
        .iter()
        .map(|(one, result)| (one.name().to_owned(), json!(result.metrics)))
        .collect();
    let repeats = repeats.map(|r| {
        let metrics: serde_json::Map<String, Value> = r
            .metrics
            .iter()
            .map(|m| {
                (
                    m.key.clone(),
                    json!({ "values": m.values, "mean": m.mean, "half_width": m.half_width }),
                )
            })
            .collect();
        json!({ "seeds": r.seeds, "metrics": metrics })
    });
    json!({
        "head": images::display_name(&args.head),
        "parameters": fitted.head.parameter_count(),
        "training_seconds": seconds,
        "history": fitted.history,
        "best_epoch": fitted.best_epoch,
        "stopped_early": fitted.stopped_early,
        "restored_best": fitted.restored_best,
        "metrics": metrics,
        "repeats": repeats,
    })
}
