//! AVX-512: 16 lanes, 32 registers.
use std::arch::x86_64::*;

use super::tile::{TileArgs, tile};
use super::{Job, Simd};

/// Marks the instruction set in types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512;

/// # Safety
/// The processor has avx512f,avx2,fma, and the job's own demands hold.
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) unsafe fn enter<J: Job>(job: J) {
    // SAFETY: this function's contract is the job's.
    unsafe { job.run::<Avx512>() }
}

// SAFETY: each method is the one instruction that the trait names.
unsafe impl Simd for Avx512 {
    type V = __m512;
    const LANES: usize = 16;
    // More rows have more pointers than the processor has registers for them.
    const MR: usize = 8;
    // 24 accumulators, 2 columns of weights and a broadcast fill 27 of the 32 registers.
    const BLOCK_MR: usize = 12;
    const NR: usize = 32;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m512) {
        // SAFETY: the trait's contract.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, count: usize) -> __m512 {
        // SAFETY: the trait's contract: lanes whose bit is not set are not read.
        unsafe { _mm512_maskz_loadu_ps(lanes(count), p) }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: __m512, count: usize) {
        // SAFETY: the trait's contract: lanes whose bit is not set are not written.
        unsafe { _mm512_mask_storeu_ps(p, lanes(count), v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn neg_mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(v: __m512) -> __m512 {
        // SAFETY: the trait's contract. The instruction returns its second operand when either is NaN.
        unsafe { _mm512_max_ps(_mm512_setzero_ps(), v) }
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the trait's contract. The instruction returns b when either is NaN; the blend keeps a NaN of a.
        unsafe {
            _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), a)
        }
    }
    #[inline(always)]
    unsafe fn fetch(p: *const f32) {
        // SAFETY: a hint; it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: a hint; it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn round(v: __m512) -> __m512 {
        // SAFETY: the trait's contract. Half a unit less one is added, and one more where the last bit that stays is
        // odd; NaN is made quiet instead, so that cutting its lower half cannot make it infinite.
        unsafe {
            let bits = _mm512_castps_si512(v);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
            let rounded = _mm512_add_epi32(bits, half);
            let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
            let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v);
            let either = _mm512_mask_mov_epi32(rounded, is_nan, quiet);
            _mm512_castsi512_ps(_mm512_and_si512(either, _mm512_set1_epi32(0xFFFF_0000_u32 as i32)))
        }
    }
    #[inline(always)]
    unsafe fn store_upper(p: *mut u16, v: __m512) {
        // SAFETY: the trait's contract.
        unsafe {
            let upper = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(_mm512_castps_si512(v)));
            _mm256_storeu_si256(p.cast(), upper);
        }
    }
    #[inline(always)]
    unsafe fn tile(args: &TileArgs) {
        // SAFETY: the caller's promise.
        unsafe {
            match (args.rows, args.cols) {
                (5..=8, 0..=16) => tile::<Self, 8, 1>(args),
                (0..=4, _) => tile::<Self, 4, 2>(args),
                (5..=8, _) => tile::<Self, 8, 2>(args),
                _ => tile::<Self, 12, 2>(args),
            }
        }
    }
}

/// The mask of the first `count` lanes, up to all.
#[inline(always)]
fn lanes(count: usize) -> __mmask16 {
    ((1u32 << count) - 1) as __mmask16
}
