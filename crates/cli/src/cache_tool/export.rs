//! `cache export`: features as files of others.

use anyhow::Result;
use cache::SplitReader;
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tables::TableError;

use super::args::ExportArgs;
use super::{console, nothing};
use crate::hints::hinted;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::{progress, text};

/// Writes every split that was asked for.
pub(super) fn run(args: &ExportArgs, interrupt: &Interrupt) -> Result<ExitCode> {
    let console = console(args.json);
    let splits = open(args)?;
    let targets = targets(args, &splits)?;
    let mut values = Vec::new();
    for (split, target) in splits.iter().zip(&targets) {
        let name = &split.manifest().split;
        let bar = progress::rows(console, name, split.len());
        let mut follow = |done| {
            bar.set_position(done);
            match interrupt.requested() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let outcome = tables::export(split, args.format, target, &mut follow);
        bar.finish_and_clear();
        match outcome {
            Ok(()) => {}
            Err(TableError::Stopped) => {
                console.warn(format!("stopped; '{}' was not written", target.display()));
                return Ok(ExitCode::from(EXIT_INTERRUPTED));
            }
            Err(error) => return Err(error.into()),
        }
        let bytes = size(target)?;
        console.say(format!(
            "{name}: {} → {}  ({})",
            text::count(split.len(), "row", "rows"),
            target.display(),
            indicatif::HumanBytes(bytes)
        ))?;
        let path = images::display_name(target);
        values.push(json!({ "split": name, "path": path, "rows": split.len(), "bytes": bytes }));
    }
    console.json(&Value::Array(values))?;
    Ok(ExitCode::SUCCESS)
}

/// The splits, each once: those that are named, or all in the folder. One that isn't complete is an error.
fn open(args: &ExportArgs) -> Result<Vec<SplitReader>> {
    let dir = &args.features;
    let mut names = args.split.clone();
    if names.is_empty() {
        names = cache::info(dir)?.into_iter().map(|one| one.split).collect();
    }
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err(nothing(dir));
    }
    let open = |name: &String| SplitReader::open(dir, name).map_err(anyhow::Error::from);
    names.iter().map(open).collect()
}

/// Where each goes: checked before anything is written.
fn targets(args: &ExportArgs, splits: &[SplitReader]) -> Result<Vec<PathBuf>> {
    let output = &args.output;
    let ending = args.format.extension();
    let given = output.extension().and_then(|given| given.to_str());
    let is_file =
        ending.is_some_and(|ending| given.is_some_and(|g| g.eq_ignore_ascii_case(ending)));
    if is_file && splits.len() > 1 {
        return Err(hinted(
            format!("one file for {} splits: '{}'", splits.len(), output.display()),
            "name one with --split, or give a folder with --output",
        ));
    }
    let target = |split: &SplitReader| match (is_file, ending) {
        (true, _) => output.clone(),
        (false, Some(ending)) => output.join(format!("{}.{ending}", split.manifest().split)),
        (false, None) => output.join(&split.manifest().split),
    };
    let targets: Vec<PathBuf> = splits.iter().map(target).collect();
    for target in &targets {
        if fs::symlink_metadata(target).is_ok() && !args.overwrite {
            return Err(hinted(
                format!("'{}' is there already", target.display()),
                "--overwrite replaces it; or choose another --output",
            ));
        }
    }
    if !is_file {
        fs::create_dir_all(output).map_err(|source| TableError::Io {
            action: "make",
            path: output.clone(),
            source,
        })?;
    }
    Ok(targets)
}

/// Bytes of a file, or of all files in a folder.
fn size(path: &Path) -> io::Result<u64> {
    let meta = fs::metadata(path)?;
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}
