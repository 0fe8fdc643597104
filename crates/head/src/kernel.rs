//! The one hot loop: a traversal of a block of weights that applies the step just done and multiplies the next batch.
//!
//! Every operation is element by element and multiply-adds are fused on every instruction set, so that AVX2, AVX-512,
//! NEON and scalar code give the same bits.

use crate::Optimizer;
use crate::sparse::{ChunkColumns, Entry};
use pulp::{Scalar, Simd, WithSimd};

/// Outputs that one pass of the kernel holds in registers: 8 AVX2 registers.
pub(crate) const REGISTERS: usize = 64;
/// Panel width for few outputs, one AVX-512 register.
pub(crate) const NARROW: usize = 16;

const RHO: f32 = 0.9;
const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-7;
/// Squared gradients below this are forgotten while a column rests. RMSprop adds 1e-7 to them before the root, which
/// swallows them whole; as subnormal numbers they would only be slow.
const FORGOTTEN: f32 = 1e-36;
/// Rests longer than this look for forgotten values.
const LONG_REST: u32 = 64;

/// An update rule with the numbers of one step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Rmsprop { lr: f32 },
    Adam { alpha: f32 },
    Sgd { lr: f32 },
}

impl Rule {
    /// The rule of step `step` (from 1).
    pub(crate) fn new(optimizer: Optimizer, lr: f32, step: u32) -> Self {
        match optimizer {
            Optimizer::Rmsprop => Self::Rmsprop { lr },
            Optimizer::Sgd => Self::Sgd { lr },
            Optimizer::Adam => {
                let power = |beta: f32| 1.0 - libm::pow(f64::from(beta), f64::from(step));
                Self::Adam { alpha: (f64::from(lr) * power(BETA_2).sqrt() / power(BETA_1)) as f32 }
            }
        }
    }

    /// The rule on one number, for biases. `state` holds what [`slots`] counts beyond the weight.
    pub(crate) fn apply(self, w: &mut f32, g: f32, state: &mut [f32]) {
        match (self, state) {
            (Self::Rmsprop { lr }, [v, ..]) => {
                *v = RHO * *v + (1.0 - RHO) * (g * g);
                *w -= lr * g / (*v + EPSILON).sqrt();
            }
            (Self::Adam { alpha }, [m, v, ..]) => {
                *m += (g - *m) * (1.0 - BETA_1);
                *v += (g * g - *v) * (1.0 - BETA_2);
                *w -= *m * alpha / (v.sqrt() + EPSILON);
            }
            (Self::Sgd { lr }, _) => *w -= lr * g,
            _ => {}
        }
    }
}

/// Numbers stored for each weight: itself and the optimiser's state.
pub(crate) fn slots(optimizer: Optimizer) -> usize {
    match optimizer {
        Optimizer::Sgd => 1,
        Optimizer::Rmsprop => 2,
        Optimizer::Adam => 3,
    }
}

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
    pub(crate) seen: &'a mut [u32],
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
        Some(Rule::Rmsprop { lr }) => columns::<S, Rmsprop<S>, N>(simd, s, &Rmsprop::new(simd, lr)),
        Some(Rule::Adam { alpha }) => columns::<S, Adam<S>, N>(simd, s, &Adam::new(simd, alpha)),
        Some(Rule::Sgd { lr }) => {
            columns::<S, Sgd<S>, N>(simd, s, &Sgd { lr: simd.splat_f32s(lr) })
        }
        None => product_only::<S, N>(simd, s),
    }
}

/// An update rule on registers.
trait VectorRule<S: Simd> {
    /// A zero gradient still moves weights once state is there: no column may rest.
    const RESTLESS: bool;
    /// Brings the state of a column that had zero gradients for `rest` steps up to date.
    fn wake<const N: usize>(&self, simd: S, state: &mut [[S::f32s; N]], rest: u32);
    fn apply<const N: usize>(
        &self,
        simd: S,
        w: &mut [S::f32s; N],
        g: &[S::f32s; N],
        state: &mut [[S::f32s; N]],
    );
}

struct Rmsprop<S: Simd> {
    lr: S::f32s,
    rho: S::f32s,
    fresh: S::f32s,
    epsilon: S::f32s,
}

impl<S: Simd> Rmsprop<S> {
    #[inline(always)]
    fn new(simd: S, lr: f32) -> Self {
        let [lr, rho, fresh, epsilon] = [lr, RHO, 1.0 - RHO, EPSILON].map(|x| simd.splat_f32s(x));
        Self { lr, rho, fresh, epsilon }
    }
}

impl<S: Simd> VectorRule<S> for Rmsprop<S> {
    const RESTLESS: bool = false;

    #[inline(always)]
    fn wake<const N: usize>(&self, simd: S, state: &mut [[S::f32s; N]], mut rest: u32) {
        let [v, ..] = state else { return };
        while rest > LONG_REST {
            for _ in 0..LONG_REST {
                for v in v.iter_mut() {
                    *v = simd.mul_f32s(*v, self.rho);
                }
            }
            rest -= LONG_REST;
            let mut any = false;
            for v in bytemuck::cast_slice_mut::<S::f32s, f32>(v) {
                *v = if *v < FORGOTTEN { 0.0 } else { *v };
                any |= *v != 0.0;
            }
            if !any {
                return;
            }
        }
        for _ in 0..rest {
            for v in v.iter_mut() {
                *v = simd.mul_f32s(*v, self.rho);
            }
        }
    }

    #[inline(always)]
    fn apply<const N: usize>(
        &self,
        simd: S,
        w: &mut [S::f32s; N],
        g: &[S::f32s; N],
        state: &mut [[S::f32s; N]],
    ) {
        let [v, ..] = state else { return };
        for k in 0..N {
            let square = simd.mul_f32s(self.fresh, simd.mul_f32s(g[k], g[k]));
            v[k] = simd.mul_add_f32s(self.rho, v[k], square);
            let root = simd.sqrt_f32s(simd.add_f32s(v[k], self.epsilon));
            w[k] = simd.sub_f32s(w[k], simd.div_f32s(simd.mul_f32s(self.lr, g[k]), root));
        }
    }
}

struct Adam<S: Simd> {
    alpha: S::f32s,
    fresh_1: S::f32s,
    fresh_2: S::f32s,
    epsilon: S::f32s,
}

impl<S: Simd> Adam<S> {
    #[inline(always)]
    fn new(simd: S, alpha: f32) -> Self {
        let [alpha, fresh_1, fresh_2, epsilon] =
            [alpha, 1.0 - BETA_1, 1.0 - BETA_2, EPSILON].map(|x| simd.splat_f32s(x));
        Self { alpha, fresh_1, fresh_2, epsilon }
    }
}

impl<S: Simd> VectorRule<S> for Adam<S> {
    const RESTLESS: bool = true;

    #[inline(always)]
    fn wake<const N: usize>(&self, _: S, _: &mut [[S::f32s; N]], _: u32) {}

    #[inline(always)]
    fn apply<const N: usize>(
        &self,
        simd: S,
        w: &mut [S::f32s; N],
        g: &[S::f32s; N],
        state: &mut [[S::f32s; N]],
    ) {
        let [m, v, ..] = state else { return };
        for k in 0..N {
            m[k] = simd.mul_add_f32s(simd.sub_f32s(g[k], m[k]), self.fresh_1, m[k]);
            let surprise = simd.sub_f32s(simd.mul_f32s(g[k], g[k]), v[k]);
            v[k] = simd.mul_add_f32s(surprise, self.fresh_2, v[k]);
            let root = simd.add_f32s(simd.sqrt_f32s(v[k]), self.epsilon);
            w[k] = simd.sub_f32s(w[k], simd.div_f32s(simd.mul_f32s(m[k], self.alpha), root));
        }
    }
}

struct Sgd<S: Simd> {
    lr: S::f32s,
}

impl<S: Simd> VectorRule<S> for Sgd<S> {
    const RESTLESS: bool = false;

    #[inline(always)]
    fn wake<const N: usize>(&self, _: S, _: &mut [[S::f32s; N]], _: u32) {}

    #[inline(always)]
    fn apply<const N: usize>(
        &self,
        simd: S,
        w: &mut [S::f32s; N],
        g: &[S::f32s; N],
        _: &mut [[S::f32s; N]],
    ) {
        for k in 0..N {
            w[k] = simd.sub_f32s(w[k], simd.mul_f32s(self.lr, g[k]));
        }
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
    for (d, (column, seen)) in
        data.chunks_exact_mut(s.slots * parts).zip(s.seen.iter_mut()).enumerate()
    {
        let now = update.columns.column(d);
        let then = next.map_or(&[][..], |n| n.column(d));
        let touched = !now.is_empty() || (R::RESTLESS && *seen != 0);
        let rest = if *seen == 0 { 0 } else { update.step - 1 - *seen };
        if touched {
            *seen = update.step;
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
                if rest != 0 {
                    rule.wake(simd, state, rest);
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
    entries: &[Entry],
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
