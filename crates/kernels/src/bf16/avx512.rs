//! Dot products of bf16 pairs: each f32 lane takes two products of a broadcast pair and a packed one.

use std::arch::x86_64::*;

use super::{Blocks, NR, PairArgs};

/// 24 accumulators, 2 columns of weights and a broadcast fill 27 of the 32 registers.
pub(super) const MR: usize = 12;

/// The most bf16 from row to row, and the depth of one pass: its panel of weights takes half of the first-level cache.
const BLOCK: usize = 256;
const HALF: usize = BLOCK / 2;
const QUARTER: usize = BLOCK / 4;

/// Few channels are kept closer together.
pub(super) fn blocks(channels: usize) -> Blocks {
    let stride = [QUARTER, HALF].into_iter().find(|stride| channels <= *stride).unwrap_or(BLOCK);
    Blocks { depth: BLOCK, stride }
}

/// # Safety
/// [`PairArgs`], without split operands and with a stride of [`blocks`]; the processor has avx512f and avx512bf16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn tile(args: &PairArgs) {
    // The stride is a constant to the loop, so that one register addresses all rows.
    // SAFETY: the caller's promise.
    unsafe {
        match args.stride {
            BLOCK => sum::<BLOCK>(args),
            HALF => sum::<HALF>(args),
            QUARTER => sum::<QUARTER>(args),
            other => unreachable!("a stride of {other}"),
        }
    }
}

/// Pairs of a round.
const UNROLL: usize = 4;

/// # Safety
/// As [`tile`], and `args.stride` is `STRIDE`.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
unsafe fn sum<const STRIDE: usize>(args: &PairArgs) {
    const LANES: usize = 16;
    const NV: usize = NR / LANES;
    // SAFETY: by `PairArgs` there are MR rows STRIDE apart of `depth` bf16, depth / 2 · NR pairs of weights, and MR rows of NR
    // sums `out_stride` apart: the loops end there.
    unsafe {
        let mut acc = [[_mm512_setzero_ps(); NV]; MR];
        if args.add {
            for (i, row) in acc.iter_mut().enumerate() {
                for (j, v) in row.iter_mut().enumerate() {
                    *v = _mm512_loadu_ps(args.out.add(i * args.out_stride + j * LANES));
                }
            }
        }
        let (mut a, mut w) = (args.rows.cast::<i32>(), args.weights.cast::<i32>());
        let pairs = args.depth / 2;
        let mut step = |u: usize, a: *const i32, w: *const i32| {
            let mut b = [_mm512_setzero_si512(); NV];
            for (j, v) in b.iter_mut().enumerate() {
                *v = _mm512_loadu_si512(w.add(u * NR + j * LANES).cast());
            }
            for (i, row) in acc.iter_mut().enumerate() {
                let pair: __m512bh = std::mem::transmute(_mm512_set1_epi32(
                    a.add(i * (STRIDE / 2) + u).read_unaligned(),
                ));
                for (v, b) in row.iter_mut().zip(b) {
                    *v = _mm512_dpbf16_ps(*v, std::mem::transmute::<__m512i, __m512bh>(b), pair);
                }
            }
        };
        let mut k = 0;
        while k + UNROLL <= pairs {
            for u in 0..UNROLL {
                step(u, a, w);
            }
            (a, w) = (a.add(UNROLL), w.add(UNROLL * NR));
            k += UNROLL;
        }
        while k < pairs {
            step(0, a, w);
            (a, w) = (a.add(1), w.add(NR));
            k += 1;
        }
        for (i, row) in acc.iter().enumerate() {
            for (j, v) in row.iter().enumerate() {
                _mm512_storeu_ps(args.out.add(i * args.out_stride + j * LANES), *v);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use proptest::prelude::*;

    /// Sixteen lanes of the instruction.
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn lanes(sums: [f32; 16], a: [u32; 16], b: [u32; 16]) -> [f32; 16] {
        let mut out = [0.0; 16];
        // SAFETY: each array holds one vector, and any bits are a valid vector of bf16.
        unsafe {
            let [a, b] = [a, b].map(|v| std::mem::transmute::<[u32; 16], __m512bh>(v));
            let sums = _mm512_dpbf16_ps(_mm512_loadu_ps(sums.as_ptr()), a, b);
            _mm512_storeu_ps(out.as_mut_ptr(), sums);
        }
        out
    }

    /// VDPBF16PS as Intel's manual describes it: the upper product first, each added by one rounding to the nearest;
    /// denormals count as zero on the way in and out, whatever the processor's flags say.
    fn model(sum: f32, a: u32, b: u32) -> f32 {
        let flush = |x: f32| if x.is_subnormal() { 0.0f32.copysign(x) } else { x };
        let [low_a, low_b] = [a, b].map(|pair| flush(f32::from_bits(pair << 16)));
        let [high_a, high_b] = [a, b].map(|pair| flush(f32::from_bits(pair & 0xFFFF_0000)));
        flush(low_a.mul_add(low_b, flush(high_a.mul_add(high_b, flush(sum)))))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Processors of several makers have the instruction. That rows depend on its name alone, and not on the maker,
        /// needs all of them to round as the manual says. Any bits, and bits near one, where sums cancel.
        #[test]
        fn the_processor_rounds_as_the_manual_says(bits: [[u32; 16]; 3], near: bool) {
            if !Isa::Avx512Bf16.is_available() {
                return Ok(());
            }
            let exponent = |x: u32| x & 0x8FFF_FFFF | 0x3000_0000;
            let narrow = |x: u32| if near { exponent(x) & 0xBFFF_FFFF } else { x };
            let pair = |x: u32| if near { narrow(x) & 0xFFFF_0000 | narrow(x << 16) >> 16 } else { x };
            let (sums, a, b) = (bits[0].map(narrow).map(f32::from_bits), bits[1].map(pair), bits[2].map(pair));
            // SAFETY: the processor has the instruction: seen above.
            let found = unsafe { lanes(sums, a, b) };
            for i in 0..16 {
                let expected = model(sums[i], a[i], b[i]);
                prop_assert!(
                    found[i].to_bits() == expected.to_bits() || found[i].is_nan() && expected.is_nan(),
                    "{:e} + {:08x} · {:08x} is {:e}, in the manual {expected:e}", sums[i], a[i], b[i], found[i]
                );
            }
        }
    }
}
