//! The index, `<split>_index.csv`: one line an input, in order.

use serde::Serialize;

/// One line of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexEntry {
    /// Row in the features array; `None` for a bad file.
    pub row: Option<u64>,
    /// The input's name.
    pub file: String,
    /// The class's name.
    pub class: String,
    /// The class's index, as in the labels array.
    pub label: usize,
    /// Why there is no row; empty when there is one.
    pub reason: String,
    /// Width of the decoded image in pixels.
    pub width: Option<u32>,
    /// Height of the decoded image in pixels.
    pub height: Option<u32>,
    /// Size of the file in bytes.
    pub bytes: Option<u64>,
    /// sha256 of the file's bytes.
    pub sha256: Option<[u8; 32]>,
    /// Perceptual hash of the picture.
    pub phash: Option<u64>,
}
