//! Ending what a killed run had decided, without its inputs.

use std::path::Path;
use std::sync::Arc;

use crate::disk::lock::Lock;
use crate::disk::{self, Disk, RealDisk};
use crate::error::CacheError;
use crate::finished::reader::SplitReader;
use crate::finished::splits::{progress, stems};
use crate::format::journal::Replay;
use crate::format::manifest::Shard;
use crate::format::names::{SplitFiles, new};
use crate::run::setup;

/// How a split is after [`recover`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It was complete; nothing was to do.
    Complete {
        /// Its rows.
        rows: u64,
    },
    /// All its files were there, under their temporary names; they have their own now.
    Recovered {
        /// Its rows.
        rows: u64,
    },
    /// Rows are missing: only a run over the inputs can go on.
    Unfinished {
        /// Rows that are done.
        rows: u64,
        /// Inputs in all.
        inputs: u64,
    },
}

/// One split or shard, and how it is now.
#[derive(Debug)]
pub struct Recovered {
    /// The split.
    pub split: String,
    /// Which shard of it, `None` for the whole.
    pub shard: Option<Shard>,
    /// How it is now, or why nothing could be done.
    pub outcome: Result<Recovery, CacheError>,
}

/// Gives the final names to every split (of those named in `only`; all where it is empty) whose run was killed when all its
/// files were complete. The inputs are not needed. Nothing is computed, and rows that are missing stay
/// missing.
///
/// # Errors
/// When the folder cannot be listed. What is wrong with a split is in its `outcome`: it is held by a run, its files are
/// damaged, or the disk fails.
pub fn recover(dir: &Path, only: &[String]) -> Result<Vec<Recovered>, CacheError> {
    let all = stems(dir)?.into_iter().filter(|(split, _)| only.is_empty() || only.contains(split));
    Ok(all
        .map(|(split, shard)| {
            let outcome = recover_on(&(Arc::new(RealDisk) as Arc<dyn Disk>), dir, &split, shard);
            Recovered { split, shard, outcome }
        })
        .collect())
}

pub(crate) fn recover_on(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    split: &str,
    shard: Option<Shard>,
) -> Result<Recovery, CacheError> {
    let files = SplitFiles::new(dir, split, shard);
    let mut recovered = false;
    // A complete cache in a folder that may not be written needs no lock.
    if disk::exists(&files.journal) || disk::exists(&new(&files.journal)) {
        files.check_regular()?;
        let _lock = Lock::acquire(&files.lock)?;
        recovered = setup::recover(&**disk, &files)?;
    }
    let opened = SplitReader::open_shard(dir, split, shard).map(|reader| reader.len() as u64);
    match (opened, recovered) {
        (Ok(rows), true) => Ok(Recovery::Recovered { rows }),
        (Ok(rows), false) => Ok(Recovery::Complete { rows }),
        (Err(e @ CacheError::Missing { .. }), _) => match Replay::read(&files.journal)? {
            Some(replay) => {
                let (rows, inputs) = progress(&replay);
                Ok(Recovery::Unfinished { rows, inputs })
            }
            None => Err(e),
        },
        (Err(e), _) => Err(e),
    }
}
