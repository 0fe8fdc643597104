//! The same file or the same picture in two splits: what a classifier was trained on must not test it.

use std::path::Path;

use crate::error::CacheError;
use crate::finished::reader::SplitReader;
use crate::format::index::IndexEntry;

mod distance;
mod search;

pub use distance::{MIRRORED_BITS, distance};
use search::{Hit, Near};

/// Where a picture is.
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

/// Files of one split that are reported for one file of another.
pub const MOST_EACH: usize = 10;

/// Compares every pair of the named splits by their index files. For each file of the later split every file of the earlier
/// one that it shares a picture with is reported, the same files first, then the nearest pictures; [`MOST_EACH`] at most.
///
/// # Errors
/// Those of [`SplitReader::open`] and [`SplitReader::index`], of the first split that can't be read.
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
                for (of, why) in finder.find(entry) {
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
    /// Positions in `entries`, sorted by the files' digests.
    by_bytes: Vec<u32>,
    near: Near,
    max_distance: u32,
}

impl<'a> Finder<'a> {
    fn new(entries: &'a [IndexEntry], max_distance: u32) -> Self {
        // Bad files are in no array, so they are no leak.
        let good = |e: &IndexEntry| e.row.is_some() && e.sha256.is_some();
        let mut by_bytes: Vec<u32> =
            (0u32..).zip(entries).filter(|(_, e)| good(e)).map(|(i, _)| i).collect();
        // Stable: files of the same bytes stay in their order.
        by_bytes.sort_by_key(|&i| entries[i as usize].sha256);
        let near = Near::new(entries.iter().map(|e| e.phash));
        Self { entries, by_bytes, near, max_distance }
    }

    fn same_bytes(&self, sha256: [u8; 32]) -> impl Iterator<Item = &'a IndexEntry> {
        let entries = self.entries;
        let first = self.by_bytes.partition_point(|&i| entries[i as usize].sha256 < Some(sha256));
        let from = self.by_bytes[first..].iter().map(move |&i| &entries[i as usize]);
        from.take_while(move |e| e.sha256 == Some(sha256))
    }

    fn find(&self, entry: &IndexEntry) -> Vec<(&'a IndexEntry, Why)> {
        let mut found = Vec::new();
        if entry.row.is_none() {
            return found;
        }
        if let Some(sha256) = entry.sha256 {
            found.extend(self.same_bytes(sha256).take(MOST_EACH).map(|of| (of, Why::SameBytes)));
        }
        let (Some(phash), left @ 1..) = (entry.phash, MOST_EACH - found.len()) else {
            return found;
        };
        // The same files are among the nearest pictures, too.
        let hits = self.near.find(phash, self.max_distance, MOST_EACH).into_iter();
        let others = hits.map(|hit| (&self.entries[hit.at], hit)).filter(|(of, _)| {
            of.row.is_some() && (of.sha256.is_none() || of.sha256 != entry.sha256)
        });
        found.extend(others.take(left).map(|(of, Hit { distance, mirrored, .. })| {
            (of, Why::SamePicture { distance, mirrored })
        }));
        found
    }
}
