//! Where a step's output is.

use crate::memory::Shared;

/// A step's output: pixels of `stride` channels, of which the step writes its own, from `offset` on. So the inputs of a
/// concatenation are written where they belong, and nothing is copied.
///
/// The planner promises that `data` is valid for all images of the value, and that the step's channels are its alone while
/// it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) data: Shared,
    pub(crate) offset: usize,
    pub(crate) stride: usize,
}

impl Place {
    /// Pixels of `channels` channels, without gaps, as long as nobody else uses `values`.
    pub(crate) fn of(values: &mut [f32], channels: usize) -> Self {
        Self { data: Shared(values.as_mut_ptr()), offset: 0, stride: channels }
    }

    /// The same without the first pixels.
    pub(crate) fn skip(self, first: usize) -> Self {
        Self { data: Shared(self.data.get().wrapping_add(first * self.stride)), ..self }
    }

    /// The first of the step's channels of a pixel, counted over all images.
    ///
    /// # Safety
    /// There is such a pixel.
    #[inline(always)]
    pub(crate) unsafe fn pixel(self, index: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.data.get().add(index * self.stride + self.offset) }
    }
}
