//! The rows of a head's training, read once for one or several trainings.

use super::validation::ValidationSet;
use super::{check, class_indices};
use crate::row_store::RowStore;
use crate::views::Unrolled;
use crate::{FitConfig, HeadError, Split, check_split, network};

/// Rows that heads are trained on, checked, and without their zeros as far as they fit in memory. Trainings with different
/// seeds or settings can share them, one after the other or side by side ([`crate::Trainer::fit_rows`]).
pub struct HeadRows<'a> {
    /// Every view of every row.
    pub(super) rows: RowStore<'a>,
    /// Of each row.
    pub(super) views: usize,
    pub(super) width: usize,
    pub(super) classes: usize,
    pub(super) labels: Vec<usize>,
    pub(super) validation: Option<ValidationSet<'a>>,
}

impl<'a> HeadRows<'a> {
    /// Reads the rows, of which at most `cache` bytes are kept ([`crate::CACHE_BYTES`] is usual), and names the classes of `class_names`
    /// in messages.
    ///
    /// # Errors
    /// A split that can't be used.
    pub fn read(
        classes: usize,
        class_names: &[String],
        mut cache: usize,
        train: &Split<'a>,
        validation: Option<&Split<'a>>,
    ) -> Result<Self, HeadError> {
        check_split("train", train, classes, class_names)?;
        let width = train.features.width();
        if let Some(v) = validation {
            check_split("validation", v, classes, class_names)?;
            if v.features.width() != width {
                return Err(HeadError::Width {
                    what: "validation features".to_owned(),
                    expected: width,
                    found: v.features.width(),
                });
            }
        }
        let views = train.features.views();
        check::check_rows(train.features.len(), views)?;
        let rows = RowStore::read("train", Unrolled::all(train.features), &mut cache)?;
        let validation = validation.map(|v| ValidationSet::read(v, cache)).transpose()?;
        let labels = class_indices(train.labels);
        Ok(Self { rows, views, width, classes, labels, validation })
    }

    /// Refuses settings that can't be used on them.
    pub(super) fn check(&self, config: &FitConfig) -> Result<(), HeadError> {
        check::check_config(config, self.validation.is_some())?;
        let widths = network::widths(self.width, &config.hidden, self.classes);
        check::check_sizes(self.labels.len(), &widths, config)
    }
}
