//! AVX2 with fused multiply-add: 8 lanes, 16 registers.
use std::arch::x86_64::*;

use super::tile::{TileArgs, tile};
use super::{Job, Simd};

/// Marks the instruction set in types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2;

/// # Safety
/// The processor has avx2,fma, and the job's own demands hold.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn enter<J: Job>(job: J) {
    // SAFETY: this function's contract is the job's.
    unsafe { job.run::<Avx2>() }
}

// SAFETY: each method is the one instruction that the trait names.
unsafe impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = 8;
    // 12 accumulators, 2 columns of weights and a broadcast fill 15 of the 16 registers.
    const MR: usize = 6;
    const NR: usize = 16;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        // SAFETY: the trait's contract.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn neg_mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(v: __m256) -> __m256 {
        // SAFETY: the trait's contract. The instruction returns its second operand when either is NaN.
        unsafe { _mm256_max_ps(_mm256_setzero_ps(), v) }
    }
    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the trait's contract. The instruction returns b when either is NaN; the blend keeps a NaN of a.
        unsafe { _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)) }
    }
    #[inline(always)]
    unsafe fn fetch(p: *const f32) {
        // SAFETY: a hint; it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: a hint; it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn tile(args: &TileArgs) {
        // SAFETY: the caller's promise.
        unsafe {
            match (args.rows, args.cols) {
                (0..=2, _) => tile::<Self, 2, 2>(args),
                (3..=4, _) => tile::<Self, 4, 2>(args),
                (_, 0..=8) => tile::<Self, 6, 1>(args),
                _ => tile::<Self, 6, 2>(args),
            }
        }
    }
}
