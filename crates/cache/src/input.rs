//! What goes into a cache: a sorted list of files, and what is known of each once it is read.

use std::path::{Path, PathBuf};

use crate::format::digest::{sha256, sha256_file};
use crate::format::manifest::Shard;
use crate::recipe::Rules;

/// One file that is to become a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Path relative to the split's folder, `/` between parts, escaped losslessly by the caller where it is not UTF-8:
    /// `cats/cat.0.jpg`. Unique in the list.
    pub name: String,
    /// Where it is on disk. It need not be readable, nor a file at all: [`crate::SplitWriter::skip`] says why it gives no
    /// row, and the cache looks itself whether it can be read by now.
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
    /// Perceptual hash of the decoded image (`docs/formats.md`); `None` where it has no structure.
    pub phash: Option<u64>,
}

/// Why an input gives no row, and whether that is for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// Why, in one line: the same for the same file.
    pub reason: String,
    /// The bytes that were judged. While the file has these, it stays bad without another look.
    ///
    /// `None` where no judgement was possible: the file could not be read (gone, no permission, an error of the device, too
    /// many open files), or there was no memory to decode it. Nothing is kept of such a file but the reason, and each
    /// later [`crate::open`] tries whether it can be read: then it is an input to be computed.
    pub judged: Option<Judged>,
}

/// Bytes that were found to be no picture that gives a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// How many.
    pub bytes: u64,
    /// Their sha256.
    pub sha256: [u8; 32],
}

impl Skip {
    /// A failure that the file's content decides: these bytes give no row, today and tomorrow.
    pub fn judged(reason: impl Into<String>, bytes: &[u8]) -> Self {
        let judged = Judged { bytes: bytes.len() as u64, sha256: sha256(bytes) };
        Self { reason: reason.into(), judged: Some(judged) }
    }

    /// A failure that the file's size decides, for files too large to be read at once: its digest is taken piece by piece.
    /// Where the file hasn't that size any more, or can't be read, the failure counts as passing.
    pub fn judged_by_size(reason: impl Into<String>, path: &Path, bytes: u64) -> Self {
        let judged = sha256_file(path)
            .ok()
            .filter(|(found, _)| *found == bytes)
            .map(|(bytes, sha256)| Judged { bytes, sha256 });
        Self { reason: reason.into(), judged }
    }

    /// A failure that may pass: the content was not judged.
    pub fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), judged: None }
    }
}

/// What to do with what is in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existing {
    /// Go on with an interrupted run of the same settings and inputs; try again inputs that could not be read and can be
    /// now; refuse anything else.
    #[default]
    Refuse,
    /// Compute everything again. What is there stays until the new cache is complete.
    Overwrite,
    /// Keep the rows whose file is unchanged, compute the rest. The settings must be the same.
    Update,
}

util::named!(Existing, "the treatment of existing files", { Refuse = "refuse", Overwrite = "overwrite", Update = "update" });

/// What to do with an input that gives no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnError {
    /// Leave it out, and say so in the index.
    #[default]
    Skip,
    /// Stop: [`crate::SplitWriter::skip`] gives an error.
    Fail,
}

util::named!(OnError, "the treatment of bad files", { Skip = "skip", Fail = "fail" });

/// How to open a split for writing.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenOptions {
    /// What to do with what is in the folder.
    pub existing: Existing,
    /// Compute only this part of the inputs, into files of its own.
    pub shard: Option<Shard>,
    /// What to do with an input that gives no row.
    pub on_error: OnError,
    /// What a difference in the settings means.
    pub rules: Rules,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_judged_only_of_the_file_that_has_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"12345").unwrap();
        let judged = |bytes| Skip::judged_by_size("too large", file.path(), bytes);
        assert_eq!(judged(5), Skip::judged("too large", b"12345"));
        assert_eq!(judged(4), Skip::passing("too large"));
        assert_eq!(Skip::judged_by_size("r", &file.path().join("none"), 5), Skip::passing("r"));
    }
}
