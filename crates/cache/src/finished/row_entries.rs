//! The index's lines that have a row, one by one: for what must not hold all of them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::CacheError;
use crate::format::digest::{Hasher, Hex};
use crate::format::index::{self, IndexEntry, Lines};
use crate::format::manifest::Manifest;

/// Takes the sha256 of what is read through it.
struct Hashed {
    file: File,
    hasher: Hasher,
}

impl Read for Hashed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(out)?;
        self.hasher.update(&out[..n]);
        Ok(n)
    }
}

/// What the index says of each row, in order; see [`crate::SplitReader::row_entries`].
pub struct RowEntries<'a> {
    lines: Lines<'a, Hashed>,
    path: &'a Path,
    manifest: &'a Manifest,
    labels: &'a [i64],
    ended: bool,
}

impl<'a> RowEntries<'a> {
    pub(crate) fn open(
        path: &'a Path,
        manifest: &'a Manifest,
        labels: &'a [i64],
    ) -> Result<Self, CacheError> {
        let file = index::open(path, manifest)?;
        let hashed = Hashed { file, hasher: Hasher::default() };
        let lines = Lines::new(hashed, &manifest.settings.classes, manifest.inputs)
            .map_err(|why| CacheError::damaged(path, why))?;
        Ok(Self { lines, path, manifest, labels, ended: false })
    }

    /// The next entry with a row, or the end: then the whole file must have been what the manifest says.
    fn step(&mut self) -> Result<Option<IndexEntry>, String> {
        for entry in self.lines.by_ref() {
            let entry = entry?;
            let Some(row) = entry.row else { continue };
            let label = usize::try_from(row).ok().and_then(|row| self.labels.get(row));
            if label != Some(&(entry.label as i64)) {
                return Err(format!("the label of row {row} is not that of the labels file"));
            }
            return Ok(Some(entry));
        }
        let (inputs, rows) = (self.manifest.inputs, self.manifest.rows);
        if (self.lines.lines, self.lines.rows) != (inputs, rows) {
            return Err(format!(
                "expected {inputs} lines with {rows} rows, found {} lines with {} rows",
                self.lines.lines, self.lines.rows
            ));
        }
        let found = Hex(self.lines.source().hasher.clone().finish()).to_string();
        let expected = self.manifest.files.index.sha256.as_deref();
        match Some(found.as_str()) == expected {
            true => Ok(None),
            false => Err(format!("expected sha256 {expected:?}, found {found}")),
        }
    }
}

impl Iterator for RowEntries<'_> {
    type Item = Result<IndexEntry, CacheError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let step = self.step().map_err(|why| CacheError::damaged(self.path, why));
        self.ended = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}
