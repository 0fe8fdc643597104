use std::ops::Range;

use super::{Direct, Geometry, PIXELS};
use crate::Activation;
use crate::place::Place;
use crate::simd::tile::{Residual, Source, Start, TileArgs};
use crate::simd::{Job, Simd};
use crate::workspace::{Row, Scratch};

/// Depth of weights that one pass takes: a panel of it stays in the first-level cache.
const DEPTH: usize = 256;

/// Some pixels and panels of one image's output.
///
/// Who runs it promises that `out` has room for all images, the first pixel of this one being `pixel_out`, and that no other
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
}

impl Task<'_> {
    /// The output's pixel with which it begins.
    pub(super) fn first_out(&self) -> usize {
        let ow = self.geometry.output[1];
        let first = self.pixels.start;
        self.pixel_out + if self.plan.pool { first / ow / 2 * (ow / 2) } else { first }
    }

    /// The channels that it makes, of each group.
    pub(super) fn columns(&self) -> impl Iterator<Item = Range<usize>> {
        let group_out = self.geometry.output[2] / self.plan.groups;
        let [start, end] = [self.panels.start, self.panels.end]
            .map(|panel| (panel * self.plan.shape.nr).min(group_out));
        (0..self.plan.groups).map(move |group| group * group_out + start..group * group_out + end)
    }
}

/// The convolution of a task, with bias, residual and activation.
///
/// The caller promises what the task says, and that rows of its pixels, `stride` f32 apart, begin at `to`, of which only the task writes
/// its panels' columns.
#[derive(Debug)]
pub(super) struct SumTask<'a> {
    pub(super) task: &'a Task<'a>,
    pub(super) to: *mut f32,
    pub(super) stride: usize,
    pub(super) scratch: &'a mut Scratch,
}

impl Job for SumTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { task, to: conv, stride, scratch } = self;
        let Task { plan, geometry, image, residual, ref pixels, ref panels, .. } = *task;
        let oc = geometry.output[2];
        let group_out = oc / plan.groups;
        // SAFETY: `conv` points at rows of `stride` channels, of which only this task writes the columns of its panels. Tables hold
        // pointers into the image, the zeros or the patches.
        unsafe {
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
                    let residual = residual.map(|values| Residual {
                        first: values[pixel * oc + group * group_out..].as_ptr(),
                        stride: oc,
                    });
                    let rows = Rows { table: &scratch.table, count, to, stride, residual };
                    multiply::<S>(plan, group, panels.clone(), &rows);
                    first += count;
                }
            }
        }
    }
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
    let ([h, w, all], ow) = (geometry.input, geometry.output[1]);
    let ([kh, kw], channels) = (plan.kernel, all / plan.groups);
    let rows = count.next_multiple_of(S::MR);
    scratch.begin_table(rows * plan.taps());
    if plan.flat {
        let lines = image[pixel * all..][..count * all].chunks_exact(all);
        scratch.table.extend(lines.map(|line| Row(line.as_ptr())));
        let last = Row(image[(pixel + count - 1) * all..].as_ptr());
        scratch.table.resize(rows, last);
        return;
    }
    scratch.table.resize(rows * plan.taps(), Row(plan.zeros.as_slice().as_ptr()));
    let mut places = Places::new(pixel, count, ow);
    for block in scratch.table.chunks_exact_mut(plan.taps() * S::MR) {
        for row in 0..S::MR {
            let [oy, ox] = places.next();
            let y = (oy * plan.stride[0]).wrapping_sub(plan.padding.top);
            let x = (ox * plan.stride[1]).wrapping_sub(plan.padding.left);
            for ky in 0..kh {
                let y = y.wrapping_add(ky);
                if y >= h {
                    continue;
                }
                for kx in 0..kw {
                    let x = x.wrapping_add(kx);
                    if x < w {
                        let line = &image[(y * w + x) * all + group * channels..][..channels];
                        block[(ky * kw + kx) * S::MR + row] = Row(line.as_ptr());
                    }
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
    let rows = count.next_multiple_of(S::MR);
    scratch.patches.reserve(rows * kh * depth);
    scratch.begin_table(rows * kh);
    let mut patches = scratch.patches.as_mut_slice().chunks_exact_mut(depth);
    scratch.table.resize(rows * kh, Row(plan.zeros.as_slice().as_ptr()));
    let mut places = Places::new(pixel, count, ow);
    for block in scratch.table.chunks_exact_mut(kh * S::MR) {
        for row in 0..S::MR {
            let [oy, ox] = places.next();
            let x = (ox * plan.stride[1]).wrapping_sub(plan.padding.left);
            let y = (oy * plan.stride[0]).wrapping_sub(plan.padding.top);
            let inside = x < w && x + kw <= w;
            for ky in 0..kh {
                let y = y.wrapping_add(ky);
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
                block[ky * S::MR + row] = Row(line.as_ptr());
            }
        }
    }
}

/// Rows and columns of pixels that follow each other; the last one for ever. (To divide each pixel's number by the width takes longer
/// than a layer with few channels multiplies.)
#[derive(Debug)]
struct Places {
    place: [usize; 2],
    left: usize,
    width: usize,
}

impl Places {
    #[inline(always)]
    fn new(first: usize, count: usize, width: usize) -> Self {
        Self { place: [first / width, first % width], left: count, width }
    }

    #[inline(always)]
    fn next(&mut self) -> [usize; 2] {
        let place = self.place;
        if self.left > 1 {
            self.left -= 1;
            self.place[1] += 1;
            if self.place[1] == self.width {
                self.place = [place[0] + 1, 0];
            }
        }
        place
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
    /// What is added, from the first pixel on.
    residual: Option<Residual>,
}

/// The blocks of pixels times the panels, in passes of at most [`DEPTH`].
///
/// # Safety
/// `to` has room for `count` rows of the output's channels; nobody else writes the panels' columns.
#[inline(always)]
unsafe fn multiply<S: Simd>(plan: &Direct, group: usize, panels: Range<usize>, rows: &Rows<'_>) {
    let Rows { table, count, to, stride, residual } = *rows;
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
                        residual: residual.filter(|_| is_last).map(|r| Residual {
                            first: r.first.wrapping_add(block * S::MR * r.stride + panel * S::NR),
                            stride: r.stride,
                        }),
                        activation: if is_last { plan.activation } else { Activation::None },
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
