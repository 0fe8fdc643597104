//! Convolutions on matrix tiles that keep bf16 between layers, on whole numbers that bf16 and sums hold exactly: so what comes out is
//! equal to the naive loop, whatever the sizes, layouts, pools, threads and batches. Without AMX, or its emulator
//! (`scripts/check_amx.sh`), there is nothing to test.

mod reference;

use kernels::{
    Activation, Algorithm, Conv2d, Isa, Layer, Network, Operation, Precision, Products, Program,
    Value,
};
use proptest::prelude::*;
use reference::Random;

/// Products that are not 0 of an output, about.
const PRODUCTS: f64 = 12.0;
/// Whole numbers of a single bf16: with outputs of at most some hundred, all are exact.
const SMALL: i64 = 3;
/// Whole numbers that need two bf16.
const LARGE: i64 = 2000;

/// Output channels of the last convolution where it is of its own kind.
const TAIL: usize = 24;

/// Which operand of the first layer needs two bf16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Large {
    Neither,
    Inputs,
    Weights,
}

#[derive(Debug, Clone)]
struct Case {
    /// Output channels of each layer, and whether a pool follows.
    layers: Vec<(usize, bool)>,
    in_channels: usize,
    size: [usize; 2],
    batch: usize,
    last: Activation,
    residual: bool,
    /// Channels beside the last layer's own in the array that it writes.
    neighbour: usize,
    /// The kernel of a convolution that reads the output of all these, if there is one: else that is f32.
    tail: Option<usize>,
    seed: u64,
}

fn whole(random: &mut Random, most: i64) -> f32 {
    (random.next() % (2 * most as u64 + 1)) as f32 - most as f32
}

impl Case {
    /// A convolution of few products, so that sums are small.
    fn conv(&self, random: &mut Random, channels: [usize; 2], most: i64, last: bool) -> Conv2d {
        let mut conv = random.conv(channels, [3, 3], [1, 1], [1, 1], 1, true);
        let share = PRODUCTS / (9 * channels[0]) as f64;
        for weight in &mut conv.weight {
            let is_there = (random.next() >> 11) as f64 / (1u64 << 53) as f64 <= share;
            *weight = if is_there { whole(random, most) } else { 0.0 };
        }
        conv.bias.iter_mut().for_each(|b| *b = whole(random, 2));
        conv.activation = if last { self.last } else { Activation::Relu6 };
        conv
    }

    fn program(&self, large: Large) -> Program {
        let mut random = Random(self.seed);
        let mut program = Program::default();
        let (mut value, mut channels) = (Value::Input, self.in_channels);
        let count = self.layers.len();
        for (index, (out, pool)) in self.layers.iter().enumerate() {
            let most = if large == Large::Weights && index == 0 { LARGE } else { 1 };
            let last = index + 1 == count;
            let conv = self.conv(&mut random, [channels, *out], most, last);
            let mut inputs = vec![value];
            // A layer that reads the same and is added to the last one, or stands beside it.
            let mut other = |to: usize, program: &mut Program| {
                let other = Self { last: Activation::None, ..self.clone() };
                let conv = other.conv(&mut random, [channels, to], 1, true);
                program.push(Layer::Conv(conv), vec![value])
            };
            if last && self.residual && !pool {
                inputs.push(other(*out, &mut program));
            }
            let beside =
                (last && self.neighbour > 0 && !pool).then(|| other(self.neighbour, &mut program));
            value = program.push(Layer::Conv(conv), inputs);
            if *pool {
                value = program.push(Layer::max_pool([2, 2], [2, 2]), vec![value]);
            }
            channels = *out;
            if let Some(beside) = beside {
                value = program.push(Layer::Concat, vec![beside, value]);
                channels += self.neighbour;
            }
        }
        // It would have to read more than two bf16 hold.
        if let (Some(kernel), Large::Neither) = (self.tail, large) {
            let mut conv = self.conv(&mut random, [channels, TAIL], 1, true);
            if kernel == 1 {
                let weights = conv.weight.chunks_exact(9).map(|taps| taps[4]);
                let bias = conv.bias.clone();
                let weight = weights.collect();
                conv = Random(0).conv([channels, TAIL], [1, 1], [1, 1], [0, 0], 1, true);
                (conv.weight, conv.bias, conv.activation) = (weight, bias, self.last);
            }
            program.push(Layer::Conv(conv), vec![value]);
        }
        program
    }

    fn check(&self, precision: Precision, large: Large) {
        let program = self.program(large);
        let shape = [self.size[0], self.size[1], self.in_channels];
        let length: usize = shape.iter().product();
        let mut random = Random(self.seed ^ 1);
        let most = if large == Large::Inputs { LARGE } else { SMALL };
        let input: Vec<f32> = (0..self.batch * length).map(|_| whole(&mut random, most)).collect();
        let expected: Vec<f32> = input
            .chunks(length)
            .flat_map(|image| reference::program(&program, shape, image).values)
            .map(|v| v as f32)
            .collect();
        let network = Network::compile(program.clone(), shape, Isa::Amx, precision).expect("sound");
        let products =
            if precision == Precision::High { Products::Bf16Pair } else { Products::Bf16 };
        for (operation, algorithm) in network.algorithms() {
            let Operation { layer, .. } = &program.operations[operation];
            let is_conv = matches!(layer, Layer::Conv(conv) if conv.out_channels != TAIL);
            assert!(!is_conv || algorithm == Algorithm::Blocked(products), "{algorithm}");
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let mut found = vec![f32::NAN; expected.len()];
            let run = || network.run(self.batch, &input, &mut found);
            pool.expect("a pool").install(run).expect("right lengths");
            for (at, (f, e)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(f, e, "{precision}, {large:?}, {threads} threads: value {at}");
            }
        }
    }
}

prop_compose! {
    fn any_case()(
        in_channels in prop_oneof![Just(3usize), Just(32usize), Just(96usize)],
        before in prop::collection::vec(
            (prop_oneof![2 => Just(32usize), 1 => Just(64usize)], any::<bool>()), 0..3),
        last in (prop_oneof![Just(32usize), 1usize..80], any::<bool>()),
        size in [1usize..14, 1usize..40],
        batch in 1usize..4,
        activation in prop_oneof![
            Just(Activation::None), Just(Activation::Relu), Just(Activation::Relu6),
        ],
        residual: bool,
        neighbour in prop_oneof![Just(0usize), 1usize..40],
        tail in prop_oneof![Just(None), Just(Some(1)), Just(Some(3))],
        seed: u64,
    ) -> Case {
        let (mut layers, mut size_left) = (before, size);
        layers.push(last);
        for (_, pool) in &mut layers {
            *pool &= size_left.iter().all(|n| *n >= 2);
            if *pool {
                size_left = size_left.map(|n| n / 2);
            }
        }
        Case { layers, in_channels, size, batch, last: activation, residual, neighbour, tail, seed }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(reference::share(40) as u32))]

    #[test]
    fn equal_to_the_naive_loop(case in any_case()) {
        if Isa::Amx.is_available() {
            case.check(Precision::Medium, Large::Neither);
            for large in [Large::Neither, Large::Inputs, Large::Weights] {
                case.check(Precision::High, large);
            }
        }
    }
}

/// Images that are cut into parts by their size, and pools whose sums wait for several rows.
#[test]
fn wide_images() {
    if !Isa::Amx.is_available() {
        return;
    }
    let case = Case {
        layers: vec![(64, false), (64, true), (128, false), (128, true), (40, false)],
        in_channels: 3,
        size: [50, 151],
        batch: 1,
        last: Activation::None,
        residual: true,
        neighbour: 0,
        tail: None,
        seed: 5,
    };
    case.check(Precision::Medium, Large::Neither);
    case.check(Precision::High, Large::Neither);
    // What something is added to stays out of blocks, though only such layers read it.
    let layers = vec![(32, false), (32, false)];
    let added = Case { layers, in_channels: 32, size: [9, 11], tail: Some(3), ..case.clone() };
    added.check(Precision::Medium, Large::Neither);
    added.check(Precision::High, Large::Neither);
    // Patches whose last rows begin within a matrix tile and end beyond the others.
    let case = Case { layers: vec![(40, true)], size: [21, 40], residual: false, ..case };
    case.check(Precision::Medium, Large::Neither);
    case.check(Precision::High, Large::Inputs);
}
