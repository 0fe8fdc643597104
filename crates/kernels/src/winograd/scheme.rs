//! Winograd's minimal filtering F(m×m, 3×3), one scheme for each m.
//!
//! A tile of n = m + 2 inputs gives m outputs by n products a dimension: Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A. The matrices
//! follow from n − 1 finite points and infinity (Toom and Cook): row j of G holds the powers of point j over
//! Π(pⱼ − pᵢ), column j of Aᵀ its powers, row j of Bᵀ the coefficients of Π(x − pᵢ), i ≠ j; at infinity G and Aᵀ
//! take the highest coefficient, Bᵀ the whole product. Points in pairs ±p share most of their work.
//!
//! The usual points 0, ±1, ±2 lose more than twice the precision of the ones here, whose powers stay near 1. All are
//! short binary fractions, so that Bᵀ and Aᵀ are exact in f32.
//!
//! A kernel's transform at a point depends on that point alone, but for a factor. So a smaller scheme whose points are among
//! those of a larger one can take the larger one's packed weights, once the factors are in its Aᵀ: [`F4`]'s tiles fill up what
//! [`F6`]'s leave at the edges ([`F4OfF6`]).

use crate::simd::Simd;

/// The largest n.
pub(crate) const MAX_N: usize = 8;
/// The largest m.
pub(crate) const MAX_M: usize = MAX_N - 2;

/// One-dimensional transforms on vectors; the two-dimensional ones nest them.
pub(crate) trait Scheme {
    /// Outputs a tile and dimension.
    const M: usize;
    /// Inputs a tile and dimension.
    const N: usize;
    /// The finite points, in the order of the transforms' results; infinity comes last.
    const POINTS: &'static [f64];
    /// Places a side of the packed weights: more than `N` where they are those of a larger scheme.
    const SIDE: usize = Self::N;
    /// The scheme of the tiles that fill up an image's edges with the same weights; itself where there is none.
    type Filler: Scheme;

    /// Where a result is among the places of the packed weights: the first points are those of the larger scheme, and
    /// infinity is its last place.
    #[inline(always)]
    fn place(index: usize) -> usize {
        if index + 1 == Self::N { Self::SIDE - 1 } else { index }
    }

    /// Bᵀ d, of the first `N`.
    ///
    /// # Safety
    /// The processor has the instruction set.
    unsafe fn input<S: Simd>(d: [S::V; MAX_N]) -> [S::V; MAX_N];

    /// Aᵀ m: the first `M` from the first `N`.
    ///
    /// # Safety
    /// The processor has the instruction set.
    unsafe fn output<S: Simd>(m: [S::V; MAX_N]) -> [S::V; MAX_N];

    /// A y: the first `N` from the first `M`. It is what gradients of outputs go through (the transposed algorithm): row j
    /// of A holds the powers of point j, and of infinity the highest coefficient. Points in pairs ±p share their work.
    ///
    /// # Safety
    /// The processor has the instruction set.
    #[inline(always)]
    unsafe fn output_transposed<S: Simd>(y: [S::V; MAX_N]) -> [S::V; MAX_N] {
        let mut r = y;
        r[Self::N - 1] = y[Self::M - 1];
        // An odd number of points begins with 0; the others come in pairs.
        let zero = Self::POINTS.len() % 2;
        // SAFETY: the caller's promise.
        unsafe {
            if zero == 1 {
                r[0] = y[0];
            }
            let mut j = zero;
            while j + 1 < Self::N {
                let p = Self::POINTS[j];
                let square = S::splat((p * p) as f32);
                let (mut even, mut odd) = (S::splat(0.0), S::splat(0.0));
                let mut i = Self::M;
                while i > 0 {
                    i -= 1;
                    if i % 2 == 0 {
                        even = S::mul_add(even, square, y[i]);
                    } else {
                        odd = S::mul_add(odd, square, y[i]);
                    }
                }
                let p = S::splat(p as f32);
                r[j] = S::mul_add(odd, p, even);
                r[j + 1] = S::neg_mul_add(odd, p, even);
                j += 2;
            }
        }
        r
    }
}

/// F(2×2, 3×3): 16 products for 4 outputs, 2.25 times fewer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct F2;

impl Scheme for F2 {
    type Filler = Self;
    const M: usize = 2;
    const N: usize = 4;
    const POINTS: &'static [f64] = &[0.0, 1.0, -1.0];

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; MAX_N]) -> [S::V; MAX_N] {
        let mut r = d;
        // SAFETY: the caller's promise.
        unsafe {
            r[0] = S::sub(d[2], d[0]);
            r[1] = S::add(d[2], d[1]);
            r[2] = S::sub(d[2], d[1]);
            r[3] = S::sub(d[3], d[1]);
        }
        r
    }

    #[inline(always)]
    unsafe fn output<S: Simd>(m: [S::V; MAX_N]) -> [S::V; MAX_N] {
        let mut y = m;
        // SAFETY: the caller's promise.
        unsafe {
            y[0] = S::add(m[0], S::add(m[1], m[2]));
            y[1] = S::add(m[3], S::sub(m[1], m[2]));
        }
        y
    }
}

/// F(3×3, 3×3): 25 products for 9 outputs, 3.24 times fewer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct F3;

mod f3 {
    pub(super) const A: f64 = 0.6875;
    pub(super) const B: f64 = 1.375;
}

impl Scheme for F3 {
    type Filler = Self;
    const M: usize = 3;
    const N: usize = 5;
    const POINTS: &'static [f64] = &[f3::A, -f3::A, f3::B, -f3::B];

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; MAX_N]) -> [S::V; MAX_N] {
        use f3::{A, B};
        let mut r = d;
        // SAFETY: the caller's promise.
        unsafe {
            [r[0], r[1]] = pair::<S>(A, take::<S>(B * B, d[0], d[2]), take::<S>(B * B, d[1], d[3]));
            [r[2], r[3]] = pair::<S>(B, take::<S>(A * A, d[0], d[2]), take::<S>(A * A, d[1], d[3]));
            r[4] = three::<S>(A * A * B * B, A * A + B * B, d[0], d[2], d[4]);
        }
        r
    }

    #[inline(always)]
    unsafe fn output<S: Simd>(m: [S::V; MAX_N]) -> [S::V; MAX_N] {
        use f3::{A, B};
        let mut y = m;
        // SAFETY: the caller's promise.
        unsafe {
            let (even_a, odd_a) = (S::add(m[0], m[1]), S::sub(m[0], m[1]));
            let (even_b, odd_b) = (S::add(m[2], m[3]), S::sub(m[2], m[3]));
            y[0] = S::add(even_a, even_b);
            y[1] = two::<S>(A, odd_a, B, odd_b);
            y[2] = S::mul_add(even_a, c::<S>(A * A), S::mul_add(even_b, c::<S>(B * B), m[4]));
        }
        y
    }
}

/// F(4×4, 3×3): 36 products for 16 outputs, 4 times fewer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct F4;

mod f4 {
    pub(super) const A: f64 = 0.6875;
    pub(super) const B: f64 = 1.5;
}

impl Scheme for F4 {
    type Filler = Self;
    const M: usize = 4;
    const N: usize = 6;
    const POINTS: &'static [f64] = &[0.0, f4::A, -f4::A, f4::B, -f4::B];

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; MAX_N]) -> [S::V; MAX_N] {
        // SAFETY: the caller's promise.
        unsafe { input_of_four::<S>(f4::A, f4::B, d) }
    }

    #[inline(always)]
    unsafe fn output<S: Simd>(m: [S::V; MAX_N]) -> [S::V; MAX_N] {
        use f4::{A, B};
        let mut y = m;
        // SAFETY: the caller's promise.
        unsafe {
            let (even_a, odd_a) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
            let (even_b, odd_b) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
            y[0] = S::add(S::add(m[0], even_a), even_b);
            y[1] = two::<S>(A, odd_a, B, odd_b);
            y[2] = two::<S>(A * A, even_a, B * B, even_b);
            y[3] = S::mul_add(odd_a, c::<S>(A * A * A), S::mul_add(odd_b, c::<S>(B * B * B), m[5]));
        }
        y
    }
}

/// Bᵀ d of the points 0, ±a, ±b and infinity.
#[inline(always)]
unsafe fn input_of_four<S: Simd>(a: f64, b: f64, d: [S::V; MAX_N]) -> [S::V; MAX_N] {
    let mut r = d;
    // SAFETY: the caller's promise.
    unsafe {
        r[0] = three::<S>(a * a * b * b, a * a + b * b, d[0], d[2], d[4]);
        [r[1], r[2]] = pair::<S>(a, take::<S>(b * b, d[1], d[3]), take::<S>(b * b, d[2], d[4]));
        [r[3], r[4]] = pair::<S>(b, take::<S>(a * a, d[1], d[3]), take::<S>(a * a, d[2], d[4]));
        r[5] = three::<S>(a * a * b * b, a * a + b * b, d[1], d[3], d[5]);
    }
    r
}

/// F(6×6, 3×3): 64 products for 36 outputs, 5.06 times fewer, at several times the rounding of F(4×4).
#[derive(Debug, Clone, Copy)]
pub(crate) struct F6;

mod f6 {
    pub(super) const A: f64 = 0.5;
    pub(super) const B: f64 = 1.0;
    pub(super) const C: f64 = 1.75;
}

impl Scheme for F6 {
    type Filler = F4OfF6;
    const M: usize = 6;
    const N: usize = 8;
    const POINTS: &'static [f64] = &[0.0, f6::A, -f6::A, f6::B, -f6::B, f6::C, -f6::C];

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; MAX_N]) -> [S::V; MAX_N] {
        use f6::{A, B, C};
        const S1: f64 = A * A + B * B + C * C;
        const S2: f64 = A * A * B * B + A * A * C * C + B * B * C * C;
        const S3: f64 = A * A * B * B * C * C;
        let mut r = d;
        // SAFETY: the caller's promise.
        unsafe {
            r[0] = S::neg_mul_add(d[0], c::<S>(S3), three::<S>(S2, S1, d[2], d[4], d[6]));
            let rest = |p: f64, q: f64, a, b, c| three::<S>(p * p * q * q, p * p + q * q, a, b, c);
            [r[1], r[2]] = pair::<S>(A, rest(B, C, d[1], d[3], d[5]), rest(B, C, d[2], d[4], d[6]));
            [r[3], r[4]] = pair::<S>(B, rest(A, C, d[1], d[3], d[5]), rest(A, C, d[2], d[4], d[6]));
            [r[5], r[6]] = pair::<S>(C, rest(A, B, d[1], d[3], d[5]), rest(A, B, d[2], d[4], d[6]));
            r[7] = S::neg_mul_add(d[1], c::<S>(S3), three::<S>(S2, S1, d[3], d[5], d[7]));
        }
        r
    }

    #[inline(always)]
    unsafe fn output<S: Simd>(m: [S::V; MAX_N]) -> [S::V; MAX_N] {
        use f6::{A, B, C};
        let mut y = m;
        // SAFETY: the caller's promise.
        unsafe {
            let (even_a, odd_a) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
            let (even_b, odd_b) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
            let (even_c, odd_c) = (S::add(m[5], m[6]), S::sub(m[5], m[6]));
            let even = |a: f64, b: f64, k: f64| {
                S::mul_add(even_a, c::<S>(a), two::<S>(b, even_b, k, even_c))
            };
            let odd =
                |a: f64, b: f64, k: f64| S::mul_add(odd_a, c::<S>(a), two::<S>(b, odd_b, k, odd_c));
            y[0] = S::add(S::add(m[0], even_a), S::add(even_b, even_c));
            y[1] = odd(A, B, C);
            y[2] = even(A * A, B * B, C * C);
            y[3] = odd(A * A * A, B * B * B, C * C * C);
            y[4] = even(A * A * A * A, B * B * B * B, C * C * C * C);
            y[5] = S::add(m[7], odd(A * A * A * A * A, B * B * B * B * B, C * C * C * C * C));
        }
        y
    }
}

/// F(4×4, 3×3) with the weights of [`F6`], on six of its eight places.
///
/// Rows of G are those of [`F6`]: powers of the point over Π(pⱼ − pᵢ) of all of its points. What those of C and −C add to the
/// product, pⱼ² − C², is taken back in Aᵀ; infinity has no such product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct F4OfF6;

impl Scheme for F4OfF6 {
    type Filler = Self;
    const M: usize = 4;
    const N: usize = 6;
    const POINTS: &'static [f64] = &[0.0, f6::A, -f6::A, f6::B, -f6::B];
    const SIDE: usize = F6::N;

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; MAX_N]) -> [S::V; MAX_N] {
        // SAFETY: the caller's promise.
        unsafe { input_of_four::<S>(f6::A, f6::B, d) }
    }

    #[inline(always)]
    unsafe fn output<S: Simd>(m: [S::V; MAX_N]) -> [S::V; MAX_N] {
        use f6::{A, B, C};
        const AT_ZERO: f64 = -C * C;
        const AT_A: f64 = A * A - C * C;
        const AT_B: f64 = B * B - C * C;
        let mut y = m;
        // SAFETY: the caller's promise.
        unsafe {
            let (even_a, odd_a) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
            let (even_b, odd_b) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
            y[0] = S::mul_add(m[0], c::<S>(AT_ZERO), two::<S>(AT_A, even_a, AT_B, even_b));
            y[1] = two::<S>(AT_A * A, odd_a, AT_B * B, odd_b);
            y[2] = two::<S>(AT_A * A * A, even_a, AT_B * B * B, even_b);
            let odd_b = S::mul_add(odd_b, c::<S>(AT_B * B * B * B), m[5]);
            y[3] = S::mul_add(odd_a, c::<S>(AT_A * A * A * A), odd_b);
        }
        y
    }
}

/// A constant in all lanes.
#[inline(always)]
unsafe fn c<S: Simd>(x: f64) -> S::V {
    // SAFETY: the caller's promise.
    unsafe { S::splat(x as f32) }
}

/// high − square · low: what x² − square makes of two values.
#[inline(always)]
unsafe fn take<S: Simd>(square: f64, low: S::V, high: S::V) -> S::V {
    // SAFETY: the caller's promise.
    unsafe { S::neg_mul_add(low, c::<S>(square), high) }
}

/// The rows of points p and −p: `odd` + p · `even` and `odd` − p · `even`, by the parity of the coefficients' powers.
#[inline(always)]
unsafe fn pair<S: Simd>(p: f64, even: S::V, odd: S::V) -> [S::V; 2] {
    // SAFETY: the caller's promise.
    unsafe { [S::mul_add(even, c::<S>(p), odd), S::neg_mul_add(even, c::<S>(p), odd)] }
}

/// product · d0 − sum · d2 + d4: what (x² − a²)(x² − b²) makes of three values.
#[inline(always)]
unsafe fn three<S: Simd>(product: f64, sum: f64, d0: S::V, d2: S::V, d4: S::V) -> S::V {
    // SAFETY: the caller's promise.
    unsafe { S::mul_add(d0, c::<S>(product), S::neg_mul_add(d2, c::<S>(sum), d4)) }
}

/// p · x + q · y.
#[inline(always)]
unsafe fn two<S: Simd>(p: f64, x: S::V, q: f64, y: S::V) -> S::V {
    // SAFETY: the caller's promise.
    unsafe { S::mul_add(x, c::<S>(p), S::mul(y, c::<S>(q))) }
}
