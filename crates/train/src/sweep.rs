//! The one hot loop: a traversal of a block of weights that applies the step just done and multiplies the next batch.
//!
//! Every operation is element by element and multiply-adds are fused on every instruction set, so that AVX2, AVX-512,
//! NEON and scalar code give the same bits.

use crate::optimizer::{Rule, RuleUser, VectorRule};
use crate::sparse::{ChunkColumns, Nonzero};
use pulp::{Scalar, Simd, WithSimd};

/// Outputs that one pass of the kernel holds in registers: 8 AVX2 registers.
pub(crate) const REGISTERS: usize = 64;
/// Panel width for few outputs, one AVX-512 register.
pub(crate) const NARROW: usize = 16;

/// The step just done, as one block sees it.
#[derive(Clone, Copy)]
pub(crate) struct Update<'a> {
    /// The batch's inputs.
    pub(crate) columns: &'a ChunkColumns,
    /// Gradient of the loss by the layer's output, (rows, width).
    pub(crate) delta: &'a [f32],
    pub(crate) rule: Rule,
    /// From 1.
    pub(crate) step: u32,
}

/// A traversal of one block: `width` outputs of a chunk of input columns, in parts of [`REGISTERS`] or [`NARROW`].
pub(crate) struct Sweep<'a> {
    /// A multiple of [`REGISTERS`], or [`NARROW`].
    pub(crate) width: usize,
    /// Numbers a weight.
    pub(crate) slots: usize,
    /// (columns, parts, slots, part width).
    pub(crate) data: &'a mut [f32],
    /// For each column the step that its state is right for; 0: never touched, all state zero.
    pub(crate) last_step: &'a mut [u32],
    pub(crate) update: Option<Update<'a>>,
    /// Inputs of the next batch, and its product with the block, (rows, width), set to zero before.
    pub(crate) product: Option<(&'a ChunkColumns, &'a mut [f32])>,
}

impl WithSimd for Sweep<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, self.width.is_multiple_of(REGISTERS)) {
            (16, true) => run::<S, 4>(simd, self),
            (16, false) => run::<S, 1>(simd, self),
            (8, true) => run::<S, 8>(simd, self),
            (8, false) => run::<S, 2>(simd, self),
            (4, true) => run::<S, 16>(simd, self),
            (4, false) => run::<S, 4>(simd, self),
            (_, true) => run::<Scalar, REGISTERS>(Scalar, self),
            (_, false) => run::<Scalar, NARROW>(Scalar, self),
        }
    }
}

#[inline(always)]
fn run<S: Simd, const N: usize>(simd: S, s: Sweep<'_>) {
    match s.update.map(|u| u.rule) {
        Some(rule) => rule.vectorize(simd, WithRule::<S, N> { simd, sweep: s }),
        None => product_only::<S, N>(simd, s),
    }
}

/// A traversal that waits for its rule.
struct WithRule<'a, S: Simd, const N: usize> {
    simd: S,
    sweep: Sweep<'a>,
}

impl<S: Simd, const N: usize> RuleUser<S> for WithRule<'_, S, N> {
    #[inline(always)]
    fn run<R: VectorRule<S>>(self, rule: &R) {
        columns::<S, R, N>(self.simd, self.sweep, rule);
    }
}

/// Update and product in one traversal.
#[inline(always)]
fn columns<S: Simd, R: VectorRule<S>, const N: usize>(simd: S, s: Sweep<'_>, rule: &R) {
    let Some(update) = s.update else { return };
    let parts = s.width / (N * S::F32_LANES);
    let data: &mut [[S::f32s; N]] = bytemuck::cast_slice_mut(s.data);
    let delta: &[[S::f32s; N]] = bytemuck::cast_slice(update.delta);
    let (next, product): (_, &mut [[S::f32s; N]]) = match s.product {
        Some((columns, out)) => {
            out.fill(0.0);
            (Some(columns), bytemuck::cast_slice_mut(out))
        }
        None => (None, &mut []),
    };
    for (d, (column, last_step)) in
        data.chunks_exact_mut(s.slots * parts).zip(s.last_step.iter_mut()).enumerate()
    {
        let now = update.columns.column(d);
        let then = next.map_or(&[][..], |n| n.column(d));
        let touched = !now.is_empty() || (R::MOVES_WITHOUT_GRADIENT && *last_step != 0);
        let idle_steps = if *last_step == 0 { 0 } else { update.step - 1 - *last_step };
        if touched {
            *last_step = update.step;
        }
        for (part, row) in column.chunks_exact_mut(s.slots).enumerate() {
            let [w, state @ ..] = row else { return };
            if touched {
                let mut g = [simd.splat_f32s(0.0); N];
                for e in now {
                    let x = simd.splat_f32s(e.value);
                    let delta = &delta[e.row as usize * parts + part];
                    for k in 0..N {
                        g[k] = simd.mul_add_f32s(x, delta[k], g[k]);
                    }
                }
                if idle_steps != 0 {
                    rule.catch_up(simd, state, idle_steps);
                }
                rule.apply(simd, w, &g, state);
            }
            if !then.is_empty() {
                add_products(simd, w, then, product, parts, part);
            }
        }
    }
}

#[inline(always)]
fn product_only<S: Simd, const N: usize>(simd: S, s: Sweep<'_>) {
    let Some((next, out)) = s.product else { return };
    out.fill(0.0);
    let parts = s.width / (N * S::F32_LANES);
    let product: &mut [[S::f32s; N]] = bytemuck::cast_slice_mut(out);
    let data: &[[S::f32s; N]] = bytemuck::cast_slice(s.data);
    for (d, column) in data.chunks_exact(s.slots * parts).enumerate() {
        let then = next.column(d);
        if !then.is_empty() {
            for (part, row) in column.chunks_exact(s.slots).enumerate() {
                add_products(simd, &row[0], then, product, parts, part);
            }
        }
    }
}

#[inline(always)]
fn add_products<S: Simd, const N: usize>(
    simd: S,
    w: &[S::f32s; N],
    entries: &[Nonzero],
    product: &mut [[S::f32s; N]],
    parts: usize,
    part: usize,
) {
    // A copy: the compiler cannot know that `product` does not overlap the weights, and would load them for each entry.
    let w = *w;
    for e in entries {
        let x = simd.splat_f32s(e.value);
        let out = &mut product[e.row as usize * parts + part];
        for k in 0..N {
            out[k] = simd.mul_add_f32s(x, w[k], out[k]);
        }
    }
}
