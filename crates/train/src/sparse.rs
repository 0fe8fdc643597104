//! Features without their zeros: rows as read, and batches column by column as the kernel wants them.

use crate::{FeatureRows, HeadError};
use rayon::prelude::*;

/// Input columns a chunk. Fixed, since sums run within a chunk first and then over the chunks in order.
pub(crate) const CHUNK: usize = 1024;
/// Rows that are compressed side by side when a split is first read.
const SLAB: usize = 64;
/// A batch with fewer entries than this is transposed by one thread.
const PARALLEL_ENTRIES: usize = 1 << 13;

/// A value that is not zero. In a row list `row` is the column; in a column list it is the row of the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Nonzero {
    pub(crate) row: u32,
    pub(crate) value: f32,
}

/// Rows of one split, in memory without zeros as far as they fit, else read again whenever they are needed.
pub(crate) struct RowStore<'a> {
    features: &'a dyn FeatureRows,
    kept: Vec<Box<[Nonzero]>>,
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
                let bytes = size_of_val(&entries[..]) + size_of::<Box<[Nonzero]>>();
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
        let read: Vec<Option<Vec<Nonzero>>> = rows
            .iter()
            .map(|&i| match self.kept.get(i as usize) {
                Some(_) => None,
                None => {
                    buffer.resize(self.features.width(), 0.0);
                    Some(compress(self.features, i as usize, &mut buffer))
                }
            })
            .collect();
        let lists: Vec<&[Nonzero]> = rows
            .iter()
            .zip(&read)
            .map(|(&i, read)| match read {
                Some(entries) => &entries[..],
                None => &self.kept[i as usize][..],
            })
            .collect();
        columns.transpose(&lists);
    }
}

/// These rows without their zeros, read side by side. Refuses values that are not finite, the first in row order.
pub(crate) fn read_rows(
    split: &str,
    features: &dyn FeatureRows,
    rows: std::ops::Range<usize>,
) -> Result<Vec<Vec<Nonzero>>, HeadError> {
    let lists: Vec<Vec<Nonzero>> = rows
        .clone()
        .into_par_iter()
        .map_init(|| vec![0.0; features.width()], |buffer, i| compress(features, i, buffer))
        .collect();
    for (row, entries) in rows.zip(&lists) {
        if let Some(bad) = entries.iter().find(|e| !e.value.is_finite()) {
            let (column, value) = (bad.row as usize, bad.value);
            return Err(HeadError::NotFinite { split: split.to_owned(), row, column, value });
        }
    }
    Ok(lists)
}

/// Row `i` without its zeros.
fn compress(features: &dyn FeatureRows, i: usize, buffer: &mut [f32]) -> Vec<Nonzero> {
    features.read_row(i, buffer);
    nonzero(buffer)
}

/// The nonzero values of a row, columns rising.
fn nonzero(row: &[f32]) -> Vec<Nonzero> {
    let mut entries = Vec::with_capacity(row.iter().filter(|x| **x != 0.0).count());
    entries.extend(
        (0_u32..).zip(row).filter(|(_, x)| **x != 0.0).map(|(row, &value)| Nonzero { row, value }),
    );
    entries
}

/// One chunk of columns of one batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChunkColumns {
    /// Column d's entries are `entries[starts[d]..starts[d + 1]]`, rows rising.
    starts: Vec<u32>,
    entries: Vec<Nonzero>,
}

impl ChunkColumns {
    /// The batch's nonzero values in column `d` of the chunk.
    #[inline(always)]
    pub(crate) fn column(&self, d: usize) -> &[Nonzero] {
        &self.entries[self.starts[d] as usize..self.starts[d + 1] as usize]
    }

    /// `rows` are row lists cut to the chunk, whose first column is `first`.
    fn transpose(&mut self, rows: &[&[Nonzero]], first: u32) {
        let starts = &mut self.starts;
        starts.fill(0);
        // Counted two places up, so that after the running sum `starts[d + 1]` is where column d begins, and after
        // the scatter, which moves it on, where it ends.
        let width = starts.len() - 1;
        for e in rows.iter().flat_map(|r| r.iter()) {
            let d = (e.row - first) as usize;
            if d + 2 <= width {
                starts[d + 2] += 1;
            }
        }
        for d in 2..=width {
            starts[d] += starts[d - 1];
        }
        self.entries.clear();
        self.entries.resize(rows.iter().map(|r| r.len()).sum(), Nonzero { row: 0, value: 0.0 });
        for (b, row) in (0_u32..).zip(rows) {
            for e in row.iter() {
                let end = &mut starts[(e.row - first) as usize + 1];
                self.entries[*end as usize] = Nonzero { row: b, value: e.value };
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
}

impl BatchColumns {
    /// An empty batch of `width` columns.
    pub(crate) fn new(width: usize) -> Self {
        let chunks = (0..width)
            .step_by(CHUNK)
            .map(|first| ChunkColumns {
                starts: vec![0; CHUNK.min(width - first) + 1],
                entries: Vec::new(),
            })
            .collect();
        Self { chunks, rows: 0 }
    }

    /// Memory taken.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks
            .iter()
            .map(|c| c.starts.len() * 4 + c.entries.len() * size_of::<Nonzero>())
            .sum()
    }

    /// From row lists.
    pub(crate) fn transpose(&mut self, rows: &[&[Nonzero]]) {
        self.rows = rows.len();
        let one = |(c, chunk): (usize, &mut ChunkColumns)| {
            let first = (c * CHUNK) as u32;
            let end = first + (chunk.starts.len() - 1) as u32;
            let cut: Vec<&[Nonzero]> = rows
                .iter()
                .map(|r| {
                    let low = r.partition_point(|e| e.row < first);
                    let high = low + r[low..].partition_point(|e| e.row < end);
                    &r[low..high]
                })
                .collect();
            chunk.transpose(&cut, first);
        };
        if rows.iter().map(|r| r.len()).sum::<usize>() < PARALLEL_ENTRIES {
            self.chunks.iter_mut().enumerate().for_each(one);
        } else {
            self.chunks.par_iter_mut().enumerate().for_each(one);
        }
    }

    /// From `rows` dense rows of the batch's width.
    pub(crate) fn set_dense(&mut self, values: &[f32], rows: usize) {
        self.rows = rows;
        let width = values.len().checked_div(rows).unwrap_or(0);
        for (c, chunk) in self.chunks.iter_mut().enumerate() {
            chunk.entries.clear();
            for d in 0..chunk.starts.len() - 1 {
                let column = values.iter().skip(c * CHUNK + d).step_by(width.max(1));
                for (row, &value) in (0_u32..).zip(column) {
                    if value != 0.0 {
                        chunk.entries.push(Nonzero { row, value });
                    }
                }
                chunk.starts[d + 1] = chunk.entries.len() as u32;
            }
        }
    }
}
