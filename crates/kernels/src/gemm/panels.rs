//! Weights of f32 products, packed in the order in which the register tile reads them.

use crate::memory::Buffer;

/// A matrix of `depth` rows and `columns` columns cut into panels of `nr` columns: panel, row, column within the
/// panel. The last panel is filled up with zeros.
#[derive(Debug)]
pub(crate) struct Panels {
    values: Buffer,
    depth: usize,
    columns: usize,
    nr: usize,
}

impl Panels {
    /// Packs `value(row, column)`.
    pub(crate) fn pack(
        depth: usize,
        columns: usize,
        nr: usize,
        value: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let count = columns.div_ceil(nr);
        let mut values = Buffer::zeroed(count * depth * nr);
        for (panel, chunk) in
            values.as_mut_slice().chunks_exact_mut((depth * nr).max(1)).take(count).enumerate()
        {
            for (row, line) in chunk.chunks_exact_mut(nr).enumerate() {
                for (column, to) in line.iter_mut().enumerate() {
                    if panel * nr + column < columns {
                        *to = value(row, panel * nr + column);
                    }
                }
            }
        }
        Self { values, depth, columns, nr }
    }

    /// Number of panels.
    pub(crate) fn count(&self) -> usize {
        self.columns.div_ceil(self.nr)
    }

    /// Columns of a panel that are not filling.
    pub(crate) fn columns(&self, panel: usize) -> usize {
        (self.columns - panel * self.nr).min(self.nr)
    }

    /// Where row `row` of a panel begins.
    pub(crate) fn at(&self, panel: usize, row: usize) -> *const f32 {
        self.values.as_slice()[(panel * self.depth + row) * self.nr..].as_ptr()
    }

    /// All values, to be packed again in place: panel, row, column within the panel.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        self.values.as_mut_slice()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.values.bytes()
    }
}
