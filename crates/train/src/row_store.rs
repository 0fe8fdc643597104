//! The rows of a split, as far as they fit in memory.

use crate::batch::{Batch, Use};
use crate::sparse::SparseRow;
use crate::views::Unrolled;
use crate::{FeatureRows, HeadError};
use rayon::prelude::*;

/// Rows that are compressed side by side when a split is first read.
const SLAB: usize = 64;

/// Rows of one split, in memory without zeros as far as they fit, else read again whenever they are needed.
pub(crate) struct RowStore<'a> {
    features: Unrolled<'a>,
    kept: Vec<SparseRow>,
}

impl<'a> RowStore<'a> {
    /// Reads every row once, refuses values that are not finite (the first in row order), and keeps compressed rows
    /// from the start while they take less than `limit` bytes, which is lowered by what is taken.
    pub(crate) fn read(
        split: &str,
        features: Unrolled<'a>,
        limit: &mut usize,
    ) -> Result<Self, HeadError> {
        let rows = features.len();
        let mut store = Self { features, kept: Vec::new() };
        let mut keeping = true;
        for slab in (0..rows).step_by(SLAB) {
            let read = read_rows(split, &features, slab..rows.min(slab + SLAB));
            for row in read.map_err(|error| features.error_of_row(error))? {
                keeping &= row.bytes() <= *limit;
                if keeping {
                    *limit -= row.bytes();
                    store.kept.push(row);
                }
            }
        }
        Ok(store)
    }

    /// Puts these rows into `batch`, for what they are needed.
    pub(crate) fn lay_out(&self, rows: &[u32], wanted: Use, batch: &mut Batch) {
        let mut buffer = Vec::new();
        let read: Vec<Option<SparseRow>> = rows
            .iter()
            .map(|&i| match self.kept.get(i as usize) {
                Some(_) => None,
                None => {
                    buffer.resize(self.features.width(), 0.0);
                    let mut row = SparseRow::default();
                    self.features.read_row(i as usize, &mut buffer);
                    row.set(&buffer);
                    Some(row)
                }
            })
            .collect();
        let rows: Vec<&SparseRow> = rows
            .iter()
            .zip(&read)
            .map(|(&i, read)| read.as_ref().unwrap_or_else(|| &self.kept[i as usize]))
            .collect();
        batch.set(&rows, wanted);
    }
}

/// These rows without their zeros, read side by side. Refuses values that are not finite, the first in row order.
pub(crate) fn read_rows(
    split: &str,
    features: &dyn FeatureRows,
    rows: std::ops::Range<usize>,
) -> Result<Vec<SparseRow>, HeadError> {
    let read: Vec<SparseRow> = rows
        .clone()
        .into_par_iter()
        .map_init(
            || (vec![0.0; features.width()], SparseRow::default()),
            |(buffer, row), i| {
                features.read_row(i, buffer);
                row.set(buffer);
                row.kept()
            },
        )
        .collect();
    for (i, row) in rows.zip(&read) {
        if let Some(bad) = row.entries().iter().find(|e| !e.value.is_finite()) {
            let (column, value) = (bad.place as usize, bad.value);
            return Err(HeadError::NotFinite { split: split.to_owned(), row: i, column, value });
        }
    }
    Ok(read)
}
