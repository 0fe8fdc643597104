use std::ops::Range;

use super::{Direct, PIXELS};
use crate::gemm::{Source, Start, TileArgs};
use crate::memory::Buffer;
use crate::pool::MaxPool;
use crate::simd::{Job, Simd};

/// Depth of weights that one pass takes: a panel of it stays in the first-level cache.
const DEPTH: usize = 256;

/// A pointer in a table.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
struct Row(*const f32);

// SAFETY: only a number while it rests in a table; every task fills its table anew before it reads it.
unsafe impl Send for Row {}

/// What a task needs beside its output, reused by the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Block of MR pixels, tap, pixel.
    table: Vec<Row>,
    /// Lines of windows with their zeros.
    patches: Buffer,
    rows: Buffer,
}

impl Scratch {
    /// An empty table with room for so many rows and no more, as the estimate has it.
    fn begin_table(&mut self, rows: usize) {
        self.table.clear();
        if self.table.capacity() < rows {
            self.table = Vec::new();
            self.table.reserve_exact(rows);
        }
    }
}

/// Some rows and panels of one image's output.
///
/// The caller promises that `out` is that image's output and that no other task has the same rows and panels.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub(super) plan: &'a Direct,
    pub(super) image: &'a [f32],
    pub(super) out: *mut f32,
    /// Rows of the convolution's output; begins at an even one and has an even number where the pool is fused.
    pub(super) rows: Range<usize>,
    pub(super) panels: Range<usize>,
    pub(super) scratch: &'a mut Scratch,
}

impl Job for Task<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { plan, image, out, rows, panels, scratch } = self;
        let [_, ow, oc] = plan.output;
        let group_out = oc / plan.groups;
        let pixels = rows.len() * ow;
        // SAFETY: `conv` points at `pixels · oc` f32 that only this task writes (columns of its panels): its own
        // scratch, or its rows of the output. Tables hold pointers into the image, the zeros or the patches.
        unsafe {
            let conv = if plan.pool {
                scratch.rows.reserve(pixels * oc);
                scratch.rows.as_mut_ptr()
            } else {
                out.add(rows.start * ow * oc)
            };
            for group in 0..plan.groups {
                let mut first = 0;
                while first < pixels {
                    let count = (pixels - first).min(PIXELS.next_multiple_of(S::MR));
                    let pixel = rows.start * ow + first;
                    if plan.lines {
                        point_at_lines::<S>(plan, image, pixel, count, scratch);
                    } else {
                        point::<S>(plan, image, group, pixel, count, scratch);
                    }
                    let to = conv.add(first * oc + group * group_out);
                    multiply::<S>(plan, group, panels.clone(), count, &scratch.table, to);
                    first += count;
                }
            }
            if plan.pool {
                let nr = plan.shape.nr;
                for group in 0..plan.groups {
                    MaxPool {
                        source: conv,
                        width: ow,
                        channels: oc,
                        size: [2, 2],
                        stride: [2, 2],
                        out: out.add(rows.start / 2 * (ow / 2) * oc),
                        rows: rows.len() / 2,
                        columns: ow / 2,
                        first: group * group_out + (panels.start * nr).min(group_out),
                        last: group * group_out + (panels.end * nr).min(group_out),
                    }
                    .run::<S>();
                }
            }
        }
    }
}

/// Where tap (`ky`, `kx`) of output pixel `pixel` lies in the image, if it does.
#[inline(always)]
fn source(plan: &Direct, pixel: usize, ky: usize, kx: usize) -> Option<usize> {
    let ow = plan.output[1];
    let y = (pixel / ow * plan.stride[0] + ky).checked_sub(plan.padding[0])?;
    let x = (pixel % ow * plan.stride[1] + kx).checked_sub(plan.padding[1])?;
    (y < plan.input[0] && x < plan.input[1]).then(|| (y * plan.input[1] + x) * plan.input[2])
}

/// Fills the table with pointers into the image: block, tap, pixel. Rows beyond `count` repeat the last.
#[inline(always)]
fn point<S: Simd>(
    plan: &Direct,
    image: &[f32],
    group: usize,
    pixel: usize,
    count: usize,
    scratch: &mut Scratch,
) {
    let channels = plan.input[2] / plan.groups;
    let blocks = count.div_ceil(S::MR);
    scratch.begin_table(blocks * plan.taps() * S::MR);
    for block in 0..blocks {
        for ky in 0..plan.kernel[0] {
            for kx in 0..plan.kernel[1] {
                for row in 0..S::MR {
                    let p = pixel + (block * S::MR + row).min(count - 1);
                    let line = match source(plan, p, ky, kx) {
                        Some(at) => &image[at + group * channels..][..channels],
                        None => plan.zeros.as_slice(),
                    };
                    scratch.table.push(Row(line.as_ptr()));
                }
            }
        }
    }
}

/// Fills the table with pointers to whole lines of the kernel's window, which lie side by side in the image; those that
/// reach over its left or right edge are copied, with their zeros.
#[inline(always)]
fn point_at_lines<S: Simd>(
    plan: &Direct,
    image: &[f32],
    pixel: usize,
    count: usize,
    scratch: &mut Scratch,
) {
    let [h, w, channels] = plan.input;
    let ([kh, kw], ow, depth) = (plan.kernel, plan.output[1], plan.tap_depth());
    scratch.patches.reserve(count.next_multiple_of(S::MR) * kh * depth);
    let blocks = count.div_ceil(S::MR);
    scratch.begin_table(blocks * kh * S::MR);
    let mut patches = scratch.patches.as_mut_slice().chunks_exact_mut(depth);
    scratch.table.resize(blocks * kh * S::MR, Row(plan.zeros.as_slice().as_ptr()));
    let (mut oy, mut ox) = (pixel / ow, pixel % ow);
    for index in 0..blocks * S::MR {
        let x = (ox * plan.stride[1]).wrapping_sub(plan.padding[1]);
        let inside = x < w && x + kw <= w;
        for ky in 0..kh {
            let y = (oy * plan.stride[0] + ky).wrapping_sub(plan.padding[0]);
            if y >= h {
                continue;
            }
            let line = if inside {
                &image[(y * w + x) * channels..][..depth]
            } else {
                let Some(patch) = patches.next() else { return };
                for (kx, to) in patch.chunks_exact_mut(channels).enumerate() {
                    let x = x.wrapping_add(kx);
                    if x < w {
                        to.copy_from_slice(&image[(y * w + x) * channels..][..channels]);
                    } else {
                        to.fill(0.0);
                    }
                }
                patch
            };
            let place = (index / S::MR * kh + ky) * S::MR + index % S::MR;
            scratch.table[place] = Row(line.as_ptr());
        }
        // Rows beyond the last pixel repeat it.
        if index + 1 < count {
            ox += 1;
            if ox == ow {
                (oy, ox) = (oy + 1, 0);
            }
        }
    }
}

/// The blocks of `count` pixels times the panels, in passes of at most [`DEPTH`].
///
/// # Safety
/// `to` has room for `count` rows of the output's channels; nobody else writes the panels' columns.
#[inline(always)]
unsafe fn multiply<S: Simd>(
    plan: &Direct,
    group: usize,
    panels: Range<usize>,
    count: usize,
    table: &[Row],
    to: *mut f32,
) {
    let weights = &plan.weights[group];
    let (taps, channels) = (plan.taps(), plan.tap_depth());
    let taps_a_pass = (DEPTH / channels).clamp(1, taps);
    let depth_a_pass = channels.min(DEPTH);
    let bias = &plan.bias.as_slice()[group * weights.count() * S::NR..][..weights.count() * S::NR];
    for panel in panels {
        let mut tap = 0;
        while tap < taps {
            let pass_taps = taps_a_pass.min(taps - tap);
            let mut offset = 0;
            while offset < channels {
                let depth = depth_a_pass.min(channels - offset);
                let is_first = tap == 0 && offset == 0;
                let is_last = tap + pass_taps == taps && offset + depth == channels;
                for block in 0..count.div_ceil(S::MR) {
                    let at = (block * taps + tap) * S::MR;
                    let args = TileArgs {
                        source: Source::Table {
                            table: table[at..at + pass_taps * S::MR].as_ptr().cast(),
                            taps: pass_taps,
                            offset,
                        },
                        depth,
                        weights: weights.at(panel, tap * channels + offset),
                        start: if is_first {
                            Start::Bias(bias[panel * S::NR..].as_ptr())
                        } else {
                            Start::Out
                        },
                        relu: plan.relu && is_last,
                        // SAFETY: the block begins before `count` and the panel before the group's last column, so this
                        // is inside the room that the caller promised.
                        out: unsafe { to.add(block * S::MR * plan.output[2] + panel * S::NR) },
                        out_stride: plan.output[2],
                        rows: (count - block * S::MR).min(S::MR),
                        cols: weights.columns(panel),
                    };
                    // SAFETY: `point` and `point_at_lines` filled `table` with whole blocks of `S::MR` pointers a tap,
                    // each to `channels` values; `Panels` holds taps · channels rows; `rows` and `cols` stop at the room's
                    // edge, and the panel's columns are this task's (the caller's promise).
                    unsafe { S::tile(&args) }
                }
                offset += depth;
            }
            tap += pass_taps;
        }
    }
}
