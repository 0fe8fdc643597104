use std::ops::Range;

use crate::Padding;
use crate::simd::{Element, Job, Simd};

/// What becomes of the values in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PoolKind {
    Max,
    /// The sum over the number of places, those in the border included or not.
    Avg {
        count_padding: bool,
    },
}

/// One row of pooled output, with windows that may reach into a border.
///
/// The caller promises: `to` has room for `columns` pixels, `stride` apart, and nobody else writes their channels meanwhile;
/// every window has a pixel of the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows<'a, E> {
    pub(crate) kind: PoolKind,
    /// One image, `input` being its height, width and channels.
    pub(crate) image: &'a [E],
    pub(crate) input: [usize; 3],
    pub(crate) size: [usize; 2],
    pub(crate) step: [usize; 2],
    pub(crate) padding: Padding,
    /// Row of the output.
    pub(crate) y: usize,
    pub(crate) columns: usize,
    pub(crate) to: *mut E,
    pub(crate) stride: usize,
}

/// The part of a window that is in the image: from, to; and how many places it has in the padded image.
fn clip(place: usize, step: usize, size: usize, before: usize, length: usize) -> [usize; 2] {
    let start = place * step;
    [start.saturating_sub(before), (start + size).saturating_sub(before).min(length)]
}

impl<E: Element> Job for Windows<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [h, w, channels] = self.input;
        let [top, bottom] = clip(self.y, self.step[0], self.size[0], self.padding.top, h);
        for x in 0..self.columns {
            let [left, right] = clip(x, self.step[1], self.size[1], self.padding.left, w);
            let window = [top..bottom, left..right];
            let mut c = 0;
            // SAFETY: the window is in the image, as its ends were clipped; vectors are within the channels, and the caller
            // promised room for the pixel.
            unsafe {
                let to = self.to.add(x * self.stride);
                while c + 4 * S::LANES <= channels {
                    self.vectors::<S, 4>(&window, c, to, S::LANES);
                    c += 4 * S::LANES;
                }
                while c + S::LANES <= channels {
                    self.vectors::<S, 1>(&window, c, to, S::LANES);
                    c += S::LANES;
                }
                if c < channels {
                    self.vectors::<S, 1>(&window, c, to, channels - c);
                }
            }
        }
    }
}

impl<E: Element> Windows<'_, E> {
    /// `V` vectors of channels of a pixel from `c` on, of which the first `lanes` lanes count.
    ///
    /// # Safety
    /// The window's `rows` and `columns` are in the image and there is one of each; there are so many channels, and `to` has room for
    /// them; all lanes of a vector count, or there is one vector. The processor has the instruction set.
    #[inline(always)]
    unsafe fn vectors<S: Simd, const V: usize>(
        &self,
        [rows, columns]: &[Range<usize>; 2],
        c: usize,
        to: *mut E,
        lanes: usize,
    ) {
        let [_, w, channels] = self.input;
        let is_max = self.kind == PoolKind::Max;
        // SAFETY: the caller's promise.
        unsafe {
            let image = self.image.as_ptr();
            // −0 + x is x, even if that is −0.
            let mut result = [S::splat(-0.0); V];
            if is_max {
                let first = image.add((rows.start * w + columns.start) * channels + c);
                for (v, result) in result.iter_mut().enumerate() {
                    *result = E::load::<S>(first.add(v * S::LANES), lanes);
                }
            }
            for y in rows.clone() {
                for x in columns.clone() {
                    let pixel = image.add((y * w + x) * channels + c);
                    for (v, result) in result.iter_mut().enumerate() {
                        let value = E::load::<S>(pixel.add(v * S::LANES), lanes);
                        *result =
                            if is_max { S::max(*result, value) } else { S::add(*result, value) };
                    }
                }
            }
            let count = match self.kind {
                PoolKind::Avg { count_padding: false } => rows.len() * columns.len(),
                _ => self.size[0] * self.size[1],
            };
            for (v, result) in result.into_iter().enumerate() {
                let scale = S::splat(1.0 / count as f32);
                let result = if is_max { result } else { S::mul(result, scale) };
                E::store::<S>(to.add(c + v * S::LANES), result, lanes);
            }
        }
    }
}
