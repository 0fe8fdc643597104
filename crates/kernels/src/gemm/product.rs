use super::{Panels, Product};
use crate::Activation;
use crate::bf16::{Bf16Product, Blocks, PairArgs, Panels16};
use crate::simd::tile::{Ahead, BLOCK, Source, Start, TileArgs};
use crate::simd::{Job, Simd};

/// Some panels of a product of f32.
///
/// The caller promises what [`Product`] says; `blocks` are [`BLOCK`] deep.
#[derive(Debug)]
pub(super) struct F32Task<'a> {
    pub(super) weights: &'a Panels,
    /// The first panel of the matrix.
    pub(super) first: usize,
    pub(super) blocks: Blocks,
    pub(super) depth: usize,
    pub(super) product: Product,
}

impl Job for F32Task<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // The depth of a block is that of one pass: its panel of weights stays in the first-level cache.
        let Blocks { depth, stride } = self.blocks;
        let Product { panels, rows, stored_rows, from, to, row_stride, panel_stride, .. } =
            self.product;
        for (place, panel) in panels.enumerate() {
            let panel = self.first + panel;
            for offset in (0..self.depth).step_by(depth) {
                let depth = depth.min(self.depth - offset);
                // Each register tile asks for its share of the weights that come next.
                let next = self.weights.at(panel, offset).wrapping_add(depth * S::NR);
                let turns = rows.div_ceil(S::BLOCK_MR);
                for (turn, row) in (0..rows).step_by(S::BLOCK_MR).enumerate() {
                    let ahead = Ahead::share([turn, turns], next, [depth, S::NR]);
                    // SAFETY: `row` is a multiple of the register tile below `stored_rows`, which are whole ones, so a
                    // register tile's rows are there from this one on.
                    let first = unsafe { from.add(self.blocks.at(stored_rows, row, offset)) };
                    let args = TileArgs {
                        source: if stride == BLOCK {
                            Source::Block(first, ahead)
                        } else {
                            Source::HalfBlock(first, ahead)
                        },
                        depth,
                        weights: self.weights.at(panel, offset),
                        start: if offset == 0 { Start::Zero } else { Start::Out },
                        residual: None,
                        activation: Activation::None,
                        // SAFETY: a row and a panel of the room that the caller promised.
                        out: unsafe { to.add(row * row_stride + place * panel_stride) },
                        out_stride: row_stride,
                        rows: S::BLOCK_MR.min(rows - row),
                        cols: S::NR,
                    };
                    // SAFETY: the weights' blocks set rows BLOCK or half of it apart, as the source says, each with
                    // `depth` values from `offset` on; `Panels` has whole panels of NR columns; the room is the task's.
                    unsafe { S::tile(&args) }
                }
            }
        }
    }
}

/// The same of bf16.
///
/// The caller promises what [`Product`] says, with whole register tiles of room in `to` too; `depth` is a multiple of the
/// unit's step.
#[derive(Debug)]
pub(super) struct Bf16Task<'a> {
    pub(super) bf16: Bf16Product,
    pub(super) weights: &'a Panels16,
    /// The first panel of the matrix.
    pub(super) first: usize,
    pub(super) blocks: Blocks,
    pub(super) depth: usize,
    pub(super) product: Product,
}

impl Bf16Task<'_> {
    /// # Safety
    /// What the task's fields demand; the processor has the unit.
    pub(super) unsafe fn run(self) {
        let Blocks { depth, stride } = self.blocks;
        let Bf16Product { unit, is_split } = self.bf16;
        let Product { panels, rows, stored_rows, from, low_offset, to, row_stride, panel_stride } =
            self.product;
        let from = from.cast::<u16>();
        let multiply = || {
            for (place, panel) in panels.enumerate() {
                let panel = self.first + panel;
                for offset in (0..self.depth).step_by(depth) {
                    for row in (0..rows).step_by(unit.mr()) {
                        // SAFETY: `row` is a multiple of the unit's rows below `stored_rows`, which are whole register
                        // tiles, as is the room: one is there, in the matrix and in the room.
                        let (rows, out) = unsafe {
                            let rows = from.add(self.blocks.at(stored_rows, row, offset));
                            (rows, to.add(row * row_stride + place * panel_stride))
                        };
                        let args = PairArgs {
                            rows,
                            stride,
                            low_rows: low_offset,
                            depth: depth.min(self.depth - offset),
                            weights: self.weights.at(panel, offset),
                            low_weights: self.weights.low_offset(),
                            add: offset > 0,
                            out,
                            out_stride: row_stride,
                        };
                        // SAFETY: as above; the caller's promise.
                        unsafe { unit.tile(is_split, &args) }
                    }
                }
            }
        };
        // SAFETY: the caller's promise.
        unsafe { unit.session(multiply) }
    }
}
