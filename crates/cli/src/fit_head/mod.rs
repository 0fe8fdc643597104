//! `fit-head`: a dense classifier on cached features, and its report.

mod args;
mod print;
mod tune;

use anyhow::Result;
use pipeline::fit::{AllFeatures, Evaluated, Features, Fit, FitOutcome};
use pipeline::fit_report::{FitReport, Thumbnails, layers};
use pipeline::{BoxError, Event, Progress, Recipe};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;
use train::FitConfig;

use crate::console::{Console, parse};
use crate::failure::exit_with;
use crate::hints::hinted;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::leaks::describe_leak;
use crate::{text, threads};
pub(crate) use args::FitArgs;
pub(crate) use print::{
    calibration as calibration_lines, epoch as epoch_line, metrics as metrics_line,
};

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
        pool.install(|| run(args, Console::new(args.quiet, args.json), &interrupt))
    })
}

/// Trains and reports; in the pool that it is called in.
pub(crate) fn run(args: &FitArgs, console: Console<'_>, interrupt: &Interrupt) -> Result<ExitCode> {
    if args.head.exists() && !args.head.is_dir() {
        return Err(hinted(
            format!("head '{}': expected a folder or nothing, found a file", args.head.display()),
            "choose another folder with --head DIR",
        ));
    }
    let mut thumbnails = Thumbnails::new(args.data.as_deref())?;
    let mut features = AllFeatures::open(&args.features)?;
    if let Some(views) = args.views {
        features.limit_views(views)?;
    }
    for (split, difference) in features.differences() {
        console.warn(format!("train and {split}: {difference}"));
    }
    // What comes from elsewhere is bounded before any of it is printed.
    let source = features.source()?;
    pipeline::fit::describe(&source)?;
    let notes = check_leaks(args, console)?;
    announce(&features, &source.recipe, console)?;

    let config = args.config(features.classes());
    if let Some(layer) = &args.unfreeze {
        return tune::run(args, layer, &features, &config, &mut thumbnails, console, interrupt);
    }
    let fit = Fit::new(&features, &config, args.repeats, &args.head)?;
    let follower = Follower { console, interrupt, config: &config, classes: features.classes() };
    let Some(outcome) = fit.run(&follower)? else {
        console.warn("stopped; no head was written");
        return Ok(ExitCode::from(EXIT_INTERRUPTED));
    };
    let repeats = outcome.repeats.as_ref();
    for metric in repeats.iter().flat_map(|r| &r.metrics) {
        let count = metric.values.len();
        let interval = metric.half_width.map_or("not defined".to_owned(), |h| format!("{h:.4}"));
        console.say(format!(
            "{}: {:.4} ± {interval} (mean and 95% interval of {count} seeds)",
            metric.label, metric.mean
        ))?;
    }
    let json = json_result(args, &outcome);
    let report = FitReport {
        features: &features,
        recipe: &source.recipe,
        config: &config,
        outcome: &outcome,
        command_line: console.command_line(),
        notes,
    };
    let written = report.write(&args.head, &mut thumbnails)?;
    missing_pictures(&thumbnails, console)?;
    console.say(format!("head   {}", args.head.display()))?;
    console.say(format!("report {}", written.page.display()))?;
    console.json(&json)?;
    Ok(ExitCode::SUCCESS)
}

/// Follows a training: what it says, and Ctrl-C.
struct Follower<'a> {
    console: Console<'a>,
    interrupt: &'a Interrupt,
    config: &'a FitConfig,
    classes: &'a [String],
}

impl Progress for Follower<'_> {
    fn stop(&self) -> bool {
        self.interrupt.requested()
    }

    fn event(&self, event: Event<'_>) -> Result<(), BoxError> {
        let Self { console, config, .. } = self;
        if let Some(listener) = console.listener() {
            listener.event(&event, config.epochs);
        }
        match event {
            Event::Epoch(stats) => console.say(print::epoch(stats, config.epochs))?,
            Event::Trained { fitted, seconds } => {
                let layers = layers(&fitted.head, config.dropout);
                console.say(format!("trained {layers} in {seconds:.2} s"))?;
                if fitted.outcome.restored_best {
                    let best = fitted.outcome.best_epoch.unwrap_or_default();
                    console.say(format!("kept the weights of epoch {best}"))?;
                }
            }
            Event::Evaluated(results) => self.evaluated(results)?,
            Event::Calibrated(calibrated) => {
                for line in print::calibration(calibrated) {
                    console.say(line)?;
                }
            }
            Event::Seed { seed, values } => {
                let line: Vec<String> = (values.iter())
                    .filter(|(key, _, _)| key.contains("accuracy"))
                    .map(|(_, label, value)| format!("{} {value:.4}", label.to_lowercase()))
                    .collect();
                console.say(format!("seed {seed}: {}", line.join(", ")))?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Follower<'_> {
    /// Metrics of every split, and the confusions of the last.
    fn evaluated(&self, results: &[(&Features, Evaluated)]) -> std::io::Result<()> {
        let console = self.console;
        for (one, result) in results {
            console.say(print::metrics(one.name(), &result.metrics))?;
        }
        let Some((one, result)) = results.last() else { return Ok(()) };
        console.say("")?;
        console.say(format!("{} rows:", one.name()))?;
        for line in print::confusion(&result.metrics, self.classes) {
            console.say(line)?;
        }
        console.say("")
    }
}

/// Pictures that two splits share make validation and test look better than they are.
fn check_leaks(args: &FitArgs, console: Console<'_>) -> Result<Vec<String>> {
    let leaks = pipeline::shared_pictures(&args.features, cache::leaks::DEFAULT_DISTANCE)?;
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

fn announce(features: &AllFeatures, recipe: &Recipe, console: Console<'_>) -> Result<()> {
    let rows =
        features.iter().map(|one| format!("{} {}", one.name(), text::thousands(one.reader.len())));
    let s = &features.train.manifest().settings;
    console.say(format!(
        "features {} of {} {} up to {}: {} rows",
        util::shape(&s.row_shape),
        recipe.dtype,
        recipe.backbone,
        recipe.layer,
        rows.collect::<Vec<_>>().join(", ")
    ))?;
    if recipe.views > 1 {
        console.say(format!(
            "views    {} of each picture of train, another each epoch; all metrics are of the pictures themselves",
            recipe.views
        ))?;
    }
    console.say(format!("classes  {}", print::some(features.classes())))?;
    Ok(())
}

/// Says which mistakes the report shows without a picture.
pub(crate) fn missing_pictures(
    thumbnails: &Thumbnails,
    console: Console<'_>,
) -> std::io::Result<()> {
    let taken = thumbnails.taken();
    if taken > 0 && !thumbnails.has_folder() {
        console.say(format!(
            "the report is without pictures: there is no folder '{}' here; --data DIR names the one that extract read",
            Thumbnails::DEFAULT_FOLDER
        ))?;
    }
    let missing = thumbnails.missing();
    if let Some(first) = missing.first() {
        console.warn(format!(
            "no picture of {} of {taken} mistakes in the report: {first}",
            missing.len()
        ));
    }
    Ok(())
}

fn json_result(args: &FitArgs, outcome: &FitOutcome<'_>) -> Value {
    let FitOutcome { fitted, seconds, evaluated, calibrated, repeats } = outcome;
    let metrics: serde_json::Map<String, Value> = evaluated
        .iter()
        .map(|(one, result)| (one.name().to_owned(), json!(result.metrics)))
        .collect();
    let calibration = calibrated.choice.as_ref().map(|choice| &choice.calibration);
    let judged = calibrated.splits.iter().map(|(name, judged)| (name.clone(), json!(judged)));
    let calibration = json!({
        "temperature": calibration.and_then(|c| c.temperature),
        "threshold": calibration.and_then(|c| c.threshold),
        "splits": judged.collect::<serde_json::Map<_, _>>(),
    });
    let repeats = repeats.as_ref().map(|r| {
        let metrics = r.metrics.iter().map(|m| {
            let value = json!({ "values": m.values, "mean": m.mean, "half_width": m.half_width });
            (m.key.to_owned(), value)
        });
        json!({ "seeds": r.seeds, "metrics": metrics.collect::<serde_json::Map<_, _>>() })
    });
    json!({
        "head": images::display_name(&args.head),
        "parameters": fitted.head.parameter_count(),
        "training_seconds": seconds,
        "history": fitted.outcome.history,
        "best_epoch": fitted.outcome.best_epoch,
        "stopped_early": fitted.outcome.stopped_early,
        "restored_best": fitted.outcome.restored_best,
        "metrics": metrics,
        "calibration": calibration,
        "repeats": repeats,
    })
}
