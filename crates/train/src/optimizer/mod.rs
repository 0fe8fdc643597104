//! How weights follow from gradients: one file a rule, on one number and on registers side by side.

mod adam;
mod rmsprop;
mod sgd;

use crate::Optimizer;
use pulp::Simd;

/// Keras's, of RMSprop and Adam.
const EPSILON: f32 = 1e-7;

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
            Optimizer::Adam => Self::Adam { alpha: adam::alpha(lr, step) },
        }
    }

    /// The rule on one number, for biases. `state` holds what [`slots`] counts beyond the weight.
    pub(crate) fn apply(self, w: &mut f32, g: f32, state: &mut [f32]) {
        match (self, state) {
            (Self::Rmsprop { lr }, [v, ..]) => rmsprop::apply(lr, w, g, v),
            (Self::Adam { alpha }, [m, v, ..]) => adam::apply(alpha, w, g, m, v),
            (Self::Sgd { lr }, _) => sgd::apply(lr, w, g),
            _ => {}
        }
    }

    /// Hands the rule on registers to `user`.
    #[inline(always)]
    pub(crate) fn vectorize<S: Simd, U: RuleUser<S>>(self, simd: S, user: U) {
        match self {
            Self::Rmsprop { lr } => user.run(&rmsprop::Rmsprop::new(simd, lr)),
            Self::Adam { alpha } => user.run(&adam::Adam::new(simd, alpha)),
            Self::Sgd { lr } => user.run(&sgd::Sgd { lr: simd.splat_f32s(lr) }),
        }
    }
}

/// What runs with any rule.
pub(crate) trait RuleUser<S: Simd> {
    fn run<R: VectorRule<S>>(self, rule: &R);
}

/// Numbers stored for each weight: itself and the optimizer's state.
pub(crate) fn slots(optimizer: Optimizer) -> usize {
    match optimizer {
        Optimizer::Sgd => 1,
        Optimizer::Rmsprop => 2,
        Optimizer::Adam => 3,
    }
}

/// An update rule on registers.
pub(crate) trait VectorRule<S: Simd> {
    /// Once state is there, a zero gradient still moves weights: no column may be idle.
    const MOVES_WITHOUT_GRADIENT: bool;
    /// Brings the state of a column that had zero gradients for `idle_steps` steps up to date; nothing where a zero gradient
    /// leaves state as it is, or no column is ever idle.
    #[inline(always)]
    fn catch_up<const N: usize>(&self, _: S, _: &mut [[S::f32s; N]], _: u32) {}
    fn apply<const N: usize>(
        &self,
        simd: S,
        w: &mut [S::f32s; N],
        g: &[S::f32s; N],
        state: &mut [[S::f32s; N]],
    );
}
