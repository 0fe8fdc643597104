//! The validation split during training.

use super::{EVALUATION_BATCH, class_indices};
use crate::network::{self, Network, Sums};
use crate::sparse::{BatchColumns, RowStore};
use crate::{HeadError, Split};

/// Batches that fit in the cache are laid out once, the others every epoch.
pub(super) struct ValidationSet<'a> {
    rows: RowStore<'a>,
    labels: Vec<usize>,
    laid_out: Vec<BatchColumns>,
    /// For a batch that is not kept.
    scratch: BatchColumns,
}

impl<'a> ValidationSet<'a> {
    pub(super) fn read(split: &Split<'a>, mut cache: usize) -> Result<Self, HeadError> {
        let rows = RowStore::read("validation", split.features, &mut cache)?;
        let labels = class_indices(split.labels);
        let mut laid_out = Vec::new();
        for batch in all(labels.len()).chunks(EVALUATION_BATCH) {
            let mut columns = BatchColumns::new(split.features.width());
            rows.columns(batch, &mut columns);
            match cache.checked_sub(columns.bytes()) {
                Some(left) => cache = left,
                None => break,
            }
            laid_out.push(columns);
        }
        Ok(Self { rows, labels, laid_out, scratch: BatchColumns::new(split.features.width()) })
    }

    pub(super) fn evaluate(&mut self, network: &mut Network) -> Sums {
        let mut sums = Sums::default();
        let order = all(self.labels.len());
        for (i, (batch, labels)) in
            order.chunks(EVALUATION_BATCH).zip(self.labels.chunks(EVALUATION_BATCH)).enumerate()
        {
            let columns = match self.laid_out.get(i) {
                Some(columns) => columns,
                None => {
                    self.rows.columns(batch, &mut self.scratch);
                    &self.scratch
                }
            };
            network.enter(columns);
            sums.add(network::evaluate(network.logits(labels.len()), labels));
        }
        sums
    }
}

/// All rows in order.
fn all(rows: usize) -> Vec<u32> {
    (0..rows as u32).collect()
}
