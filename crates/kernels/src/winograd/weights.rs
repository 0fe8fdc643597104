use std::marker::PhantomData;
use std::ops::Range;

use super::scheme::{MAX_N, Scheme};
use crate::Isa;
use crate::bf16::Bf16Product;
use crate::gemm::PackedWeights;
use crate::layer::Conv2d;
use crate::memory::Shared;
use crate::simd::{Job, Simd, vectorise};

/// G of a scheme: n rows of 3.
fn g<F: Scheme>() -> Vec<[f64; 3]> {
    let mut rows: Vec<[f64; 3]> = F::POINTS
        .iter()
        .enumerate()
        .map(|(j, p)| {
            let others = F::POINTS.iter().enumerate().filter(|(i, _)| *i != j);
            let scale: f64 = others.map(|(_, q)| p - q).product();
            [1.0 / scale, p / scale, p * p / scale]
        })
        .collect();
    rows.push([0.0, 0.0, 1.0]);
    rows
}

/// G of a scheme in f32; rows beyond n are zero.
pub(super) fn g_f32<F: Scheme>() -> [[f32; 3]; MAX_N] {
    let mut rows = [[0.0; 3]; MAX_N];
    for (to, from) in rows.iter_mut().zip(g::<F>()) {
        *to = from.map(|x| x as f32);
    }
    rows
}

/// Values of a transformed kernel, at most.
const MAX_PLACES: usize = MAX_N * MAX_N;

/// What each of a kernel's nine values counts in each place of the transformed tile: G ⊗ G.
struct Factors {
    of: [[f64; MAX_PLACES]; 9],
    places: usize,
}

impl Factors {
    fn new<F: Scheme>() -> Self {
        let g = g::<F>();
        let mut of = [[0.0; MAX_PLACES]; 9];
        for (j, row) in g.iter().enumerate() {
            for (i, column) in g.iter().enumerate() {
                for (tap, factors) in of.iter_mut().enumerate() {
                    factors[j * F::N + i] = row[tap / 3] * column[tap % 3];
                }
            }
        }
        Self { of, places: F::N * F::N }
    }

    /// G g Gᵀ of one 3×3 kernel, in f64 and to be rounded once.
    #[inline(always)]
    fn apply(&self, kernel: &[f32]) -> [f64; MAX_PLACES] {
        let mut sums = [0.0; MAX_PLACES];
        let places = &mut sums[..self.places];
        for (factors, value) in self.of.iter().zip(kernel) {
            for (sum, factor) in places.iter_mut().zip(factors) {
                *sum += factor * f64::from(*value);
            }
        }
        sums
    }
}

/// G g Gᵀ of all kernels: for each place of the transformed tile a matrix of input by output channels.
pub(super) fn pack<F: Scheme>(conv: &Conv2d, isa: Isa, bf16: Option<Bf16Product>) -> PackedWeights {
    let (inputs, outputs) = (conv.in_channels, conv.out_channels);
    let factors = Factors::new::<F>();
    PackedWeights::pack_many(isa, bf16, [factors.places, inputs, outputs], |columns, to| {
        let width = columns.len();
        vectorise(isa, || {
            for (place, output) in columns.enumerate() {
                let kernels = conv.weight[output * inputs * 9..][..inputs * 9].chunks_exact(9);
                for (row, kernel) in kernels.enumerate() {
                    let sums = factors.apply(kernel);
                    for (matrix, sum) in sums[..factors.places].iter().enumerate() {
                        to[(matrix * inputs + row) * width + place] = *sum as f32;
                    }
                }
            }
        });
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
