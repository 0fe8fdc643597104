//! A bias that is added last costs one rounding, however many products there are.

mod reference;

use kernels::{Activation, Algorithm, Conv2d, Isa, Layer, Network, Precision, Products};
use reference::Random;
use std::collections::HashSet;

/// Height and width of the images.
const SIZE: [usize; 2] = [9, 11];

fn network(conv: &Conv2d, isa: Isa, precision: Precision) -> Network {
    let shape = [SIZE[0], SIZE[1], conv.in_channels];
    let layers = [Layer::Conv(conv.clone())];
    Network::new(&layers, shape, isa, precision).expect("a sound layer")
}

fn run(conv: &Conv2d, isa: Isa, precision: Precision, image: &[f32]) -> Vec<f32> {
    let network = network(conv, isa, precision);
    let mut output = vec![f32::NAN; network.output_shape().iter().product()];
    network.run(1, image, &mut output).expect("right lengths");
    output
}

/// The layer's own products without a bias, and the bias added to them.
#[test]
fn the_sum_of_products_is_rounded_without_the_bias() {
    let mut reached = HashSet::new();
    for ([inputs, outputs], kernel, stride, padding, groups) in [
        ([24, 40], [1, 1], [1, 1], [0, 0], 1),
        ([3, 33], [3, 3], [2, 2], [1, 1], 1),
        ([16, 16], [5, 3], [1, 1], [2, 1], 1),
        ([16, 48], [3, 3], [1, 1], [1, 1], 1),
        // Direct, since Winograd's algorithm takes no groups.
        ([20, 30], [3, 3], [1, 1], [1, 1], 2),
        ([37, 37], [3, 3], [1, 2], [1, 1], 37),
    ] {
        let mut random = Random(8);
        let conv = random.conv([inputs, outputs], kernel, stride, padding, groups, false);
        let image = random.values(SIZE[0] * SIZE[1] * inputs);
        let large: Vec<f32> = (0..outputs).map(|o| 1000.0 + o as f32 / 7.0).collect();
        let bare = Conv2d { bias: vec![0.0; outputs], ..conv.clone() };
        let last = Conv2d { bias: large.clone(), bias_last: true, ..conv.clone() };
        let first = Conv2d { bias_last: false, ..last.clone() };
        let relu = Conv2d {
            bias: large.iter().map(|b| b - 1000.0 - 2.0).collect(),
            activation: Activation::Relu,
            ..last.clone()
        };
        for (isa, precision) in isas_and_precisions() {
            let run = |conv: &Conv2d| run(conv, isa, precision, &image);
            let products = run(&bare);
            let sums = |bias: &[f32]| -> Vec<f32> {
                products
                    .chunks(outputs)
                    .flat_map(|p| p.iter().zip(bias).map(|(p, b)| p + b))
                    .collect()
            };
            assert!(run(&last) == sums(&last.bias), "{isa} {precision} {conv:?}");
            let clamped: Vec<f32> = sums(&relu.bias).iter().map(|v| v.max(0.0)).collect();
            assert!(run(&relu) == clamped, "{isa} {precision}: ReLU comes after the bias");
            let algorithm = network(&last, isa, precision).algorithms()[0].1;
            reached.insert(algorithm);
            // Else the test would say nothing. The other algorithms always add it last.
            if matches!(algorithm, Algorithm::Direct | Algorithm::Depthwise) {
                assert!(run(&first) != sums(&first.bias), "{isa}: order leaves no trace");
            }
        }
    }
    let has = |algorithm: fn(&Algorithm) -> bool| reached.iter().any(algorithm);
    assert!(has(|a| *a == Algorithm::Direct) && has(|a| *a == Algorithm::Depthwise));
    assert!(has(|a| matches!(a, Algorithm::Winograd { products: Products::F32, .. })));
}

fn isas_and_precisions() -> impl Iterator<Item = (Isa, Precision)> {
    let each = |isa| Precision::ON_CPU.iter().map(move |precision| (isa, *precision));
    Isa::available().into_iter().flat_map(each)
}
