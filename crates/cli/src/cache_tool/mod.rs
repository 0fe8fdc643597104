//! `cache`: what is in a features folder, and whether it is whole.

mod args;
mod export;

use anyhow::Result;
use cache::{Existing, Manifest, Recovery, State};
use pipeline::folder::{self, VerifiedSplit, Verifying};
use pipeline::{Recipe, WeightsId};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::console::{Console, error_line, parse};
use crate::failure::exit_with;
use crate::hints::hinted;
use crate::interrupt::Interrupt;
use crate::leaks::describe_leak;
use crate::{hints, progress, text};
pub(crate) use args::CacheArgs;
use args::{Command, LeaksArgs, MergeArgs, RecoverArgs};

/// How long an export may take for the block of rows in hand.
const EXPORT_GRACE: Duration = Duration::from_secs(5);

/// Runs `cache` with the process's arguments.
pub fn main() -> ExitCode {
    execute(parse())
}

/// Runs it with these arguments.
pub(crate) fn execute(args: CacheArgs) -> ExitCode {
    exit_with(|| {
        let grace = match args.command {
            // It removes what it has begun.
            Command::Export(_) => EXPORT_GRACE,
            // Most write nothing, and merge and recover can be ended at any time: nothing is waited for.
            _ => Duration::ZERO,
        };
        let interrupt = Interrupt::listen(grace, "run the same command again")?;
        match args.command {
            Command::Info(args) => info(&args.features, args.json),
            Command::Verify(args) => verify(&args.features, args.json),
            Command::Merge(args) => merge(&args),
            Command::Recover(args) => recover(&args),
            Command::Leaks(args) => leaks(&args),
            Command::Export(args) => export::run(&args, &interrupt),
        }
    })
}

fn console(json: bool) -> Console<'static> {
    Console::new(false, json)
}

fn info(dir: &Path, as_json: bool) -> Result<ExitCode> {
    let console = console(as_json);
    let all = cache::info(dir)?;
    if all.is_empty() {
        return Err(nothing(dir));
    }
    let mut values = Vec::new();
    for one in &all {
        let shard =
            one.shard.map_or(String::new(), |s| format!(" (shard {} of {})", s.index, s.count));
        let writer = one.writer.as_ref().map_or(String::new(), |(pid, host)| {
            format!(", being written by process {pid} on {host}")
        });
        let (lines, value) = match &one.state {
            State::Complete(m) => (describe(m), json!({ "state": "complete", "manifest": m })),
            State::Unfinished { rows, inputs } => (
                vec![format!("unfinished, {rows} of {inputs} images done{writer}")],
                json!({ "state": "unfinished", "rows": rows, "inputs": inputs }),
            ),
            State::Damaged(why) => {
                (vec![format!("damaged: {why}")], json!({ "state": "damaged", "why": why }))
            }
        };
        let mut lines = lines.into_iter();
        console.say(format!("{}{shard}: {}", one.split, lines.next().unwrap_or_default()))?;
        lines.try_for_each(|line| console.say(line))?;
        let mut value = value;
        value["split"] = json!(one.split);
        value["shard"] = json!(one.shard);
        values.push(value);
    }
    console.json(&Value::Array(values))?;
    Ok(ExitCode::SUCCESS)
}

/// The lines about a complete split.
fn describe(m: &Manifest) -> Vec<String> {
    let s = &m.settings;
    let counts: Vec<String> =
        s.classes.iter().zip(&m.class_counts).map(|(class, n)| format!("{class} {n}")).collect();
    let files = &m.files;
    let bytes = files.features.bytes + files.labels.bytes + files.index.bytes;
    let mut lines = vec![
        format!("{} {}, {}", util::shape(&m.shape), s.dtype, indicatif::HumanBytes(bytes)),
        format!("  rows      {} ({}), {} skipped", m.rows, counts.join(", "), m.skipped),
    ];
    match Recipe::of(s) {
        Ok(recipe) => lines.extend(describe_recipe(&recipe)),
        Err(error) => lines.push(format!("  recipe    {error}")),
    }
    let digest = s.recipe.digest(Recipe::RULES);
    lines.push(format!("  recipe    {}…", digest.get(..12).unwrap_or(&digest)));
    lines.push(format!(
        "  made      {} by version {}, {:.1} images/s",
        text::time(m.run.finished_unix),
        tool_version(m),
        m.run.rows_per_second
    ));
    lines
}

fn describe_recipe(recipe: &Recipe) -> [String; 3] {
    let WeightsId { name, sha256, .. } = &recipe.weights;
    let sha256 = sha256.get(..12).unwrap_or(sha256);
    [
        format!(
            "  base      {} up to {}, pooling {}, weights {name} (sha256 {sha256}…)",
            recipe.backbone, recipe.layer, recipe.pooling
        ),
        format!(
            "  images    {}, {} resize, {} preprocessing",
            recipe.image_size, recipe.interpolation, recipe.preprocess
        ),
        format!("  engine    {}, precision {}", recipe.hardware, recipe.precision),
    ]
}

/// The first version wrote it among the settings.
fn tool_version(m: &Manifest) -> &str {
    let first = m.settings.recipe.fields().get("tool_version").and_then(Value::as_str);
    first.filter(|_| m.run.tool_version.is_empty()).unwrap_or(&m.run.tool_version)
}

fn verify(dir: &Path, as_json: bool) -> Result<ExitCode> {
    let console = console(as_json);
    let (mut bar, mut said) = (None, Ok(()));
    let all = folder::verify(dir, |event| match event {
        Verifying::Rows { split, done, rows } => {
            bar.get_or_insert_with(|| progress::rows(console, split, rows as usize))
                .set_position(done);
        }
        Verifying::Split(VerifiedSplit { split, outcome }) => {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
            match outcome {
                Ok(rows) if said.is_ok() => {
                    let rows = text::count(*rows as usize, "row", "rows");
                    said = console.say(format!("{split}: {rows}, every byte as the manifest says"));
                }
                Ok(_) => {}
                Err(error) => error_line(&format!("{split}: {error}")),
            }
        }
    })?;
    said?;
    if all.is_empty() {
        return Err(nothing(dir));
    }
    let value = |VerifiedSplit { split, outcome }: &VerifiedSplit| match outcome {
        Ok(rows) => json!({ "split": split, "ok": true, "rows": rows }),
        Err(error) => json!({ "split": split, "ok": false, "error": error.to_string() }),
    };
    let values = all.iter().map(value).collect();
    let damaged = all.iter().filter(|one| one.outcome.is_err()).count();
    console.json(&Value::Array(values))?;
    if damaged > 0 {
        return Err(hinted(
            format!(
                "{} damaged in '{}'",
                text::count(damaged, "split is", "splits are"),
                dir.display()
            ),
            "extract --update recomputes what is damaged, extract --overwrite everything",
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn merge(args: &MergeArgs) -> Result<ExitCode> {
    let console = console(args.json);
    let dir = &args.features;
    let existing = match (args.overwrite, args.update) {
        (true, _) => Existing::Overwrite,
        (_, true) => Existing::Update,
        _ => Existing::Refuse,
    };
    let mut said = Ok(());
    let all = folder::merge(dir, &args.split, existing, |manifest| {
        let file = dir.join(&manifest.files.features.name);
        let (split, shape) = (&manifest.split, util::shape(&manifest.shape));
        if said.is_ok() {
            let dtype = manifest.settings.dtype;
            said = console.say(format!("{split}: {shape} {dtype} → {}", file.display()));
        }
    })?;
    said?;
    if all.is_empty() {
        return Err(hinted(
            format!("features folder '{}': expected shards, found none", dir.display()),
            "make them with extract --shard I/N",
        ));
    }
    console.json(&json!(all))?;
    Ok(ExitCode::SUCCESS)
}

fn recover(args: &RecoverArgs) -> Result<ExitCode> {
    let console = console(args.json);
    let all = cache::recover(&args.features, &args.split)?;
    if let Some(split) = args.split.iter().find(|&name| all.iter().all(|one| one.split != *name)) {
        return Err(hinted(
            format!("features folder '{}': found no split '{split}'", args.features.display()),
            "cache info lists what is there",
        ));
    }
    if all.is_empty() {
        return Err(nothing(&args.features));
    }
    let mut values = Vec::new();
    let mut failures = Vec::new();
    for one in all {
        let shard =
            one.shard.map_or(String::new(), |s| format!(" (shard {} of {})", s.index, s.count));
        let name = format!("{}{shard}", one.split);
        let rows_of = |rows: u64| text::count(rows as usize, "row", "rows");
        let mut value = match one.outcome {
            Ok(Recovery::Complete { rows }) => {
                console.say(format!("{name}: complete, {}", rows_of(rows)))?;
                json!({ "state": "complete", "rows": rows })
            }
            Ok(Recovery::Recovered { rows }) => {
                console.say(format!("{name}: recovered, {}", rows_of(rows)))?;
                json!({ "state": "recovered", "rows": rows })
            }
            Ok(Recovery::Unfinished { rows, inputs }) => {
                console.say(format!(
                    "{name}: unfinished, {rows} of {inputs} images done; extract with the same command again goes on"
                ))?;
                json!({ "state": "unfinished", "rows": rows, "inputs": inputs })
            }
            Err(error) => {
                error_line(&format!("{name}: {error}"));
                let value = json!({ "state": "failed", "error": error.to_string() });
                failures.push(error);
                value
            }
        };
        value["split"] = json!(one.split);
        value["shard"] = json!(one.shard);
        values.push(value);
    }
    console.json(&Value::Array(values))?;
    match failures.first() {
        None => Ok(ExitCode::SUCCESS),
        Some(first) => Err(hinted(
            format!(
                "{} not recovered in '{}'",
                text::count(failures.len(), "split was", "splits were"),
                args.features.display()
            ),
            hints::of_cache(first).unwrap_or_else(|| "cache info lists what is there".to_owned()),
        )),
    }
}

fn leaks(args: &LeaksArgs) -> Result<ExitCode> {
    let console = console(args.json);
    let splits = cache::list_splits(&args.features)?;
    if splits.is_empty() {
        return Err(nothing(&args.features));
    }
    let found = pipeline::shared_pictures(&args.features, args.distance)?;
    for leak in &found {
        console.say(describe_leak(leak))?;
    }
    console.say(format!(
        "{} of pictures in two of {}",
        text::count(found.len(), "pair", "pairs"),
        splits.join(", ")
    ))?;
    let values: Vec<Value> = found
        .iter()
        .map(|leak| {
            json!({
                "a": { "split": leak.a.split, "file": leak.a.file },
                "b": { "split": leak.b.split, "file": leak.b.file },
                "why": describe_leak(leak),
            })
        })
        .collect();
    console.json(&Value::Array(values))?;
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn nothing(dir: &Path) -> anyhow::Error {
    hinted(
        format!("features folder '{}': expected what extract writes, found nothing", dir.display()),
        "run extract first, or give the folder with --features DIR",
    )
}
