use super::NR;
use super::operand::{round, word};
use crate::memory::Buffer;
use rayon::prelude::*;

/// Matrices of `depth` rows and `columns` columns in bf16, cut into panels of [`NR`] columns: matrix, panel, pair of rows,
/// column within the panel, row of the pair. The last panel and an odd last pair are filled up with zeros. Where
/// values are split, the lower parts follow in the same order.
#[derive(Debug)]
pub(crate) struct Panels16 {
    /// Two bf16 in the place of each f32.
    values: Buffer,
    pairs: usize,
    /// Panels of all matrices.
    count: usize,
    split: bool,
}

impl Panels16 {
    /// Packs one matrix, of `value(row, column)`, panels side by side.
    pub(crate) fn pack(
        depth: usize,
        columns: usize,
        split: bool,
        value: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        let mut packed = Self::zeroed(1, depth, columns, split);
        packed.panels_mut().into_par_iter().enumerate().for_each(|(panel, mut to)| {
            let columns = panel * NR..columns.min((panel + 1) * NR);
            let line = |row: usize| -> Vec<f32> {
                let value = |column| if row < depth { value(row, column) } else { 0.0 };
                columns.clone().map(value).collect()
            };
            for pair in 0..depth.div_ceil(2) {
                to.fill(pair, (&line(2 * pair), &line(2 * pair + 1)));
            }
        });
        packed
    }

    /// Matrices of zeros, to be filled by panels.
    pub(crate) fn zeroed(matrices: usize, depth: usize, columns: usize, split: bool) -> Self {
        let (pairs, count) = (depth.div_ceil(2), matrices * columns.div_ceil(NR));
        let plane = count * pairs * NR;
        let values = Buffer::zeroed(if split { 2 * plane } else { plane });
        Self { values, pairs, count, split }
    }

    /// Each panel, matrix by matrix.
    pub(crate) fn panels_mut(&mut self) -> Vec<Panel16<'_>> {
        let len = (self.pairs * NR).max(1);
        let (high, low) = self.values.as_mut_slice().split_at_mut(self.count * self.pairs * NR);
        let low = low.chunks_exact_mut(len).map(Some).chain(std::iter::repeat_with(|| None));
        high.chunks_exact_mut(len).zip(low).map(|(high, low)| Panel16 { high, low }).collect()
    }

    /// Where row `row` of a panel begins; panels of all matrices are counted, and rows are even.
    pub(crate) fn at(&self, panel: usize, row: usize) -> *const u16 {
        self.values.as_slice()[(panel * self.pairs + row / 2) * NR..].as_ptr().cast()
    }

    /// How far behind a value its lower part is.
    pub(crate) fn low_offset(&self) -> usize {
        if self.split { 2 * self.count * self.pairs * NR } else { 0 }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.values.bytes()
    }
}

/// One panel: pair of rows, column, row of the pair.
#[derive(Debug)]
pub(crate) struct Panel16<'a> {
    high: &'a mut [f32],
    low: Option<&'a mut [f32]>,
}

impl Panel16<'_> {
    /// Fills the first columns of a pair of rows with those rows.
    pub(crate) fn fill(&mut self, pair: usize, (first, second): (&[f32], &[f32])) {
        for (column, (first, second)) in first.iter().zip(second).enumerate() {
            let two = [*first, *second];
            self.high[pair * NR + column] = word(two);
            if let Some(low) = &mut self.low {
                low[pair * NR + column] = word(two.map(|x| x - round(x)));
            }
        }
    }
}
