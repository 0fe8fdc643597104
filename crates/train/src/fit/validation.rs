//! The validation split during training.

use super::{EVALUATION_BATCH, class_indices};
use crate::batch::{Batch, Use};
use crate::network::{self, Network, Sums};
use crate::row_store::RowStore;
use crate::views::Unrolled;
use crate::{HeadError, Split};

/// Batches that fit in the cache are laid out once, the others every epoch.
pub(super) struct ValidationSet<'a> {
    rows: RowStore<'a>,
    labels: Vec<usize>,
    laid_out: Vec<Batch>,
}

impl<'a> ValidationSet<'a> {
    pub(super) fn read(split: &Split<'a>, mut cache: usize) -> Result<Self, HeadError> {
        let rows = RowStore::read("validation", Unrolled::first(split.features), &mut cache)?;
        let labels = class_indices(split.labels);
        let mut laid_out = Vec::new();
        for batch in all(labels.len()).chunks(EVALUATION_BATCH) {
            let mut one = Batch::new(split.features.width());
            rows.lay_out(batch, Use::Evaluation, &mut one);
            match cache.checked_sub(one.bytes()) {
                Some(left) => cache = left,
                None => break,
            }
            laid_out.push(one);
        }
        Ok(Self { rows, labels, laid_out })
    }

    /// `scratch` is for a batch that is not kept.
    pub(super) fn evaluate(&self, network: &mut Network, scratch: &mut Batch) -> Sums {
        let mut sums = Sums::default();
        let order = all(self.labels.len());
        for (i, (batch, labels)) in
            order.chunks(EVALUATION_BATCH).zip(self.labels.chunks(EVALUATION_BATCH)).enumerate()
        {
            let one = match self.laid_out.get(i) {
                Some(one) => one,
                None => {
                    self.rows.lay_out(batch, Use::Evaluation, &mut *scratch);
                    &*scratch
                }
            };
            network.enter(one);
            sums.add(network::evaluate(network.logits(labels.len()), labels));
        }
        sums
    }
}

/// All rows in order.
fn all(rows: usize) -> Vec<u32> {
    (0..rows as u32).collect()
}
