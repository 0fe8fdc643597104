//! Reading a finished split, memory-mapped.

use std::borrow::Cow;
use std::path::Path;

use ndarray::ArrayViewD;

use crate::error::CacheError;
use crate::index::IndexEntry;
use crate::manifest::Manifest;

/// A finished split, its features mapped into memory: opening costs no memory, rows are read as they are used.
#[derive(Debug)]
pub struct SplitReader {
    manifest: Manifest,
    labels: Vec<i64>,
}

impl SplitReader {
    /// Opens `<dir>/<split>_*` and checks cheaply that the files belong together: sizes, headers, labels.
    pub fn open(dir: &Path, split: &str) -> Result<Self, CacheError> {
        let _ = (dir, split);
        Err(CacheError::Usage("not built yet".to_owned()))
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Elements of one row.
    pub fn row_elements(&self) -> usize {
        0
    }

    /// The class of each row.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The index: first every row in order, with the bad files at their place among them. Read anew at each call.
    pub fn index(&self) -> Result<Vec<IndexEntry>, CacheError> {
        Ok(Vec::new())
    }

    /// One row as f32: borrowed from the file where it is stored so, else converted.
    pub fn row(&self, row: usize) -> Result<Cow<'_, [f32]>, CacheError> {
        let _ = row;
        Ok(Cow::Borrowed(&[]))
    }

    /// One row as f32 into `out`, which must have [`Self::row_elements`] elements.
    pub fn read_row(&self, row: usize, out: &mut [f32]) -> Result<(), CacheError> {
        let _ = (row, out);
        Ok(())
    }

    /// The whole array without a copy, (N, …row shape); `None` when it is stored as f16.
    pub fn features_f32(&self) -> Option<ArrayViewD<'_, f32>> {
        None
    }

    /// The whole array without a copy; `None` when it is stored as f32.
    pub fn features_f16(&self) -> Option<ArrayViewD<'_, half::f16>> {
        None
    }

    /// Reads every byte: block hashes, index and labels against the manifest and each other.
    pub fn verify_full(&self) -> Result<(), CacheError> {
        Ok(())
    }
}
