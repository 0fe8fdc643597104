//! Weights of f32 products, packed in the order in which the register tile reads them.

use crate::memory::Buffer;
use rayon::prelude::*;

/// Matrices of `depth` rows and `columns` columns cut into panels of `nr` columns: matrix, panel, row, column within the
/// panel. The last panel of each is filled up with zeros. All are in one piece of memory, for which the system can take large
/// pages.
#[derive(Debug)]
pub(crate) struct Panels {
    values: Buffer,
    depth: usize,
    columns: usize,
    nr: usize,
}

impl Panels {
    /// Packs one matrix, of `value(row, column)`, panels side by side.
    pub(crate) fn pack(
        depth: usize,
        columns: usize,
        nr: usize,
        value: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        let mut packed = Self::zeroed(1, depth, columns, nr);
        packed.panels_mut().into_par_iter().enumerate().for_each(|(panel, lines)| {
            let first = panel * nr;
            for (row, line) in lines.chunks_exact_mut(nr).enumerate() {
                for (column, to) in (first..columns).zip(line) {
                    *to = value(row, column);
                }
            }
        });
        packed
    }

    /// `count` matrices of zeros, to be filled by panels.
    pub(crate) fn zeroed(count: usize, depth: usize, columns: usize, nr: usize) -> Self {
        let values = Buffer::zeroed(count * columns.div_ceil(nr) * depth * nr);
        Self { values, depth, columns, nr }
    }

    /// Each panel, matrix by matrix: row, column within it.
    pub(crate) fn panels_mut(&mut self) -> Vec<&mut [f32]> {
        let len = (self.depth * self.nr).max(1);
        self.values.as_mut_slice().chunks_exact_mut(len).collect()
    }

    /// Number of panels of a matrix.
    pub(crate) fn count(&self) -> usize {
        self.columns.div_ceil(self.nr)
    }

    /// Columns of a matrix's panel that are not filling.
    pub(crate) fn columns(&self, panel: usize) -> usize {
        (self.columns - panel * self.nr).min(self.nr)
    }

    /// Where row `row` of a panel begins; panels of all matrices are counted.
    pub(crate) fn at(&self, panel: usize, row: usize) -> *const f32 {
        self.values.as_slice()[(panel * self.depth + row) * self.nr..].as_ptr()
    }

    /// The values of each matrix, to be packed again in place: panel, row, column within the panel.
    pub(crate) fn matrices_mut(&mut self) -> Vec<&mut [f32]> {
        let len = (self.count() * self.depth * self.nr).max(1);
        self.values.as_mut_slice().chunks_exact_mut(len).collect()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.values.bytes()
    }
}
