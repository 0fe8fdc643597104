//! Writing a split.

use std::path::Path;

use crate::error::CacheError;
use crate::input::{Input, OpenOptions, RowSource};
use crate::manifest::{Manifest, RunStats};
use crate::settings::Settings;

/// What [`open`] found.
#[derive(Debug)]
pub enum Opened {
    /// The cache is complete, of the same settings and inputs: nothing to do.
    UpToDate(Box<Manifest>),
    /// There are rows to compute (or only to finish).
    Writer(Box<SplitWriter>),
}

/// Opens `<dir>/<split>_*` for writing, creating `dir` where it is missing. `inputs` is always the list of the whole
/// split, also for a shard; its order is the order of the rows.
pub fn open(
    dir: &Path,
    split: &str,
    settings: Settings,
    inputs: Vec<Input>,
    options: OpenOptions,
) -> Result<Opened, CacheError> {
    let _ = (dir, split, settings, inputs, options);
    Err(CacheError::Usage("not built yet".to_owned()))
}

/// A split that is being written. Rows may come in any order and from any thread; the files get their names in
/// [`SplitWriter::finish`]. Dropping it is as good as [`SplitWriter::abandon`]: what is finished is kept.
#[derive(Debug)]
pub struct SplitWriter {
    pending: Vec<usize>,
}

impl SplitWriter {
    /// Positions (in the list given to [`open`]) of the inputs that were still to do when the split was opened, ascending.
    pub fn pending(&self) -> &[usize] {
        &self.pending
    }

    /// The input at a position of the list given to [`open`]; `None` outside of this shard.
    pub fn input(&self, position: usize) -> Option<&Input> {
        let _ = position;
        None
    }

    /// How many inputs were done already: rows of an interrupted run or of an older cache.
    pub fn reused(&self) -> usize {
        0
    }

    /// How many inputs this writer is about: those of its shard.
    pub fn total(&self) -> usize {
        0
    }

    /// Stores one row, `values` of the settings' row shape in C order. It is safe against a kill of this process when
    /// this returns, and against a power cut some 2 seconds later.
    pub fn write_row(
        &self,
        position: usize,
        values: &[f32],
        source: RowSource,
    ) -> Result<(), CacheError> {
        let _ = (position, values, source);
        Ok(())
    }

    /// Notes that an input gives no row, and why (one line). An error under [`crate::OnError::Fail`].
    pub fn skip(&self, position: usize, reason: &str) -> Result<(), CacheError> {
        let _ = (position, reason);
        Ok(())
    }

    /// Puts everything on disk now.
    pub fn checkpoint(&self) -> Result<(), CacheError> {
        Ok(())
    }

    /// Completes the split: every input must have a row or a reason. The files appear under their final names.
    pub fn finish(self, stats: RunStats) -> Result<Manifest, CacheError> {
        let _ = stats;
        Err(CacheError::Usage("not built yet".to_owned()))
    }

    /// Stops here (Ctrl-C): puts everything on disk; the next [`open`] goes on.
    pub fn abandon(self) -> Result<(), CacheError> {
        Ok(())
    }
}
