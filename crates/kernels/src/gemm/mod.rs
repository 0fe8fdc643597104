//! Matrix products with packed weights, of f32 or of bf16: the middle step of Winograd's algorithm and of im2col.

mod panels;
mod product;
mod transposed;

use std::ops::Range;

use crate::bf16::{Bf16Product, Blocks, NR, Panels16};
use crate::simd::tile::BLOCK;
use crate::simd::{self, dispatch};
use crate::{Isa, Products};
pub(crate) use panels::Panels;
use product::{Bf16Task, F32Task};
pub(crate) use transposed::{TransposedProduct, row_block};

/// Right operands, packed for an instruction set: one matrix, or several of equal size.
#[derive(Debug)]
pub(crate) struct PackedWeights {
    isa: Isa,
    matrices: Matrices,
    /// How rows of the left operand are laid out.
    blocks: Blocks,
    /// Rows of a matrix, and columns.
    depth: usize,
    columns: usize,
}

#[derive(Debug)]
enum Matrices {
    F32(Vec<Panels>),
    Bf16(Bf16Product, Vec<Panels16>),
}

/// Where a product's left operand is, and where its sums go.
///
/// The caller promises: `from` holds a matrix of `stored_rows` rows, whole register tiles of them, in the weights'
/// [`blocks`](PackedWeights::blocks), of elements as the weights' [`operand`](PackedWeights::operand) says (and the lower parts
/// of split ones `low_offset` elements further on); all values of `depth` are set in the first `rows`. `to` has room for
/// the panels of as many rows, and nobody else writes there.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(crate) panels: Range<usize>,
    /// Rows that count.
    pub(crate) rows: usize,
    pub(crate) stored_rows: usize,
    pub(crate) from: *const f32,
    pub(crate) low_offset: usize,
    pub(crate) to: *mut f32,
    /// f32 from one row of sums to the next, and from the first panel to the next.
    pub(crate) row_stride: usize,
    pub(crate) panel_stride: usize,
}

impl PackedWeights {
    /// Packs `count` matrices of `depth` rows and `columns` columns, of `value(matrix, row, column)`.
    pub(crate) fn pack(
        isa: Isa,
        bf16: Option<Bf16Product>,
        [count, depth, columns]: [usize; 3],
        value: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let Some(bf16) = bf16 else {
            let nr = simd::shape(isa).nr;
            let pack =
                |matrix| Panels::pack(depth, columns, nr, |row, col| value(matrix, row, col));
            let matrices = Matrices::F32((0..count).map(pack).collect());
            let stride = if depth <= BLOCK / 2 { BLOCK / 2 } else { BLOCK };
            return Self { isa, matrices, blocks: Blocks { depth: BLOCK, stride }, depth, columns };
        };
        let whole = depth.next_multiple_of(bf16.unit.step());
        let pack = |matrix| {
            Panels16::pack(whole, columns, bf16.is_split, |row, column| {
                if row < depth { value(matrix, row, column) } else { 0.0 }
            })
        };
        let matrices = Matrices::Bf16(bf16, (0..count).map(pack).collect());
        Self { isa, matrices, blocks: bf16.unit.blocks(whole), depth: whole, columns }
    }

    /// The matrices, where they are of f32.
    pub(crate) fn f32_panels_mut(&mut self) -> Option<&mut [Panels]> {
        match &mut self.matrices {
            Matrices::F32(panels) => Some(panels),
            Matrices::Bf16(..) => None,
        }
    }

    /// Values of a row of the left operand: those beyond the depth that was packed must be zero.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// How rows of the left operand are laid out.
    pub(crate) fn blocks(&self) -> Blocks {
        self.blocks
    }

    /// Elements of a left operand of so many rows.
    pub(crate) fn operand_len(&self, rows: usize) -> usize {
        self.blocks.len(rows, self.depth)
    }

    /// What elements of the left operand are.
    pub(crate) fn operand(&self) -> Products {
        match &self.matrices {
            Matrices::F32(_) => Products::F32,
            Matrices::Bf16(Bf16Product { is_split: false, .. }, _) => Products::Bf16,
            Matrices::Bf16(Bf16Product { is_split: true, .. }, _) => Products::Bf16Pair,
        }
    }

    /// Rows of the register tile.
    pub(crate) fn tile_rows(&self) -> usize {
        match &self.matrices {
            Matrices::F32(_) => simd::shape(self.isa).block_mr,
            Matrices::Bf16(bf16, _) => bf16.unit.mr(),
        }
    }

    /// Columns of the register tile, which are those of a panel.
    pub(crate) fn tile_columns(&self) -> usize {
        match &self.matrices {
            Matrices::F32(_) => simd::shape(self.isa).nr,
            Matrices::Bf16(..) => NR,
        }
    }

    /// Panels of each matrix.
    pub(crate) fn panels(&self) -> usize {
        self.columns.div_ceil(self.tile_columns())
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        match &self.matrices {
            Matrices::F32(panels) => panels.iter().map(Panels::bytes).sum(),
            Matrices::Bf16(_, panels) => panels.iter().map(Panels16::bytes).sum(),
        }
    }

    /// The product with one of the matrices.
    ///
    /// # Safety
    /// [`Product`]; the instruction set is available.
    pub(crate) unsafe fn multiply(&self, matrix: usize, product: Product) {
        let Self { blocks, depth, .. } = *self;
        match &self.matrices {
            Matrices::F32(panels) => {
                let task = F32Task { weights: &panels[matrix], blocks, depth, product };
                // SAFETY: the caller's promise.
                unsafe { dispatch(self.isa, task) }
            }
            Matrices::Bf16(bf16, panels) => {
                let task =
                    Bf16Task { bf16: *bf16, weights: &panels[matrix], blocks, depth, product };
                // SAFETY: the caller's promise; the unit is one that the instruction set has.
                unsafe { task.run() }
            }
        }
    }
}
