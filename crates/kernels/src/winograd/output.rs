use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::Geometry;
use super::cover::Grid;
use super::scheme::{MAX_M, MAX_N, Scheme};
use crate::Activation;
use crate::place::Place;
use crate::simd::{Element, Job, Simd};

/// Aᵀ m A of some tiles, by one scheme down and one across, with bias, residual, activation and, where it is fused, the 2×2
/// max-pool.
///
/// The caller promises: `from` holds the tiles' rows, from `row` on, of the products, `matrix_stride` apart, `width` a row; `out`
/// has room for all images' outputs, and nobody else writes those of these tiles.
#[derive(Debug)]
pub(super) struct OutputTask<'a, Y, X, E> {
    pub(super) geometry: &'a Geometry,
    pub(super) grid: &'a Grid,
    pub(super) tiles: Range<usize>,
    /// The row of the first tile.
    pub(super) row: usize,
    pub(super) from: *const f32,
    pub(super) matrix_stride: usize,
    pub(super) width: usize,
    pub(super) bias: &'a [f32],
    /// What is added to all images' outputs; none where the pool is fused.
    pub(super) residual: Option<&'a [E]>,
    pub(super) out: Place,
    pub(super) schemes: PhantomData<(Y, X)>,
}

impl<Y: Scheme, X: Scheme, E: Element> Job for OutputTask<'_, Y, X, E> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let g = self.geometry;
        let channels = g.output[2];
        let activation = if self.residual.is_some() { Activation::None } else { g.activation };
        // Rows and columns of the image that is written, which is pooled where a pool is fused.
        let step = if g.pool { 2 } else { 1 };
        let (h, w) = (g.output[0] / step, g.output[1] / step);
        for (row, tile) in (self.row..).zip(self.tiles) {
            let (image, y, x) = self.grid.place(tile);
            let (y, x) = (y / step, x / step);
            let (rows, columns) = ((Y::M / step).min(h - y), (X::M / step).min(w - x));
            let mut c = 0;
            while c < channels {
                // SAFETY: channels are whole vectors; all outputs of the tile are set; rows and columns beyond the
                // image's edge are not written.
                unsafe {
                    let from = self.from.add(row * self.width + c);
                    let bias = S::load(self.bias[c..c + S::LANES].as_ptr());
                    let mut values = [[MaybeUninit::uninit(); MAX_M]; MAX_M];
                    transform::<S, Y, X>(from, self.matrix_stride, bias, activation, &mut values);
                    let value = |y: usize, x: usize| values[y][x].assume_init();
                    let first = (image * h + y) * w + x;
                    let to = self.out.pixel::<E>(first).add(c);
                    for i in 0..rows {
                        for j in 0..columns {
                            let v = if g.pool {
                                let a = S::max(value(2 * i, 2 * j), value(2 * i, 2 * j + 1));
                                let b =
                                    S::max(value(2 * i + 1, 2 * j), value(2 * i + 1, 2 * j + 1));
                                S::max(a, b)
                            } else if let Some(residual) = self.residual {
                                let at = (first + i * w + j) * channels + c;
                                let from = residual[at..at + S::LANES].as_ptr();
                                let other = E::load::<S>(from, S::LANES);
                                S::activate(S::add(value(i, j), other), g.activation)
                            } else {
                                value(i, j)
                            };
                            E::store::<S>(to.add((i * w + j) * self.out.stride), v, S::LANES);
                        }
                    }
                }
                c += S::LANES;
            }
        }
    }
}

/// One vector of channels: columns first, then rows; sets the first values of each of the first rows.
///
/// # Safety
/// A vector can be read at each of the schemes' places from `from`, `matrix_stride` apart.
#[inline(always)]
unsafe fn transform<S: Simd, Y: Scheme, X: Scheme>(
    from: *const f32,
    matrix_stride: usize,
    bias: S::V,
    activation: Activation,
    values: &mut [[MaybeUninit<S::V>; MAX_M]; MAX_M],
) {
    // SAFETY: the caller's promise; the first loop sets what the second reads.
    unsafe {
        let zero = S::splat(0.0);
        // Not initialised as a whole: that would cost as much as the transform.
        let mut half = [[MaybeUninit::<S::V>::uninit(); MAX_N]; MAX_M];
        #[allow(clippy::needless_range_loop)]
        for x in 0..X::N {
            let mut column = [zero; MAX_N];
            for (y, v) in column.iter_mut().enumerate().take(Y::N) {
                let place = Y::place(y) * X::SIDE + X::place(x);
                *v = S::load(from.add(place * matrix_stride));
            }
            let column = Y::output::<S>(column);
            for y in 0..Y::M {
                half[y][x].write(column[y]);
            }
        }
        for y in 0..Y::M {
            let mut row = [zero; MAX_N];
            for (v, h) in row.iter_mut().zip(&half[y]).take(X::N) {
                *v = h.assume_init();
            }
            let row = X::output::<S>(row);
            for x in 0..X::M {
                let v = S::add(row[x], bias);
                values[y][x].write(S::activate(v, activation));
            }
        }
    }
}
