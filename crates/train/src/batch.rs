//! A batch of rows as the kernel wants it: by column for gradients, by row within groups of columns for products.

use crate::sparse::{CHUNK, GROUP, Nonzero, RowChunk, SparseRow};
use rayon::prelude::*;

/// A batch with fewer entries than this is laid out by one thread.
const PARALLEL_ENTRIES: usize = 1 << 13;

/// What a batch is laid out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Products alone.
    Evaluation,
    /// Products, then gradients.
    Training,
}

/// One chunk of columns of one batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChunkEntries {
    /// Column d's entries begin at `starts[d]`, rows rising, and end at `starts[d + 1]`.
    starts: Vec<u32>,
    by_column: Vec<Nonzero>,
    /// Row r's entries in group g begin at `cuts[g * rows + r]`, columns of the chunk rising, and end where the next begin.
    cuts: Vec<u32>,
    by_row: Vec<Nonzero>,
    rows: usize,
    /// Where the next entry of each column goes.
    next: Vec<u32>,
}

impl ChunkEntries {
    fn new(columns: usize) -> Self {
        Self { starts: vec![0; columns + 1], next: vec![0; columns], ..Self::default() }
    }

    /// The batch's nonzero values in column `d` of the chunk.
    #[inline(always)]
    pub(crate) fn column(&self, d: usize) -> &[Nonzero] {
        &self.by_column[self.starts[d] as usize..self.starts[d + 1] as usize]
    }

    /// Whether the batch has nothing but zeros in column `d` of the chunk, or the chunk no such column.
    #[inline(always)]
    pub(crate) fn is_zero(&self, d: usize) -> bool {
        d + 1 >= self.starts.len() || self.starts[d] == self.starts[d + 1]
    }

    /// Row by row the nonzero values in columns `group * GROUP..` of the chunk.
    #[inline(always)]
    pub(crate) fn group(&self, group: usize) -> impl Iterator<Item = &[Nonzero]> {
        let cuts = &self.cuts[group * self.rows..=(group + 1) * self.rows];
        cuts.windows(2).map(|cut| &self.by_row[cut[0] as usize..cut[1] as usize])
    }

    /// Lays out `rows`, which are cut to the chunk, whose first column is `first`.
    fn set(&mut self, rows: &[RowChunk<'_>], first: u32, wanted: Use) {
        self.rows = rows.len();
        let total: usize = rows.iter().map(|row| row.entries.len()).sum();
        self.lay_out_by_row(rows, first, total);
        if wanted == Use::Training {
            self.lay_out_by_column(rows, first, total);
        }
    }

    fn lay_out_by_row(&mut self, rows: &[RowChunk<'_>], first: u32, total: usize) {
        let Self { cuts, by_row, .. } = self;
        let groups = rows.first().map_or(0, |row| row.groups.len() - 1);
        cuts.clear();
        let mut end = 0;
        for g in 0..groups {
            for row in rows {
                cuts.push(end);
                end += row.groups[g + 1] - row.groups[g];
            }
        }
        cuts.push(end);
        grow(by_row, total);
        let mut moved = [0; CHUNK / GROUP];
        for (r, row) in rows.iter().enumerate() {
            // How far each group's entries move: so no entry's place hangs on the one before.
            for (g, (moved, start)) in moved.iter_mut().zip(row.groups).enumerate().take(groups) {
                *moved = cuts[g * rows.len() + r].wrapping_sub(start - row.groups[0]);
            }
            for (i, e) in (0_u32..).zip(row.entries) {
                let place = e.place - first;
                let to = moved[place as usize / GROUP].wrapping_add(i) as usize;
                by_row[to] = Nonzero { place, value: e.value };
            }
        }
    }

    fn lay_out_by_column(&mut self, rows: &[RowChunk<'_>], first: u32, total: usize) {
        let Self { starts, by_column, next, .. } = self;
        next.fill(0);
        for e in rows.iter().flat_map(|row| row.entries) {
            next[(e.place - first) as usize] += 1;
        }
        let mut end = 0;
        for (start, next) in starts.iter_mut().zip(next.iter_mut()) {
            (*start, *next, end) = (end, end, end + *next);
        }
        if let Some(last) = starts.last_mut() {
            *last = end;
        }
        grow(by_column, total);
        for (r, row) in (0_u32..).zip(rows) {
            for e in row.entries {
                let at = &mut next[(e.place - first) as usize];
                by_column[*at as usize] = Nonzero { place: r, value: e.value };
                *at += 1;
            }
        }
    }

    fn bytes(&self) -> usize {
        (self.starts.len() + self.next.len() + self.cuts.len()) * 4
            + (self.by_column.len() + self.by_row.len()) * size_of::<Nonzero>()
    }
}

/// Makes room, and leaves what is there.
fn grow(entries: &mut Vec<Nonzero>, count: usize) {
    if entries.len() < count {
        entries.resize(count, Nonzero::default());
    }
}

/// One batch, chunk by chunk.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) chunks: Vec<ChunkEntries>,
    pub(crate) rows: usize,
    /// For rows that come with their zeros.
    dense: Vec<SparseRow>,
}

impl Batch {
    /// An empty batch of `width` columns.
    pub(crate) fn new(width: usize) -> Self {
        let chunks =
            (0..width).step_by(CHUNK).map(|first| ChunkEntries::new(CHUNK.min(width - first)));
        Self { chunks: chunks.collect(), rows: 0, dense: Vec::new() }
    }

    /// Memory taken.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.iter().map(ChunkEntries::bytes).sum()
    }

    /// Lays out these rows.
    pub(crate) fn set(&mut self, rows: &[&SparseRow], wanted: Use) {
        self.rows = rows.len();
        let one = |(c, chunk): (usize, &mut ChunkEntries)| {
            let cut: Vec<RowChunk<'_>> = rows.iter().map(|row| row.chunk(c)).collect();
            chunk.set(&cut, (c * CHUNK) as u32, wanted);
        };
        if rows.iter().map(|row| row.len()).sum::<usize>() < PARALLEL_ENTRIES {
            self.chunks.iter_mut().enumerate().for_each(one);
        } else {
            self.chunks.par_iter_mut().enumerate().for_each(one);
        }
    }

    /// Lays out `rows` dense rows of the batch's width.
    pub(crate) fn set_dense(&mut self, values: &[f32], rows: usize, wanted: Use) {
        let width = values.len().checked_div(rows).unwrap_or(0);
        let mut dense = std::mem::take(&mut self.dense);
        dense.resize_with(rows, SparseRow::default);
        dense.iter_mut().zip(values.chunks_exact(width.max(1))).for_each(|(row, x)| row.set(x));
        self.set(&dense.iter().collect::<Vec<_>>(), wanted);
        self.dense = dense;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_every_value_by_column_and_by_row_of_its_group() {
        let width = CHUNK + 3 * GROUP + 5;
        let mut random = util::SplitMix64::new(4);
        let mut batch = Batch::new(width);
        // More rows, then fewer: what an earlier batch left must not show.
        for (rows, density) in [(7, 0.4), (11, 0.9), (2, 0.1), (1, 0.0)] {
            let value = |r: usize, d: usize| (1 + r * width + d) as f32;
            let dense: Vec<f32> = (0..rows * width)
                .map(
                    |i| if random.next_f32() < density { value(i / width, i % width) } else { 0.0 },
                )
                .collect();
            for wanted in [Use::Evaluation, Use::Training] {
                batch.set_dense(&dense, rows, wanted);
                assert_eq!(batch.rows, rows);
                for (c, chunk) in batch.chunks.iter().enumerate() {
                    let first = c * CHUNK;
                    let columns = CHUNK.min(width - first);
                    let nonzero = |r: usize, d: usize, place: usize| {
                        let value = dense[r * width + first + d];
                        (value != 0.0).then_some(Nonzero { place: place as u32, value })
                    };
                    for group in 0..columns.div_ceil(GROUP) {
                        let all = group * GROUP..columns.min((group + 1) * GROUP);
                        let found: Vec<&[Nonzero]> = chunk.group(group).collect();
                        assert_eq!(found.len(), rows);
                        for (r, found) in found.into_iter().enumerate() {
                            let row = all.clone().filter_map(|d| nonzero(r, d, d));
                            assert!(row.eq(found.iter().copied()), "row {r}, group {group}");
                        }
                    }
                    for d in (0..columns).filter(|_| wanted == Use::Training) {
                        let column: Vec<_> = (0..rows).filter_map(|r| nonzero(r, d, r)).collect();
                        assert_eq!(chunk.column(d), column, "column {d}");
                        assert_eq!(chunk.is_zero(d), column.is_empty());
                    }
                    assert!(chunk.is_zero(columns));
                }
            }
        }
    }
}
