//! The files that a command line names.

use std::path::PathBuf;

use super::walk::walk;
use super::{Ignored, ScanError};

/// Files as they were given (whatever their suffix, whether they exist or not), folders walked recursively in
/// sorted order for files with an image suffix. What is hidden or has another suffix comes back with the reason.
///
/// # Errors
/// When a folder cannot be listed, or nobody can tell whether something is a folder.
pub fn expand_inputs(paths: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<Ignored>), ScanError> {
    let mut files = Vec::new();
    let mut ignored = Vec::new();
    for path in paths {
        if path.is_dir() {
            let (found, not_taken) = walk(path)?;
            files.extend(found.into_iter().map(|relative| path.join(relative)));
            ignored.extend(not_taken);
        } else {
            files.push(path.clone());
        }
    }
    Ok((files, ignored))
}
