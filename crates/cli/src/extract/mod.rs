//! `extract`: image folders through a frozen base into `.npy` arrays.

mod args;
mod bases;
mod config;
mod follower;
mod preview;
mod show;
mod summary;

use pipeline::Error;
use pipeline::extract::{Extraction, SplitOutcome};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::console::{Console, parse};
use crate::failure::{EXIT_SKIPPED, exit_with};
use crate::hints::short_of_something;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::progress::Transfer;
use crate::text;
use crate::threads;
use args::{Command, RunArgs};
pub(crate) use args::{ExtractArgs, PreprocessChoice, Profile, preprocess_parser};
pub(crate) use config::Config;
use follower::Follower;

/// How long a run may take to finish the batch in hand. What is finished is on disk, so no more than that batch is lost.
const GRACE: Duration = Duration::from_secs(5);

/// Runs `extract` with the process's arguments.
pub fn main() -> ExitCode {
    execute(parse())
}

/// Runs it with these arguments.
pub(crate) fn execute(args: ExtractArgs) -> ExitCode {
    exit_with(|| match args.command {
        Some(Command::Summary(args)) => summary::print(&args),
        Some(Command::Bases(args)) => bases::print(&args),
        Some(Command::Preview(args)) => preview::run(&args),
        None => {
            let console = Console::new(args.run.quiet, args.run.json);
            let interrupt =
                || Interrupt::listen(GRACE, "run the same command again to go on from there");
            run(args.run, console, interrupt)
        }
    })
}

/// Extracts every split that was asked for. Who interrupts is asked for once there is something to interrupt.
pub(crate) fn run(
    args: RunArgs,
    console: Console<'_>,
    interrupt: impl FnOnce() -> anyhow::Result<Interrupt>,
) -> anyhow::Result<ExitCode> {
    let config = Config::new(args)?;
    backbone::check_device(&config.options.engine)?;
    let interrupt = interrupt()?;
    let pool = threads::pool(config.threads)?;

    let started = Instant::now();
    let transfer = Transfer::new(console);
    let search = config.source.search(&transfer);
    let options = &config.options;
    let weights = search.resolve(&options.base, &options.weights_spec)?;
    let extraction = Extraction::new(options, weights, &pool)?;
    show::announce(&extraction, &config.splits, pool.current_num_threads(), console)?;

    let follower = Follower::new(console, &interrupt);
    let mut outcomes = Vec::new();
    for split in &config.splits {
        let one = extraction.extract(split, &follower).map_err(goes_on)?;
        show::outcome(split, &one, options, console)?;
        let interrupted = matches!(one, SplitOutcome::Interrupted { .. });
        outcomes.push(one);
        if interrupted {
            break;
        }
    }
    let leaks = show::leaks(&outcomes, options, console)?;
    console.json(&show::json(&extraction.info(), &outcomes, &leaks, options, started.elapsed()))?;
    if outcomes.iter().any(|one| matches!(one, SplitOutcome::Interrupted { .. })) {
        return Ok(ExitCode::from(EXIT_INTERRUPTED));
    }
    let skipped: u64 = outcomes.iter().map(SplitOutcome::skipped).sum();
    if skipped == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let files = text::count(skipped as usize, "file was", "files were");
    console.warn(format!(
        "{files} skipped; the index files in {} say why",
        options.features.display()
    ));
    Ok(ExitCode::from(EXIT_SKIPPED))
}

/// Adds how to go on where the machine was short of something.
fn goes_on(error: Error) -> anyhow::Error {
    short_of_something(error, "the same command goes on from there")
}
