use std::marker::PhantomData;
use std::ops::Range;

use super::finish::{Finish, Sink};
use super::layout::BLOCK;
use super::tile::{self, Call, ROWS, SUMS};
use super::weights::COLUMNS;
use super::{Blocked, Images, PATCH_CHANNELS, lines};
use crate::bf16::{Bf16, Bf16Pair, Operand};
use crate::simd::dispatch;
use crate::workspace::Space;

/// Bytes that are asked for at once.
const CACHE_LINE: usize = 64;

/// Some rows of an image and some panels of output channels.
pub(super) struct Task<'a> {
    pub(super) plan: &'a Blocked,
    pub(super) all: Images<'a>,
    pub(super) image: usize,
    pub(super) rows: Range<usize>,
    pub(super) panels: Range<usize>,
    /// Which of a panel's tasks it is, of how many.
    pub(super) turn: [usize; 2],
}

/// Sums that are whole and were not finished.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    sums: *const f32,
    first: usize,
    count: usize,
}

impl<'a> Task<'a> {
    /// # Safety
    /// A session of tiles is open; the caller of the convolution gave it room for all images, of which nobody else writes this task's
    /// rows and panels.
    pub(super) unsafe fn run(&self, space: &mut Space) {
        let plan = self.plan;
        let rows = self.rows.len();
        space.products.reserve(plan.sums_len());
        space.inputs.reserve(plan.patches_len(rows));
        let sums = space.products.as_mut_ptr();
        let patches = space.inputs.as_mut_ptr().cast::<u16>();
        // SAFETY: the space was sized for this task just above; the caller's promise.
        unsafe {
            if plan.patches {
                if plan.is_split {
                    self.gather::<Bf16Pair>(patches);
                } else {
                    self.gather::<Bf16>(patches);
                }
            }
            self.clear_borders();
            let step = if plan.pool { plan.pool_rows } else { rows };
            for first in self.rows.clone().step_by(step) {
                let rows = first..(first + step).min(self.rows.end);
                for panel in self.panels.clone() {
                    if plan.pool {
                        self.pooled(panel, rows.clone(), patches, sums);
                    } else {
                        self.plain(panel, rows.clone(), patches, sums);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`run`](Self::run); `to` has room for the patches of all rows.
    unsafe fn gather<O: Operand<Element = u16>>(&self, to: *mut u16) {
        let plan = self.plan;
        let [height, width, channels] = plan.input;
        let len = height * width * channels;
        let lines = plan.patch_lines(self.rows.len());
        let task = lines::Patches::<{ 3 * PATCH_CHANNELS }, O> {
            image: &self.all.input[self.image * len..][..len],
            height,
            width,
            rows: self.rows.clone(),
            lines: to,
            low: if plan.is_split { lines / 2 * BLOCK } else { 0 },
            // SAFETY: `patches_len` counts the rounded rows behind all lines.
            rounded: unsafe { to.add(lines * BLOCK) },
            operand: PhantomData,
        };
        // SAFETY: `patches_len` has room for all lines and the rounded rows; `isa` was detected.
        unsafe { dispatch(plan.isa, task) }
    }

    /// Where a panel's output goes.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn sink(&self, panel: usize) -> Sink<'a> {
        let plan = self.plan;
        let Images { output, residual, .. } = self.all;
        if let Some(layout) = plan.to {
            let at = self.image * layout.image_len() + panel * layout.block_stride();
            // SAFETY: the caller's promise: there is room for all images.
            return Sink::Block(unsafe { output.data.get().cast::<u16>().add(at) }, layout);
        }
        let [height, width, _] = plan.input;
        let pixels = if plan.pool { (height / 2) * (width / 2) } else { height * width };
        let channel = panel * COLUMNS;
        let channels = plan.out_channels;
        let words = output.form.words(pixels * channels);
        Sink::Pixels {
            place: output,
            first: self.image * pixels,
            channel,
            columns: (channels - channel).min(COLUMNS),
            residual: residual.map(|all| &all[self.image * words..][..words]),
            channels,
        }
    }

    /// The zeros above and below the output, by the tasks of its first and last rows.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn clear_borders(&self) {
        let (above, below) = (self.rows.start == 0, self.rows.end == self.plan.rows());
        for panel in self.panels.clone() {
            // SAFETY: the caller's promise; those lines are this task's, as the first or the last row is.
            unsafe {
                if let Sink::Block(block, layout) = self.sink(panel) {
                    layout.clear_border(block, above, below);
                }
            }
        }
    }

    /// The sums of `tiles` matrix tiles of lines, from line `first` of the row `row` on.
    ///
    /// # Safety
    /// As [`run`](Self::run); `out` has room for the sums; the lines are of rows of the image, or within a matrix tile of them.
    unsafe fn sum(
        &self,
        panel: usize,
        row: usize,
        first: usize,
        tiles: usize,
        patches: *const u16,
        out: *mut f32,
    ) {
        let plan = self.plan;
        let layout = plan.lines;
        let weights = plan.weights.panel(panel);
        let bytes = |lines: usize| lines * BLOCK * size_of::<u16>();
        // How far the task is, counted from its first line.
        let done = (row - self.rows.start) * layout.pitch() + first;
        let call = if plan.patches {
            let lines = patches.wrapping_add(done * BLOCK);
            let parts = plan.patch_lines(self.rows.len());
            let low = if plan.is_split { bytes(parts / 2) } else { 0 };
            debug_assert!(done + tiles * ROWS <= if plan.is_split { parts / 2 } else { parts });
            let (row, block, blocks, next) = (0, 0, 1, lines);
            let (ahead, ahead_lines) = (std::ptr::null(), 0);
            Call { lines, row, block, low, weights, blocks, next, ahead, ahead_lines, out }
        } else {
            // From the line above and left of the first pixel on.
            let line = layout.line(row, 0) + first - layout.pitch() - 1;
            debug_assert!(line + 2 * (layout.pitch() + 1) + tiles * ROWS <= layout.lines());
            let image = self.all.input[self.image * layout.len()..].as_ptr().cast::<u16>();
            let lines = image.wrapping_add(line * BLOCK);
            let (ahead, ahead_lines) = self.ahead(panel, done, tiles);
            Call {
                lines,
                row: bytes(layout.pitch()),
                block: layout.block_stride() * size_of::<u16>(),
                low: layout.low_offset() * size_of::<u16>(),
                weights,
                blocks: layout.blocks(),
                next: lines.wrapping_add(tiles * ROWS * BLOCK),
                ahead,
                ahead_lines,
                out,
            }
        };
        // SAFETY: a session is open, and the call is made of what is there.
        unsafe { tile::tile(plan.products(), tiles, &call) }
    }

    /// The share of the next panel's weights that a register tile asks for, and in how many cache lines with each block of channels.
    fn ahead(&self, panel: usize, done: usize, tiles: usize) -> (*const u8, usize) {
        let plan = self.plan;
        if self.panels.len() > 1 || panel + 1 == plan.weights.panels() {
            return (std::ptr::null(), 0);
        }
        let [turn, turns] = self.turn;
        let lines = self.rows.len() * plan.lines.pitch();
        let (done, all) = (turn * lines + done, turns * lines);
        let share = |lines: usize| plan.weights.panel_bytes() * lines / all / CACHE_LINE;
        let from = plan.weights.panel(panel + 1).cast::<u8>();
        let each = share(tiles * ROWS).div_ceil(plan.lines.blocks());
        (from.wrapping_add(share(done) * CACHE_LINE), each)
    }

    /// Rows without a pool: a register tile is finished while the next one is multiplied.
    ///
    /// # Safety
    /// As [`run`](Self::run); `sums` has room for two register tiles.
    unsafe fn plain(&self, panel: usize, rows: Range<usize>, patches: *const u16, sums: *mut f32) {
        let plan = self.plan;
        let lines = rows.len() * plan.lines.pitch();
        let most = plan.products().most_tiles();
        let mut waiting: Option<Waiting> = None;
        let mut first = 0;
        let mut turn = 0;
        while first < lines {
            let tiles = (lines - first).div_ceil(ROWS).min(most);
            let count = (tiles * ROWS).min(lines - first);
            // SAFETY: two register tiles, used in turns; the caller's promise.
            unsafe {
                let out = sums.add(turn * most * ROWS * SUMS);
                self.sum(panel, rows.start, first, tiles, patches, out);
                if let Some(waiting) = waiting.replace(Waiting { sums: out, first, count }) {
                    self.finish(panel, rows.start, waiting);
                }
            }
            first += count;
            turn ^= 1;
        }
        if let Some(waiting) = waiting {
            // SAFETY: the caller's promise.
            unsafe { self.finish(panel, rows.start, waiting) }
        }
    }

    /// Rows whose sums are pooled when all are there.
    ///
    /// # Safety
    /// As [`run`](Self::run); `sums` has room for whole matrix tiles of the rows' lines.
    unsafe fn pooled(&self, panel: usize, rows: Range<usize>, patches: *const u16, sums: *mut f32) {
        let plan = self.plan;
        let lines = rows.len() * plan.lines.pitch();
        let step = plan.products().most_tiles() * ROWS;
        for first in (0..lines).step_by(step) {
            let tiles = (lines - first).min(step).div_ceil(ROWS);
            // SAFETY: the caller's promise.
            unsafe {
                let out = sums.add(first * SUMS);
                self.sum(panel, rows.start, first, tiles, patches, out);
            }
        }
        // SAFETY: all sums are there.
        unsafe { self.finish(panel, rows.start, Waiting { sums, first: 0, count: lines }) }
    }

    /// # Safety
    /// As [`run`](Self::run); the sums are there.
    unsafe fn finish(&self, panel: usize, row: usize, Waiting { sums, first, count }: Waiting) {
        let plan = self.plan;
        // SAFETY: the caller's promise; matrix tiles are there only where AVX-512 is.
        unsafe {
            let finish = Finish {
                sums,
                row,
                first,
                count,
                width: plan.input[1],
                pool: plan.pool,
                bias: plan.bias.as_slice()[panel * COLUMNS..].as_ptr(),
                activation: plan.activation,
                sink: self.sink(panel),
            };
            finish.run(plan.native);
        }
    }
}
