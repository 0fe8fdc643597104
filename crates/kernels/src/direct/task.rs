use std::ops::Range;

use super::{Direct, Geometry, PIXELS};
use crate::Activation;
use crate::place::Place;
use crate::pool::MaxPool;
use crate::simd::tile::{Source, Start, TileArgs};
use crate::simd::{Job, Simd};
use crate::workspace::{Row, Scratch};

/// Depth of weights that one pass takes: a panel of it stays in the first-level cache.
const DEPTH: usize = 256;

/// Some pixels and panels of one image's output.
///
/// The caller promises that `out` has room for all images, the first pixel of this one being `pixel_out`, and that no other
/// task has the same pixels and panels.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub(super) plan: &'a Direct,
    pub(super) geometry: Geometry,
    pub(super) image: &'a [f32],
    /// What is added to the whole output of this image.
    pub(super) residual: Option<&'a [f32]>,
    pub(super) out: Place,
    pub(super) pixel_out: usize,
    /// Pixels of the convolution's output; whole pairs of rows where the pool is fused.
    pub(super) pixels: Range<usize>,
    pub(super) panels: Range<usize>,
    pub(super) scratch: &'a mut Scratch,
}

impl Job for Task<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { plan, geometry, image, residual, out, pixel_out, pixels, panels, scratch } =
            self;
        let [_, ow, oc] = geometry.output;
        let group_out = oc / plan.groups;
        let nr = plan.shape.nr;
        let columns = (panels.start * nr).min(group_out)..(panels.end * nr).min(group_out);
        // SAFETY: `conv` points at rows of `stride` channels that only this task writes (columns of its panels): its own
        // scratch, or its pixels of the output. Tables hold pointers into the image, the zeros or the patches.
        unsafe {
            let (conv, stride) = if plan.pool {
                scratch.rows.reserve(pixels.len() * oc);
                (scratch.rows.as_mut_ptr(), oc)
            } else {
                (out.pixel(pixel_out + pixels.start), out.stride)
            };
            let activation = if residual.is_some() { Activation::None } else { plan.activation };
            for group in 0..plan.groups {
                let mut first = 0;
                while first < pixels.len() {
                    let count = (pixels.len() - first).min(PIXELS.next_multiple_of(S::MR));
                    let pixel = pixels.start + first;
                    if plan.lines {
                        point_at_lines::<S>(plan, geometry, image, pixel, count, scratch);
                    } else {
                        point::<S>(plan, geometry, image, group, pixel, count, scratch);
                    }
                    let to = conv.add(first * stride + group * group_out);
                    let rows = Rows { table: &scratch.table, count, to, stride, activation };
                    multiply::<S>(plan, group, panels.clone(), &rows);
                    if let Some(residual) = residual {
                        let from = &residual[pixel * oc + group * group_out..];
                        for row in 0..count {
                            let from = &from[row * oc..][columns.clone()];
                            let to = to.add(row * stride + columns.start);
                            add_and_activate::<S>(from, to, plan.activation);
                        }
                    }
                    first += count;
                }
            }
            if plan.pool {
                for group in 0..plan.groups {
                    MaxPool {
                        source: conv,
                        width: ow,
                        channels: oc,
                        size: [2, 2],
                        stride: [2, 2],
                        out: out.pixel(pixel_out + pixels.start / ow / 2 * (ow / 2)),
                        out_stride: out.stride,
                        rows: pixels.len() / ow / 2,
                        columns: ow / 2,
                        first: group * group_out + columns.start,
                        last: group * group_out + columns.end,
                    }
                    .run::<S>();
                }
            }
        }
    }
}

/// Adds `from` to what is at `to`, and applies the activation.
///
/// # Safety
/// As many values as in `from` are at `to`, and nobody else writes them.
#[inline(always)]
unsafe fn add_and_activate<S: Simd>(from: &[f32], to: *mut f32, activation: Activation) {
    // SAFETY: whole vectors while they fit into `from`; the rest goes through local arrays.
    unsafe {
        let mut c = 0;
        while c + S::LANES <= from.len() {
            let sum = S::add(S::load(to.add(c)), S::load(from[c..].as_ptr()));
            S::store(to.add(c), S::activate(sum, activation));
            c += S::LANES;
        }
        let rest = from.len() - c;
        if rest > 0 {
            let (mut a, mut b) = ([0.0f32; 16], [0.0f32; 16]);
            std::ptr::copy_nonoverlapping(to.add(c), a.as_mut_ptr(), rest);
            b[..rest].copy_from_slice(&from[c..]);
            let sum = S::add(S::load(a.as_ptr()), S::load(b.as_ptr()));
            S::store(a.as_mut_ptr(), S::activate(sum, activation));
            std::ptr::copy_nonoverlapping(a.as_ptr(), to.add(c), rest);
        }
    }
}

/// Where tap (`ky`, `kx`) of output pixel `pixel` is in the image, if it is.
#[inline(always)]
fn source(plan: &Direct, geometry: Geometry, pixel: usize, ky: usize, kx: usize) -> Option<usize> {
    let ([h, w, channels], ow) = (geometry.input, geometry.output[1]);
    let y = (pixel / ow * plan.stride[0] + ky).checked_sub(plan.padding.top)?;
    let x = (pixel % ow * plan.stride[1] + kx).checked_sub(plan.padding.left)?;
    (y < h && x < w).then(|| (y * w + x) * channels)
}

/// Fills the table with pointers into the image: block, tap, pixel. Rows beyond `count` repeat the last.
#[inline(always)]
fn point<S: Simd>(
    plan: &Direct,
    geometry: Geometry,
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
                    let line = match source(plan, geometry, p, ky, kx) {
                        Some(at) => &image[at + group * channels..][..channels],
                        None => plan.zeros.as_slice(),
                    };
                    scratch.table.push(Row(line.as_ptr()));
                }
            }
        }
    }
}

/// Fills the table with pointers to whole lines of the kernel's window, which are side by side in the image; those that
/// reach over its left or right edge are copied, with their zeros.
#[inline(always)]
fn point_at_lines<S: Simd>(
    plan: &Direct,
    geometry: Geometry,
    image: &[f32],
    pixel: usize,
    count: usize,
    scratch: &mut Scratch,
) {
    let [h, w, channels] = geometry.input;
    let ([kh, kw], ow, depth) = (plan.kernel, geometry.output[1], plan.tap_depth());
    scratch.patches.reserve(count.next_multiple_of(S::MR) * kh * depth);
    let blocks = count.div_ceil(S::MR);
    scratch.begin_table(blocks * kh * S::MR);
    let mut patches = scratch.patches.as_mut_slice().chunks_exact_mut(depth);
    scratch.table.resize(blocks * kh * S::MR, Row(plan.zeros.as_slice().as_ptr()));
    let (mut oy, mut ox) = (pixel / ow, pixel % ow);
    for index in 0..blocks * S::MR {
        let x = (ox * plan.stride[1]).wrapping_sub(plan.padding.left);
        let inside = x < w && x + kw <= w;
        for ky in 0..kh {
            let y = (oy * plan.stride[0] + ky).wrapping_sub(plan.padding.top);
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

/// Pixels to multiply: where their inputs are, and where the sums go.
#[derive(Debug, Clone, Copy)]
struct Rows<'a> {
    table: &'a [Row],
    count: usize,
    to: *mut f32,
    /// f32 from one pixel of the output to the next.
    stride: usize,
    activation: Activation,
}

/// The blocks of pixels times the panels, in passes of at most [`DEPTH`].
///
/// # Safety
/// `to` has room for `count` rows of the output's channels; nobody else writes the panels' columns.
#[inline(always)]
unsafe fn multiply<S: Simd>(plan: &Direct, group: usize, panels: Range<usize>, rows: &Rows<'_>) {
    let Rows { table, count, to, stride, activation } = *rows;
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
                        start: match (is_first, plan.bias_last) {
                            (true, false) => Start::Bias(bias[panel * S::NR..].as_ptr()),
                            (true, true) => Start::BiasLast(bias[panel * S::NR..].as_ptr()),
                            (false, _) => Start::Out,
                        },
                        activation: if is_last { activation } else { Activation::None },
                        // SAFETY: the block begins before `count` and the panel before the group's last column, so this
                        // is inside the room that the caller promised.
                        out: unsafe { to.add(block * S::MR * stride + panel * S::NR) },
                        out_stride: stride,
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
