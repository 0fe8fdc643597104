//! RMSprop: `v = 0.9 v + 0.1 g²; w -= lr g / sqrt(v + 1e-7)`, as in Keras 3.

use super::{EPSILON, VectorRule};
use pulp::Simd;

const RHO: f32 = 0.9;
/// Squared gradients below this are forgotten while a column is idle. 1e-7 is added to them before the root, which swallows
/// them whole; as subnormal numbers they would only be slow.
const FORGOTTEN: f32 = 1e-36;
/// Columns that are idle for longer than this are looked at for forgotten values.
const LONG_IDLE: u32 = 64;

/// The rule on one number.
pub(super) fn apply(lr: f32, w: &mut f32, g: f32, v: &mut f32) {
    *v = RHO * *v + (1.0 - RHO) * (g * g);
    *w -= lr * g / (*v + EPSILON).sqrt();
}

/// The rule on registers.
pub(super) struct Rmsprop<S: Simd> {
    lr: S::f32s,
    rho: S::f32s,
    fresh: S::f32s,
    epsilon: S::f32s,
}

impl<S: Simd> Rmsprop<S> {
    #[inline(always)]
    pub(super) fn new(simd: S, lr: f32) -> Self {
        let [lr, rho, fresh, epsilon] = [lr, RHO, 1.0 - RHO, EPSILON].map(|x| simd.splat_f32s(x));
        Self { lr, rho, fresh, epsilon }
    }
}

impl<S: Simd> VectorRule<S> for Rmsprop<S> {
    const MOVES_WITHOUT_GRADIENT: bool = false;

    #[inline(always)]
    fn catch_up<const N: usize>(&self, simd: S, state: &mut [[S::f32s; N]], mut idle_steps: u32) {
        let [v, ..] = state else { return };
        while idle_steps > LONG_IDLE {
            for _ in 0..LONG_IDLE {
                for v in v.iter_mut() {
                    *v = simd.mul_f32s(*v, self.rho);
                }
            }
            idle_steps -= LONG_IDLE;
            let mut any = false;
            for v in bytemuck::cast_slice_mut::<S::f32s, f32>(v) {
                *v = if *v < FORGOTTEN { 0.0 } else { *v };
                any |= *v != 0.0;
            }
            if !any {
                return;
            }
        }
        for _ in 0..idle_steps {
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
