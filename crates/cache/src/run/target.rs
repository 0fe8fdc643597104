//! What is asked for: settings and inputs, checked once.

use std::collections::HashSet;

use crate::error::CacheError;
use crate::format::digest::Hasher;
use crate::format::features::features_size;
use crate::format::index::IndexEntry;
use crate::format::journal::{JournalHeader, Record};
use crate::format::manifest::Shard;
use crate::format::names;
use crate::input::{Existing, Input};
use crate::recipe::Rules;
use crate::run::limits;
use crate::settings::Settings;

/// What a run is to make.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) split: String,
    pub(crate) shard: Option<Shard>,
    pub(crate) settings: Settings,
    /// What a difference in the settings means.
    pub(crate) rules: Rules,
    /// The inputs of this shard.
    pub(crate) inputs: Vec<Input>,
    /// Position of the first of them in the whole list.
    pub(crate) base: usize,
    /// Inputs of the whole split, and the digest of their list.
    pub(crate) list: (u64, [u8; 32]),
    /// What tells whether an input is the one that an older run had.
    pub(crate) contents: Contents,
}

/// What tells whether an input is the one that an older run had.
#[derive(Debug)]
pub(crate) enum Contents {
    /// Its file.
    Files,
    /// What an index says of it, for each input of the whole list: shards are merged without their pictures.
    Known(Vec<Content>),
}

/// What an index line says of an input's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: Option<u64>,
    pub(crate) sha256: Option<[u8; 32]>,
    /// Why there is no row; `None` where there is one.
    pub(crate) reason: Option<String>,
}

impl Content {
    pub(crate) fn of(entry: &IndexEntry) -> Self {
        let reason = entry.row.is_none().then(|| entry.reason.clone());
        Self { bytes: entry.bytes, sha256: entry.sha256, reason }
    }
}

impl Target {
    pub(crate) fn files_at_hand(&self) -> bool {
        matches!(self.contents, Contents::Files)
    }

    pub(crate) fn new(
        split: &str,
        shard: Option<Shard>,
        (settings, rules): (Settings, Rules),
        mut inputs: Vec<Input>,
        contents: Contents,
    ) -> Result<Self, CacheError> {
        names::check_split(split)?;
        shard.map_or(Ok(()), names::check_shard)?;
        features_size(&settings, inputs.len() as u64)?;
        check_inputs(&settings, &inputs)?;
        limits::check(&settings, &inputs)?;
        let list = (inputs.len() as u64, list_digest(&inputs));
        let head = JournalHeader::new(split, shard, settings.clone(), list, Existing::Refuse);
        limits::check_head(&Record::Head(Box::new(head)))?;
        let (base, end) = shard_range(inputs.len(), shard);
        inputs.truncate(end);
        inputs.drain(..base);
        Ok(Self { split: split.to_owned(), shard, settings, rules, inputs, base, list, contents })
    }
}

/// The part of `total` inputs that a shard computes: contiguous, and of sizes that differ by one at most.
pub(crate) fn shard_range(total: usize, shard: Option<Shard>) -> (usize, usize) {
    let Some(Shard { index, count }) = shard else { return (0, total) };
    let cut = |i: usize| (total as u128 * i as u128 / count.max(1) as u128) as usize;
    (cut(index.saturating_sub(1)), cut(index))
}

fn check_inputs(settings: &Settings, inputs: &[Input]) -> Result<(), CacheError> {
    let classes = settings.classes.len();
    let mut seen = HashSet::with_capacity(inputs.len());
    for Input { name, class, .. } in inputs {
        let why = if name.is_empty() || name.contains('\0') {
            "is empty or has a NUL"
        } else if name.len() > 1 << 16 {
            "is longer than 65536 bytes"
        } else if *class >= classes {
            "has a class without a name"
        } else if !seen.insert(name.as_str()) {
            "is there twice"
        } else {
            continue;
        };
        return Err(CacheError::Usage(format!("the input {name:?} {why}")));
    }
    Ok(())
}

/// sha256 over `class TAB name NUL` of each input.
pub(crate) fn list_digest(inputs: &[Input]) -> [u8; 32] {
    let mut hasher = Hasher::default();
    for input in inputs {
        hasher.update(format!("{}\t{}\0", input.class, input.name).as_bytes());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shards_are_balanced_and_leave_nothing_out(total in 0usize..5000, count in 1usize..40) {
            let mut next = 0;
            for index in 1..=count {
                let (start, end) = shard_range(total, Some(Shard { index, count }));
                prop_assert_eq!(start, next);
                prop_assert!(end - start == total / count || end - start == total / count + 1);
                next = end;
            }
            prop_assert_eq!(next, total);
        }
    }
}
