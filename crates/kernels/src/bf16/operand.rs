use crate::simd::{Element, Simd};

/// How vectors of f32 are kept as the left operand of a product.
pub(crate) trait Operand: 'static {
    /// An element as it is kept.
    type Element;

    /// Writes the vector at `to`, and its lower part, if it has one, `low_offset` elements further on.
    ///
    /// # Safety
    /// The processor has the instruction set; there is room for a vector at each.
    unsafe fn put<S: Simd>(to: *mut Self::Element, low_offset: usize, v: S::V);

    /// The same with a vector in memory.
    ///
    /// # Safety
    /// A whole vector is at `from`; those of [`put`](Self::put).
    #[inline(always)]
    unsafe fn put_from<S: Simd, E: Element>(
        to: *mut Self::Element,
        low_offset: usize,
        from: *const E,
    ) {
        // SAFETY: the caller's promise.
        unsafe { Self::put::<S>(to, low_offset, E::load::<S>(from, S::LANES)) }
    }
}

/// As f32.
#[derive(Debug, Clone, Copy)]
pub(crate) struct F32;

/// Bf16 to bf16.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bf16;

/// As the sum of two bf16.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bf16Pair;

impl Operand for F32 {
    type Element = f32;

    #[inline(always)]
    unsafe fn put<S: Simd>(to: *mut f32, _: usize, v: S::V) {
        // SAFETY: the caller's promise.
        unsafe { S::store(to, v) }
    }
}

impl Operand for Bf16 {
    type Element = u16;

    #[inline(always)]
    unsafe fn put<S: Simd>(to: *mut u16, _: usize, v: S::V) {
        // SAFETY: the caller's promise.
        unsafe { S::store_bf16(to, v, S::LANES) }
    }

    #[inline(always)]
    unsafe fn put_from<S: Simd, E: Element>(to: *mut u16, _: usize, from: *const E) {
        // SAFETY: the caller's promise.
        unsafe { E::round::<S>(from, to) }
    }
}

impl Operand for Bf16Pair {
    type Element = u16;

    #[inline(always)]
    unsafe fn put<S: Simd>(to: *mut u16, low_offset: usize, v: S::V) {
        // SAFETY: the caller's promise.
        unsafe {
            let high = S::round(v);
            S::store_upper(to, high);
            S::store_upper(to.add(low_offset), S::round(S::sub(v, high)));
        }
    }
}

/// To the nearest bf16, ties to even, as an f32. NaN stays NaN.
#[inline(always)]
pub(crate) fn round(x: f32) -> f32 {
    let bits = x.to_bits();
    if x.is_nan() {
        // Quiet, so that cutting the lower half cannot make it infinite.
        return f32::from_bits((bits | 0x0040_0000) & 0xFFFF_0000);
    }
    f32::from_bits(bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
}

/// The bits that a bf16 keeps of an f32, without rounding.
#[inline(always)]
pub(crate) fn upper(x: f32) -> u16 {
    (x.to_bits() >> 16) as u16
}

/// Two values as bf16 in the place of an f32, the first of them first in memory.
pub(crate) fn word([first, second]: [f32; 2]) -> f32 {
    let half = |x: f32| u32::from(upper(round(x)));
    f32::from_bits(half(first) | half(second) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::simd::{Job, dispatch};
    use proptest::prelude::*;

    struct Check<'a>(&'a [f32; 16]);

    impl Job for Check<'_> {
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            for chunk in self.0.chunks_exact(S::LANES) {
                let (mut one, mut two) = ([0u16; 16], [0u16; 32]);
                // SAFETY: the arrays hold a vector.
                unsafe {
                    Bf16::put::<S>(one.as_mut_ptr(), 0, S::load(chunk.as_ptr()));
                    Bf16Pair::put::<S>(two.as_mut_ptr(), 16, S::load(chunk.as_ptr()));
                }
                for (i, x) in chunk.iter().enumerate() {
                    let high = round(*x);
                    let low = round(*x - high);
                    assert_eq!(one[i], upper(high), "{x:e}");
                    assert_eq!(two[i], one[i]);
                    let (found, wanted) = (two[16 + i], upper(low));
                    assert!(found == wanted || low.is_nan() && found & 0x7FFF > 0x7F80, "{x:e}");
                }
            }
        }
    }

    fn check(values: [f32; 16]) {
        for isa in Isa::available() {
            // SAFETY: `isa` is one of `Isa::available`, and the job asks for no more.
            unsafe { dispatch(isa, Check(&values)) };
        }
    }

    proptest! {
        #[test]
        fn every_instruction_set_rounds_alike(bits: [u32; 16]) {
            check(bits.map(f32::from_bits));
        }
    }

    #[test]
    fn ties_go_to_even_and_specials_stay() {
        let tie = |upper: u32| f32::from_bits(upper << 16 | 0x8000);
        assert_eq!(round(tie(0x3F80)).to_bits(), 0x3F80_0000);
        assert_eq!(round(tie(0x3F81)).to_bits(), 0x3F82_0000);
        assert!(round(f32::from_bits(0x7F80_0001)).is_nan());
        assert_eq!(round(f32::NEG_INFINITY), f32::NEG_INFINITY);
        let nan = f32::from_bits(0x7FFF_FFFF);
        check([
            0.0,
            -0.0,
            1.0,
            tie(0x3F80),
            tie(0x3F81),
            tie(0xBF81),
            f32::INFINITY,
            f32::NEG_INFINITY,
            nan,
            f32::from_bits(0xFFFF_FFFF),
            f32::from_bits(0x7F80_0001),
            f32::MAX,
            f32::MIN_POSITIVE,
            1e-40,
            std::f32::consts::PI,
            -1e30,
        ]);
    }
}
