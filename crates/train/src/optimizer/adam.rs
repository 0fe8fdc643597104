//! Adam with β₁ = 0.9, β₂ = 0.999, ε = 1e-7 outside the root, bias corrected, as in Keras 3.

use super::{EPSILON, VectorRule};
use pulp::Simd;

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;

/// The learning rate of step `step` (from 1), with both corrections.
pub(super) fn alpha(lr: f32, step: u32) -> f32 {
    let power = |beta: f32| 1.0 - libm::pow(f64::from(beta), f64::from(step));
    (f64::from(lr) * power(BETA_2).sqrt() / power(BETA_1)) as f32
}

/// The rule on one number.
pub(super) fn apply(alpha: f32, w: &mut f32, g: f32, m: &mut f32, v: &mut f32) {
    *m += (g - *m) * (1.0 - BETA_1);
    *v += (g * g - *v) * (1.0 - BETA_2);
    *w -= *m * alpha / (v.sqrt() + EPSILON);
}

/// The rule on registers.
pub(super) struct Adam<S: Simd> {
    alpha: S::f32s,
    fresh_1: S::f32s,
    fresh_2: S::f32s,
    epsilon: S::f32s,
}

impl<S: Simd> Adam<S> {
    #[inline(always)]
    pub(super) fn new(simd: S, alpha: f32) -> Self {
        let [alpha, fresh_1, fresh_2, epsilon] =
            [alpha, 1.0 - BETA_1, 1.0 - BETA_2, EPSILON].map(|x| simd.splat_f32s(x));
        Self { alpha, fresh_1, fresh_2, epsilon }
    }
}

impl<S: Simd> VectorRule<S> for Adam<S> {
    const MOVES_WITHOUT_GRADIENT: bool = true;

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
