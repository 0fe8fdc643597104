//! Files that appear whole or not at all, whatever fails while they are written.

use std::io::{self, Write};
use std::path::Path;

use crate::error::TableError;

/// Writes a file by `write`; what was at `path` is replaced when all is done.
pub(crate) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let mut failed = None;
    let written = util::atomic::write(path, |out| {
        write(out).map_err(|error| match error {
            TableError::Write(error) => error,
            other => {
                failed = Some(other);
                io::Error::other("see the error beside this one")
            }
        })
    });
    match failed {
        Some(error) => Err(error),
        None => written.map_err(TableError::io("write", path)),
    }
}
