//! The splits in a features folder, checked to belong together.

use anyhow::{Context as _, Result};
use cache::{CacheError, Manifest, SplitReader};
use head::{FeatureRows, Split, check_split};
use pipeline::Recipe;
use std::path::Path;

use crate::console::Console;
use crate::failure::hinted;

/// Names under which a validation split is looked for.
const VALIDATION: [&str; 2] = ["validation", "val"];

/// A finished split, memory-mapped.
pub(super) struct Features {
    pub(super) reader: SplitReader,
}

impl FeatureRows for Features {
    fn len(&self) -> usize {
        self.reader.len()
    }

    fn width(&self) -> usize {
        self.reader.row_elements()
    }

    fn read_row(&self, i: usize, out: &mut [f32]) {
        // The trait has no errors, and the file was checked when it was opened. Should it shrink while it is mapped,
        // NaN makes training refuse the row by its number.
        if self.reader.read_row(i, out).is_err() {
            out.fill(f32::NAN);
        }
    }
}

impl Features {
    pub(super) fn name(&self) -> &str {
        &self.manifest().split
    }

    pub(super) fn manifest(&self) -> &Manifest {
        self.reader.manifest()
    }

    pub(super) fn split(&self) -> Split<'_> {
        Split { features: self, labels: self.reader.labels() }
    }
}

/// All splits of a run.
pub(super) struct AllFeatures {
    pub(super) train: Features,
    pub(super) validation: Option<Features>,
    pub(super) test: Option<Features>,
}

impl AllFeatures {
    /// Opens train, and validation and test where they exist; checks that all were made in the same way and hold every class.
    ///
    /// # Errors
    /// No train split, splits that do not belong together, a class without rows.
    pub(super) fn open(dir: &Path, console: Console) -> Result<Self> {
        let train = optional(dir, "train")?.ok_or_else(|| {
            hinted(
                format!(
                    "features folder '{}': expected train_features.npy with train.json, found none",
                    dir.display()
                ),
                "run extract first, or give the folder with --features DIR",
            )
        })?;
        let mut validation = None;
        for name in VALIDATION {
            if validation.is_none() {
                validation = optional(dir, name)?;
            }
        }
        let all = Self { train, validation, test: optional(dir, "test")? };
        let classes = all.classes();
        for one in all.iter() {
            let (train, other) = (all.train.manifest(), one.manifest());
            cache::check_compatible(train, other, Recipe::RULES)?;
            for difference in train.settings.harmless(&other.settings, Recipe::RULES) {
                console.warn(format!("train and {}: {difference}", one.name()));
            }
            check_split(one.name(), &one.split(), classes.len(), classes)?;
        }
        Ok(all)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Features> {
        std::iter::once(&self.train).chain(&self.validation).chain(&self.test)
    }

    /// Class names in label order.
    pub(super) fn classes(&self) -> &[String] {
        &self.train.manifest().settings.classes
    }
}

/// A split that may be absent, but not broken.
fn optional(dir: &Path, split: &str) -> Result<Option<Features>> {
    match SplitReader::open(dir, split) {
        Ok(reader) => Ok(Some(Features { reader })),
        Err(CacheError::Missing { .. }) if !unfinished(dir, split) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("features of split '{split}'")),
    }
}

/// Whether an interrupted run left a part of this split: then its absence is an error and not a choice.
fn unfinished(dir: &Path, split: &str) -> bool {
    cache::info(dir)
        .is_ok_and(|all| all.iter().any(|one| one.split == split && one.shard.is_none()))
}
