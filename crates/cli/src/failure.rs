//! How a run ends: exit codes, error messages, hints.

use crate::console::error_line;
use crate::hints::hint;
use std::io;
use std::process::ExitCode;

/// Failed.
const EXIT_FAILED: u8 = 1;
/// Done, but some inputs were skipped.
pub(crate) const EXIT_SKIPPED: u8 = 3;

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
pub(crate) fn message(error: &anyhow::Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hints::hinted;
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
