//! The one hot loop: a traversal of a block of weights that applies the step just done and multiplies the next batch.
//!
//! A group of columns is updated column by column, then multiplied row by row while it is in the cache: each row's sums stay in
//! registers through the group. Every operation is element by element and multiply-adds are fused on every instruction set, so
//! that AVX2, AVX-512, NEON and scalar code give the same bits.

use crate::batch::ChunkEntries;
use crate::optimizer::{Rule, RuleUser, VectorRule};
use crate::sparse::GROUP;
use kernels::prefetch;
use pulp::{Arch, Scalar, Simd, WithSimd};

/// Outputs that one pass of the kernel holds in registers: 8 of AVX-512's 32.
pub(crate) const WIDE: usize = 128;
/// The same: 8 of AVX2's 16.
pub(crate) const REGISTERS: usize = 64;
/// Panel width for few outputs, one AVX-512 register.
pub(crate) const NARROW: usize = 16;
/// Columns between the one that is updated and the one that is asked for from memory: as many as the wait is long, and few
/// enough that all of them fit in the first-level cache. Without, a step takes half as long again.
const AHEAD: usize = 4;

/// Outputs of a panel of `width` that are side by side in a block: those that one pass holds in registers.
pub(crate) fn part(arch: Arch, width: usize) -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    width.min(if arch.dispatch(Lanes) >= 16 { WIDE } else { REGISTERS })
}

/// The step just done, as one block sees it.
#[derive(Clone, Copy)]
pub(crate) struct Update<'a> {
    /// The batch's inputs.
    pub(crate) inputs: &'a ChunkEntries,
    /// Gradient of the loss by the layer's output, (rows, width).
    pub(crate) delta: &'a [f32],
    pub(crate) rule: Rule,
    /// From 1.
    pub(crate) step: u32,
}

/// A traversal of one block: `width` outputs of a chunk of input columns, in parts.
pub(crate) struct Sweep<'a> {
    /// A multiple of [`part`].
    pub(crate) width: usize,
    pub(crate) part: usize,
    /// Numbers a weight.
    pub(crate) slots: usize,
    /// (columns, parts, slots, part).
    pub(crate) data: &'a mut [f32],
    /// For each column the step that its state is right for; 0: never touched, all state zero.
    pub(crate) last_step: &'a mut [u32],
    pub(crate) update: Option<Update<'a>>,
    /// Inputs of the next batch, and its product with the block, (rows, width), set to zero before.
    pub(crate) product: Option<(&'a ChunkEntries, &'a mut [f32])>,
}

impl WithSimd for Sweep<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, self.part) {
            (16, WIDE) => run::<S, 8>(simd, self),
            (16, REGISTERS) => run::<S, 4>(simd, self),
            (16, _) => run::<S, 1>(simd, self),
            (8, REGISTERS) => run::<S, 8>(simd, self),
            (8, _) => run::<S, 2>(simd, self),
            (4, REGISTERS) => run::<S, 16>(simd, self),
            (4, _) => run::<S, 4>(simd, self),
            (_, REGISTERS) => run::<Scalar, REGISTERS>(Scalar, self),
            (_, _) => run::<Scalar, NARROW>(Scalar, self),
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
    let mut product = s.product.map(|(next, out)| (next, cleared::<S, N>(out)));
    let stride = s.slots * parts;
    for (group, last_steps) in s.last_step.chunks_mut(GROUP).enumerate() {
        for (i, last_step) in last_steps.iter_mut().enumerate() {
            let d = group * GROUP + i;
            let ahead = d + if update.inputs.is_zero(d + AHEAD) { 0 } else { AHEAD };
            prefetch(bytemuck::cast_slice(&data[ahead * stride..(ahead + 1) * stride]));
            let now = update.inputs.column(d);
            if now.is_empty() && (!R::MOVES_WITHOUT_GRADIENT || *last_step == 0) {
                continue;
            }
            let idle_steps = if *last_step == 0 { 0 } else { update.step - 1 - *last_step };
            *last_step = update.step;
            let column = &mut data[d * stride..(d + 1) * stride];
            for (part, row) in column.chunks_exact_mut(s.slots).enumerate() {
                let [w, state @ ..] = row else { return };
                let mut g = [simd.splat_f32s(0.0); N];
                for e in now {
                    let x = simd.splat_f32s(e.value);
                    let delta = &delta[e.place as usize * parts + part];
                    for k in 0..N {
                        g[k] = simd.mul_add_f32s(x, delta[k], g[k]);
                    }
                }
                if idle_steps != 0 {
                    rule.catch_up(simd, state, idle_steps);
                }
                rule.apply(simd, w, &g, state);
            }
        }
        if let Some((next, product)) = &mut product {
            add_products(simd, data, (s.slots, parts), next.group(group), product);
        }
    }
}

#[inline(always)]
fn product_only<S: Simd, const N: usize>(simd: S, s: Sweep<'_>) {
    let Some((next, out)) = s.product else { return };
    let parts = s.width / (N * S::F32_LANES);
    let product = cleared::<S, N>(out);
    let data: &[[S::f32s; N]] = bytemuck::cast_slice(s.data);
    for group in 0..s.last_step.len().div_ceil(GROUP) {
        add_products(simd, data, (s.slots, parts), next.group(group), product);
    }
}

/// A product's vectors, all zero.
#[inline(always)]
fn cleared<S: Simd, const N: usize>(out: &mut [f32]) -> &mut [[S::f32s; N]] {
    out.fill(0.0);
    bytemuck::cast_slice_mut(out)
}

/// Adds the products of a group of columns to those of `rows`, each in the order of its columns.
#[inline(always)]
fn add_products<'a, S: Simd, const N: usize>(
    simd: S,
    data: &[[S::f32s; N]],
    (slots, parts): (usize, usize),
    rows: impl Iterator<Item = &'a [crate::sparse::Nonzero]>,
    product: &mut [[S::f32s; N]],
) {
    for (entries, out) in rows.zip(product.chunks_exact_mut(parts)) {
        for (part, out) in out.iter_mut().enumerate() {
            let mut sum = *out;
            for e in entries {
                let x = simd.splat_f32s(e.value);
                let w = &data[(e.place as usize * parts + part) * slots];
                for k in 0..N {
                    sum[k] = simd.mul_add_f32s(x, w[k], sum[k]);
                }
            }
            *out = sum;
        }
    }
}
