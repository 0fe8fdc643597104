//! `feature-cache`: every command of the project as a subcommand, with completions and man pages.
//!
//! `extract`, `fit-head`, `predict` and `cache` are also programs of their own, on the same functions.

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cache_tool::{self, CacheArgs};
use crate::compare::{self, CompareArgs};
use crate::console::{out_bytes, parse_with};
use crate::export::{self, ExportArgs};
use crate::extract::{self, ExtractArgs};
use crate::failure::exit_with;
use crate::fit_head::{self, FitArgs};
use crate::predict::{self, PredictArgs};
use crate::train::{self, TrainArgs};

const NAME: &str = "feature-cache";

/// Run a frozen convolutional base once over image folders, keep its output, and train small classifiers on that.
///
/// Start with `feature-cache extract --data DIR`, then `feature-cache fit-head`, then `feature-cache predict PATH`.
/// `feature-cache COMMAND --help` says more about each.
#[derive(Debug, Parser)]
#[command(name = NAME, version)]
pub(crate) struct ProgramArgs {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Extract(Box<ExtractArgs>),
    FitHead(FitArgs),
    Train(Box<TrainArgs>),
    Predict(PredictArgs),
    Export(ExportArgs),
    Cache(CacheArgs),
    Compare(CompareArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Print a shell's completions of this program to standard output.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  feature-cache completions bash > ~/.local/share/bash-completion/completions/feature-cache\n  \
    feature-cache completions zsh > ~/.zfunc/_feature-cache\n  \
    feature-cache completions fish > ~/.config/fish/completions/feature-cache.fish"
)]
pub(crate) struct CompletionsArgs {
    /// Which shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Write a man page for this program and each of its commands into a folder.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  feature-cache man ~/.local/share/man/man1 && man feature-cache-extract"
)]
pub(crate) struct ManArgs {
    /// The folder; it is created where it is missing.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Runs `feature-cache` with the process's arguments.
pub fn main() -> ExitCode {
    let args: ProgramArgs = parse_with(command());
    match args.command {
        Command::Extract(args) => extract::execute(*args),
        Command::FitHead(args) => fit_head::execute(&args),
        Command::Train(args) => train::execute(&args),
        Command::Predict(args) => predict::execute(&args),
        Command::Export(args) => export::execute(&args),
        Command::Cache(args) => cache_tool::execute(args),
        Command::Compare(args) => compare::execute(&args),
        Command::Completions(args) => exit_with(|| completions(args.shell)),
        Command::Man(args) => exit_with(|| man(&args.dir)),
    }
}

/// The command line, with examples as they are typed here.
fn command() -> clap::Command {
    ProgramArgs::command().mut_subcommands(|command| {
        let Some(help) = command.get_after_help() else { return command };
        let name = command.get_name();
        let help = help.to_string();
        let help = help.replace(&format!("\n  {name} "), &format!("\n  {NAME} {name} "));
        let help = help.replace(&format!("\n  {NAME} {NAME} "), &format!("\n  {NAME} "));
        command.after_help(help)
    })
}

fn completions(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), NAME, &mut script);
    out_bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}

fn man(dir: &Path) -> Result<ExitCode> {
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command(), dir))
        .with_context(|| format!("cannot write man pages into '{}'", dir.display()))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of a command's man pages, its own and those of its commands.
    fn pages(command: &clap::Command, prefix: &str, found: &mut Vec<String>) {
        let name = format!("{prefix}{}", command.get_name());
        found.push(format!("{name}.1"));
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            pages(inner, &format!("{name}-"), found);
        }
    }

    #[test]
    fn clap_finds_no_contradiction() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_a_man_page_that_says_what_it_does() {
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("man1");
        man(&into).unwrap();
        let mut expected = Vec::new();
        pages(&command(), "", &mut expected);
        assert!(expected.contains(&"feature-cache-cache-leaks.1".to_owned()), "{expected:?}");
        for name in expected {
            let page = std::fs::read_to_string(into.join(&name)).unwrap();
            for section in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
                assert!(page.contains(section), "{name}: {section}\n{page}");
            }
        }
    }

    #[test]
    fn each_command_says_how_it_is_used() {
        for name in
            ["extract", "fit-head", "train", "predict", "export", "compare", "completions", "man"]
        {
            let all = command();
            let one = all.find_subcommand(name).unwrap();
            assert!(one.get_about().is_some(), "{name}");
            let help = one.get_after_help().unwrap().to_string();
            assert!(help.contains(&format!("\n  feature-cache {name} ")), "{name}: {help}");
            assert!(!help.contains(&format!("\n  {name} ")), "{name}: {help}");
        }
    }
}
