//! The manifest, `<split>.json`: what a finished cache is, and how it came to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::CacheError;
use crate::recipe::Rules;
use crate::settings::Settings;

/// The manifest's own version: a reader refuses a larger one.
///
/// Of version 1, which is still read, `settings` also has what is now in [`Provenance`].
pub const FORMAT_VERSION: u32 = 2;

/// Which part of the inputs a run computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shard {
    /// From 1 to `count`.
    pub index: usize,
    /// How many parts there are.
    pub count: usize,
}

/// One file of the cache, beside its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Name inside the folder.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// sha256 of the whole file in hex; features have `block_sha256` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The three files that the manifest speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// `<split>_features.npy`.
    pub features: FileRecord,
    /// `<split>_labels.npy`.
    pub labels: FileRecord,
    /// `<split>_index.csv`.
    pub index: FileRecord,
}

/// Who made the cache, when and how fast: the only part that differs between two runs over the same files. In JSON `run`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the tool that finished the cache; empty where that is not known.
    #[serde(default)]
    pub tool_version: String,
    /// The host that it ran on; empty where that is not known.
    #[serde(default)]
    pub host: String,
    /// When the run that finished the cache began, in seconds since 1970 (UTC).
    pub started_unix: u64,
    /// When it was done.
    pub finished_unix: u64,
    /// Seconds that run took.
    pub seconds: f64,
    /// Rows that it computed.
    pub rows_computed: u64,
    /// Rows that it took over from an interrupted run or an older cache.
    pub rows_reused: u64,
    /// Rows that it computed a second.
    pub rows_per_second: f64,
    /// How many runs it took: 1 when nothing was interrupted.
    pub sessions: u64,
    /// What else the caller wants to keep of the run, for instance the time of each stage.
    #[serde(default)]
    pub extra: BTreeMap<String, Value>,
}

/// What the caller says of the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunStats {
    /// Version of the tool that computes.
    pub tool_version: String,
    /// Seconds from the start of this run to now.
    pub seconds: f64,
    /// What else to keep in the manifest's `run`, for instance threads or the time of each stage.
    pub extra: BTreeMap<String, Value>,
}

/// What a finished cache is, and how it came to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always `feature-cache`.
    pub format: String,
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// Name of the split, for instance `train`.
    pub split: String,
    /// Everything that decides the bytes.
    pub settings: Settings,
    /// Shape of the features array: rows, then views where there are several, then the row's shape.
    pub shape: Vec<usize>,
    /// Rows, that is inputs that gave one.
    pub rows: u64,
    /// Inputs without a row; the index says why.
    pub skipped: u64,
    /// Rows of each class, in the order of the class names.
    pub class_counts: Vec<u64>,
    /// Inputs of this file: rows + skipped.
    pub inputs: u64,
    /// Inputs of the whole split: the same, but for a shard.
    pub inputs_total: u64,
    /// sha256 over the whole split's list of inputs: for each a line `class TAB name LF`.
    pub inputs_sha256: String,
    /// Which part this is, `None` for a whole split.
    pub shard: Option<Shard>,
    /// The files and their sizes.
    pub files: Files,
    /// Bytes of the header before the first row of the features file.
    pub data_offset: u64,
    /// Rows of one block (the last may have fewer).
    pub block_rows: u64,
    /// sha256 of each block's bytes, in hex.
    pub block_sha256: Vec<String>,
    /// Who made it, when and how fast.
    pub run: Provenance,
}

/// An error when the two cannot be used together (train with one, validate with the other): it names the field and
/// both values.
///
/// # Errors
/// [`CacheError::Incompatible`].
pub fn check_compatible(a: &Manifest, b: &Manifest, rules: Rules) -> Result<(), CacheError> {
    match a.settings.incompatible(&b.settings, rules).into_iter().next() {
        None => Ok(()),
        Some(d) => Err(CacheError::Incompatible {
            first: a.split.clone(),
            second: b.split.clone(),
            field: d.field,
            a: d.first,
            b: d.second,
        }),
    }
}
