//! `random:SEED`: weights of the right size that have learnt nothing, the same on every machine and in Python (`docs/weights.md`).

use std::collections::BTreeMap;

use super::{ConvSpec, Tensor};

/// The generator SplitMix64 (Steele, Lea and Flood 2014, <https://doi.org/10.1145/2714064.2660195>).
pub(super) struct SplitMix64(pub(super) u64);

impl SplitMix64 {
    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// He-uniform kernels, drawn layer by layer in (out, in, height, width) order from one generator; biases are 0.
///
/// A value is `(x >> 40) * 2^-23 - 1`, exact in f32 and in [-1, 1), times the f32 nearest to `sqrt(6 / fan_in)`.
pub(super) fn tensors(seed: u64, architecture: &[ConvSpec]) -> BTreeMap<String, Tensor> {
    let (mut bits, mut out) = (SplitMix64(seed), BTreeMap::new());
    for spec in architecture {
        let fan_in = spec.in_channels * spec.kernel[0] * spec.kernel[1];
        let bound = (6.0 / fan_in as f64).sqrt() as f32;
        let n = spec.out_channels * fan_in;
        let data =
            (0..n).map(|_| ((bits.next() >> 40) as f32 * (-23f32).exp2() - 1.0) * bound).collect();
        out.insert(
            format!("{}/kernel", spec.keras_name),
            Tensor { shape: spec.oihw().to_vec(), data },
        );
        let bias = Tensor { shape: vec![spec.out_channels], data: vec![0.0; spec.out_channels] };
        out.insert(format!("{}/bias", spec.keras_name), bias);
    }
    out
}
