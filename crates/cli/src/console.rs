//! What goes to the terminal: results to standard output, remarks and warnings to standard error.
//!
//! Names and messages come from other people's files. So whatever is printed goes through here, a line at a time, and
//! characters that would steer the terminal, or a second line inside of the one, are shown and have no effect.

use std::ffi::OsString;
use std::io::{self, Write as _};

use crate::arguments;
use crate::embed::Listener;

/// What is said of a run. Warnings and errors always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verbosity {
    /// Nothing else.
    Quiet,
    /// Remarks on standard error.
    Remarks,
    /// Remarks, running text on standard output, and progress bars.
    Full,
}

/// Where lines go.
#[derive(Clone, Copy)]
pub(crate) struct Console<'a> {
    verbosity: Verbosity,
    json: bool,
    /// Instead of the terminal.
    listener: Option<&'a dyn Listener>,
}

impl<'a> Console<'a> {
    /// All to a listener, which gets events instead of running text.
    pub(crate) fn embedded(listener: &'a dyn Listener) -> Self {
        Self { verbosity: Verbosity::Remarks, json: true, listener: Some(listener) }
    }

    /// Who listens instead of a terminal.
    pub(crate) fn listener(self) -> Option<&'a dyn Listener> {
        self.listener
    }

    /// The command as it was given.
    pub(crate) fn command_line(self) -> String {
        self.listener.map_or_else(arguments::command_line, Listener::command_line)
    }

    /// By `--quiet` and `--json`. With the latter standard output carries one JSON value and nothing else.
    pub(crate) fn new(quiet: bool, json: bool) -> Self {
        let verbosity = match (quiet, json) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Remarks,
            _ => Verbosity::Full,
        };
        Self { verbosity, json, listener: None }
    }

    /// Where standard output carries results alone, which somebody else writes; by `--quiet`.
    pub(crate) fn beside_results(quiet: bool) -> Self {
        let verbosity = if quiet { Verbosity::Quiet } else { Verbosity::Remarks };
        Self { verbosity, json: false, listener: None }
    }

    /// Whether progress bars and running text are wanted.
    pub(crate) fn talks(self) -> bool {
        self.verbosity >= Verbosity::Full
    }

    /// Whether remarks are wanted.
    pub(crate) fn remarks(self) -> bool {
        self.verbosity >= Verbosity::Remarks
    }

    /// One line of the human-readable result. The result proper is in files: a run goes on when nobody reads along.
    pub(crate) fn say(self, line: impl AsRef<str>) -> io::Result<()> {
        if self.talks() { unless_closed(out(line.as_ref())) } else { Ok(()) }
    }

    /// The JSON result, if `--json` was given.
    pub(crate) fn json(self, value: &serde_json::Value) -> io::Result<()> {
        match self.listener {
            Some(listener) => {
                listener.result(value);
                Ok(())
            }
            None if self.json => unless_closed(out_json(value)),
            None => Ok(()),
        }
    }

    /// A warning; never suppressed.
    pub(crate) fn warn(self, line: impl AsRef<str>) {
        match self.listener {
            Some(listener) => listener.warn(line.as_ref()),
            None => error_line(&format!("warning: {}", line.as_ref())),
        }
    }

    /// A remark beside the results.
    pub(crate) fn note(self, line: &str) {
        match self.listener {
            Some(listener) => listener.note(line),
            None => error_line(line),
        }
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
    writeln!(io::stdout().lock(), "{}", util::visible(line))
}

/// One JSON value to standard output.
pub(crate) fn out_json(value: &serde_json::Value) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", util::visible_json(&format!("{value:#}")))
}

/// One line to standard error. Where even that fails there is nobody left to tell.
pub(crate) fn error_line(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", util::visible(line));
}

/// What a program made, to standard output as it is.
pub(crate) fn out_bytes(bytes: &[u8]) -> io::Result<()> {
    io::stdout().lock().write_all(bytes)
}

/// The process's arguments. Where they are wrong the process ends, and what is quoted of them is made visible, for a
/// shell's `*` can make arguments of anybody's file names.
pub(crate) fn parse<A: clap::Parser>() -> A {
    parse_with(A::command())
}

/// As [`parse`], by the command of `A` with other texts.
pub(crate) fn parse_with<A: clap::Parser>(command: clap::Command) -> A {
    let read = |args: Vec<OsString>| {
        let matches = command.clone().try_get_matches_from(args)?;
        A::from_arg_matches(&matches).map_err(|error| error.format(&mut command.clone()))
    };
    let args: Vec<OsString> = arguments::all();
    read(args.clone()).unwrap_or_else(|error| {
        let shown = args.iter().map(|arg| util::visible(&arg.to_string_lossy()).into_owned());
        match read(shown.map(OsString::from).collect()) {
            Err(error) => error.exit(),
            // Wrong only because of such a character.
            Ok(_) => {
                error_line(&format!("error: {}", error.kind()));
                std::process::exit(error.exit_code())
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::Console;

    #[test]
    fn what_is_said_goes_by_the_flags() {
        let said = |console: Console<'_>| (console.remarks(), console.talks(), console.json);
        assert_eq!(said(Console::new(false, false)), (true, true, false));
        assert_eq!(said(Console::new(true, false)), (false, false, false));
        assert_eq!(said(Console::new(false, true)), (true, false, true));
        assert_eq!(said(Console::new(true, true)), (false, false, true));
        assert_eq!(said(Console::beside_results(false)), (true, false, false));
        assert_eq!(said(Console::beside_results(true)), (false, false, false));
    }
}
