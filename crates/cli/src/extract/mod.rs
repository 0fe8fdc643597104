//! `extract`: image folders through a frozen base into `.npy` arrays.

mod args;
mod bases;
mod config;
mod split;
mod summary;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::console::{Console, parse};
use crate::failure::{EXIT_SKIPPED, exit_with};
use crate::feature_source::WeightsSearch;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::text;
use crate::threads;
pub(crate) use args::ExtractArgs;
use args::{Command, RunArgs};
use config::Config;
pub(crate) use config::preprocess_of;
use split::{Done, Session};

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
        None => run(args.run),
    })
}

fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let console = Console { quiet: args.quiet, json: args.json };
    let config = Config::new(args)?;
    backbone::check_device(&config.engine)?;
    let interrupt = Interrupt::listen(GRACE, "run the same command again to go on from there")?;
    let pool = threads::pool(config.threads)?;

    let started = Instant::now();
    let search = WeightsSearch {
        models_dir: &config.models,
        offline: config.offline,
        index_url: config.index_url.as_ref(),
        console,
    };
    let weights = search.resolve(&config.base, &config.weights)?;
    let session = Session::new(&config, weights, &pool, console, &interrupt)?;
    session.announce()?;

    let mut done = Vec::new();
    for split in &config.splits {
        let one = session.extract(split)?;
        let interrupted = matches!(one, Done::Interrupted { .. });
        done.push(one);
        if interrupted {
            break;
        }
    }
    let leaks = session.report_leaks(&done)?;
    console.json(&session.json(&done, &leaks, started.elapsed()))?;
    if done.iter().any(|one| matches!(one, Done::Interrupted { .. })) {
        return Ok(ExitCode::from(EXIT_INTERRUPTED));
    }
    let skipped: u64 = done.iter().map(Done::skipped).sum();
    if skipped == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let files = text::count(skipped as usize, "file was", "files were");
    console
        .warn(format!("{files} skipped; the index files in {} say why", config.features.display()));
    Ok(ExitCode::from(EXIT_SKIPPED))
}
