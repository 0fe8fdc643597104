//! `predict`: a trained head, or a base's own classifier, on new images.

mod args;
mod model;
mod output;

use anyhow::Result;
use images::{Cause, Memory};
use pipeline::NUMERICS;
use std::cell::OnceCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::console::{Console, parse};
use crate::failure::{EXIT_SKIPPED, exit_with, hinted, short_of_something};
use crate::feature_source::WeightsSearch;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::pipeline::Pipeline;
use crate::threads;
pub(crate) use args::PredictArgs;
use model::Model;
use output::{Form, Output};

/// Nothing is written, so there is little to wait for: the batch in hand, if it takes no longer.
const GRACE: Duration = Duration::from_secs(2);

/// Runs `predict` with the process's arguments.
pub fn main() -> ExitCode {
    execute(&parse())
}

/// Runs it with these arguments.
pub(crate) fn execute(args: &PredictArgs) -> ExitCode {
    exit_with(|| run(args))
}

fn run(args: &PredictArgs) -> Result<ExitCode> {
    // Standard output is for predictions alone; whatever else is said goes to standard error.
    let console = Console { quiet: args.quiet, json: true };
    let interrupt = Interrupt::listen(GRACE, "run the command again")?;
    let pool = threads::pool(args.threads)?;

    let (files, ignored) = images::expand_inputs(&args.paths)?;
    let form = match (args.json, args.csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        _ => Form::Text,
    };
    let mut output = Output::new(form)?;
    let mut bad = ignored.len();
    for one in &ignored {
        output.error(&one.path, &one.reason)?;
    }
    if files.is_empty() {
        output.finish()?;
        return Err(hinted(
            "no image among the given paths",
            "give image files, or folders that hold some",
        ));
    }

    let search = WeightsSearch {
        models_dir: &args.models,
        offline: args.offline,
        index_url: args.index_url.as_ref(),
        console,
    };
    let model = pool.install(|| Model::new(args, &search, console))?;
    let pipeline =
        Pipeline { extractor: &model.extractor, pool: &pool, batch_size: args.batch_size as usize };
    let memory = Memory::default();
    let short = OnceCell::new();
    let mut good = 0;
    let finished = pipeline.run(
        &files,
        |path: &PathBuf, pixels| {
            let bytes = memory.read(path)?;
            let image = memory.decode(&bytes, model.spec())?;
            model.fill(&image, pixels)
        },
        || interrupt.requested() || short.get().is_some(),
        |path, outcome| match outcome {
            Ok(((), row)) => {
                let best = top(&model.probabilities(row)?, &model.classes, args.top as usize);
                good += 1;
                output.prediction(path, &best)
            }
            Err(error) if error.cause() == Cause::Machine => {
                // The first such error is the one that is told.
                let _ = short.set(error);
                Ok(())
            }
            Err(error) => {
                bad += 1;
                output.error(path, &error.reason())
            }
        },
    )?;
    output.finish()?;
    if let Some(error) = short.into_inner() {
        return Err(short_of_something(error, "then run the command again"));
    }
    Ok(match (finished, good, bad) {
        (false, ..) => ExitCode::from(EXIT_INTERRUPTED),
        (true, _, 0) => ExitCode::SUCCESS,
        (true, 0, _) => {
            return Err(hinted("no file could be classified", "the warnings above say why"));
        }
        (true, ..) => ExitCode::from(EXIT_SKIPPED),
    })
}

/// What it means that the head's features are of other numerics; 0 for a head that doesn't tell.
fn numerics(found: u32) -> String {
    let what = match found {
        0 => "the head does not say with which numerics its features were computed".to_owned(),
        found => format!("the head's features were computed with numerics {found}"),
    };
    format!(
        "{what}, this version computes with numerics {NUMERICS}: the same picture may give other features than it gave fit-head, \
        and another probability; run extract and fit-head again to make them agree"
    )
}

/// The `k` most probable classes, best first; equal ones in class order.
fn top<'a>(probabilities: &[f32], classes: &'a [String], k: usize) -> Vec<(&'a str, f32)> {
    let mut all: Vec<(&str, f32)> =
        classes.iter().map(String::as_str).zip(probabilities.iter().copied()).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(k);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_classes_come_first_and_ties_keep_their_order() {
        let classes = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(top(&[0.25, 0.5, 0.25], &classes, 2), [("b", 0.5), ("a", 0.25)]);
        assert_eq!(top(&[0.25, 0.5, 0.25], &classes, 9).len(), 3);
    }
}
