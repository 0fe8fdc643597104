//! What lies in a features folder.

use std::path::Path;

use crate::error::CacheError;
use crate::input::Existing;
use crate::manifest::{Manifest, Shard};

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
    /// The manifest or the journal cannot be read.
    Damaged(String),
}

/// One split, or one shard of it, in a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitInfo {
    /// The split.
    pub split: String,
    /// Which shard of it, `None` for the whole.
    pub shard: Option<Shard>,
    /// How far it is.
    pub state: State,
    /// Process and host of the run that writes it now, if one does.
    pub writer: Option<(u32, String)>,
}

/// Names of the complete splits in a folder, sorted (shards not among them).
pub fn list_splits(dir: &Path) -> Result<Vec<String>, CacheError> {
    let _ = dir;
    Ok(Vec::new())
}

/// Everything in a folder: complete and unfinished splits and shards, sorted by name.
pub fn info(dir: &Path) -> Result<Vec<SplitInfo>, CacheError> {
    let _ = dir;
    Ok(Vec::new())
}

/// Joins all shards of a split into bitwise the files that one run would have made. The shards stay.
pub fn merge(dir: &Path, split: &str, existing: Existing) -> Result<Manifest, CacheError> {
    let _ = (dir, split, existing);
    Err(CacheError::Usage("not built yet".to_owned()))
}
