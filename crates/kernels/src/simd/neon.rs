//! NEON: 4 lanes, 32 registers.
use std::arch::aarch64::*;

use super::{Job, Simd};
use crate::gemm::{TileArgs, tile};

/// Marks the instruction set in types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon;

/// # Safety
/// The processor has neon, and the job's own demands hold.
#[target_feature(enable = "neon")]
pub(super) unsafe fn enter<J: Job>(job: J) {
    // SAFETY: this function's contract is the job's.
    unsafe { job.run::<Neon>() }
}

// SAFETY: each method is the one instruction that the trait names.
unsafe impl Simd for Neon {
    type V = float32x4_t;
    const LANES: usize = 4;
    // 16 accumulators, 2 columns of weights and a broadcast fill 19 of the 32 registers.
    const MR: usize = 8;
    const NR: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: float32x4_t) {
        // SAFETY: the trait's contract.
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn neg_mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vfmsq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn relu(v: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract. The instruction returns NaN when either is.
        unsafe { vmaxq_f32(vdupq_n_f32(0.0), v) }
    }
    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract. The instruction returns NaN when either is.
        unsafe { vmaxq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
    #[inline(always)]
    unsafe fn tile(args: &TileArgs) {
        // SAFETY: the caller's promise.
        unsafe {
            match args.rows {
                0..=4 => tile::<Self, 4, 2>(args),
                _ => tile::<Self, 8, 2>(args),
            }
        }
    }
}
