use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::Geometry;
use super::scheme::{MAX_N, Scheme};
use crate::bf16::{Blocks, Operand};
use crate::memory::Buffer;
use crate::simd::{Job, Simd};

/// Bᵀ d B of some tiles: `n²` matrices of tiles by channels, `matrix_stride` elements apart, each in blocks of channels.
///
/// The caller promises: `to` has room for rows `tiles − base` of each matrix (and the lower parts of split operands,
/// `low_offset` elements further on), and nobody else writes those rows.
#[derive(Debug)]
pub(super) struct InputTask<'a, F, O: Operand> {
    pub(super) geometry: &'a Geometry,
    pub(super) images: &'a [f32],
    pub(super) tiles: Range<usize>,
    /// The tile of row 0.
    pub(super) base: usize,
    /// Rows of a matrix.
    pub(super) rows: usize,
    pub(super) blocks: Blocks,
    pub(super) to: *mut O::Element,
    pub(super) matrix_stride: usize,
    pub(super) low_offset: usize,
    /// A tile with its border of zeros.
    pub(super) patch: &'a mut Buffer,
    pub(super) scheme: PhantomData<F>,
}

impl<F: Scheme, O: Operand> Job for InputTask<'_, F, O> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            geometry: g,
            images,
            tiles,
            base,
            rows,
            blocks,
            to,
            matrix_stride,
            low_offset,
            patch,
            ..
        } = self;
        let [h, w, channels] = g.input;
        for tile in tiles {
            let (image, y, x) = g.place(tile);
            let image = &images[image * h * w * channels..][..h * w * channels];
            let (top, left) =
                ((y * F::M).wrapping_sub(g.padding.top), (x * F::M).wrapping_sub(g.padding.left));
            let inside = top < h && top + F::N <= h && left < w && left + F::N <= w;
            let (from, line) = if inside {
                let last = ((top + F::N - 1) * w + left + F::N) * channels;
                (image[(top * w + left) * channels..last].as_ptr(), w * channels)
            } else {
                patch.reserve(F::N * F::N * channels);
                let pixels = patch.as_mut_slice().chunks_exact_mut(channels).take(F::N * F::N);
                for (index, pixel) in pixels.enumerate() {
                    let (y, x) = (top.wrapping_add(index / F::N), left.wrapping_add(index % F::N));
                    if y < h && x < w {
                        pixel.copy_from_slice(&image[(y * w + x) * channels..][..channels]);
                    } else {
                        pixel.fill(0.0);
                    }
                }
                (patch.as_slice().as_ptr(), F::N * channels)
            };
            let mut c = 0;
            while c < channels {
                let at = blocks.at(rows, tile - base, c);
                // SAFETY: channels are whole vectors; `from` holds n rows of n pixels, `line` apart; the row of this
                // tile is this task's.
                unsafe {
                    transform::<S, F, O>(
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
/// n rows of n pixels can be read from `from`; n² vectors can be written from `to`, `matrix_stride` apart.
#[inline(always)]
unsafe fn transform<S: Simd, F: Scheme, O: Operand>(
    from: *const f32,
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
        for x in 0..F::N {
            let mut column = [S::splat(0.0); MAX_N];
            for (y, v) in column.iter_mut().enumerate().take(F::N) {
                *v = S::load(from.add(y * line + x * pixel));
            }
            let column = F::input::<S>(column);
            for y in 0..F::N {
                half[y][x].write(column[y]);
            }
        }
        for (y, line) in half.iter().enumerate().take(F::N) {
            let mut row = [S::splat(0.0); MAX_N];
            for (v, h) in row.iter_mut().zip(line).take(F::N) {
                *v = h.assume_init();
            }
            let row = F::input::<S>(row);
            for (x, v) in row.iter().enumerate().take(F::N) {
                O::put::<S>(to.add((y * F::N + x) * matrix_stride), low_offset, *v);
            }
        }
    }
}
