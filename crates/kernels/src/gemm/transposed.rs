//! Products whose left operand is stored transposed: sums over pixels or rows of a batch, as gradients of weights are.

use crate::simd::tile::{Source, Start, TileArgs};
use crate::simd::{Job, Simd, shape};
use crate::{Activation, Isa};

/// Steps of depth a pass, at most: the panels that a register tile reads stay in the first-level cache.
const DEPTH: usize = 128;

/// Rows of the left operand that are stored side by side: whole register tiles, and whole vectors.
pub(crate) fn row_block(isa: Isa) -> usize {
    let shape = shape(isa);
    (1..).map(|n| n * shape.block_mr).find(|rows| rows.is_multiple_of(shape.lanes)).unwrap_or(1)
}

/// Σ over depth of left[k][row] · right[k][column]: one block of rows by all columns.
///
/// The caller promises: `left` is a block of [`row_block`] rows, a step of depth after the other; `right` holds panels of `NR`
/// columns, each with all steps of depth; all of it is set for rows and columns that count, and readable for the others.
/// `to` has room for `rows` rows of `columns`, and nobody else writes there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransposedProduct {
    pub(crate) left: *const f32,
    pub(crate) rows: usize,
    pub(crate) right: *const f32,
    pub(crate) columns: usize,
    pub(crate) depth: usize,
    /// To what is there already.
    pub(crate) add: bool,
    pub(crate) to: *mut f32,
    pub(crate) row_stride: usize,
}

impl Job for TransposedProduct {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let block = row_block_of::<S>();
        // As few passes as that allows, and those of equal depth.
        let pass = self.depth.div_ceil(self.depth.div_ceil(DEPTH).max(1)).max(1);
        for offset in (0..self.depth).step_by(pass) {
            let depth = pass.min(self.depth - offset);
            for panel in 0..self.columns.div_ceil(S::NR) {
                for row in (0..self.rows).step_by(S::BLOCK_MR) {
                    // SAFETY: the task's fields.
                    unsafe {
                        let args = TileArgs {
                            source: Source::Depth {
                                first: self.left.add(offset * block + row),
                                stride: block,
                            },
                            depth,
                            weights: self.right.add((panel * self.depth + offset) * S::NR),
                            start: if self.add || offset > 0 { Start::Out } else { Start::Zero },
                            residual: None,
                            activation: Activation::None,
                            out: self.to.add(row * self.row_stride + panel * S::NR),
                            out_stride: self.row_stride,
                            rows: S::BLOCK_MR.min(self.rows - row),
                            cols: S::NR.min(self.columns - panel * S::NR),
                        };
                        S::tile(&args);
                    }
                }
            }
        }
    }
}

/// [`row_block`] of the instruction set.
#[inline(always)]
const fn row_block_of<S: Simd>() -> usize {
    let mut rows = S::BLOCK_MR;
    while rows % S::LANES != 0 {
        rows += S::BLOCK_MR;
    }
    rows
}
