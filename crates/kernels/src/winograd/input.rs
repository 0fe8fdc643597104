use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::Geometry;
use super::cover::Grid;
use super::scheme::{MAX_N, Scheme};
use crate::bf16::{Blocks, Operand};
use crate::memory::Buffer;
use crate::simd::{Element, Job, Simd};

/// Bᵀ d B of some tiles, by one scheme down and one across: matrices of tiles by channels, `matrix_stride` elements apart, each
/// in blocks of channels, one for each place of the packed weights that the schemes have.
///
/// The caller promises: `to` has room for as many rows as tiles, from `row` on, of each matrix (and the lower parts of split
/// operands, `low_offset` elements further on), and nobody else writes those rows.
#[derive(Debug)]
pub(super) struct InputTask<'a, Y, X, O: Operand, I> {
    pub(super) geometry: &'a Geometry,
    pub(super) grid: &'a Grid,
    pub(super) images: &'a [I],
    pub(super) tiles: Range<usize>,
    /// The row of the first tile.
    pub(super) row: usize,
    /// Rows of a matrix.
    pub(super) rows: usize,
    pub(super) blocks: Blocks,
    pub(super) to: *mut O::Element,
    pub(super) matrix_stride: usize,
    pub(super) low_offset: usize,
    /// A tile with its border of zeros.
    pub(super) patch: &'a mut Buffer,
    pub(super) schemes: PhantomData<(Y, X)>,
}

impl<Y: Scheme, X: Scheme, O: Operand, I: Element> Job for InputTask<'_, Y, X, O, I> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            geometry: g,
            grid,
            images,
            tiles,
            row,
            rows,
            blocks,
            to,
            matrix_stride,
            low_offset,
            patch,
            ..
        } = self;
        let [h, w, channels] = g.input;
        let zero = I::of(&[0.0])[0];
        for (row, tile) in (row..).zip(tiles) {
            let (image, y, x) = grid.place(tile);
            let image = &images[image * h * w * channels..][..h * w * channels];
            let (top, left) = (y.wrapping_sub(g.padding.top), x.wrapping_sub(g.padding.left));
            let inside = top < h && top + Y::N <= h && left < w && left + X::N <= w;
            let (from, line) = if inside {
                let last = ((top + Y::N - 1) * w + left + X::N) * channels;
                (image[(top * w + left) * channels..last].as_ptr(), w * channels)
            } else {
                patch.reserve(Y::N * X::N * channels);
                let pixels =
                    I::of_mut(patch.as_mut_slice()).chunks_exact_mut(channels).take(Y::N * X::N);
                for (index, pixel) in pixels.enumerate() {
                    let (y, x) = (top.wrapping_add(index / X::N), left.wrapping_add(index % X::N));
                    if y < h && x < w {
                        pixel.copy_from_slice(&image[(y * w + x) * channels..][..channels]);
                    } else {
                        pixel.fill(zero);
                    }
                }
                (I::of(patch.as_slice()).as_ptr(), X::N * channels)
            };
            let mut c = 0;
            while c < channels {
                let at = blocks.at(rows, row, c);
                // SAFETY: channels are whole vectors; `from` holds all rows of a tile's pixels, `line` apart; the row of this
                // tile is this task's.
                unsafe {
                    transform::<S, Y, X, O, I>(
                        from.add(c),
                        line,
                        channels,
                        to.add(at),
                        matrix_stride,
                        low_offset,
                    );
                }
                c += S::LANES;
            }
        }
    }
}

/// One vector of channels: columns first, then rows.
///
/// # Safety
/// As many rows of pixels as the schemes take can be read from `from`; a vector can be written at each of their places from
/// `to`, `matrix_stride` apart.
#[inline(always)]
unsafe fn transform<S: Simd, Y: Scheme, X: Scheme, O: Operand, I: Element>(
    from: *const I,
    line: usize,
    pixel: usize,
    to: *mut O::Element,
    matrix_stride: usize,
    low_offset: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        // Not initialised as a whole: that would cost as much as the transform.
        let mut half = [[MaybeUninit::<S::V>::uninit(); MAX_N]; MAX_N];
        #[allow(clippy::needless_range_loop)]
        for x in 0..X::N {
            let mut column = [S::splat(0.0); MAX_N];
            for (y, v) in column.iter_mut().enumerate().take(Y::N) {
                *v = I::load::<S>(from.add(y * line + x * pixel), S::LANES);
            }
            let column = Y::input::<S>(column);
            for y in 0..Y::N {
                half[y][x].write(column[y]);
            }
        }
        for (y, line) in half.iter().enumerate().take(Y::N) {
            let mut row = [S::splat(0.0); MAX_N];
            for (v, h) in row.iter_mut().zip(line).take(X::N) {
                *v = h.assume_init();
            }
            let row = X::input::<S>(row);
            for (x, v) in row.iter().enumerate().take(X::N) {
                let place = Y::place(y) * X::SIDE + X::place(x);
                O::put::<S>(to.add(place * matrix_stride), low_offset, *v);
            }
        }
    }
}
