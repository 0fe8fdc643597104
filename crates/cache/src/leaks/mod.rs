//! The same file or the same picture in two splits: what a classifier was trained on must not test it.

use std::collections::HashMap;
use std::path::Path;

use crate::error::CacheError;
use crate::index::IndexEntry;
use crate::reader::SplitReader;

mod phash;
mod search;

pub use phash::{distance, perceptual_hash};
use search::Near;

/// Where a picture lies.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// The split.
    pub split: String,
    /// The input's name in it.
    pub file: String,
}

/// Why two files count as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
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

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SameBytes => f.write_str("the same file"),
            Self::SamePicture { distance, mirrored } => {
                let how = if *mirrored { ", mirrored" } else { "" };
                write!(f, "the same picture{how} ({distance} of 64 bits differ)")
            }
        }
    }
}

/// A file that two splits share.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Leak {
    /// In the split named first.
    pub a: Place,
    /// In the split named later.
    pub b: Place,
    /// Why they count as the same.
    pub why: Why,
}

/// Hashes that differ in at most this many of 64 bits count as the same picture. See docs/formats.md for the figures
/// behind it.
pub const DEFAULT_DISTANCE: u32 = 6;

/// Compares every pair of the named splits by their index files. Each file of the later split is reported at most once
/// a pair, with the nearest file of the earlier one; so there are never more leaks than files.
pub fn find(dir: &Path, splits: &[&str], max_distance: u32) -> Result<Vec<Leak>, CacheError> {
    let mut indices = Vec::new();
    for split in splits {
        indices.push((*split, SplitReader::open(dir, split)?.index()?));
    }
    let mut leaks = Vec::new();
    for (i, (a, first)) in indices.iter().enumerate() {
        let finder = Finder::new(first, max_distance);
        for (b, second) in &indices[i + 1..] {
            for entry in second {
                if let Some((of, why)) = finder.find(entry) {
                    let place = |split: &str, file: &str| Place {
                        split: split.to_owned(),
                        file: file.to_owned(),
                    };
                    leaks.push(Leak { a: place(a, &of.file), b: place(b, &entry.file), why });
                }
            }
        }
    }
    Ok(leaks)
}

/// Looks files up among those of one split.
struct Finder<'a> {
    entries: &'a [IndexEntry],
    by_bytes: HashMap<[u8; 32], usize>,
    near: Near,
    max_distance: u32,
}

impl<'a> Finder<'a> {
    fn new(entries: &'a [IndexEntry], max_distance: u32) -> Self {
        let mut by_bytes = HashMap::new();
        // Bad files are in no array, so they are no leak.
        for (i, entry) in entries.iter().enumerate().filter(|(_, e)| e.row.is_some()) {
            if let Some(sha) = entry.sha256 {
                by_bytes.entry(sha).or_insert(i);
            }
        }
        let near = Near::new(entries.iter().map(|e| e.phash));
        Self { entries, by_bytes, near, max_distance }
    }

    fn find(&self, entry: &IndexEntry) -> Option<(&'a IndexEntry, Why)> {
        entry.row?;
        if let Some(&i) = entry.sha256.and_then(|sha| self.by_bytes.get(&sha)) {
            return Some((&self.entries[i], Why::SameBytes));
        }
        let hit = self.near.find(entry.phash?, self.max_distance)?;
        let why = Why::SamePicture { distance: hit.distance, mirrored: hit.mirrored };
        Some((&self.entries[hit.at], why))
    }
}
