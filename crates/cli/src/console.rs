//! What goes to the terminal: results to standard output, remarks and warnings to standard error.

use std::io::{self, Write as _};

/// Where lines go, by `--quiet` and `--json`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    /// Only warnings and errors.
    pub(crate) quiet: bool,
    /// Standard output carries one JSON value and nothing else.
    pub(crate) json: bool,
}

impl Console {
    /// Whether progress bars and running text are wanted.
    pub(crate) fn talks(self) -> bool {
        !self.quiet && !self.json
    }

    /// One line of the human-readable result. The result proper is in files: a run goes on when nobody reads along.
    pub(crate) fn say(self, line: impl AsRef<str>) -> io::Result<()> {
        if self.talks() { unless_closed(out(line.as_ref())) } else { Ok(()) }
    }

    /// The JSON result, if `--json` was given.
    pub(crate) fn json(self, value: &serde_json::Value) -> io::Result<()> {
        if self.json { unless_closed(out(&format!("{value:#}"))) } else { Ok(()) }
    }

    /// A warning; never suppressed.
    pub(crate) fn warn(self, line: impl AsRef<str>) {
        error_line(&format!("warning: {}", line.as_ref()));
    }
}

/// A reader that went away, as in `extract | head -1`, is no failure.
fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// One line to standard output.
pub(crate) fn out(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// One line to standard error. Where even that fails there is nobody left to tell.
pub(crate) fn error_line(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
