//! Features without their zeros: rows as read, and batches column by column as the kernel wants them.

use crate::{FeatureRows, HeadError};
use rayon::prelude::*;

/// Input columns a chunk. Fixed, since sums run within a chunk first and then over the chunks in order.
pub(crate) const CHUNK: usize = 1024;
/// Columns that the kernel updates before it multiplies them. Their weights and optimiser state, for the outputs that
/// one pass holds in registers, fit the nearest cache. Divides [`CHUNK`].
pub(crate) const GROUP: usize = 32;
/// Rows that are compressed side by side when a split is first read.
const SLAB: usize = 64;
/// A batch with fewer entries than this is transposed by one thread.
const PARALLEL_ENTRIES: usize = 1 << 13;

/// A value that is not zero, with its column in a list of a row, its row of the batch in a list of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) index: u32,
    pub(crate) value: f32,
}

/// Rows of one split, in memory without zeros as far as they fit, else read anew whenever they are needed.
pub(crate) struct RowStore<'a> {
    features: &'a dyn FeatureRows,
    kept: Vec<Box<[Entry]>>,
}

impl<'a> RowStore<'a> {
    /// Reads every row once, refuses values that are not finite (the first in row order), and keeps compressed rows
    /// from the start while they take less than `limit` bytes, which is lowered by what is taken.
    pub(crate) fn read(
        split: &str,
        features: &'a dyn FeatureRows,
        limit: &mut usize,
    ) -> Result<Self, HeadError> {
        let rows = features.len();
        let mut store = Self { features, kept: Vec::new() };
        let mut keeping = true;
        for slab in (0..rows).step_by(SLAB) {
            for entries in read_rows(split, features, slab..rows.min(slab + SLAB))? {
                let bytes = size_of_val(&entries[..]) + size_of::<Box<[Entry]>>();
                keeping &= bytes <= *limit;
                if keeping {
                    *limit -= bytes;
                    store.kept.push(entries.into_boxed_slice());
                }
            }
        }
        Ok(store)
    }

    /// Puts the batch of these rows into `columns`.
    pub(crate) fn columns(&self, rows: &[u32], columns: &mut BatchColumns) {
        let mut buffer = Vec::new();
        let read: Vec<Option<Vec<Entry>>> = rows
            .iter()
            .map(|&i| match self.kept.get(i as usize) {
                Some(_) => None,
                None => {
                    buffer.resize(self.features.width(), 0.0);
                    Some(compress(self.features, i as usize, &mut buffer))
                }
            })
            .collect();
        let lists: Vec<&[Entry]> = rows
            .iter()
            .zip(&read)
            .map(|(&i, read)| match read {
                Some(entries) => &entries[..],
                None => &self.kept[i as usize][..],
            })
            .collect();
        columns.lay_out(&lists);
    }
}

/// These rows without their zeros, read side by side. Refuses values that are not finite, the first in row order.
pub(crate) fn read_rows(
    split: &str,
    features: &dyn FeatureRows,
    rows: std::ops::Range<usize>,
) -> Result<Vec<Vec<Entry>>, HeadError> {
    let lists: Vec<Vec<Entry>> = rows
        .clone()
        .into_par_iter()
        .map_init(|| vec![0.0; features.width()], |buffer, i| compress(features, i, buffer))
        .collect();
    for (row, entries) in rows.zip(&lists) {
        if let Some(bad) = entries.iter().find(|e| !e.value.is_finite()) {
            let (column, value) = (bad.index as usize, bad.value);
            return Err(HeadError::NotFinite { split: split.to_owned(), row, column, value });
        }
    }
    Ok(lists)
}

/// Row `i` without its zeros.
fn compress(features: &dyn FeatureRows, i: usize, buffer: &mut [f32]) -> Vec<Entry> {
    features.read_row(i, buffer);
    nonzero(buffer)
}

/// The nonzero values of a row, columns rising.
fn nonzero(row: &[f32]) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(row.iter().filter(|x| **x != 0.0).count());
    entries.extend(
        (0_u32..)
            .zip(row)
            .filter(|(_, x)| **x != 0.0)
            .map(|(index, &value)| Entry { index, value }),
    );
    entries
}

/// One chunk of columns of one batch, by column and by row.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChunkColumns {
    /// Column d's entries are `by_column[starts[d]..starts[d + 1]]`, rows rising.
    starts: Vec<u32>,
    by_column: Vec<Entry>,
    /// Row b's entries in column group m are `by_row[from..to]`, with `from, to` at `b * (groups + 1) + m` and one on.
    group_starts: Vec<u32>,
    by_row: Vec<Entry>,
}

impl ChunkColumns {
    fn new(columns: usize) -> Self {
        Self { starts: vec![0; columns + 1], ..Self::default() }
    }

    /// The batch's nonzero values in column `d` of the chunk, with their rows.
    #[inline(always)]
    pub(crate) fn column(&self, d: usize) -> &[Entry] {
        &self.by_column[self.starts[d] as usize..self.starts[d + 1] as usize]
    }

    /// Row `b`'s nonzero values in columns `group * GROUP..` of the chunk, with their columns.
    #[inline(always)]
    pub(crate) fn group(&self, b: usize, group: usize) -> &[Entry] {
        let at = b * ((self.starts.len() - 1).div_ceil(GROUP) + 1) + group;
        &self.by_row[self.group_starts[at] as usize..self.group_starts[at + 1] as usize]
    }

    /// `rows` are row lists cut to the chunk, whose first column is `first`.
    fn lay_out(&mut self, rows: &[&[Entry]], first: u32) {
        let width = self.starts.len() - 1;
        self.by_row.clear();
        self.group_starts.clear();
        for row in rows {
            let mut at = 0;
            self.group_starts.push(self.by_row.len() as u32);
            for end in (GROUP..width + GROUP).step_by(GROUP) {
                at += row[at..].partition_point(|e| e.index < first + end as u32);
                self.group_starts.push((self.by_row.len() + at) as u32);
            }
            self.by_row.extend_from_slice(row);
        }
    }

    /// Lists by column, from the rows laid out.
    fn transpose(&mut self, rows: &[&[Entry]], first: u32) {
        let starts = &mut self.starts;
        let width = starts.len() - 1;
        // Counted two places up, so that after the running sum `starts[d + 1]` is where column d begins, and after
        // the scatter, which moves it on, where it ends.
        starts.fill(0);
        for e in &self.by_row {
            let d = (e.index - first) as usize;
            if d + 2 <= width {
                starts[d + 2] += 1;
            }
        }
        for d in 2..=width {
            starts[d] += starts[d - 1];
        }
        self.by_column.clear();
        self.by_column.resize(self.by_row.len(), Entry { index: 0, value: 0.0 });
        for (index, row) in (0_u32..).zip(rows) {
            for e in row.iter() {
                let end = &mut starts[(e.index - first) as usize + 1];
                self.by_column[*end as usize] = Entry { index, value: e.value };
                *end += 1;
            }
        }
    }
}

/// One batch, chunk by chunk.
#[derive(Clone, Debug)]
pub(crate) struct BatchColumns {
    pub(crate) chunks: Vec<ChunkColumns>,
    pub(crate) rows: usize,
    gradients: bool,
}

impl BatchColumns {
    /// An empty batch of `width` columns; only with `gradients` can it serve an update.
    pub(crate) fn new(width: usize, gradients: bool) -> Self {
        let chunks = (0..width)
            .step_by(CHUNK)
            .map(|first| ChunkColumns::new(CHUNK.min(width - first)))
            .collect();
        Self { chunks, rows: 0, gradients }
    }

    /// Memory taken.
    pub(crate) fn bytes(&self) -> usize {
        let numbers = |c: &ChunkColumns| c.starts.len() + c.group_starts.len();
        self.chunks
            .iter()
            .map(|c| numbers(c) * 4 + (c.by_column.len() + c.by_row.len()) * size_of::<Entry>())
            .sum()
    }

    /// From row lists.
    pub(crate) fn lay_out(&mut self, rows: &[&[Entry]]) {
        self.rows = rows.len();
        let gradients = self.gradients;
        let one = |(c, chunk): (usize, &mut ChunkColumns)| {
            let first = (c * CHUNK) as u32;
            let end = first + (chunk.starts.len() - 1) as u32;
            let cut: Vec<&[Entry]> = rows
                .iter()
                .map(|r| {
                    let low = r.partition_point(|e| e.index < first);
                    let high = low + r[low..].partition_point(|e| e.index < end);
                    &r[low..high]
                })
                .collect();
            chunk.lay_out(&cut, first);
            if gradients {
                chunk.transpose(&cut, first);
            }
        };
        if rows.iter().map(|r| r.len()).sum::<usize>() < PARALLEL_ENTRIES {
            self.chunks.iter_mut().enumerate().for_each(one);
        } else {
            self.chunks.par_iter_mut().enumerate().for_each(one);
        }
    }

    /// From `rows` dense rows of the batch's width.
    pub(crate) fn set_dense(&mut self, values: &[f32], rows: usize) {
        let width = values.len().checked_div(rows).unwrap_or(0).max(1);
        let lists: Vec<Vec<Entry>> = values.chunks_exact(width).map(nonzero).collect();
        self.lay_out(&lists.iter().map(|l| &l[..]).collect::<Vec<_>>());
    }
}
