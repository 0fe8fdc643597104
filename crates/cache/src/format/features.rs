//! The features file: its header, its size, and the blocks by which it is verified.

use crate::error::CacheError;
use crate::format::npy;
use crate::settings::Settings;

/// Largest accepted block, in bytes, where it has more than one row.
pub(crate) const MAX_BLOCK: u64 = 1 << 30;

/// Blocks, the unit of verification, have about this many bytes.
const BLOCK_BYTES: usize = 4 << 20;

/// Most blocks: their hashes must have room in a manifest.
const MAX_BLOCKS: u64 = 1 << 19;

/// Rows of one block. They are larger than usual where a features file is larger than 2 TiB.
pub(crate) fn block_rows(row_bytes: usize, rows: u64) -> u64 {
    let usual = (BLOCK_BYTES / row_bytes.max(1)).max(1) as u64;
    usual.max(rows.div_ceil(MAX_BLOCKS))
}

/// The header of the features file with `rows` rows.
pub(crate) fn features_header(settings: &Settings, rows: u64) -> Vec<u8> {
    npy::header(settings.dtype.descr(), &settings.array_shape(rows))
}

/// Size of a features file with `rows` rows; an error where that is more than a file can have.
pub(crate) fn features_size(settings: &Settings, rows: u64) -> Result<u64, CacheError> {
    let header = features_header(settings, rows).len() as u64;
    let data = rows.checked_mul(settings.row_bytes()? as u64);
    data.and_then(|d| d.checked_add(header)).filter(|&s| s <= i64::MAX as u64).ok_or_else(|| {
        CacheError::Usage(format!(
            "{rows} rows of the shape {:?} are more than a file can hold",
            settings.row_shape
        ))
    })
}
