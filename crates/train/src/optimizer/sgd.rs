//! Gradient descent without momentum: `w -= lr g`.

use super::VectorRule;
use pulp::Simd;

/// The rule on one number.
pub(super) fn apply(lr: f32, w: &mut f32, g: f32) {
    *w -= lr * g;
}

/// The rule on registers.
pub(super) struct Sgd<S: Simd> {
    pub(super) lr: S::f32s,
}

impl<S: Simd> VectorRule<S> for Sgd<S> {
    const MOVES_WITHOUT_GRADIENT: bool = false;

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
