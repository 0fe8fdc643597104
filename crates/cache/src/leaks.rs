//! The same file or the same picture in two splits.

use std::path::Path;

use crate::error::CacheError;

/// Where a picture lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The split.
    pub split: String,
    /// The input's name in it.
    pub file: String,
}

/// Why two files count as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Byte for byte the same file.
    SameBytes,
    /// The same picture, re-encoded, resized or mirrored: the perceptual hashes differ in `distance` of 64 bits.
    SamePicture {
        /// Bits that differ.
        distance: u32,
        /// Whether one is the mirror image of the other.
        mirrored: bool,
    },
}

/// A file that two splits share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// In the split named first.
    pub a: Place,
    /// In the split named later.
    pub b: Place,
    /// Why they count as the same.
    pub why: Why,
}

/// Hashes that differ in at most this many of 64 bits count as the same picture.
pub const DEFAULT_DISTANCE: u32 = 6;

/// Compares every pair of the named splits by their index files. Each file of the later split is reported at most once
/// a pair, with the nearest file of the earlier one.
pub fn find(dir: &Path, splits: &[&str], max_distance: u32) -> Result<Vec<Leak>, CacheError> {
    let _ = (dir, splits, max_distance);
    Ok(Vec::new())
}

/// A 64-bit fingerprint of a picture (`rgb`: height × width × 3 bytes) that survives re-encoding and resizing, and from
/// which that of the mirrored picture follows. `None` where the picture has no structure (one colour) or `rgb` is not of
/// that size.
pub fn perceptual_hash(rgb: &[u8], width: usize, height: usize) -> Option<u64> {
    let _ = (rgb, width, height);
    None
}
