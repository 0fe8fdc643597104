//! One digest of a whole base's features, for every processor.
//!
//! `highest` promises rows that are equal to the last bit on all instruction sets with fused multiply-add
//! (`kernels::Isa::bits`). Each that this machine has is held to the digest below; NEON by `scripts/check_neon.sh`, and the
//! portable kernels with the feature `fused-portable`.

mod reference;

use kernels::{Isa, Layer, Network, Precision};
use reference::Random;
use sha2::{Digest as _, Sha256};

/// Of the features of [`IMAGES`] drawn pictures, as little-endian f32. With another one `NUMERICS` in
/// crates/pipeline/src/recipe.rs goes up by one: see there.
const FEATURES: &str = "4b18da760a8eb467c38a07e39cfeafd63985c64a6f2673056efbb260119bd4cf";

const IMAGES: usize = 8;
/// Odd, so that no block's pool fits and Winograd's tiles hang over.
const SIDES: [usize; 2] = [45, 39];

/// VGG16 up to its last pool.
fn vgg16() -> Vec<Layer> {
    let mut random = Random(16);
    let mut layers = Vec::new();
    let mut from = 3;
    for (convolutions, filters) in [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)] {
        for _ in 0..convolutions {
            layers.push(Layer::Conv(random.conv([from, filters], [3, 3], [1, 1], [1, 1], 1, true)));
            from = filters;
        }
        layers.push(Layer::max_pool([2, 2], [2, 2]));
    }
    layers
}

/// Waves and noise in the range of normalised pixels, without a mathematical library, whose bits are not promised.
fn pictures() -> Vec<f32> {
    let mut random = Random(8);
    let [height, width] = SIDES;
    let mut values = Vec::new();
    for image in 0..IMAGES {
        for y in 0..height {
            for x in 0..width {
                for channel in 0..3 {
                    let wave = (x * (image + 1) + y * (channel + 2)) % 17;
                    values.push(wave as f32 / 8.0 - 1.0 + random.unit() / 2.0);
                }
            }
        }
    }
    values
}

#[test]
fn features_are_equal_on_every_processor() {
    let (layers, input) = (vgg16(), pictures());
    let fused = |isa: &Isa| isa.bits(Precision::Highest) == Isa::Avx2.bits(Precision::Highest);
    for isa in Isa::ALL.iter().filter(|isa| !isa.is_available() || !fused(isa)) {
        println!("skipped: {isa} is not here, or rounds products by themselves");
    }
    for isa in Isa::available().into_iter().filter(fused) {
        let network =
            Network::new(&layers, [SIDES[0], SIDES[1], 3], isa, Precision::Highest).expect("sound");
        let mut output = vec![0.0_f32; IMAGES * network.output_shape().iter().product::<usize>()];
        network.run(IMAGES, &input, &mut output).expect("right lengths");
        let alive = output.iter().filter(|value| **value > 0.0).count();
        assert!(
            alive * 4 > output.len(),
            "features that tell something: {alive} of {}",
            output.len()
        );
        let bytes: Vec<u8> = output.iter().flat_map(|value| value.to_le_bytes()).collect();
        let digest: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, FEATURES, "on {isa}");
    }
}
