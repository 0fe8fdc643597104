//! Maximum and mean over windows, NHWC.

mod windows;

pub(crate) use windows::{PoolKind, Windows};

use crate::simd::{Job, Simd};

/// Some rows of pooled output, from rows of one image.
///
/// The caller promises: `source` holds the rows that the windows cover, `width · channels` f32 each; `out` has room for
/// `rows · columns` pixels and nobody else writes the channels `first..last` of it meanwhile; every window lies
/// inside the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaxPool {
    pub(crate) source: *const f32,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) size: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) out: *mut f32,
    /// f32 from one pixel of the output to the next.
    pub(crate) out_stride: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl Job for MaxPool {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the window of output (y, x) begins at row y · stride, column x · stride, inside the image; a
        // whole vector is read and written only where `last` leaves room, single values after that.
        unsafe {
            for y in 0..self.rows {
                for x in 0..self.columns {
                    let corner =
                        (y * self.stride[0] * self.width + x * self.stride[1]) * self.channels;
                    let from = self.source.add(corner);
                    let to = self.out.add((y * self.columns + x) * self.out_stride);
                    let mut c = self.first;
                    while c + S::LANES <= self.last {
                        S::store(to.add(c), self.window::<S>(from.add(c)));
                        c += S::LANES;
                    }
                    while c < self.last {
                        *to.add(c) = self.scalar(from.add(c));
                        c += 1;
                    }
                }
            }
        }
    }
}

impl MaxPool {
    /// # Safety
    /// `LANES` channels of the window's pixels can be read from `from`.
    #[inline(always)]
    unsafe fn window<S: Simd>(&self, from: *const f32) -> S::V {
        // SAFETY: the caller's promise.
        unsafe {
            let mut best = S::load(from);
            for y in 0..self.size[0] {
                for x in 0..self.size[1] {
                    best = S::max(best, S::load(from.add((y * self.width + x) * self.channels)));
                }
            }
            best
        }
    }

    /// # Safety
    /// One channel of the window's pixels can be read from `from`.
    #[inline(always)]
    unsafe fn scalar(&self, from: *const f32) -> f32 {
        // SAFETY: the caller's promise.
        unsafe {
            let mut best = *from;
            for y in 0..self.size[0] {
                for x in 0..self.size[1] {
                    let value = *from.add((y * self.width + x) * self.channels);
                    if value > best || value.is_nan() {
                        best = value;
                    }
                }
            }
            best
        }
    }
}
