use super::NR;
use super::operand::{round, upper};
use crate::memory::Buffer;

/// A matrix of `depth` rows and `columns` columns in bf16, cut into panels of [`NR`] columns: panel, pair of rows,
/// column within the panel, row of the pair. The last panel and an odd last pair are filled up with zeros. Where
/// values are split, the lower parts follow in the same order.
#[derive(Debug)]
pub(crate) struct Panels16 {
    /// Two bf16 in the place of each f32.
    values: Buffer,
    pairs: usize,
    count: usize,
    split: bool,
}

impl Panels16 {
    /// Packs `value(row, column)`.
    pub(crate) fn pack(
        depth: usize,
        columns: usize,
        split: bool,
        value: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let (pairs, count) = (depth.div_ceil(2), columns.div_ceil(NR));
        let plane = count * pairs * NR;
        let mut values = Buffer::zeroed(if split { 2 * plane } else { plane });
        let (high, low) = values.as_mut_slice().split_at_mut(plane);
        let half = |x: f32| u32::from(upper(round(x)));
        for column in 0..columns {
            for pair in 0..pairs {
                let at = (column / NR * pairs + pair) * NR + column % NR;
                let mut two = [value(2 * pair, column), 0.0];
                if 2 * pair + 1 < depth {
                    two[1] = value(2 * pair + 1, column);
                }
                let word = |[first, second]: [f32; 2]| {
                    // The first of the pair is first in memory.
                    f32::from_bits(half(first) | half(second) << 16)
                };
                high[at] = word(two);
                if split {
                    low[at] = word(two.map(|x| x - round(x)));
                }
            }
        }
        Self { values, pairs, count, split }
    }

    /// Where row `row` of a panel begins; even rows only.
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
