//! NEON: 4 lanes, 32 registers.
use std::arch::aarch64::*;

use super::tile::{TileArgs, tile};
use super::{Job, Simd};

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
    const BLOCK_STEPS: usize = 8;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    const A: [f32; 4] = [1.0 + f32::EPSILON, -3.5, f32::NAN, f32::INFINITY];
    const B: [f32; 4] = [1.0 - f32::EPSILON, 0.1, 2.0, -2.0];
    const C: [f32; 4] = [-1.0, -7.25, 3.0, f32::NAN];

    /// The bits of each lane; every NaN as the same.
    fn bits(values: [f32; 4]) -> [u32; 4] {
        values.map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() })
    }

    fn larger(a: f32, b: f32) -> f32 {
        if a > b || a.is_nan() { a } else { b }
    }

    /// A method on vectors against the same on numbers.
    macro_rules! same {
        (|$a:ident, $b:ident, $c:ident| $vector:expr, $scalar:expr) => {
            let mut found = [0.0f32; 4];
            // SAFETY: every processor of this target has the instructions; each array holds a vector.
            unsafe {
                let [$a, $b, $c] = [A, B, C].map(|v| Neon::load(v.as_ptr()));
                let _ = ($a, $b, $c);
                Neon::store(found.as_mut_ptr(), $vector);
            }
            let expected = std::array::from_fn(|i| {
                let ($a, $b, $c) = (A[i], B[i], C[i]);
                let _ = ($a, $b, $c);
                $scalar
            });
            assert_eq!(bits(found), bits(expected), "found {found:?}, expected {expected:?}");
        };
    }

    #[test]
    fn each_method_does_what_it_says() {
        assert_eq!(Isa::best(), Isa::Neon);
        same!(|a, b, c| Neon::splat(2.5), 2.5);
        same!(|a, b, c| Neon::add(a, b), a + b);
        same!(|a, b, c| Neon::sub(a, b), a - b);
        same!(|a, b, c| Neon::mul(a, b), a * b);
        same!(|a, b, c| Neon::mul_add(a, b, c), a.mul_add(b, c));
        same!(|a, b, c| Neon::neg_mul_add(a, b, c), (-a).mul_add(b, c));
        same!(|a, b, c| Neon::relu(a), if a < 0.0 { 0.0 } else { a });
        same!(|a, b, c| Neon::max(a, b), larger(a, b));
        same!(|a, b, c| Neon::max(b, c), larger(b, c));
    }
}
