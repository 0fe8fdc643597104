//! What an earlier report left in the folder.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::ReportError;
use crate::check::is_file_name_part;

/// Bytes of a `metrics.json` that are read: three splits of 1,500 classes. It is not kept in memory, but for one word at a time.
const LONGEST: u64 = 128 << 20;
/// Splits of a run that are believed.
const MOST_SPLITS: usize = 1000;

/// The file of a split's predictions.
pub(crate) fn name_of_predictions(split: &str) -> String {
    format!("predictions_{split}.csv")
}

/// The predictions that the folder's `metrics.json` says were written with it; none where it can't be read. It is data like
/// any other: what is no plain name of the expected form is left out.
pub(crate) fn predictions(dir: &Path) -> BTreeSet<String> {
    let read = || -> io::Result<Metrics> {
        let file = util::regular::open(&dir.join("metrics.json"))?;
        Ok(serde_json::from_reader(BufReader::new(file.take(LONGEST)))?)
    };
    read().map(|metrics| metrics.splits.0).unwrap_or_default()
}

/// Removes those of the files that are there, and regular files.
pub(crate) fn remove<'a>(
    dir: &Path,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), ReportError> {
    for name in names {
        let path = dir.join(name);
        if !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
            continue;
        }
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(crate::failed("remove", &path)(e));
            }
            _ => {}
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Metrics {
    splits: Splits,
}

/// Names of files, from the names of splits.
struct Splits(BTreeSet<String>);

impl<'de> Deserialize<'de> for Splits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = BTreeSet<String>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a key for each split")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut names = BTreeSet::new();
                while let Some((split, _)) = map.next_entry::<String, IgnoredAny>()? {
                    if is_file_name_part(&split) && names.len() < MOST_SPLITS {
                        names.insert(name_of_predictions(&split));
                    }
                }
                Ok(names)
            }
        }
        deserializer.deserialize_map(Names).map(Self)
    }
}
