//! Matrix products with packed weights, of f32 or of bf16: the middle step of Winograd's algorithm and of im2col.

mod panels;
mod product;
mod transposed;

use rayon::prelude::*;
use std::ops::Range;

use crate::bf16::{Bf16Product, Blocks, NR, Panel16, Panels16};
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
    F32(Panels),
    Bf16(Bf16Product, Panels16),
}

/// How matrices are filled: panels of `width` columns side by side, some rows of each in all matrices at once, so that what is
/// between stays in the first-level cache.
struct Filling {
    count: usize,
    depth: usize,
    columns: usize,
    width: usize,
    /// Rows at once, of which the last may be beyond `depth`, and zero.
    rows: usize,
}

/// Which part of the matrices is filled: some columns of some rows.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) rows: Range<usize>,
    pub(crate) columns: Range<usize>,
}

impl Filling {
    /// `panels` are those of one matrix after the other; `pack` gets one of them with some rows, from which one on, and how many
    /// columns they have.
    fn each<P: Send>(
        &self,
        panels: Vec<P>,
        fill: &(impl Fn(Part, &mut [f32]) + Sync),
        pack: impl Fn(&mut P, usize, &[f32], usize) + Sync,
    ) {
        let Self { count, depth, columns, width, rows } = *self;
        let mut all: Vec<Vec<P>> = (0..columns.div_ceil(width)).map(|_| Vec::new()).collect();
        let places = all.len();
        for (index, panel) in panels.into_iter().enumerate() {
            all[index % places].push(panel);
        }
        all.into_par_iter().enumerate().for_each_init(
            Vec::new,
            |values: &mut Vec<f32>, (panel, mut panels)| {
                let first = panel * width;
                let used = width.min(columns - first);
                let len = rows * used;
                for row in (0..depth).step_by(rows) {
                    values.clear();
                    values.resize(count * len, 0.0);
                    let rows = row..depth.min(row + rows);
                    fill(Part { rows, columns: first..first + used }, values);
                    for (panel, values) in panels.iter_mut().zip(values.chunks_exact(len)) {
                        pack(panel, row, values, used);
                    }
                }
            },
        );
    }
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
    /// Packs a matrix of `depth` rows and `columns` columns, of `value(row, column)`.
    pub(crate) fn pack(
        isa: Isa,
        bf16: Option<Bf16Product>,
        [depth, columns]: [usize; 2],
        value: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        Self::pack_many(isa, bf16, [1, depth, columns], |Part { rows, columns }, to| {
            for (row, line) in rows.zip(to.chunks_exact_mut(columns.len())) {
                line.iter_mut()
                    .zip(columns.clone())
                    .for_each(|(to, column)| *to = value(row, column));
            }
        })
    }

    /// Packs `count` matrices of `depth` rows and `columns` columns. `fill` writes a part of all of them: matrix, row, column among
    /// those. There may be room for a row beyond the part's last, which stays zero.
    pub(crate) fn pack_many(
        isa: Isa,
        bf16: Option<Bf16Product>,
        [count, depth, columns]: [usize; 3],
        fill: impl Fn(Part, &mut [f32]) + Sync,
    ) -> Self {
        let Some(bf16) = bf16 else {
            let nr = simd::shape(isa).nr;
            let mut matrices = Panels::zeroed(count, depth, columns, nr);
            let filling = Filling { count, depth, columns, width: nr, rows: 1 };
            let pack = |panel: &mut &mut [f32], row: usize, from: &[f32], width: usize| {
                panel[row * nr..][..width].copy_from_slice(from);
            };
            filling.each(matrices.panels_mut(), &fill, pack);
            let matrices = Matrices::F32(matrices);
            let stride = if depth <= BLOCK / 2 { BLOCK / 2 } else { BLOCK };
            return Self { isa, matrices, blocks: Blocks { depth: BLOCK, stride }, depth, columns };
        };
        let whole = depth.next_multiple_of(bf16.unit.step());
        let mut matrices = Panels16::zeroed(count, whole, columns, bf16.is_split);
        let filling = Filling { count, depth, columns, width: NR, rows: 2 };
        let pack = |panel: &mut Panel16<'_>, row: usize, from: &[f32], width: usize| {
            panel.fill(row / 2, from.split_at(width));
        };
        filling.each(matrices.panels_mut(), &fill, pack);
        let matrices = Matrices::Bf16(bf16, matrices);
        Self { isa, matrices, blocks: bf16.unit.blocks(whole), depth: whole, columns }
    }

    /// The matrices, where they are of f32.
    pub(crate) fn f32_panels_mut(&mut self) -> Option<&mut Panels> {
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
            Matrices::F32(panels) => panels.bytes(),
            Matrices::Bf16(_, panels) => panels.bytes(),
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
                let first = matrix * self.panels();
                let task = F32Task { weights: panels, first, blocks, depth, product };
                // SAFETY: the caller's promise.
                unsafe { dispatch(self.isa, task) }
            }
            Matrices::Bf16(bf16, panels) => {
                let (bf16, first) = (*bf16, matrix * self.panels());
                let task = Bf16Task { bf16, weights: panels, first, blocks, depth, product };
                // SAFETY: the caller's promise; the unit is one that the instruction set has.
                unsafe { task.run() }
            }
        }
    }
}
