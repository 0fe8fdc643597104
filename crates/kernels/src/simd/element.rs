//! What values are in memory: f32, or bf16, the upper half of one. Vectors are of f32 always.

use super::{Job, Simd, dispatch};
use crate::Isa;

/// An f32 in memory, whole or as a bf16 (`u16`, its bits).
pub(crate) trait Element: Copy + Send + Sync + 'static {
    /// A vector of which the first `lanes` lanes count, up to all; the others are zero.
    ///
    /// # Safety
    /// `from` has as many; the processor has the instruction set.
    unsafe fn load<S: Simd>(from: *const Self, lanes: usize) -> S::V;

    /// The first `lanes` lanes of a vector to `to`, rounded where elements are bf16.
    ///
    /// # Safety
    /// `to` has room for as many; the processor has the instruction set.
    unsafe fn store<S: Simd>(to: *mut Self, v: S::V, lanes: usize);

    /// A vector's elements as bf16, rounded where they are not.
    ///
    /// # Safety
    /// `from` has a whole vector, `to` room for one; the processor has the instruction set.
    unsafe fn round<S: Simd>(from: *const Self, to: *mut u16);

    /// Runs a job that reads or writes such elements with the vectors of `isa`.
    ///
    /// # Safety
    /// What the job's own fields demand; `isa` is available.
    unsafe fn dispatch<J: Job>(isa: Isa, job: J);

    /// The elements that are kept in some f32.
    fn of(words: &[f32]) -> &[Self];

    /// The same to be changed.
    fn of_mut(words: &mut [f32]) -> &mut [Self];
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const f32, lanes: usize) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { if lanes == S::LANES { S::load(from) } else { S::load_part(from, lanes) } }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(to: *mut f32, v: S::V, lanes: usize) {
        // SAFETY: the caller's promise.
        unsafe { if lanes == S::LANES { S::store(to, v) } else { S::store_part(to, v, lanes) } }
    }

    #[inline(always)]
    unsafe fn round<S: Simd>(from: *const f32, to: *mut u16) {
        // SAFETY: the caller's promise.
        unsafe { S::store_bf16(to, S::load(from), S::LANES) }
    }

    unsafe fn dispatch<J: Job>(isa: Isa, job: J) {
        // SAFETY: the caller's promise.
        unsafe { dispatch(isa, job) }
    }

    fn of(words: &[f32]) -> &[f32] {
        words
    }

    fn of_mut(words: &mut [f32]) -> &mut [f32] {
        words
    }
}

impl Element for u16 {
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const u16, lanes: usize) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { S::load_bf16(from, lanes) }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(to: *mut u16, v: S::V, lanes: usize) {
        // SAFETY: the caller's promise.
        unsafe { S::store_bf16(to, v, lanes) }
    }

    #[inline(always)]
    unsafe fn round<S: Simd>(from: *const u16, to: *mut u16) {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(from, to, S::LANES) }
    }

    // Only for the instruction sets that keep activations so: the others need no code for it.
    #[cfg(target_arch = "x86_64")]
    unsafe fn dispatch<J: Job>(isa: Isa, job: J) {
        assert!(matches!(isa, Isa::Amx | Isa::Avx512Bf16), "{isa} keeps no bf16");
        // Processors with matrix tiles have the conversions, those that emulate them may not.
        #[cfg(feature = "emulate-amx")]
        if !Isa::Avx512Bf16.is_available() {
            // SAFETY: the caller's promise.
            return unsafe { dispatch(isa, job) };
        }
        // SAFETY: the caller's promise.
        unsafe { super::avx512_bf16::enter(job) }
    }

    #[cfg(not(target_arch = "x86_64"))]
    unsafe fn dispatch<J: Job>(isa: Isa, job: J) {
        // SAFETY: the caller's promise.
        unsafe { dispatch(isa, job) }
    }

    fn of(words: &[f32]) -> &[u16] {
        // SAFETY: each f32 has room for two, which need less alignment; all bits are valid.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), 2 * words.len()) }
    }

    fn of_mut(words: &mut [f32]) -> &mut [u16] {
        // SAFETY: as in `of`; the borrow goes on.
        unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), 2 * words.len()) }
    }
}

/// What elements an array has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    F32,
    Bf16,
}

impl Form {
    /// f32 that so many elements take the place of. The planner keeps only whole ones as bf16.
    pub(crate) fn words(self, elements: usize) -> usize {
        match self {
            Self::F32 => elements,
            Self::Bf16 => elements.div_ceil(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bf16::{round, upper};
    use proptest::prelude::*;

    /// Elements to vectors and back, with all numbers of lanes, and what is beside them.
    struct Check<'a>(&'a [f32; 16]);

    impl Job for Check<'_> {
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            let values = self.0.map(round);
            let bits = values.map(upper);
            for lanes in 0..=S::LANES {
                let (mut wide, mut narrow) = ([7.0f32; 17], [7u16; 17]);
                // SAFETY: the arrays hold a vector.
                unsafe {
                    let v = u16::load::<S>(bits.as_ptr(), lanes);
                    S::store(wide.as_mut_ptr(), v);
                    u16::store::<S>(
                        narrow.as_mut_ptr(),
                        f32::load::<S>(self.0.as_ptr(), S::LANES),
                        lanes,
                    );
                }
                for i in 0..S::LANES {
                    let wanted = if i < lanes { values[i] } else { 0.0 };
                    assert!(
                        wide[i].to_bits() == wanted.to_bits()
                            || wide[i].is_nan() && wanted.is_nan()
                    );
                    assert_eq!(narrow[i], if i < lanes { bits[i] } else { 7 }, "{:e}", self.0[i]);
                }
                assert_eq!((wide[S::LANES], narrow[S::LANES]), (7.0, 7));
            }
        }
    }

    /// The processor's own rounding makes denormal values zero, so there are none here.
    fn check(values: [f32; 16]) {
        for isa in Isa::available() {
            // SAFETY: `isa` is one of `Isa::available`, and the job asks for no more.
            unsafe { dispatch(isa, Check(&values)) };
        }
        #[cfg(target_arch = "x86_64")]
        if Isa::Avx512Bf16.is_available() {
            // SAFETY: it is available.
            unsafe { u16::dispatch(Isa::Avx512Bf16, Check(&values)) };
        }
    }

    proptest! {
        #[test]
        fn elements_are_rounded_alike(bits: [u32; 16]) {
            check(bits.map(|bits| Some(f32::from_bits(bits)).filter(|x| !x.is_subnormal()).unwrap_or_default()));
        }
    }

    #[test]
    fn ties_go_to_even_and_specials_stay() {
        let tie = |upper: u32| f32::from_bits(upper << 16 | 0x8000);
        let nan = f32::from_bits(0x7FFF_FFFF);
        let signalling = f32::from_bits(0x7F80_0001);
        let inf = f32::INFINITY;
        check([
            0.0,
            -0.0,
            1.0,
            tie(0x3F80),
            tie(0x3F81),
            tie(0xBF81),
            inf,
            -inf,
            nan,
            signalling,
            f32::MAX,
            f32::MIN,
            -1e30,
            6.0,
            0.1,
            -0.1,
        ]);
    }

    #[test]
    fn two_bf16_take_the_place_of_an_f32() {
        let mut words = [f32::from_bits(0x3F80_4000), f32::from_bits(0x0001_C0A0)];
        assert_eq!(u16::of(&words), [0x4000, 0x3F80, 0xC0A0, 0x0001]);
        u16::of_mut(&mut words)[1] = 0;
        assert_eq!(words[0].to_bits(), 0x4000);
        assert_eq!([Form::F32, Form::Bf16].map(|form| form.words(6)), [6, 3]);
    }
}
