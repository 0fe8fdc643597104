//! Asking for memory ahead of its use.

/// Asks for `values`, which will be used soon: for a cache line every 16 of them, the last few too where they are whole. Where this
/// build has no instruction for it, nothing happens.
#[inline(always)]
pub fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks_exact(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is in every x86-64 processor, and a prefetch changes nothing but what is in the caches.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}
