//! The gradient by the kernel of any convolution: patchesᵀ · gradient, a product over all pixels of the batch.

use std::ops::Range;

use super::ConvShape;
use crate::Isa;
use crate::gemm::{TransposedProduct, row_block};
use crate::memory::{Buffer, Pool, Shared};
use crate::parallel::{chunk_range, for_each};
use crate::simd::{dispatch, shape};

/// Pixels whose patches are built at a time.
const PIXELS: usize = 256;
/// Pixels of a part, at least: below, its sums cost more than its products.
const PART_PIXELS: usize = 1024;
/// Sums of all parts take at most so much, if there is more than one.
const SUM_BYTES: usize = 32 << 20;
/// Parts at most. The number depends on sizes alone, so that no bit depends on threads.
const MAX_PARTS: usize = 16;

#[derive(Debug)]
pub(super) struct PatchGradient {
    isa: Isa,
    shape: ConvShape,
    input: [usize; 3],
    output: [usize; 3],
    /// Sums of all parts.
    sums: Pool<Buffer>,
    /// Patches and gradients of some pixels, one a task.
    spaces: Pool<[Buffer; 2]>,
}

impl PatchGradient {
    pub(super) fn new(shape: ConvShape, input: [usize; 3], output: [usize; 3], isa: Isa) -> Self {
        Self { isa, shape, input, output, sums: Pool::default(), spaces: Pool::default() }
    }

    /// Values of a patch: rows of the gradient.
    fn rows(&self) -> usize {
        self.shape.kernel[0] * self.shape.kernel[1] * self.shape.in_channels
    }

    /// Writes the gradient, (height, width, inputs, outputs).
    pub(super) fn run(&self, images: usize, input: &[f32], gradient: &[f32], to: &mut [f32]) {
        let (rows, outputs) = (self.rows(), self.output[2]);
        let width = outputs.next_multiple_of(shape(self.isa).nr);
        let pixels = images * self.output[0] * self.output[1];
        let parts =
            (pixels / PART_PIXELS).min(SUM_BYTES / (4 * rows * width).max(1)).clamp(1, MAX_PARTS);
        self.sums.with(|sums| {
            sums.reserve(parts * rows * width);
            let all = Shared(sums.as_mut_ptr());
            for_each(parts, |part| {
                // SAFETY: each part has `rows` rows of `width` of its own.
                let to = unsafe { all.get().add(part * rows * width) };
                self.part(chunk_range(pixels, parts, part), input, gradient, to, width);
            });
            let sums = &sums.as_slice()[..parts * rows * width];
            let shared = Shared(to.as_mut_ptr());
            for_each(rows, |row| {
                // SAFETY: each task has a row of the gradient, whose length the caller checked.
                let to = unsafe {
                    std::slice::from_raw_parts_mut(shared.get().add(row * outputs), outputs)
                };
                to.copy_from_slice(&sums[row * width..][..outputs]);
                for part in 1..parts {
                    let sums = &sums[(part * rows + row) * width..][..outputs];
                    to.iter_mut().zip(sums).for_each(|(to, x)| *to += x);
                }
            });
        });
    }

    /// The sum over some pixels, at `to`, `width` a row.
    fn part(
        &self,
        pixels: Range<usize>,
        input: &[f32],
        gradient: &[f32],
        to: *mut f32,
        width: usize,
    ) {
        let (rows, outputs) = (self.rows(), self.output[2]);
        let (block, nr) = (row_block(self.isa), shape(self.isa).nr);
        let blocks = rows.div_ceil(block);
        self.spaces.with(|[patches, gradients]| {
            patches.reserve(blocks * block * PIXELS);
            gradients.reserve(width * PIXELS);
            for first in pixels.clone().step_by(PIXELS) {
                let count = PIXELS.min(pixels.end - first);
                for index in 0..count {
                    self.patch(first + index, input, patches.as_mut_slice(), index, count, block);
                    let from = &gradient[(first + index) * outputs..][..outputs];
                    for (panel, from) in from.chunks(nr).enumerate() {
                        let at = (panel * count + index) * nr;
                        gradients.as_mut_slice()[at..at + from.len()].copy_from_slice(from);
                    }
                }
                for row_block in 0..blocks {
                    let task = TransposedProduct {
                        left: patches.as_slice()[row_block * count * block..].as_ptr(),
                        rows: block.min(rows - row_block * block),
                        right: gradients.as_slice().as_ptr(),
                        columns: outputs,
                        depth: count,
                        add: first > pixels.start,
                        // SAFETY: the part has so many rows.
                        to: unsafe { to.add(row_block * block * width) },
                        row_stride: width,
                    };
                    // SAFETY: patches and gradients of `count` pixels are set, in blocks and panels; the part's sums are this
                    // task's; `isa` was detected, as `Conv::new` checks.
                    unsafe { dispatch(self.isa, task) }
                }
            }
        });
    }

    /// Copies a pixel's patch to place `index` of `count` in each block.
    fn patch(
        &self,
        pixel: usize,
        input: &[f32],
        to: &mut [f32],
        index: usize,
        count: usize,
        block: usize,
    ) {
        let ([h, w, channels], [oh, ow, _]) = (self.input, self.output);
        let ([kh, kw], [sy, sx]) = (self.shape.kernel, self.shape.stride);
        let (image, oy, ox) = (pixel / (oh * ow), pixel / ow % oh, pixel % ow);
        for ky in 0..kh {
            let y = (oy * sy + ky).wrapping_sub(self.shape.padding.top);
            let left = (ox * sx).wrapping_sub(self.shape.padding.left);
            if y < h && left < w && left + kw <= w {
                // A line of the patch as a whole.
                let from = &input[((image * h + y) * w + left) * channels..][..kw * channels];
                put(to, ky * kw * channels, from, index, count, block);
                continue;
            }
            for kx in 0..kw {
                let x = left.wrapping_add(kx);
                let row = (ky * kw + kx) * channels;
                if y < h && x < w {
                    let from = &input[((image * h + y) * w + x) * channels..][..channels];
                    put(to, row, from, index, count, block);
                } else {
                    put_zeros(to, row, channels, index, count, block);
                }
            }
        }
    }
}

/// Places of rows `row..row + length` of column `index` of `count`, in blocks of `block` rows: where each piece begins, and its part
/// of the rows.
#[inline(always)]
fn pieces(
    row: usize,
    length: usize,
    index: usize,
    count: usize,
    block: usize,
) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let row = row + done;
        let piece = (block - row % block).min(length - done);
        let range = done..done + piece;
        done += piece;
        (piece > 0).then_some(((row / block * count + index) * block + row % block, range))
    })
}

#[inline(always)]
fn put(to: &mut [f32], row: usize, from: &[f32], index: usize, count: usize, block: usize) {
    for (at, range) in pieces(row, from.len(), index, count, block) {
        to[at..at + range.len()].copy_from_slice(&from[range]);
    }
}

fn put_zeros(to: &mut [f32], row: usize, length: usize, index: usize, count: usize, block: usize) {
    for (at, range) in pieces(row, length, index, count, block) {
        to[at..at + range.len()].fill(0.0);
    }
}
