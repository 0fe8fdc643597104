//! `random:SEED`: weights of the right size that have learnt nothing, the same on every machine and in Python (`docs/weights.md`).

use graph::Role;
use util::SplitMix64;

use crate::{Parameter, Tensor, Variant};

/// He-uniform kernels, drawn layer by layer in PyTorch's layout from one generator. Factors and variances are 1, all others 0;
/// they draw nothing.
///
/// A value is `(x >> 40) * 2^-23 - 1`, exact in f32 and in [-1, 1), times the f32 nearest to `sqrt(6 / fan_in)`.
pub(crate) fn tensors(seed: u64, variant: &Variant) -> Vec<(Parameter, Tensor)> {
    let mut bits = SplitMix64::new(seed);
    let mut draw = |parameter: &Parameter| {
        let shape = parameter.shape();
        let n: usize = shape.iter().product();
        let data = match parameter.spec.role {
            Role::Kernel | Role::DepthwiseKernel | Role::PointwiseKernel => {
                let fan_in: usize = shape.iter().skip(1).product();
                let bound = (6.0 / fan_in as f64).sqrt() as f32;
                let unit = |bits: u64| (bits >> 40) as f32 * (-23f32).exp2() - 1.0;
                (0..n).map(|_| unit(bits.next_u64()) * bound).collect()
            }
            Role::Gamma | Role::Variance => vec![1.0; n],
            Role::Bias | Role::Beta | Role::Mean => vec![0.0; n],
        };
        Tensor { shape, data }
    };
    variant.parameters.iter().map(|parameter| (parameter.clone(), draw(parameter))).collect()
}
