//! Where a step's output is.

use crate::memory::Shared;
use crate::simd::{Element, Form};

/// A step's output: pixels of `stride` channels, of which the step writes its own, from `offset` on. So the inputs of a
/// concatenation are written where they belong, and nothing is copied.
///
/// The planner promises that `data` is valid for all images of the value, and that the step's channels are its alone while
/// it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) data: Shared,
    /// What the values are.
    pub(crate) form: Form,
    pub(crate) offset: usize,
    pub(crate) stride: usize,
}

impl Place {
    /// Pixels of `channels` channels, without gaps, as long as nobody else uses `words`.
    pub(crate) fn of(words: &mut [f32], form: Form, channels: usize) -> Self {
        Self { data: Shared(words.as_mut_ptr()), form, offset: 0, stride: channels }
    }

    /// The same without the first pixels.
    pub(crate) fn skip(self, first: usize) -> Self {
        let words = self.form.words(first * self.stride);
        Self { data: Shared(self.data.get().wrapping_add(words)), ..self }
    }

    /// The first of the step's channels of a pixel, counted over all images.
    ///
    /// # Safety
    /// There is such a pixel, and values are `E`.
    #[inline(always)]
    pub(crate) unsafe fn pixel<E: Element>(self, index: usize) -> *mut E {
        // SAFETY: the caller's promise.
        unsafe { self.data.get().cast::<E>().add(index * self.stride + self.offset) }
    }
}
