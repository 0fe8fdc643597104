//! Names of splits, and the files that belong to one.

use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::CacheError;
use crate::format::manifest::Shard;

/// Longest name of a split, in bytes: the files' names must stay below 255.
const MAX_SPLIT: usize = 100;
const MARK: &str = ".shard-";

/// An error unless `split` is a plain name: letters, digits, `_`, `-`, `.`; no dot in front, not one of a shard's file.
pub(crate) fn check_split(split: &str) -> Result<(), CacheError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let why = if split.is_empty() || split.len() > MAX_SPLIT {
        "must have 1 to 100 letters"
    } else if split.starts_with('.') || !split.chars().all(plain) {
        "may have letters, digits, '_', '-' and '.' only, and no dot in front"
    } else if split.contains(MARK) {
        "must not contain '.shard-', which marks the files of a shard"
    } else {
        return Ok(());
    };
    Err(CacheError::Usage(format!("the split name {split:?} {why}")))
}

/// An error unless the shard is one of 1 to count.
pub(crate) fn check_shard(shard: Shard) -> Result<(), CacheError> {
    let Shard { index, count } = shard;
    if index >= 1 && index <= count && count <= 1_000_000 {
        return Ok(());
    }
    Err(CacheError::Usage(format!("the shard {index}/{count} must be I/N with I from 1 to N")))
}

/// `train`, or `train.shard-2-of-4`.
pub(crate) fn stem(split: &str, shard: Option<Shard>) -> String {
    match shard {
        None => split.to_owned(),
        Some(Shard { index, count }) => format!("{split}{MARK}{index}-of-{count}"),
    }
}

/// The reverse of [`stem`]; `None` when it is no such name.
pub(crate) fn parse_stem(stem: &str) -> Option<(String, Option<Shard>)> {
    let (split, shard) = match stem.split_once(MARK) {
        None => (stem, None),
        Some((split, rest)) => {
            let (index, count) = rest.split_once("-of-")?;
            let shard = Shard { index: index.parse().ok()?, count: count.parse().ok()? };
            check_shard(shard).ok()?;
            (split, Some(shard))
        }
    };
    check_split(split).ok()?;
    // "02-of-4" is nobody's name.
    (self::stem(split, shard) == stem).then(|| (split.to_owned(), shard))
}

/// Every file of one split or shard.
#[derive(Debug, Clone)]
pub(crate) struct SplitFiles {
    pub(crate) dir: PathBuf,
    pub(crate) features: PathBuf,
    pub(crate) labels: PathBuf,
    pub(crate) index: PathBuf,
    pub(crate) stamps: PathBuf,
    pub(crate) manifest: PathBuf,
    pub(crate) journal: PathBuf,
    pub(crate) lock: PathBuf,
}

impl SplitFiles {
    pub(crate) fn new(dir: &Path, split: &str, shard: Option<Shard>) -> Self {
        let stem = stem(split, shard);
        let file = |end: &str| dir.join(format!("{stem}{end}"));
        Self {
            dir: dir.to_owned(),
            features: file("_features.npy"),
            labels: file("_labels.npy"),
            index: file("_index.csv"),
            stamps: file(".stamps"),
            manifest: file(".json"),
            journal: file(".journal"),
            lock: file(".lock"),
        }
    }

    /// The final files in the order in which they get their names; the manifest, last, makes the cache complete.
    pub(crate) fn finals(&self) -> [&Path; 5] {
        [&self.features, &self.labels, &self.index, &self.stamps, &self.manifest]
    }

    /// An early error where something else than a file is at one of the names, rather than after days of work.
    pub(crate) fn check_regular(&self) -> Result<(), CacheError> {
        let mut all: Vec<PathBuf> = self.finals().iter().map(|p| p.to_path_buf()).collect();
        all.extend(self.finals().iter().map(|p| part(p)));
        all.extend([new(&self.features), self.journal.clone(), new(&self.journal)]);
        all.iter()
            .try_for_each(|path| disk::check_regular(path).map_err(CacheError::io("use", path)))
    }
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A file that is not complete yet.
pub(crate) fn part(path: &Path) -> PathBuf {
    with(path, ".part")
}

/// A part or a journal that is being set up.
pub(crate) fn new(path: &Path) -> PathBuf {
    with(path, ".new")
}

/// A path's last component as text.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_names() {
        for good in ["train", "val_2", "a.b-c", "T"] {
            assert!(check_split(good).is_ok(), "{good}");
            assert_eq!(parse_stem(good), Some((good.to_owned(), None)));
            let shard = Some(Shard { index: 2, count: 4 });
            assert_eq!(parse_stem(&stem(good, shard)), Some((good.to_owned(), shard)));
        }
        for bad in [
            "",
            ".",
            "..",
            ".x",
            "a/b",
            "a\\b",
            "a b",
            "ä",
            "a\n",
            "x.shard-1-of-2",
            &"x".repeat(101),
        ] {
            assert!(check_split(bad).is_err(), "{bad}");
        }
        for bad in [
            "t.shard-02-of-4",
            "t.shard-5-of-4",
            "t.shard-0-of-4",
            "t.shard-1",
            "t.shard-1-of-2.shard-1-of-2",
        ] {
            assert_eq!(parse_stem(bad), None, "{bad}");
        }
    }
}
