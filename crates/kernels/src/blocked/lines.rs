//! Lines of bf16 from images: blocks of channels, or the patches of an image of few channels.

use std::ops::Range;

use super::layout::{BLOCK, Layout};
use crate::bf16::Operand;
use crate::simd::{Element, Job, Simd};

/// One row of an image as lines, with the zeros beside it, and above or below it where it is the first or the last.
///
/// The caller promises: `to` is an image of the layout, whose lines of this row nobody else writes; channels are whole blocks.
pub(super) struct Row<'a, O, I> {
    pub(super) layout: Layout,
    pub(super) image: &'a [I],
    pub(super) row: usize,
    pub(super) to: *mut u16,
    pub(super) operand: std::marker::PhantomData<O>,
}

impl<O: Operand<Element = u16>, I: Element> Job for Row<'_, O, I> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let layout = self.layout;
        let channels = layout.blocks() * BLOCK;
        for block in 0..layout.blocks() {
            // SAFETY: the struct's promise; a line is whole vectors of channels that the image has.
            unsafe {
                let to = self.to.add(block * layout.block_stride());
                let last = self.row + 1 == layout.height();
                layout.clear_border(to, self.row == 0, last);
                for column in 0..layout.width() {
                    let from = &self.image[(self.row * layout.width() + column) * channels..];
                    let from = &from[block * BLOCK..][..BLOCK];
                    let to = to.add(layout.line(self.row, column) * BLOCK);
                    for c in (0..BLOCK).step_by(S::LANES) {
                        O::put_from::<S, I>(to.add(c), layout.low_offset(), from[c..].as_ptr());
                    }
                }
                let end = to.add(layout.line(self.row, layout.width()) * BLOCK);
                end.write_bytes(0, BLOCK);
                end.add(layout.low_offset()).write_bytes(0, BLOCK);
            }
        }
    }
}

/// The 3×3 patches of some rows of an image of `RUN / 3` channels, a line each: rows of the patch, columns, channels, and zeros. Rows
/// have one line more than pixels.
///
/// The caller promises: `lines` has room for the rows' lines, and for lower parts so many bf16 further on as `low`, if it is not 0;
/// `rounded` for [`rounded_len`] bf16.
pub(super) struct Patches<'a, const RUN: usize, O> {
    pub(super) image: &'a [f32],
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) rows: Range<usize>,
    pub(super) lines: *mut u16,
    pub(super) low: usize,
    pub(super) rounded: *mut u16,
    pub(super) operand: std::marker::PhantomData<O>,
}

/// Vectors of values that a row is rounded by may be longer than what is left of it.
const SLACK: usize = 32;

/// bf16 of one rounded row of an image with zeros beside it.
fn row_len(width: usize, channels: usize) -> usize {
    (width + 2) * channels + SLACK
}

/// bf16 that [`Patches`] rounds into for so many rows.
pub(super) fn rounded_len(rows: usize, width: usize, channels: usize, is_split: bool) -> usize {
    let parts = if is_split { 2 } else { 1 };
    parts * (rows + 2) * row_len(width, channels)
}

impl<const RUN: usize, O: Operand<Element = u16>> Job for Patches<'_, RUN, O> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = RUN / 3;
        let len = row_len(self.width, channels);
        let count = self.rows.len() + 2;
        let low = if self.low > 0 { count * len } else { 0 };
        let parts = if self.low > 0 { 2 } else { 1 };
        // SAFETY: the struct's promise: `rounded` has `count` rows of `len` for each part, and a run of a patch ends within its row;
        // `lines` has one line for each pixel and row's end, in which three runs of at most 9 values and zeros fit.
        unsafe {
            self.rounded.write_bytes(0, parts * count * len);
            for index in 0..count {
                let row = (self.rows.start + index).wrapping_sub(1);
                if row >= self.height {
                    continue;
                }
                let from = &self.image[row * self.width * channels..][..self.width * channels];
                let to = self.rounded.add(index * len + channels);
                let whole = from.len() / S::LANES * S::LANES;
                for at in (0..whole).step_by(S::LANES) {
                    O::put::<S>(to.add(at), low, S::load(from[at..].as_ptr()));
                }
                let mut rest = [0.0f32; 16];
                rest[..from.len() - whole].copy_from_slice(&from[whole..]);
                O::put::<S>(to.add(whole), low, S::load(rest.as_ptr()));
            }
            for part in 0..parts {
                let mut line = self.lines.add(part * self.low);
                for row in 0..self.rows.len() {
                    let first = self.rounded.add(part * low + row * len);
                    for column in 0..self.width {
                        for tap in 0..3 {
                            let run = first.add(tap * len + column * channels).cast::<[u16; RUN]>();
                            let to = line.add(tap * RUN).cast::<[u16; RUN]>();
                            to.write_unaligned(run.read_unaligned());
                        }
                        line.add(3 * RUN).write_bytes(0, BLOCK - 3 * RUN);
                        line = line.add(BLOCK);
                    }
                    line.write_bytes(0, BLOCK);
                    line = line.add(BLOCK);
                }
            }
        }
    }
}
