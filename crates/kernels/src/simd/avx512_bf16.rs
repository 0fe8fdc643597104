//! AVX-512 with its conversions to bf16, for jobs that keep values so.
use std::arch::x86_64::*;

use super::tile::TileArgs;
use super::{Avx512, Job, Simd};
use crate::Activation;

/// Marks the instruction set in types.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512Bf16;

/// # Safety
/// The processor has the features, and the job's own demands hold.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn enter<J: Job>(job: J) {
    // SAFETY: this function's contract is the job's.
    unsafe { job.run::<Avx512Bf16>() }
}

/// Methods as AVX-512 has them.
macro_rules! as_avx512 {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        #[inline(always)]
        unsafe fn $name($($argument: $type),*) $(-> $result)? {
            // SAFETY: the trait's contract.
            unsafe { Avx512::$name($($argument),*) }
        }
    )*};
}

// SAFETY: those of AVX-512, and each of the others is the one instruction that the trait names.
unsafe impl Simd for Avx512Bf16 {
    type V = __m512;
    const LANES: usize = Avx512::LANES;
    const MR: usize = Avx512::MR;
    const BLOCK_MR: usize = Avx512::BLOCK_MR;
    const NR: usize = Avx512::NR;

    as_avx512! {
        splat(x: f32) -> __m512;
        load(p: *const f32) -> __m512;
        store(p: *mut f32, v: __m512);
        load_part(p: *const f32, count: usize) -> __m512;
        store_part(p: *mut f32, v: __m512, count: usize);
        add(a: __m512, b: __m512) -> __m512;
        sub(a: __m512, b: __m512) -> __m512;
        mul(a: __m512, b: __m512) -> __m512;
        mul_add(a: __m512, b: __m512, c: __m512) -> __m512;
        neg_mul_add(a: __m512, b: __m512, c: __m512) -> __m512;
        relu(v: __m512) -> __m512;
        max(a: __m512, b: __m512) -> __m512;
        activate(v: __m512, activation: Activation) -> __m512;
        prefetch(p: *const f32);
        fetch(p: *const f32);
        round(v: __m512) -> __m512;
        store_upper(p: *mut u16, v: __m512);
        tile(args: &TileArgs);
    }

    #[inline(always)]
    unsafe fn load_bf16(p: *const u16, count: usize) -> __m512 {
        // SAFETY: the trait's contract: lanes whose bit is not set are not read.
        unsafe {
            let halves = match count {
                16 => _mm256_loadu_si256(p.cast()),
                _ => _mm256_maskz_loadu_epi16(((1u32 << count) - 1) as __mmask16, p.cast()),
            };
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
        }
    }

    #[inline(always)]
    unsafe fn store_bf16(p: *mut u16, v: __m512, count: usize) {
        // SAFETY: the trait's contract: lanes whose bit is not set are not written. Both types are 32 bytes of which each pattern is
        // valid.
        unsafe {
            let halves: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(v));
            match count {
                16 => _mm256_storeu_si256(p.cast(), halves),
                _ => _mm256_mask_storeu_epi16(p.cast(), ((1u32 << count) - 1) as __mmask16, halves),
            }
        }
    }
}
