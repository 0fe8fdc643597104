//! How a run ends: exit codes, error messages, hints.

use crate::console::error_line;
use std::io;
use std::process::ExitCode;

/// Failed.
const EXIT_FAILED: u8 = 1;
/// Done, but some inputs were skipped.
pub(crate) const EXIT_SKIPPED: u8 = 3;

/// An error of the command line itself, with what fixes it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Hinted {
    message: String,
    hint: String,
}

/// An error with a hint.
pub(crate) fn hinted(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted { message: message.into(), hint: hint.into() }.into()
}

/// The error of a run that can't go on for want of something that has nothing to do with the file at hand.
pub(crate) fn short_of_something(error: images::ImageError, then: &str) -> anyhow::Error {
    hinted(error.to_string(), format!("allow more open files (ulimit -n) or free memory; {then}"))
}

/// Runs a binary and turns its outcome into an exit code; errors go to standard error, `error:` first, then `hint:`.
pub(crate) fn exit_with(run: impl FnOnce() -> anyhow::Result<ExitCode>) -> ExitCode {
    let error = match run() {
        Ok(code) => return code,
        Err(error) => error,
    };
    // `extract summary | head -3` is no failure.
    if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    // Below some errors are the attempts that led to them, a line each, indented.
    for (i, line) in format!("error: {}", message(&error)).split("\n  ").enumerate() {
        error_line(&format!("{}{line}", if i == 0 { "" } else { "  " }));
    }
    if let Some(hint) = hint(&error) {
        error_line(&format!("hint: {hint}"));
    }
    ExitCode::from(EXIT_FAILED)
}

/// The chain of causes in one text. A cause that its parent already quotes is not said twice.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// The hint of the first error in the chain that has one.
fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(e) = cause.downcast_ref::<Hinted>() {
            return Some(e.hint.clone());
        }
        if let Some(e) = cause.downcast_ref::<weights::WeightsError>() {
            return Some(e.hint().to_owned()).filter(|h| !h.is_empty());
        }
        if let Some(e) = cause.downcast_ref::<backbone::BaseError>() {
            return e.hint();
        }
        if let Some(e) = cause.downcast_ref::<backbone::ExtractorError>() {
            return e.hint();
        }
        if let Some(e) = cause.downcast_ref::<backbone::EngineError>() {
            return e.hint();
        }
        if let Some(e) = cause.downcast_ref::<cache::CacheError>() {
            return e.hint();
        }
        if let Some(e) = cause.downcast_ref::<head::HeadError>() {
            return e.hint();
        }
        if let Some(e) = cause.downcast_ref::<images::ScanError>() {
            return Some(e.hint().to_owned()).filter(|h| !h.is_empty());
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn causes_are_said_once_and_hints_found_anywhere_in_the_chain() {
        let error = Err::<(), _>(hinted("no such split", "use --split train"))
            .context("cannot read features")
            .unwrap_err();
        assert_eq!(message(&error), "cannot read features: no such split");
        assert_eq!(hint(&error).as_deref(), Some("use --split train"));
        let quoted = anyhow::Error::new(io::Error::other("disk full"));
        assert_eq!(
            message(&quoted.context("writing failed: disk full")),
            "writing failed: disk full"
        );
    }
}
