use std::ops::Range;

use super::{Geometry, LANES};
use crate::bf16::{Blocks, Operand};
use crate::memory::Buffer;
use crate::simd::{Element, Job, Simd};

/// Patches of some output pixels as the left operand of a product: rows of taps, then channels, zeros where a tap is outside
/// of the image.
///
/// The caller promises: `to` has room for `stored_rows` rows of `depth` values in `blocks` (and their lower parts,
/// `low_offset` elements further on), and nobody else uses it; `line` has room for a row in whole vectors where channels
/// are not.
#[derive(Debug)]
pub(super) struct GatherTask<'a, O: Operand, I> {
    pub(super) geometry: &'a Geometry,
    /// Values of a row: those of a patch, and zeros.
    pub(super) depth: usize,
    pub(super) blocks: Blocks,
    pub(super) images: &'a [I],
    /// Of the output, counted over all images.
    pub(super) pixels: Range<usize>,
    pub(super) stored_rows: usize,
    pub(super) to: *mut O::Element,
    pub(super) low_offset: usize,
    /// A row that is put together, if need be.
    pub(super) line: &'a mut Buffer,
}

impl<O: Operand, I: Element> Job for GatherTask<'_, O, I> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { geometry: g, blocks, images, stored_rows, to, low_offset, .. } = self;
        let [height, width, channels] = g.input;
        let [out_height, out_width, _] = g.output;
        let [kernel_height, kernel_width] = g.kernel;
        let filled = g.depth();
        let zero = I::of(&[0.0])[0];
        let whole = channels.is_multiple_of(LANES);
        let stored = self.depth.next_multiple_of(LANES);
        let line = I::of_mut(self.line.as_mut_slice());
        if !whole {
            // Zeros beyond the patch stay.
            line[filled..stored].fill(zero);
        }
        let first = self.pixels.start;
        let (mut image, mut y, mut x) =
            (first / (out_height * out_width), first / out_width % out_height, first % out_width);
        for index in 0..self.pixels.len() {
            let row = Row::<O> { to, low_offset, blocks, stored_rows, row: index };
            let left = (x * g.stride[1]) as isize - g.padding.left as isize;
            // Taps of a line of the window that are in the image, if the line is.
            let begin = (-left).clamp(0, kernel_width as isize) as usize;
            let end = (width as isize - left).clamp(begin as isize, kernel_width as isize) as usize;
            for ky in 0..kernel_height {
                let at = ky * kernel_width;
                let line_of_image = (y * g.stride[0] + ky).wrapping_sub(g.padding.top);
                let (begin, end) = if line_of_image < height { (begin, end) } else { (0, 0) };
                let before = at * channels..(at + begin) * channels;
                let inside = (at + begin) * channels..(at + end) * channels;
                let after = (at + end) * channels..(at + kernel_width) * channels;
                let run = if begin < end {
                    let column = (left + begin as isize) as usize;
                    let start = ((image * height + line_of_image) * width + column) * channels;
                    &images[start..start + inside.len()]
                } else {
                    &[]
                };
                if whole {
                    // SAFETY: channels, and so all three ranges, are whole vectors; the row is one of the task's.
                    unsafe {
                        row.zero::<S>(before);
                        row.put::<S, I>(inside.start, run);
                        row.zero::<S>(after);
                    }
                } else {
                    line[before].fill(zero);
                    line[inside].copy_from_slice(run);
                    line[after].fill(zero);
                }
            }
            // SAFETY: rows end at whole vectors, of which the caller promised room.
            unsafe {
                if whole {
                    row.zero::<S>(filled..stored);
                } else {
                    row.put::<S, I>(0, &line[..stored]);
                }
            }
            x += 1;
            if x == out_width {
                (x, y) = (0, y + 1);
                if y == out_height {
                    (y, image) = (0, image + 1);
                }
            }
        }
    }
}

/// One row of the left operand.
struct Row<O: Operand> {
    to: *mut O::Element,
    low_offset: usize,
    blocks: Blocks,
    stored_rows: usize,
    row: usize,
}

impl<O: Operand> Row<O> {
    /// Stores values from place `start` on.
    ///
    /// # Safety
    /// `start` and the length are multiples of [`LANES`], and the row has room for as many; the processor has the
    /// instruction set.
    #[inline(always)]
    unsafe fn put<S: Simd, I: Element>(&self, start: usize, values: &[I]) {
        let mut place = start;
        while place < start + values.len() {
            let (at, count) = self.run(place..start + values.len());
            // SAFETY: vectors begin within `values` and in this run of the row, and the lengths of both are multiples of
            // theirs, since blocks are whole vectors deep.
            unsafe {
                let from = values.as_ptr().add(place - start);
                for i in (0..count).step_by(S::LANES) {
                    O::put_from::<S, I>(self.to.add(at + i), self.low_offset, from.add(i));
                }
            }
            place += count;
        }
    }

    /// Stores zeros.
    ///
    /// # Safety
    /// As [`put`](Self::put).
    #[inline(always)]
    unsafe fn zero<S: Simd>(&self, places: Range<usize>) {
        let mut place = places.start;
        while place < places.end {
            let (at, count) = self.run(place..places.end);
            // SAFETY: as in `put`.
            unsafe {
                for i in (0..count).step_by(S::LANES) {
                    O::put::<S>(self.to.add(at + i), self.low_offset, S::splat(0.0));
                }
            }
            place += count;
        }
    }

    /// The element of the first of these places, and how many of them follow it in the same block.
    #[inline(always)]
    fn run(&self, places: Range<usize>) -> (usize, usize) {
        let left = self.blocks.depth - places.start % self.blocks.depth;
        let at = self.blocks.at(self.stored_rows, self.row, places.start);
        (at, left.min(places.end - places.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::bf16::{Bf16, round, upper};
    use crate::layer::Padding;
    use crate::simd::dispatch;

    /// Every value of every row, and zeros up to the depth, whatever was in the buffers before.
    #[test]
    fn rows_are_patches_with_zeros_after_them() {
        for (channels, depth) in [(19, 120), (16, 96), (48, 300)] {
            let geometry = Geometry {
                input: [5, 4, channels],
                output: [3, 2, 7],
                kernel: [2, 3],
                stride: [2, 2],
                padding: Padding { top: 1, left: 1, bottom: 0, right: 0 },
            };
            let image = 5 * 4 * channels;
            let images: Vec<f32> = (0..2 * image).map(|i| 1.0 + i as f32 / 512.0).collect();
            // From the middle of one image into the next.
            let (pixels, stored_rows) = (2..9, 8);
            let blocks = Blocks { depth: 256, stride: 256 };
            for isa in Isa::available() {
                let mut line = Buffer::zeroed(depth + 16);
                line.as_mut_slice().fill(f32::NAN);
                let mut to = vec![upper(f32::NAN); blocks.len(stored_rows, depth)];
                let task = GatherTask::<Bf16, f32> {
                    geometry: &geometry,
                    depth,
                    blocks,
                    images: &images,
                    pixels: pixels.clone(),
                    stored_rows,
                    to: to.as_mut_ptr(),
                    low_offset: 0,
                    line: &mut line,
                };
                // SAFETY: `to` and `line` have room for all rows, and `isa` is one of `Isa::available`.
                unsafe { dispatch(isa, task) };
                for (row, pixel) in pixels.clone().enumerate() {
                    let (at, y, x) = (pixel / 6 * image, pixel / 2 % 3, pixel % 2);
                    for place in 0..depth {
                        let (tap, channel) = (place / channels, place % channels);
                        let line = (2 * y + tap / 3).checked_sub(1).filter(|line| *line < 5);
                        let column = (2 * x + tap % 3).checked_sub(1).filter(|column| *column < 4);
                        let value = match (line, column) {
                            (Some(line), Some(column)) if tap < 6 => {
                                images[at + (line * 4 + column) * channels + channel]
                            }
                            _ => 0.0,
                        };
                        let found = to[blocks.at(stored_rows, row, place)];
                        assert_eq!(found, upper(round(value)), "{isa}: row {row}, place {place}");
                    }
                }
            }
        }
    }
}
