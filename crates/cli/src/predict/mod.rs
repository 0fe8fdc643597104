//! `predict`: a trained head, or a base's own classifier, on new images.

mod args;
mod output;

use anyhow::Result;
use backbone::Hardware;
use pipeline::predict::{Decision, Predictor, most_probable};
use pipeline::{Error, NUMERICS, Picture, Recipe};
use std::process::ExitCode;
use std::time::Duration;

use crate::console::{Console, parse};
use crate::failure::{EXIT_SKIPPED, exit_with};
use crate::hints::{hinted, short_of_something};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::progress::Transfer;
use crate::threads;
pub(crate) use args::{PredictArgs, threshold};
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
    let console = Console::beside_results(args.quiet);
    let interrupt = Interrupt::listen(GRACE, "run the command again")?;
    let pool = threads::pool(args.threads)?;

    let batch_size = args.batch_size as usize;
    let (files, ignored) = images::expand_inputs(&args.paths)?;
    let form = match (args.json, args.csv, &args.parquet) {
        (true, ..) => Form::Json,
        (_, true, _) => Form::Csv,
        (.., Some(path)) => Form::Parquet(path.clone()),
        _ => Form::Text,
    };
    let mut output = Output::new(form)?;
    let mut bad = ignored.len();
    for one in &ignored {
        output.error(&one.path, &one.reason)?;
    }
    if files.is_empty() {
        output.finish(true)?;
        return Err(hinted(
            "no image among the given paths",
            "give image files, or folders that hold some",
        ));
    }

    let pictures: Vec<Picture> = files.into_iter().map(Picture::File).collect();

    let transfer = Transfer::new(console);
    let predictor = pool.install(|| args.predictor(&transfer))?;
    differences(&predictor, console);
    let mut good = 0;
    let classes = predictor.classes();
    let outcome = predictor.run(
        &pictures,
        &pool,
        batch_size,
        || interrupt.requested(),
        |picture, outcome| match (picture, outcome) {
            (Picture::File(path), Ok(prediction)) => {
                good += 1;
                let best = most_probable(prediction, classes, args.top as usize);
                output.prediction(path, &best)
            }
            (Picture::File(path), Err(error)) => {
                bad += 1;
                output.error(path, &error.reason())
            }
            // There is none but files.
            (Picture::Pixels(_), _) => Ok(()),
        },
    );
    let finished = match outcome {
        Ok(finished) => finished,
        Err(error) => {
            return Err(match error.downcast::<Error>() {
                Ok(error @ Error::Machine(_)) => {
                    // What is known is printed.
                    output.finish(false)?;
                    short_of_something(error, "then run the command again")
                }
                Ok(error) => error.into(),
                Err(error) => error,
            });
        }
    };
    output.finish(finished)?;
    Ok(match (finished, good, bad) {
        (false, ..) => ExitCode::from(EXIT_INTERRUPTED),
        (true, _, 0) => ExitCode::SUCCESS,
        (true, 0, _) => {
            return Err(hinted("no file could be classified", "the warnings above say why"));
        }
        (true, ..) => ExitCode::from(EXIT_SKIPPED),
    })
}

impl PredictArgs {
    /// The head or the classifier that is asked for. To be called in the pool that runs it.
    pub(crate) fn predictor(&self, progress: &dyn weights::Progress) -> Result<Predictor> {
        let search = self.source.search(progress);
        let weights = self.weights.as_deref();
        Ok(match &self.backbone {
            Some(name) => Predictor::with_classifier(name, weights, &search, self.device)?,
            None => {
                let decision = Decision { calibrated: self.calibrated, threshold: self.threshold };
                let batch = self.batch_size as usize;
                Predictor::with_head(&self.head, decision, batch, weights, &search, self.device)?
            }
        })
    }
}

/// Warns where the head's features were not made as they are made here.
pub(crate) fn differences(predictor: &Predictor, console: Console<'_>) {
    if let (Some(recipe), Some(info), true) =
        (predictor.recipe(), predictor.info(), console.remarks())
    {
        warn_of_differences(recipe, &info.hardware, console);
    }
}

/// What differs between the features that the head was trained on and those that are computed here.
fn warn_of_differences(recipe: &Recipe, hardware: &Hardware, console: Console<'_>) {
    if !hardware.same_bits(&recipe.hardware, recipe.precision) {
        console.warn(format!(
            "the head's features were made by {}, here runs {hardware}: probabilities may differ in their last digits",
            recipe.hardware
        ));
    }
    if recipe.numerics != NUMERICS {
        console.warn(numerics(recipe.numerics));
    }
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
