use std::ops::Range;

use crate::Activation;
use crate::bf16::{Blocks, NR, PairArgs, Panels16, Unit};
use crate::gemm::{BLOCK, Panels, Source, Start, TileArgs};
use crate::simd::{Job, Simd};

/// How f32 rows lie. The depth is that of one pass: its panel of weights stays in the first-level cache.
pub(super) fn blocks(channels: usize) -> Blocks {
    Blocks { depth: BLOCK, stride: if channels <= BLOCK / 2 { BLOCK / 2 } else { BLOCK } }
}

/// f32 in a cache line.
const LINE: usize = 16;

/// Some panels of the products of one of the n² pairs of matrices: tiles by channels, times channels by channels.
///
/// The caller promises: `from` holds a matrix of `rows` rows in `blocks`, whole register tiles of them; `to` has room for
/// as many of `width`, and nobody else writes these panels' columns.
#[derive(Debug)]
pub(super) struct ProductTask<'a> {
    pub(super) weights: &'a Panels,
    pub(super) panels: Range<usize>,
    /// Rows that count.
    pub(super) tiles: usize,
    pub(super) rows: usize,
    pub(super) blocks: Blocks,
    pub(super) channels: usize,
    pub(super) from: *const f32,
    pub(super) to: *mut f32,
    pub(super) width: usize,
}

impl Job for ProductTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Blocks { depth, stride } = self.blocks;
        for panel in self.panels.clone() {
            for offset in (0..self.channels).step_by(depth) {
                let depth = depth.min(self.channels - offset);
                // Each register tile asks for its share of the weights that come next.
                let next = self.weights.at(panel, offset).wrapping_add(depth * S::NR);
                let lines = (depth * S::NR).div_ceil(LINE);
                let share = lines.div_ceil(self.tiles.div_ceil(S::BLOCK_MR));
                for (turn, tile) in (0..self.tiles).step_by(S::BLOCK_MR).enumerate() {
                    for line in turn * share..lines.min((turn + 1) * share) {
                        // SAFETY: a hint, valid or not.
                        unsafe { S::prefetch(next.wrapping_add(line * LINE)) };
                    }
                    // SAFETY: `tile` is a multiple of the register tile below `rows`, which the caller rounded up to one,
                    // so a register tile's rows are there from this one on.
                    let first = unsafe { self.from.add(self.blocks.at(self.rows, tile, offset)) };
                    let args = TileArgs {
                        source: if stride == BLOCK {
                            Source::Block(first)
                        } else {
                            Source::HalfBlock(first)
                        },
                        depth,
                        weights: self.weights.at(panel, offset),
                        start: if offset == 0 { Start::Zero } else { Start::Out },
                        activation: Activation::None,
                        // SAFETY: row `tile` and the first column of a panel of the room that the caller promised.
                        out: unsafe { self.to.add(tile * self.width + panel * S::NR) },
                        out_stride: self.width,
                        rows: S::BLOCK_MR.min(self.tiles - tile),
                        cols: S::NR,
                    };
                    // SAFETY: `blocks` sets rows BLOCK or half of it apart, as the source says, each with `depth` values
                    // from `offset` on; `Panels` has whole panels of NR columns; the columns are this task's.
                    unsafe { S::tile(&args) }
                }
            }
        }
    }
}

/// The same with bf16 operands.
///
/// The caller promises the same, with whole register tiles of room in `to` too, and `low` as in [`PairArgs`].
#[derive(Debug)]
pub(super) struct PairProductTask<'a> {
    pub(super) unit: Unit,
    pub(super) split: bool,
    pub(super) weights: &'a Panels16,
    pub(super) panels: Range<usize>,
    pub(super) rows: usize,
    pub(super) blocks: Blocks,
    pub(super) channels: usize,
    pub(super) from: *const u16,
    pub(super) low: usize,
    pub(super) to: *mut f32,
    pub(super) width: usize,
}

impl PairProductTask<'_> {
    /// # Safety
    /// What the task's fields demand; the processor has the unit.
    pub(super) unsafe fn run(self) {
        let Blocks { depth, stride } = self.blocks;
        let multiply = || {
            for panel in self.panels.clone() {
                for offset in (0..self.channels).step_by(depth) {
                    for tile in (0..self.rows).step_by(self.unit.mr()) {
                        // SAFETY: `tile` is a multiple of the unit's rows below `rows`, which the caller rounded up to
                        // one, and `width` is whole panels: a register tile is there, in the matrix and in the room.
                        let (rows, out) = unsafe {
                            let rows = self.from.add(self.blocks.at(self.rows, tile, offset));
                            (rows, self.to.add(tile * self.width + panel * NR))
                        };
                        let args = PairArgs {
                            rows,
                            stride,
                            low_rows: self.low,
                            depth: depth.min(self.channels - offset),
                            weights: self.weights.at(panel, offset),
                            low_weights: self.weights.low(),
                            add: offset > 0,
                            out,
                            out_stride: self.width,
                        };
                        // SAFETY: as above; the caller's promise.
                        unsafe { self.unit.tile(self.split, &args) }
                    }
                }
            }
        };
        // SAFETY: the caller's promise.
        unsafe { self.unit.session(multiply) }
    }
}
