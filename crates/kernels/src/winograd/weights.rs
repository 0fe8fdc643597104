use std::array;
use std::marker::PhantomData;
use std::ops::Range;

use super::scheme::{MAX_N, Scheme};
use crate::Isa;
use crate::bf16::Bf16Product;
use crate::gemm::{PackedWeights, Part};
use crate::layer::Conv2d;
use crate::memory::Shared;
use crate::simd::{Job, Simd, dispatch};

/// G of a scheme: n rows, a column for each of its taps.
fn g<F: Scheme, const TAPS: usize>() -> Vec<[f64; TAPS]> {
    assert_eq!(F::TAPS, TAPS, "taps of another scheme");
    let mut rows: Vec<[f64; TAPS]> = F::POINTS
        .iter()
        .enumerate()
        .map(|(j, p)| {
            let others = F::POINTS.iter().enumerate().filter(|(i, _)| *i != j);
            let scale: f64 = others.map(|(_, q)| p - q).product();
            let mut power = 1.0;
            array::from_fn(|_| {
                let value = power / scale;
                power *= p;
                value
            })
        })
        .collect();
    rows.push(array::from_fn(|tap| if tap + 1 == TAPS { 1.0 } else { 0.0 }));
    rows
}

/// G of a scheme in f32; rows beyond n are zero.
pub(super) fn g_f32<F: Scheme>() -> [[f32; 3]; MAX_N] {
    let mut rows = [[0.0; 3]; MAX_N];
    for (to, from) in rows.iter_mut().zip(g::<F, 3>()) {
        *to = from.map(|x| x as f32);
    }
    rows
}

/// Columns of a panel, at most.
const MAX_COLUMNS: usize = 32;

/// G g Gᵀ of all kernels, by the schemes `Y` down and `X` across: for each place of the transformed tile a matrix of input by output
/// channels.
pub(super) fn pack<Y: Scheme, X: Scheme, const KH: usize, const KW: usize>(
    conv: &Conv2d,
    isa: Isa,
    bf16: Option<Bf16Product>,
) -> PackedWeights {
    let (inputs, outputs) = (conv.in_channels, conv.out_channels);
    let (down, across) = (g::<Y, KH>(), g::<X, KW>());
    let places = Y::N * X::N;
    PackedWeights::pack_many(isa, bf16, [places, inputs, outputs], |Part { rows, columns }, to| {
        let matrix_len = to.len() / places;
        for (place, row) in rows.enumerate() {
            let to = &mut to[place * columns.len()..];
            let (down, across, columns) = (&down, &across, columns.clone());
            let task = TransformTask { conv, down, across, row, columns, to, matrix_len };
            // SAFETY: safe code demands nothing; `Network::compile` makes plans only for an `isa` that was detected.
            unsafe { dispatch(isa, task) };
        }
    })
}

/// G g Gᵀ of one input channel's kernels for some output channels, in f64 and rounded once; columns side by side in vectors. No
/// closure: that is not compiled for the instruction set that runs it.
#[derive(Debug)]
struct TransformTask<'a, const KH: usize, const KW: usize> {
    conv: &'a Conv2d,
    down: &'a [[f64; KH]],
    across: &'a [[f64; KW]],
    row: usize,
    columns: Range<usize>,
    /// Matrix, column; matrices `matrix_len` apart.
    to: &'a mut [f32],
    matrix_len: usize,
}

impl<const KH: usize, const KW: usize> Job for TransformTask<'_, KH, KW> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { conv, down, across, row, columns, to, matrix_len } = self;
        let width = columns.len();
        // By column of the kernel, then by its row.
        let mut taps = [[[0.0; MAX_COLUMNS]; KH]; KW];
        for (column, output) in columns.enumerate() {
            let kernel = &conv.weight[(output * conv.in_channels + row) * KH * KW..][..KH * KW];
            for (place, value) in kernel.iter().enumerate() {
                taps[place % KW][place / KW][column] = f64::from(*value);
            }
        }
        let mut to = to.chunks_mut(matrix_len);
        for g in down {
            let half: [_; KW] = array::from_fn(|x| combined(g, &taps[x]));
            for g in across {
                let sums = combined(g, &half);
                if let Some(to) = to.next() {
                    for (to, sum) in to[..width].iter_mut().zip(sums) {
                        *to = sum as f32;
                    }
                }
            }
        }
    }
}

/// Σ gᵢ · vᵢ of all columns.
#[inline(always)]
fn combined<const TAPS: usize>(
    g: &[f64; TAPS],
    v: &[[f64; MAX_COLUMNS]; TAPS],
) -> [f64; MAX_COLUMNS] {
    array::from_fn(|column| {
        let mut sum = g[0] * v[0][column];
        for (g, v) in g.iter().zip(v).skip(1) {
            sum += g * v[column];
        }
        sum
    })
}

/// G g Gᵀ of some input channels' kernels, in f32, written into the packed matrices: for weights that change every step.
///
/// The caller promises: `kernel` is (3, 3, inputs, outputs); each of `matrices` has room for `inputs` rows of all panels of
/// `nr` columns, and nobody else writes those of these input channels; outputs are whole vectors.
#[derive(Debug)]
pub(super) struct RepackTask<'a, F> {
    pub(super) kernel: &'a [f32],
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) rows: Range<usize>,
    pub(super) nr: usize,
    pub(super) matrices: &'a [Shared],
    pub(super) g: &'a [[f32; 3]; MAX_N],
    pub(super) scheme: PhantomData<F>,
}

impl<F: Scheme> Job for RepackTask<'_, F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let plane = self.inputs * self.outputs;
        for row in self.rows {
            let mut c = 0;
            while c < self.outputs {
                let (panel, column) = (c / self.nr, c % self.nr);
                let at = (panel * self.inputs + row) * self.nr + column;
                let from = row * self.outputs + c;
                // SAFETY: outputs are whole vectors, so that one is in each of the nine planes and in the panel's row.
                unsafe {
                    let mut half = [[S::splat(0.0); 3]; MAX_N];
                    for x in 0..3 {
                        let tap = |y: usize| {
                            S::load(self.kernel[(y * 3 + x) * plane + from..][..S::LANES].as_ptr())
                        };
                        let column = [tap(0), tap(1), tap(2)];
                        for (half, g) in half.iter_mut().zip(self.g).take(F::N) {
                            half[x] = combine::<S>(g, &column);
                        }
                    }
                    for (y, half) in half.iter().enumerate().take(F::N) {
                        for (x, g) in self.g.iter().enumerate().take(F::N) {
                            let to = self.matrices[y * F::N + x].get().add(at);
                            S::store(to, combine::<S>(g, half));
                        }
                    }
                }
                c += S::LANES;
            }
        }
    }
}

/// Σ gᵢ · vᵢ.
#[inline(always)]
unsafe fn combine<S: Simd>(g: &[f32; 3], v: &[S::V; 3]) -> S::V {
    // SAFETY: the caller's promise.
    unsafe {
        let sum = S::mul(S::splat(g[0]), v[0]);
        let sum = S::mul_add(S::splat(g[1]), v[1], sum);
        S::mul_add(S::splat(g[2]), v[2], sum)
    }
}
