//! Feature rows without their zeros.

use crate::batch::{Batch, GROUP, Use};
use crate::views::Unrolled;
use crate::{FeatureRows, HeadError};
use rayon::prelude::*;

/// Input columns a chunk. Fixed, since sums run within a chunk first and then over the chunks in order.
pub(crate) const CHUNK: usize = 1024;
/// Rows that are compressed side by side when a split is first read.
const SLAB: usize = 64;

/// A value that is not zero, and where it is: its column in a row, its row in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Nonzero {
    pub(crate) place: u32,
    pub(crate) value: f32,
}

/// A row's values that are not zero, columns rising.
#[derive(Clone, Debug, Default)]
pub(crate) struct SparseRow {
    /// Where each group of columns begins, and the end.
    groups: Vec<u32>,
    entries: Vec<Nonzero>,
}

/// A row's values in one chunk of columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowChunk<'a> {
    /// Where each group of columns begins, and the end, counted from the row's first value.
    pub(crate) groups: &'a [u32],
    pub(crate) entries: &'a [Nonzero],
}

impl SparseRow {
    /// Takes the values of `row`.
    pub(crate) fn set(&mut self, row: &[f32]) {
        self.groups.clear();
        // One more place: every value is written, and the next over it where it was zero, since a branch would be guessed wrong.
        self.entries.resize(row.len() + 1, Nonzero::default());
        let mut count = 0;
        for (columns, group) in (0_u32..).step_by(GROUP).zip(row.chunks(GROUP)) {
            self.groups.push(count as u32);
            for (place, &value) in (columns..).zip(group) {
                self.entries[count] = Nonzero { place, value };
                count += usize::from(value != 0.0);
            }
        }
        self.groups.push(count as u32);
        self.entries.truncate(count);
    }

    /// A copy that takes no more memory than it needs.
    fn kept(&self) -> Self {
        Self { groups: self.groups.as_slice().to_vec(), entries: self.entries.as_slice().to_vec() }
    }

    /// Memory taken.
    fn bytes(&self) -> usize {
        size_of_val(&self.groups[..]) + size_of_val(&self.entries[..]) + size_of::<Self>()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Those of one chunk of columns.
    pub(crate) fn chunk(&self, chunk: usize) -> RowChunk<'_> {
        let first = chunk * (CHUNK / GROUP);
        let end = (first + CHUNK / GROUP).min(self.groups.len() - 1);
        let groups = &self.groups[first..=end];
        let (from, to) = (self.groups[first] as usize, self.groups[end] as usize);
        RowChunk { groups, entries: &self.entries[from..to] }
    }
}

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
        if let Some(bad) = row.entries.iter().find(|e| !e.value.is_finite()) {
            let (column, value) = (bad.place as usize, bad.value);
            return Err(HeadError::NotFinite { split: split.to_owned(), row: i, column, value });
        }
    }
    Ok(read)
}
