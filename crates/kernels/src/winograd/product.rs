use std::ops::Range;

use crate::gemm::{Panels, Start, TileArgs};
use crate::simd::{Job, Simd};

/// Depth of one pass: its panel of weights stays in the first-level cache. The transformed inputs are kept in blocks of
/// so many channels, so that the rows of a register tile lie side by side.
pub(super) const DEPTH: usize = 128;

/// f32 in a cache line.
const LINE: usize = 16;

/// Some panels of the products of one of the n² pairs of matrices: tiles by channels, times channels by channels.
///
/// The caller promises: `from` holds blocks of [`DEPTH`] channels (the last may be narrower), each `tiles` rows; `to` has
/// room for `tiles` rows of `width`, and nobody else writes these panels' columns.
#[derive(Debug)]
pub(super) struct ProductTask<'a> {
    pub(super) weights: &'a Panels,
    pub(super) panels: Range<usize>,
    pub(super) tiles: usize,
    pub(super) channels: usize,
    pub(super) from: *const f32,
    pub(super) to: *mut f32,
    pub(super) width: usize,
}

impl Job for ProductTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for panel in self.panels.clone() {
            for offset in (0..self.channels).step_by(DEPTH) {
                let depth = DEPTH.min(self.channels - offset);
                // SAFETY: the blocks before hold `offset` channels of all tiles.
                let block = unsafe { self.from.add(offset * self.tiles) };
                // Each register tile asks for its share of the weights that come next.
                let next = self.weights.at(panel, offset).wrapping_add(depth * S::NR);
                let lines = (depth * S::NR).div_ceil(LINE);
                let share = lines.div_ceil(self.tiles.div_ceil(S::MR));
                for (turn, tile) in (0..self.tiles).step_by(S::MR).enumerate() {
                    for line in turn * share..lines.min((turn + 1) * share) {
                        // SAFETY: a hint, valid or not.
                        unsafe { S::prefetch(next.wrapping_add(line * LINE)) };
                    }
                    let rows = S::MR.min(self.tiles - tile);
                    let mut table = [block; 16];
                    for (row, pointer) in table.iter_mut().enumerate().take(S::MR) {
                        // SAFETY: a row of the block; rows beyond the last repeat it.
                        *pointer = unsafe { block.add((tile + row.min(rows - 1)) * depth) };
                    }
                    let args = TileArgs {
                        table: table.as_ptr(),
                        taps: 1,
                        offset: 0,
                        depth,
                        weights: self.weights.at(panel, offset),
                        start: if offset == 0 { Start::Zero } else { Start::Out },
                        relu: false,
                        // SAFETY: inside the room that the caller promised.
                        out: unsafe { self.to.add(tile * self.width + panel * S::NR) },
                        out_stride: self.width,
                        rows,
                        cols: S::NR,
                    };
                    // SAFETY: as `TileArgs` demands: whole panels, rows of the block.
                    unsafe { S::tile(&args) }
                }
            }
        }
    }
}
