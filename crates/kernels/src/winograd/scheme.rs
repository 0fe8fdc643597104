//! Winograd's minimal filtering F(m, r), one scheme for each m outputs of a kernel with r taps in one dimension; two of them nest.
//!
//! A tile of n = m + r − 1 inputs gives m outputs by n products a dimension: Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A. The matrices
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
pub(crate) const MAX_N: usize = 9;
/// The largest m.
pub(crate) const MAX_M: usize = 6;

/// One-dimensional transforms on vectors; the two-dimensional ones nest them.
pub(crate) trait Scheme {
    /// Outputs a tile and dimension.
    const M: usize;
    /// Inputs a tile and dimension.
    const N: usize;
    /// Taps of the kernel in this dimension.
    const TAPS: usize = Self::N + 1 - Self::M;
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

/// One tap, one output: a dimension in which the kernel has no extent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct One;

impl Scheme for One {
    type Filler = Self;
    const M: usize = 1;
    const N: usize = 1;
    const POINTS: &'static [f64] = &[];

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; MAX_N]) -> [S::V; MAX_N] {
        d
    }

    #[inline(always)]
    unsafe fn output<S: Simd>(m: [S::V; MAX_N]) -> [S::V; MAX_N] {
        m
    }
}

/// F(2, 5), at the points of [`F4`]: 6 products for 2 outputs of 5 taps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct F2Of5;

impl Scheme for F2Of5 {
    type Filler = Self;
    const M: usize = 2;
    const N: usize = F4::N;
    const POINTS: &'static [f64] = F4::POINTS;

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; MAX_N]) -> [S::V; MAX_N] {
        // SAFETY: the caller's promise.
        unsafe { F4::input::<S>(d) }
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
            y[1] = S::add(two::<S>(A, odd_a, B, odd_b), m[5]);
        }
        y
    }
}

/// F(3, 7): 9 products for 3 outputs of 7 taps. Of the points of its size those with the least rounding of a random layer, twice that
/// of F(4×4, 3×3) (docs/performance.md).
#[derive(Debug, Clone, Copy)]
pub(crate) struct F3Of7;

mod f3_of_7 {
    pub(super) const A: f64 = 0.375;
    pub(super) const B: f64 = 0.6875;
    pub(super) const C: f64 = 1.125;
    pub(super) const D: f64 = 2.25;
    /// Their squares.
    pub(super) const SQUARES: [f64; 4] = [A * A, B * B, C * C, D * D];
}

impl F3Of7 {
    /// (x² − a²)(x² − b²)(x² − c²) of four values, the squares without that of index `left_out`.
    #[inline(always)]
    unsafe fn rest<S: Simd>(left_out: usize, d: [S::V; 4]) -> S::V {
        let q = f3_of_7::SQUARES;
        let [a, b, c_] = match left_out {
            0 => [q[1], q[2], q[3]],
            1 => [q[0], q[2], q[3]],
            2 => [q[0], q[1], q[3]],
            _ => [q[0], q[1], q[2]],
        };
        // SAFETY: the caller's promise.
        unsafe {
            let rest = three::<S>(a * b + a * c_ + b * c_, a + b + c_, d[1], d[2], d[3]);
            S::neg_mul_add(d[0], c::<S>(a * b * c_), rest)
        }
    }
}

impl Scheme for F3Of7 {
    type Filler = Self;
    const M: usize = 3;
    const N: usize = 9;
    const POINTS: &'static [f64] = &[
        f3_of_7::A,
        -f3_of_7::A,
        f3_of_7::B,
        -f3_of_7::B,
        f3_of_7::C,
        -f3_of_7::C,
        f3_of_7::D,
        -f3_of_7::D,
    ];

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; MAX_N]) -> [S::V; MAX_N] {
        use f3_of_7::{A, B, C, D};
        let mut r = d;
        let (even, odd) = ([d[0], d[2], d[4], d[6]], [d[1], d[3], d[5], d[7]]);
        // SAFETY: the caller's promise.
        unsafe {
            [r[0], r[1]] = pair::<S>(A, Self::rest::<S>(0, even), Self::rest::<S>(0, odd));
            [r[2], r[3]] = pair::<S>(B, Self::rest::<S>(1, even), Self::rest::<S>(1, odd));
            [r[4], r[5]] = pair::<S>(C, Self::rest::<S>(2, even), Self::rest::<S>(2, odd));
            [r[6], r[7]] = pair::<S>(D, Self::rest::<S>(3, even), Self::rest::<S>(3, odd));
            // (x² − a²)(x² − b²)(x² − c²) once more, times x² − d².
            let higher = Self::rest::<S>(3, [d[2], d[4], d[6], d[8]]);
            r[8] = take::<S>(D * D, Self::rest::<S>(3, even), higher);
        }
        r
    }

    #[inline(always)]
    unsafe fn output<S: Simd>(m: [S::V; MAX_N]) -> [S::V; MAX_N] {
        use f3_of_7::{A, B, C, D};
        let mut y = m;
        // SAFETY: the caller's promise.
        unsafe {
            let even =
                [S::add(m[0], m[1]), S::add(m[2], m[3]), S::add(m[4], m[5]), S::add(m[6], m[7])];
            let odd =
                [S::sub(m[0], m[1]), S::sub(m[2], m[3]), S::sub(m[4], m[5]), S::sub(m[6], m[7])];
            y[0] = S::add(S::add(even[0], even[1]), S::add(even[2], even[3]));
            let odd_ab = two::<S>(A, odd[0], B, odd[1]);
            y[1] = S::add(odd_ab, two::<S>(C, odd[2], D, odd[3]));
            let even_ab = two::<S>(A * A, even[0], B * B, even[1]);
            y[2] = S::add(S::add(even_ab, two::<S>(C * C, even[2], D * D, even[3])), m[8]);
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
