//! The arguments of the process, or of whoever runs a program inside of another process.

use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;

/// Set where the process's own are those of something else.
static GIVEN: OnceLock<Vec<OsString>> = OnceLock::new();

/// Takes these for the process's own, from the program's name on. The first call counts.
pub(crate) fn set(arguments: Vec<OsString>) {
    let _ = GIVEN.set(arguments);
}

/// All of them, the program's name first.
pub(crate) fn all() -> Vec<OsString> {
    GIVEN.get().cloned().unwrap_or_else(|| std::env::args_os().collect())
}

/// The command as it was typed.
pub(crate) fn command_line() -> String {
    let quoted = all().into_iter().enumerate().map(|(i, arg)| {
        let arg = if i == 0 {
            Path::new(&arg).file_name().unwrap_or(&arg).to_string_lossy().into_owned()
        } else {
            arg.to_string_lossy().into_owned()
        };
        let plain = !arg.is_empty()
            && arg.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,+%@".contains(c));
        if plain { arg } else { format!("'{}'", arg.replace('\'', r"'\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
