//! The command line, for those who want to run it again.

use std::path::Path;

/// The command as it was typed.
pub(crate) fn command_line() -> String {
    let quoted = std::env::args_os().enumerate().map(|(i, arg)| {
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
