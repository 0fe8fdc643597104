//! The splits in a features folder, checked to belong together.

use cache::{CacheError, Difference, Manifest, SplitReader};
use std::path::Path;
use train::{FeatureRows, Split, check_split};

use crate::error::Error;
use crate::feature_source::FeatureSource;
use crate::recipe::Recipe;

/// Names under which a validation split is looked for.
const VALIDATION: [&str; 2] = ["validation", "val"];

/// Whether a split of this name is the one that training watches.
pub(crate) fn is_validation(split: &str) -> bool {
    VALIDATION.contains(&split)
}

/// A finished split, memory-mapped.
pub struct Features {
    /// Its files.
    pub reader: SplitReader,
    /// Views of each row that are used, from the first on: the picture itself, then those that are drawn.
    views: usize,
}

impl FeatureRows for Features {
    fn len(&self) -> usize {
        self.reader.len()
    }

    fn width(&self) -> usize {
        self.reader.view_elements()
    }

    fn views(&self) -> usize {
        self.views
    }

    fn read_row(&self, i: usize, out: &mut [f32]) {
        // The picture itself.
        self.read_view(i, 0, out);
    }

    fn read_view(&self, i: usize, view: usize, out: &mut [f32]) {
        // The trait has no errors, and the file was checked when it was opened. Should it shrink while it is mapped,
        // NaN makes training refuse the row by its number.
        if self.reader.read_view(i, view, out).is_err() {
            out.fill(f32::NAN);
        }
    }
}

impl Features {
    /// Name of the split.
    pub fn name(&self) -> &str {
        &self.manifest().split
    }

    /// What it is.
    pub fn manifest(&self) -> &Manifest {
        self.reader.manifest()
    }

    /// Rows and labels.
    pub fn split(&self) -> Split<'_> {
        Split { features: self, labels: self.reader.labels() }
    }
}

/// All splits of a run.
pub struct AllFeatures {
    /// The rows that a head is trained on.
    pub train: Features,
    /// Those that it is watched on.
    pub validation: Option<Features>,
    /// Those that it is judged by.
    pub test: Option<Features>,
}

impl AllFeatures {
    /// Opens train, and validation and test where they exist; checks that all were made in the same way and hold every class.
    ///
    /// # Errors
    /// No train split, splits that do not belong together, a class without rows.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let train =
            optional(dir, "train")?.ok_or_else(|| Error::NoTrain { dir: dir.to_owned() })?;
        let mut validation = None;
        for name in VALIDATION {
            if validation.is_none() {
                validation = optional(dir, name)?;
            }
        }
        let all = Self { train, validation, test: optional(dir, "test")? };
        let classes = all.classes();
        for one in all.iter() {
            cache::check_compatible(all.train.manifest(), one.manifest(), Recipe::RULES)?;
            check_split(one.name(), &one.split(), classes.len(), classes)?;
        }
        Ok(all)
    }

    /// Uses the first `views` drawn views of each row of train beside the picture itself: since a view is the same whatever their
    /// number, all is as with features that have only these. 0 leaves the pictures alone.
    ///
    /// # Errors
    /// [`Error::Views`] where there are fewer.
    pub fn limit_views(&mut self, views: usize) -> Result<(), Error> {
        let found = self.train.reader.views() - 1;
        if views > found {
            return Err(Error::Views { expected: views, found });
        }
        self.train.views = views + 1;
        Ok(())
    }

    /// How the rows that are used were made, and their shape.
    ///
    /// # Errors
    /// [`Error::Recipe`] where this version does not know it.
    pub fn source(&self) -> Result<FeatureSource, Error> {
        let mut source = FeatureSource::of(&self.train.manifest().settings)
            .map_err(Error::from)
            .map_err(Error::of_split("train"))?;
        let views = FeatureRows::views(&self.train);
        source.recipe.views = views;
        if views == 1 {
            source.recipe.augmentation = None;
        }
        Ok(source)
    }

    /// What differs between train and each other split although they may be used together, but for train's views.
    pub fn differences(&self) -> Vec<(&str, Difference)> {
        let settings = &self.train.manifest().settings;
        let of = |one: &'_ Features| settings.harmless(&one.manifest().settings, Recipe::RULES);
        let told = |d: &Difference| !Recipe::is_of_train(&d.field);
        self.iter()
            .flat_map(|one| of(one).into_iter().filter(told).map(|d| (one.name(), d)))
            .collect()
    }

    /// All of them, train first.
    pub fn iter(&self) -> impl Iterator<Item = &Features> {
        std::iter::once(&self.train).chain(&self.validation).chain(&self.test)
    }

    /// Class names in label order.
    pub fn classes(&self) -> &[String] {
        &self.train.manifest().settings.classes
    }
}

/// A split that may be absent, but not broken.
fn optional(dir: &Path, split: &str) -> Result<Option<Features>, Error> {
    match SplitReader::open(dir, split) {
        Ok(reader) => {
            let views = reader.views();
            Ok(Some(Features { reader, views }))
        }
        Err(CacheError::Missing { .. }) if !unfinished(dir, split) => Ok(None),
        Err(error) => Err(Error::Features { split: split.to_owned(), source: Box::new(error) }),
    }
}

/// Whether an interrupted run left a part of this split: then its absence is an error and not a choice.
fn unfinished(dir: &Path, split: &str) -> bool {
    cache::info(dir)
        .is_ok_and(|all| all.iter().any(|one| one.split == split && one.shard.is_none()))
}
