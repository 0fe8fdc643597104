//! Plain Rust: 8 lanes that the compiler maps to what the target's baseline has. Products and sums round separately,
//! since a fused one would be a library call without the instruction.
use super::tile::{TileArgs, tile};
use super::{Job, Simd};

/// Marks the instruction set in types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

/// # Safety
/// The job's own demands hold.
pub(super) unsafe fn enter<J: Job>(job: J) {
    // SAFETY: this function's contract is the job's.
    unsafe { job.run::<Portable>() }
}

type V = [f32; 8];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    let mut out = [0.0; 8];
    for lane in 0..8 {
        out[lane] = f(a[lane], b[lane]);
    }
    out
}

/// `a * b + c`, as the other instruction sets round it where the feature for tests is on.
#[inline(always)]
fn mul_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(feature = "fused-portable") { a.mul_add(b, c) } else { a * b + c }
}

// SAFETY: loads and stores touch 8 f32 at the pointer; the rest is safe code.
unsafe impl Simd for Portable {
    type V = V;
    const LANES: usize = 8;
    const MR: usize = 4;
    const NR: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> V {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> V {
        // SAFETY: the trait's contract.
        unsafe { p.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: V) {
        // SAFETY: the trait's contract.
        unsafe { p.cast::<V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(a: V, b: V) -> V {
        zip(a, b, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn sub(a: V, b: V) -> V {
        zip(a, b, |x, y| x - y)
    }
    #[inline(always)]
    unsafe fn mul(a: V, b: V) -> V {
        zip(a, b, |x, y| x * y)
    }
    #[inline(always)]
    unsafe fn mul_add(a: V, b: V, c: V) -> V {
        let mut out = c;
        for lane in 0..8 {
            out[lane] = mul_add(a[lane], b[lane], c[lane]);
        }
        out
    }
    #[inline(always)]
    unsafe fn neg_mul_add(a: V, b: V, c: V) -> V {
        let mut out = c;
        for lane in 0..8 {
            out[lane] = mul_add(-a[lane], b[lane], c[lane]);
        }
        out
    }
    #[inline(always)]
    unsafe fn relu(v: V) -> V {
        zip(v, v, |x, _| if x < 0.0 { 0.0 } else { x })
    }
    #[inline(always)]
    unsafe fn max(a: V, b: V) -> V {
        zip(a, b, |x, y| if x > y || x.is_nan() { x } else { y })
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
    #[inline(always)]
    unsafe fn tile(args: &TileArgs) {
        // SAFETY: the caller's promise.
        unsafe { tile::<Self, 4, 1>(args) }
    }
}
