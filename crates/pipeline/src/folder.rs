//! Checks and joins what is in a features folder.

use cache::{CacheError, Existing, Manifest, SplitReader};
use std::path::Path;

use crate::recipe::Recipe;

/// One step of [`verify`].
#[derive(Debug)]
pub enum Verifying<'a> {
    /// So many rows of a split agree with its manifest.
    Rows {
        /// The split.
        split: &'a str,
        /// Rows that were read.
        done: u64,
        /// Rows that it has.
        rows: u64,
    },
    /// A split was read to its end, or to what is wrong with it.
    Split(&'a VerifiedSplit),
}

/// What [`verify`] found out about a split.
#[derive(Debug)]
pub struct VerifiedSplit {
    /// The split.
    pub split: String,
    /// Its rows, or what is wrong with it.
    pub outcome: Result<u64, CacheError>,
}

/// Reads every byte of the complete splits of a folder and compares it with their manifests. No split is left out because
/// another is damaged. The list is sorted by name; it is empty where there is no complete split.
///
/// # Errors
/// The folder can't be listed. A damaged split is no error here: it is in the list.
pub fn verify(
    features: &Path,
    mut progress: impl FnMut(Verifying<'_>),
) -> Result<Vec<VerifiedSplit>, CacheError> {
    let mut all = Vec::new();
    for split in cache::list_splits(features)? {
        let outcome = SplitReader::open(features, &split).and_then(|reader| {
            let rows = reader.len() as u64;
            reader.verify_full(|done| progress(Verifying::Rows { split: &split, done, rows }))?;
            Ok(rows)
        });
        let verified = VerifiedSplit { split, outcome };
        progress(Verifying::Split(&verified));
        all.push(verified);
    }
    Ok(all)
}

/// Joins the shards of these splits, or of all that have shards where none are named; `merged` is called after each. See
/// [`cache::merge`] for what becomes of a joined split that is there already. The list of what was joined is empty where
/// there are no shards.
///
/// # Errors
/// Those of [`cache::merge`]; splits that were joined before stay so. The folder can't be listed.
pub fn merge(
    features: &Path,
    splits: &[String],
    existing: Existing,
    mut merged: impl FnMut(&Manifest),
) -> Result<Vec<Manifest>, CacheError> {
    let mut splits = splits.to_vec();
    if splits.is_empty() {
        let with_shards = cache::info(features)?.into_iter().filter(|one| one.shard.is_some());
        splits.extend(with_shards.map(|one| one.split));
        // They are sorted by name.
        splits.dedup();
    }
    let mut all = Vec::new();
    for split in &splits {
        let manifest = cache::merge(features, split, existing, Recipe::RULES)?;
        merged(&manifest);
        all.push(manifest);
    }
    Ok(all)
}
