//! Buffers of f32 aligned to cache lines, and a pool of them.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// f32 values that begin on a cache line.
pub struct Buffer {
    /// Within what was allocated, which begins up to a cache line before it.
    start: NonNull<f32>,
    allocated: NonNull<u8>,
    len: usize,
}

const ALIGN: usize = 64;
/// What every allocator gives without asking. With more, zeroed memory is no longer the system's fresh pages, which cost
/// nothing until they are touched, but is written with zeros.
const SMALL_ALIGN: usize = 16;

impl Buffer {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        if len == 0 {
            return Self { start: NonNull::dangling(), allocated: NonNull::dangling(), len };
        }
        let layout = layout(len);
        // SAFETY: the layout's size is not 0.
        let Some(allocated) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            handle_alloc_error(layout)
        };
        large_pages(allocated, layout.size());
        // SAFETY: the first place on a cache line is less than `ALIGN` bytes on, and the layout has `ALIGN` bytes more than `len`
        // f32 take.
        let start = unsafe { allocated.add(allocated.align_offset(ALIGN)) }.cast::<f32>();
        Self { start, allocated, len }
    }

    /// What it holds.
    pub fn as_slice(&self) -> &[f32] {
        // SAFETY: `start` points at `len` initialised f32 that this buffer owns (or dangles for none).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The same, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// Makes it at least `len` long; what it held is lost when it grows, and is zero then.
    pub fn reserve(&mut self, len: usize) {
        if self.len < len {
            *self = Self::zeroed(0);
            *self = Self::zeroed(len);
        }
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.start.as_ptr()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.len * size_of::<f32>()
    }
}

/// Asks the system for large pages, of 2 MB, where there is room for some: with small ones, a transform that writes to 64
/// matrices, or weights of 50 MB that are read once, need an entry of the page tables more often than not, and to give out
/// one at its first touch takes longer than to fill it.
#[cfg(target_os = "linux")]
fn large_pages(start: NonNull<u8>, bytes: usize) {
    const PAGE: usize = 4096;
    const LARGE_PAGE: usize = 2 << 20;
    let skipped = start.align_offset(PAGE);
    let whole = bytes.saturating_sub(skipped) / PAGE * PAGE;
    if whole >= LARGE_PAGE {
        // SAFETY: pages of an allocation that is ours; the advice changes no byte. Where it is not taken, small pages stay.
        unsafe { libc::madvise(start.as_ptr().add(skipped).cast(), whole, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn large_pages(_: NonNull<u8>, _: usize) {}

/// A length whose layout is impossible stands for an allocation that no machine can serve.
fn layout(len: usize) -> Layout {
    let bytes = len.saturating_mul(size_of::<f32>()).saturating_add(ALIGN);
    match Layout::from_size_align(bytes, SMALL_ALIGN) {
        Ok(layout) => layout,
        Err(_) => handle_alloc_error(Layout::new::<f32>()),
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: allocated in `zeroed` with this very layout.
            unsafe { dealloc(self.allocated.as_ptr(), layout(self.len)) }
        }
    }
}

// SAFETY: a buffer owns its memory alone, which any thread may free.
unsafe impl Send for Buffer {}
// SAFETY: through a shared borrow its memory is only read (`as_slice`).
unsafe impl Sync for Buffer {}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} f32)", self.len)
    }
}

/// Things that are lent to one user at a time and kept for the next.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    free: Mutex<Vec<T>>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { free: Mutex::new(Vec::new()) }
    }
}

impl<T: Default> Pool<T> {
    /// Lends one to `f`, a new one when none is free.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let taken = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut item = taken.unwrap_or_default();
        let result = f(&mut item);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(item);
        result
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::zeroed(0)
    }
}

/// A pointer that tasks on several threads write through, each to places of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shared(pub(crate) *mut f32);

// SAFETY: the pointer is only a number; each use says why its writes do not meet another's.
unsafe impl Send for Shared {}
// SAFETY: as for `Send`: the number is all that is shared.
unsafe impl Sync for Shared {}

impl Shared {
    /// The pointer. (A method, so that closures capture the whole and not the bare field.)
    pub(crate) fn get(self) -> *mut f32 {
        self.0
    }
}
