//! Every available instruction set and precision, on random shapes, against the naive loop.

mod reference;

use kernels::{Conv2d, Isa, Layer, Network, Precision};
use proptest::prelude::*;
use reference::Random;

/// Largest difference, as a part of the largest output, for one layer: f32 sums of up to some thousand products; the
/// transforms of Winograd's algorithm add a little more.
const ONE_LAYER: f64 = 5e-6;
/// The same for outputs that two more layers have worked on.
const THREE_LAYERS: f64 = 1e-5;

/// How much more a network may be off than in f32 with small tiles. F(6×6) rounds up to some four times as much (of the worst of many
/// drawn layers; over a whole base it averages out). With bf16 units `high` leaves out what is 2⁻¹⁶ of a product and `medium` rounds operands by up to 2⁻⁹;
/// the transforms enlarge both up to tenfold. (Units are held to exact products, much more tightly, by tests of their own beside
/// them.)
fn tolerance(network: &Network) -> f64 {
    let says = |what: &str| network.describe().iter().any(|line| line.contains(what));
    match () {
        () if says("3 x bf16") => 30.0,
        () if says("bf16") => 6000.0,
        () if says("F(6x6") => 6.0,
        () => 1.0,
    }
}

fn check(layers: &[Layer], shape: [usize; 3], batch: usize, seed: u64, bound: f64) {
    let length: usize = shape.iter().product();
    let input = Random(seed).values(batch * length);
    let expected: Vec<f64> =
        input.chunks(length).flat_map(|image| reference::network(layers, shape, image).0).collect();
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs())).max(1e-3);
    for isa in Isa::available() {
        for precision in Precision::ON_CPU {
            let network = Network::new(layers, shape, isa, *precision).expect("a sound network");
            let mut found = vec![f32::NAN; expected.len()];
            network.run(batch, &input, &mut found).expect("right lengths");
            for (at, (f, e)) in found.iter().zip(&expected).enumerate() {
                let off = (f64::from(*f) - e).abs();
                assert!(
                    off <= bound * tolerance(&network) * largest,
                    "{isa} {precision}: value {at} of {shape:?} is {f}, should be {e}; {:?}",
                    network.describe()
                );
            }
        }
    }
}

fn pool() -> Layer {
    Layer::max_pool([2, 2], [2, 2])
}

prop_compose! {
    /// Any convolution on an image that is large enough for it.
    fn any_case()(
        group_in in prop_oneof![1usize..20, Just(32), Just(48)],
        group_out in prop_oneof![1usize..20, Just(32), Just(40)],
        groups in prop_oneof![3 => Just(1usize), 1 => 2usize..5],
        kernel in [1usize..6, 1usize..6],
        stride in [1usize..4, 1usize..4],
        padding in [0usize..4, 0usize..4],
        more in [0usize..12, 0usize..12],
        batch in prop_oneof![4 => 1usize..4, 1 => Just(7usize)],
        relu: bool,
        pooled: bool,
        depthwise in prop_oneof![4 => Just(false), 1 => Just(true)],
        seed: u64,
    ) -> (Vec<Layer>, [usize; 3], usize, u64) {
        let mut random = Random(seed);
        let channels = if depthwise { [group_in; 2] } else { [group_in * groups, group_out * groups] };
        let groups = if depthwise { group_in } else { groups };
        let side = |k: usize, p: usize, more: usize| k.saturating_sub(2 * p).max(1) + more;
        let shape = [side(kernel[0], padding[0], more[0]), side(kernel[1], padding[1], more[1]), channels[0]];
        let conv = random.conv(channels, kernel, stride, padding, groups, relu);
        let out = |n: usize, i: usize| (n + 2 * padding[i] - kernel[i]) / stride[i] + 1;
        let mut layers = vec![Layer::Conv(conv)];
        if pooled && out(shape[0], 0) >= 2 && out(shape[1], 1) >= 2 {
            layers.push(pool());
        }
        (layers, shape, batch, seed)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(reference::share(150) as u32))]

    #[test]
    fn any_convolution((layers, shape, batch, seed) in any_case()) {
        check(&layers, shape, batch, seed, ONE_LAYER);
    }

    /// The case that bases are made of, with channels in the sixteens and not, pooled and not.
    #[test]
    fn three_by_three(
        channels in [1usize..5, 1usize..5],
        step in prop_oneof![3 => Just(16usize), 1 => Just(32usize), 1 => Just(5usize)],
        size in [1usize..24, 1usize..24],
        padding in prop_oneof![4 => Just([1usize, 1]), 1 => [0usize..3, 0usize..3]],
        pooled: bool,
        relu: bool,
        batch in 1usize..4,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let channels = channels.map(|c| c * step);
        let shape = [size[0].max(3 - (2 * padding[0]).min(2)), size[1].max(3 - (2 * padding[1]).min(2)), channels[0]];
        let mut layers = vec![Layer::Conv(random.conv(channels, [3, 3], [1, 1], padding, 1, relu))];
        let out = [shape[0] + 2 * padding[0] - 2, shape[1] + 2 * padding[1] - 2];
        if pooled && out.iter().all(|n| *n >= 2) {
            layers.push(pool());
        }
        check(&layers, shape, batch, seed, ONE_LAYER);
    }

    /// Other kernels that have tiles, with channels in the sixteens and not, padded to nothing, "same" and all there may be.
    #[test]
    fn long_kernels(
        channels in [1usize..5, 1usize..5],
        step in prop_oneof![4 => Just(16usize), 1 => Just(5usize)],
        kernel in prop::sample::select(vec![[5usize, 5], [1, 3], [3, 1], [1, 7], [7, 1]]),
        size in [1usize..24, 1usize..24],
        padding in 0usize..3,
        pooled: bool,
        relu: bool,
        batch in 1usize..4,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let channels = channels.map(|c| c * step);
        let padding = kernel.map(|taps| [0, taps / 2, taps - 1][padding]);
        let side = |axis: usize| size[axis].max(kernel[axis].saturating_sub(2 * padding[axis]));
        let shape = [side(0), side(1), channels[0]];
        let mut layers = vec![Layer::Conv(random.conv(channels, kernel, [1, 1], padding, 1, relu))];
        let out = |axis: usize| shape[axis] + 2 * padding[axis] + 1 - kernel[axis];
        if pooled && out(0) >= 2 && out(1) >= 2 {
            layers.push(pool());
        }
        check(&layers, shape, batch, seed, ONE_LAYER);
    }

    #[test]
    fn pools(
        channels in 1usize..40,
        size in [1usize..4, 1usize..4],
        stride in [1usize..4, 1usize..4],
        more in [0usize..9, 0usize..9],
        seed: u64,
    ) {
        let shape = [size[0] + more[0], size[1] + more[1], channels];
        check(&[Layer::max_pool(size, stride)], shape, 2, seed, 0.0);
    }
}

#[test]
fn a_chain_of_layers_and_many_images() {
    let mut random = Random(7);
    let layers = vec![
        Layer::Conv(random.conv([3, 32], [3, 3], [1, 1], [1, 1], 1, true)),
        Layer::Conv(random.conv([32, 32], [3, 3], [1, 1], [1, 1], 1, true)),
        pool(),
        Layer::Conv(random.conv([32, 64], [3, 3], [1, 1], [1, 1], 1, true)),
        pool(),
    ];
    for batch in [1, 2, 20, 33, 65] {
        check(&layers, [13, 11, 3], batch, batch as u64, THREE_LAYERS);
    }
}

#[test]
fn deep_sums_and_one_pixel() {
    let mut random = Random(8);
    let deep: Conv2d = random.conv([512, 48], [3, 3], [1, 1], [1, 1], 1, true);
    for shape in [[1, 1, 512], [2, 1, 512], [5, 4, 512]] {
        check(&[Layer::Conv(deep.clone())], shape, 2, 9, ONE_LAYER);
    }
    // More than one pass of every unit, and a last one that is narrower.
    for channels in [544, 1056] {
        let deeper = random.conv([channels, 48], [3, 3], [1, 1], [1, 1], 1, true);
        check(&[Layer::Conv(deeper)], [5, 4, channels], 2, 9, ONE_LAYER);
    }
    let one: Conv2d = random.conv([300, 20], [1, 1], [1, 1], [0, 0], 1, false);
    check(&[Layer::Conv(one)], [1, 1, 300], 33, 9, ONE_LAYER);
}
