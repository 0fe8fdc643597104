//! What is in a features folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::disk::lock;
use crate::error::CacheError;
use crate::finished::complete::load_manifest;
use crate::format::journal::{Entry, Replay};
use crate::format::manifest::{Manifest, Shard};
use crate::format::names::{SplitFiles, parse_stem};

/// How far a split is.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Complete: the manifest.
    Complete(Box<Manifest>),
    /// A run was interrupted or goes on now.
    Unfinished {
        /// Rows that are done.
        rows: u64,
        /// Inputs in all.
        inputs: u64,
    },
    /// The manifest or the journal cannot be read: why.
    Damaged(String),
}

/// One split, or one shard of it, in a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitInfo {
    /// The split.
    pub split: String,
    /// Which shard of it, `None` for the whole.
    pub shard: Option<Shard>,
    /// How far it is. A complete one may be in the middle of being replaced: see `replacing`.
    pub state: State,
    /// Rows and inputs of an unfinished run that will replace a complete cache.
    pub replacing: Option<(u64, u64)>,
    /// Process and host of the run that writes it now, if one does.
    pub writer: Option<(u32, String)>,
}

/// Names of the complete splits in a folder, sorted (shards not among them). A missing folder has none.
///
/// # Errors
/// [`CacheError::Io`]: the folder can't be listed.
pub fn list_splits(dir: &Path) -> Result<Vec<String>, CacheError> {
    let all = stems(dir)?.into_iter().filter(|(split, shard)| {
        shard.is_none() && SplitFiles::new(dir, split, None).manifest.is_file()
    });
    Ok(all.map(|(split, _)| split).collect())
}

/// Everything in a folder: complete and unfinished splits and shards, sorted by name.
///
/// # Errors
/// [`CacheError::Io`]: the folder can't be listed. What is wrong with a split is its [`State::Damaged`].
pub fn info(dir: &Path) -> Result<Vec<SplitInfo>, CacheError> {
    let all = stems(dir)?.into_iter().filter_map(|(split, shard)| {
        let files = SplitFiles::new(dir, &split, shard);
        let unfinished = Replay::read(&files.journal).map(|r| r.map(|r| progress(&r)));
        let manifest = load_manifest(&files, &split, shard);
        let (state, replacing) = match (manifest, unfinished) {
            (Ok(Some(m)), unfinished) => (State::Complete(Box::new(m)), unfinished.ok().flatten()),
            (Ok(None), Ok(Some((rows, inputs)))) => (State::Unfinished { rows, inputs }, None),
            (Ok(None), Ok(None)) => return None,
            (Err(e), _) | (_, Err(e)) => (State::Damaged(e.to_string()), None),
        };
        let writer = lock::holder(&files.lock).map(|h| (h.pid, h.host));
        Some(SplitInfo { split, shard, state, replacing, writer })
    });
    Ok(all.collect())
}

pub(crate) fn progress(replay: &Replay) -> (u64, u64) {
    let rows = replay.entries.iter().filter(|e| matches!(e, Entry::Row(_))).count();
    (rows as u64, replay.entries.len() as u64)
}

/// Splits and shards with a manifest or a journal, in order.
pub(crate) fn stems(dir: &Path) -> Result<Vec<(String, Option<Shard>)>, CacheError> {
    let mut found = BTreeSet::new();
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(CacheError::io("list the folder", dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(CacheError::io("list the folder", dir))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let stem = name.strip_suffix(".json").or_else(|| name.strip_suffix(".journal"));
        if let Some((split, shard)) = stem.and_then(parse_stem) {
            found.insert((split, shard.map(|s| (s.count, s.index))));
        }
    }
    Ok(found
        .into_iter()
        .map(|(s, n)| (s, n.map(|(count, index)| Shard { index, count })))
        .collect())
}
