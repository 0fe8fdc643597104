//! What goes into a cache: a sorted list of files, and what is known of each once it is read.

use std::path::PathBuf;

use crate::choice::choice;
use crate::manifest::Shard;

/// One file that shall become a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Path relative to the split's folder, `/` between parts, escaped losslessly by the caller where it is not UTF-8:
    /// `cats/cat.0.jpg`. Unique in the list.
    pub name: String,
    /// Where it lies on disk.
    pub path: PathBuf,
    /// Index into the settings' class names.
    pub class: usize,
}

/// What the caller learnt of a file while it made the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSource {
    /// sha256 of the file's bytes, of exactly those that were decoded.
    pub sha256: [u8; 32],
    /// How many bytes those were.
    pub bytes: u64,
    /// Width of the decoded image in pixels.
    pub width: u32,
    /// Height of the decoded image in pixels.
    pub height: u32,
    /// [`crate::leaks::perceptual_hash`] of the decoded image.
    pub phash: Option<u64>,
}

/// What to do with what lies in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existing {
    /// Go on with an interrupted run of the same settings and inputs; refuse anything else.
    #[default]
    Refuse,
    /// Compute everything anew. What lies there stays until the new cache is complete.
    Overwrite,
    /// Keep the rows whose file is unchanged, compute the rest. The settings must be the same.
    Update,
}

choice!(Existing, "the treatment of existing files", { Refuse = "refuse", Overwrite = "overwrite", Update = "update" });

/// What to do with an input that gives no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnError {
    /// Leave it out, and say so in the index.
    #[default]
    Skip,
    /// Stop: [`crate::SplitWriter::skip`] gives an error.
    Fail,
}

choice!(OnError, "the treatment of bad files", { Skip = "skip", Fail = "fail" });

/// How to open a split for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// What to do with what lies in the folder.
    pub existing: Existing,
    /// Compute only this part of the inputs, into files of its own.
    pub shard: Option<Shard>,
    /// What to do with an input that gives no row.
    pub on_error: OnError,
}
