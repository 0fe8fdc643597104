//! One tensor with its gradient and the optimizer's state.

use crate::HeadError;
use crate::optimizer::{Rule, RuleUser, VectorRule};
use graph::ParamSpec;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// A parameter of a network, in Keras's layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    spec: ParamSpec,
    values: Vec<f32>,
    is_trainable: bool,
    /// The optimizer's numbers, one array for each that it keeps a weight; none before the first step.
    state: Vec<Vec<f32>>,
    gradient: Vec<f32>,
}

/// Values that a task updates.
const PIECE: usize = 32 * 1024;

impl Tensor {
    pub(super) fn new(spec: ParamSpec, values: Vec<f32>, is_trainable: bool) -> Self {
        Self { spec, values, is_trainable, state: Vec::new(), gradient: Vec::new() }
    }

    /// What it is.
    pub fn spec(&self) -> &ParamSpec {
        &self.spec
    }

    /// Its values, C order.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Whether training changes it by gradients.
    pub fn is_trainable(&self) -> bool {
        self.is_trainable
    }

    /// The gradient of the last step; empty before the first and where it is not trained.
    pub fn gradient(&self) -> &[f32] {
        &self.gradient
    }

    /// What the optimizer keeps for each value.
    pub(crate) fn state(&self) -> &[Vec<f32>] {
        &self.state
    }

    pub(crate) fn set_state(&mut self, state: Vec<Vec<f32>>) -> Result<(), HeadError> {
        for state in &state {
            self.check(state)?;
        }
        self.state = state;
        Ok(())
    }

    pub(crate) fn set(&mut self, values: &[f32]) -> Result<(), HeadError> {
        self.check(values)?;
        self.values.copy_from_slice(values);
        Ok(())
    }

    fn check(&self, values: &[f32]) -> Result<(), HeadError> {
        match values.len() == self.values.len() {
            true => Ok(()),
            false => Err(HeadError::Width {
                what: format!("{:?} of layer {}", self.spec.role, self.spec.node),
                expected: self.values.len(),
                found: values.len(),
            }),
        }
    }

    /// Room for a gradient, until it is put back.
    pub(super) fn take_gradient(&mut self) -> Vec<f32> {
        let mut gradient = std::mem::take(&mut self.gradient);
        gradient.resize(self.values.len(), 0.0);
        gradient
    }

    pub(super) fn put_gradient(&mut self, gradient: Vec<f32>) {
        self.gradient = gradient;
    }

    /// Moves towards `value` by `share`: a moving average.
    pub(super) fn drift(&mut self, value: &[f32], share: f32) {
        self.values.iter_mut().zip(value).for_each(|(x, v)| *x += (v - *x) * share);
    }

    /// One step of an optimizer that keeps `slots` numbers a weight, the weight included.
    pub(super) fn update(&mut self, rule: Rule, slots: usize) {
        let length = self.values.len();
        self.state.resize_with(slots - 1, || vec![0.0; length]);
        let [first, second] = match &mut self.state[..] {
            [] => [&mut [][..], &mut []],
            [only] => [&mut only[..], &mut []],
            [first, second, ..] => [&mut first[..], &mut second[..]],
        };
        let pieces = self.values.par_chunks_mut(PIECE).zip(self.gradient.par_chunks(PIECE));
        let state = pieces_of(first, length).into_par_iter().zip(pieces_of(second, length));
        pieces.zip(state).for_each(|((values, gradient), (first, second))| {
            Arch::new().dispatch(Update { rule, values, gradient, state: [first, second] });
        });
    }
}

/// The state's pieces, beside those of the values; empty ones where there is no state.
fn pieces_of(state: &mut [f32], length: usize) -> Vec<&mut [f32]> {
    if state.is_empty() {
        return (0..length.div_ceil(PIECE)).map(|_| &mut [][..]).collect();
    }
    state.chunks_mut(PIECE).collect()
}

/// One piece of a tensor.
struct Update<'a> {
    rule: Rule,
    values: &'a mut [f32],
    gradient: &'a [f32],
    state: [&'a mut [f32]; 2],
}

impl WithSimd for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.rule.vectorize(simd, OnRegisters { simd, update: self });
    }
}

struct OnRegisters<'a, S> {
    simd: S,
    update: Update<'a>,
}

impl<S: Simd> RuleUser<S> for OnRegisters<'_, S> {
    #[inline(always)]
    fn run<R: VectorRule<S>>(self, rule: &R) {
        let Self { simd, update: Update { rule: scalar, values, gradient, state } } = self;
        let [first, second] = state;
        let (values, rest) = S::as_mut_simd_f32s(values);
        let (gradient, rest_gradient) = S::as_simd_f32s(gradient);
        let (first, rest_first) = S::as_mut_simd_f32s(first);
        let (second, rest_second) = S::as_mut_simd_f32s(second);
        let zero = simd.splat_f32s(0.0);
        for (i, (w, g)) in values.iter_mut().zip(gradient).enumerate() {
            let mut now = [*w];
            let at = |state: &[S::f32s]| [state.get(i).copied().unwrap_or(zero)];
            let mut both = [at(first), at(second)];
            rule.apply(simd, &mut now, &[*g], &mut both);
            *w = now[0];
            if let Some(to) = first.get_mut(i) {
                *to = both[0][0];
            }
            if let Some(to) = second.get_mut(i) {
                *to = both[1][0];
            }
        }
        // Fewer than a register holds.
        for (i, (w, g)) in rest.iter_mut().zip(rest_gradient).enumerate() {
            let at = |state: &[f32]| state.get(i).copied().unwrap_or(0.0);
            let mut both = [at(rest_first), at(rest_second)];
            scalar.apply(w, *g, &mut both);
            if let Some(to) = rest_first.get_mut(i) {
                *to = both[0];
            }
            if let Some(to) = rest_second.get_mut(i) {
                *to = both[1];
            }
        }
    }
}
