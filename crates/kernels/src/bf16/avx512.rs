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
    // SAFETY: all reads and writes are those that `PairArgs` allows.
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
