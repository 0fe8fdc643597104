//! Convolutions that gather patches and multiply bf16, and the direct ones that f32 has in their place, on random shapes:
//! against the sum in f64, and the same bits for any batch and number of threads.

mod reference;

use kernels::{
    Activation, Algorithm, Conv2d, Isa, Layer, Network, Padding, Precision, Products, Program,
    Value,
};
use proptest::prelude::*;
use reference::Random;

/// Largest difference as a part of the sum of all products' magnitudes: f32 additions in passes of 256 products at most.
const ROUNDING: f64 = 2e-6;
/// By how much the transforms of Winograd's algorithm, up to F(6×6), enlarge what is left out. (It takes the 3×3 kernels of
/// stride 1 among the random cases; `against_naive.rs` is its own test.)
const TRANSFORMS: f64 = 10.0;
/// What two bf16 of 8 bits leave out of each product, at most.
const BF16: f64 = 1.0 / 256.0 + 1.0 / 65536.0;
/// What three of the four products of split operands leave out: the fourth, and what is beyond two bf16, of each 2⁻¹⁸.
const BF16_PAIR: f64 = 3.0 / 262144.0;

/// A convolution, what it adds, if anything, and what it is joined with, if anything: all of the same size.
#[derive(Debug, Clone)]
struct Case {
    conv: Conv2d,
    residual: Option<Conv2d>,
    /// Channels beside the convolution's own in the array that it writes.
    neighbour: Option<Conv2d>,
    shape: [usize; 3],
    batch: usize,
    seed: u64,
}

impl Case {
    fn program(&self, map: impl Fn(&Conv2d) -> Conv2d) -> Program {
        let mut program = Program::default();
        let mut push = |conv: &Conv2d, inputs| program.push(Layer::Conv(map(conv)), inputs);
        let before = self.neighbour.as_ref().map(|conv| push(conv, vec![Value::Input]));
        let residual = self.residual.as_ref().map(|conv| push(conv, vec![Value::Input]));
        let inputs = [Value::Input].into_iter().chain(residual).collect();
        let value = push(&self.conv, inputs);
        if let Some(before) = before {
            program.push(Layer::Concat, vec![before, value]);
        }
        program
    }

    fn input(&self) -> Vec<f32> {
        Random(self.seed).values(self.batch * self.shape.iter().product::<usize>())
    }

    /// The outputs in f64, and the sums of the magnitudes of what each is the sum of.
    fn expected(&self) -> [Vec<f64>; 2] {
        let input = self.input();
        let length = input.len() / self.batch;
        let run = |program: &Program, input: &[f32]| -> Vec<f64> {
            let images = input.chunks(length);
            images.flat_map(|image| reference::program(program, self.shape, image).values).collect()
        };
        let absolute = |values: &[f32]| -> Vec<f32> { values.iter().map(|v| v.abs()).collect() };
        let magnitudes = self.program(|conv| Conv2d {
            weight: absolute(&conv.weight),
            bias: absolute(&conv.bias),
            activation: Activation::None,
            ..conv.clone()
        });
        [run(&self.program(Conv2d::clone), &input), run(&magnitudes, &absolute(&input))]
    }

    fn check(&self) {
        let program = self.program(Conv2d::clone);
        let input = self.input();
        let [expected, magnitudes] = self.expected();
        for isa in Isa::available() {
            for precision in Precision::ON_CPU {
                let network = Network::compile(program.clone(), self.shape, isa, *precision)
                    .expect("a sound program");
                let of = |products: &_| match products {
                    Products::F32 => 0.0,
                    Products::Bf16 => BF16,
                    Products::Bf16Pair => BF16_PAIR,
                };
                let left_out = |(_, algorithm): &_| match algorithm {
                    Algorithm::Gemm(products) | Algorithm::Im2col(products) => of(products),
                    Algorithm::Winograd { products, .. } => TRANSFORMS * (ROUNDING + of(products)),
                    _ => 0.0,
                };
                let left_out = network.algorithms().iter().map(left_out).fold(0.0, f64::max);
                let mut found = vec![f32::NAN; expected.len()];
                network.run(self.batch, &input, &mut found).expect("right lengths");
                for (at, ((f, e), size)) in found.iter().zip(&expected).zip(&magnitudes).enumerate()
                {
                    let off = (f64::from(*f) - e).abs();
                    assert!(
                        off <= (ROUNDING + left_out) * size,
                        "{isa} {precision}: value {at} is {f}, should be {e} within {left_out:e} of {size}; {:?}",
                        network.describe()
                    );
                }
                self.check_bits(&network, &input, &found);
            }
        }
    }

    /// Each image by itself, and all of them on several threads, give the same bits.
    fn check_bits(&self, network: &Network, input: &[f32], found: &[f32]) {
        let bits = |values: &[f32]| -> Vec<u32> { values.iter().map(|v| v.to_bits()).collect() };
        let lengths = [input.len() / self.batch, found.len() / self.batch];
        let mut alone = vec![f32::NAN; lengths[1]];
        for (image, together) in input.chunks(lengths[0]).zip(found.chunks(lengths[1])) {
            network.run(1, image, &mut alone).expect("right lengths");
            assert_eq!(bits(&alone), bits(together), "one image by itself");
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let mut other = vec![f32::NAN; found.len()];
            let run = || network.run(self.batch, input, &mut other);
            pool.expect("a pool").install(run).expect("right lengths");
            assert_eq!(bits(&other), bits(found), "{threads} threads");
        }
    }
}

prop_compose! {
    fn any_case()(
        channels in [
            prop_oneof![16usize..50, Just(64usize), Just(144usize)],
            prop_oneof![1usize..40, Just(64usize), Just(100usize)],
        ],
        kernel in prop_oneof![
            3 => [1usize..8, 1usize..8],
            1 => Just([1usize, 1]),
            1 => Just([1usize, 7]),
            1 => Just([7usize, 1]),
            1 => Just([3usize, 3]),
        ],
        stride in [1usize..4, 1usize..4],
        padding in [0usize..4, 0usize..4, 0usize..4, 0usize..4],
        more in [0usize..9, 0usize..9],
        batch in prop_oneof![3 => 1usize..4, 1 => Just(9usize)],
        activation in prop_oneof![
            Just(Activation::None), Just(Activation::Relu), Just(Activation::Relu6),
        ],
        has_residual: bool,
        neighbour in prop_oneof![Just(0usize), 1usize..40],
        seed: u64,
    ) -> Case {
        let mut random = Random(seed);
        let [top, left, bottom, right] = padding;
        let padding = Padding { top, left, bottom, right };
        let side = |k: usize, ends: usize, more: usize| k.saturating_sub(ends).max(1) + more;
        let shape =
            [side(kernel[0], top + bottom, more[0]), side(kernel[1], left + right, more[1]), channels[0]];
        let mut conv = |out: usize| {
            let conv = random.conv([channels[0], out], kernel, stride, [0, 0], 1, false);
            Conv2d { padding, ..conv }
        };
        let residual = has_residual.then(|| conv(channels[1]));
        let neighbour = (neighbour > 0).then(|| conv(neighbour));
        let conv = Conv2d { activation, ..conv(channels[1]) };
        Case { conv, residual, neighbour, shape, batch, seed }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(reference::share(60) as u32))]

    #[test]
    fn any_convolution_of_enough_channels(case in any_case()) {
        case.check();
    }
}

fn case(
    channels: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    [height, width, batch]: [usize; 3],
) -> Case {
    let conv = Random(31).conv(channels, kernel, stride, padding, 1, true);
    let shape = [height, width, channels[0]];
    Case { conv, residual: None, neighbour: None, shape, batch, seed: 32 }
}

/// More than one pass of every unit, several blocks of rows, blocks that span images, and a single pixel.
#[test]
fn deep_and_many_rows() {
    case([300, 20], [1, 1], [1, 1], [0, 0], [1, 1, 33]).check();
    case([520, 70], [1, 1], [1, 1], [0, 0], [7, 7, 5]).check();
    case([48, 33], [5, 5], [1, 1], [2, 2], [13, 11, 3]).check();
    case([600, 40], [3, 3], [2, 2], [1, 1], [9, 8, 2]).check();
    case([16, 96], [1, 1], [1, 1], [0, 0], [20, 31, 1]).check();
}

/// What runs is what `algorithms` says, and bf16 is there wherever it is faster.
#[test]
fn algorithms_say_which_products_run() {
    for isa in Isa::available() {
        for precision in Precision::ON_CPU {
            let products = match (isa, precision) {
                (Isa::Amx, Precision::High) => Some(Products::Bf16Pair),
                (Isa::Amx | Isa::Avx512Bf16, Precision::Medium) => Some(Products::Bf16),
                _ => None,
            };
            let (gemm, im2col) = (products.map(Algorithm::Gemm), products.map(Algorithm::Im2col));
            for (case, expected) in [
                (case([64, 20], [1, 1], [1, 1], [0, 0], [5, 5, 1]), gemm),
                (case([64, 20], [1, 1], [2, 2], [0, 0], [5, 5, 1]), im2col),
                (case([24, 20], [1, 7], [1, 1], [0, 3], [5, 5, 1]), im2col),
                // An image's own channels, and few of them: never rounded to bf16.
                (case([3, 20], [7, 7], [2, 2], [3, 3], [9, 9, 1]), None),
                (case([15, 20], [1, 1], [1, 1], [0, 0], [5, 5, 1]), None),
            ] {
                let expected = expected.unwrap_or(Algorithm::Direct);
                let program = case.program(Conv2d::clone);
                let network =
                    Network::compile(program.clone(), case.shape, isa, *precision).expect("sound");
                assert_eq!(network.algorithms(), [(0, expected)], "{isa} {precision}");
            }
        }
    }
}
