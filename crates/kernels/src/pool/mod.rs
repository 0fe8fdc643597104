//! Maximum and mean over windows, NHWC.

mod windows;

pub(crate) use windows::{PoolKind, Windows};

use crate::simd::{Element, Job, Simd};

/// Some rows of pooled output, from rows of one image.
///
/// The caller promises: `source` holds the rows that the windows cover, `width · channels` f32 each; `out` has room for
/// `rows · columns` pixels and nobody else writes the channels `first..last` of it meanwhile; every window lies
/// inside the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaxPool<E> {
    pub(crate) source: *const f32,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) size: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) out: *mut E,
    /// Elements from one pixel of the output to the next.
    pub(crate) out_stride: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl<E: Element> Job for MaxPool<E> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the window of output (y, x) begins at row y · stride, column x · stride, inside the image; no more lanes are read and
        // written than `last` leaves.
        unsafe {
            for y in 0..self.rows {
                for x in 0..self.columns {
                    let corner =
                        (y * self.stride[0] * self.width + x * self.stride[1]) * self.channels;
                    let from = self.source.add(corner);
                    let to = self.out.add((y * self.columns + x) * self.out_stride);
                    for c in (self.first..self.last).step_by(S::LANES) {
                        let lanes = S::LANES.min(self.last - c);
                        E::store::<S>(to.add(c), self.window::<S>(from.add(c), lanes), lanes);
                    }
                }
            }
        }
    }
}

impl<E> MaxPool<E> {
    /// # Safety
    /// `lanes` channels of the window's pixels can be read from `from`.
    #[inline(always)]
    unsafe fn window<S: Simd>(&self, from: *const f32, lanes: usize) -> S::V {
        // SAFETY: the caller's promise.
        unsafe {
            let mut best = f32::load::<S>(from, lanes);
            for y in 0..self.size[0] {
                for x in 0..self.size[1] {
                    let pixel = from.add((y * self.width + x) * self.channels);
                    best = S::max(best, f32::load::<S>(pixel, lanes));
                }
            }
            best
        }
    }
}
