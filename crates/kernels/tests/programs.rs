//! Programs that are no chains, against the naive loop: random graphs of every operation, and the shapes of known bases.

mod reference;

use kernels::{Activation, Isa, Layer, Network, Padding, Precision, Program, Value};
use proptest::prelude::*;
use reference::Random;

/// Largest difference, as a part of the largest output: f32 sums through up to a dozen operations.
const GRAPH: f64 = 3e-5;

/// The same in `medium`, as a part of the largest value on the way: a dozen operations that round to 8 bits, some of them by Winograd's
/// algorithm. Elements that are read or written in the wrong place are off by as much as there is.
const GRAPH_MEDIUM: f64 = 0.1;

fn check(program: &Program, shape: [usize; 3], batch: usize, seed: u64) {
    let length: usize = shape.iter().product();
    let input = Random(seed).values(batch * length);
    let mut expected = Vec::new();
    let mut made = shape;
    let most = |values: &[f64]| values.iter().fold(1e-3f64, |most, v| most.max(v.abs()));
    let mut largest_on_the_way = 0.0f64;
    for image in input.chunks(length) {
        let mut images = reference::all_of_program(program, shape, image);
        largest_on_the_way = images.iter().fold(largest_on_the_way, |m, i| m.max(most(&i.values)));
        let image = images.pop().expect("an operation");
        made = image.shape;
        expected.extend(image.values);
    }
    let bounds = [
        (Precision::Highest, GRAPH * most(&expected)),
        (Precision::Medium, GRAPH_MEDIUM * largest_on_the_way),
    ];
    let isas = Isa::available();
    for (isa, (precision, bound)) in isas.iter().flat_map(|isa| bounds.map(|bound| (*isa, bound))) {
        let network = Network::compile(program.clone(), shape, isa, precision)
            .unwrap_or_else(|e| panic!("{e}: {program:?}"));
        assert_eq!(network.output_shape(), made);
        let mut found = vec![f32::NAN; expected.len()];
        network.run(batch, &input, &mut found).expect("right lengths");
        for (at, (f, e)) in found.iter().zip(&expected).enumerate() {
            let off = (f64::from(*f) - e).abs();
            assert!(
                off <= bound,
                "{isa} {precision}: value {at} is {f}, should be {e}; {:#?}",
                network.describe()
            );
        }
        // One image by itself gives the same bits, whatever was in the buffers before.
        let out = found.len() / batch;
        let mut alone = vec![f32::NAN; out];
        for (image, together) in input.chunks(length).zip(found.chunks(out)) {
            network.run(1, image, &mut alone).expect("right lengths");
            assert!(alone.iter().zip(together).all(|(a, b)| a.to_bits() == b.to_bits()), "{isa}");
        }
    }
}

/// A program of random operations on random earlier values, mostly on late ones.
fn random_program(seed: u64, operations: usize) -> (Program, [usize; 3]) {
    let mut random = Random(seed);
    let mut pick = move |n: usize| (random.next() % n as u64) as usize;
    let mut weights = Random(seed ^ 0xABCD);
    let shape = [5 + pick(9), 5 + pick(9), [3, 8, 16, 19][pick(4)]];
    let mut program = Program::default();
    let mut values = vec![(Value::Input, shape)];
    let activation = |n| [Activation::None, Activation::Relu, Activation::Relu6][n];
    for _ in 0..operations {
        let recent = if pick(3) == 0 { values.len() } else { values.len().min(2) };
        let (value, from) = values[values.len() - 1 - pick(recent)];
        let [h, w, c] = from;
        let same: Vec<_> = values.iter().filter(|(_, s)| *s == from).map(|(v, _)| *v).collect();
        let side: Vec<_> = values.iter().filter(|(_, s)| s[..2] == from[..2]).copied().collect();
        let other = same[pick(same.len())];
        let (layer, inputs) = match pick(11) {
            0..=2 => {
                let depthwise = pick(4) == 0;
                let out = if depthwise { c } else { [8, 16, 24, 32][pick(4)] };
                let kernel = [[1, 1], [3, 3], [1, 5], [5, 1], [3, 2]][pick(5)];
                let stride = [1 + pick(2), 1 + pick(2)];
                let groups = if depthwise { c } else { 1 };
                let mut conv = weights.conv([c, out], kernel, stride, [0, 0], groups, true);
                conv.activation = activation(pick(3));
                // As "same" at some strides: more at the far ends.
                let (rows, columns) = (kernel[0] - 1, kernel[1] - 1);
                conv.padding = Padding {
                    top: rows / 2,
                    left: columns / 2,
                    bottom: rows - rows / 2,
                    right: columns - columns / 2,
                };
                let shape = [(h - 1) / stride[0] + 1, (w - 1) / stride[1] + 1, out];
                let residual = values.iter().find(|(_, s)| *s == shape).map(|(v, _)| *v);
                let residual = residual.filter(|_| pick(2) == 0);
                (Layer::Conv(conv), [value].into_iter().chain(residual).collect())
            }
            3 => {
                let (size, stride) = ([1 + pick(3), 1 + pick(3)], [1 + pick(2), 1 + pick(2)]);
                let padding = Padding {
                    top: pick(size[0]),
                    left: pick(size[1]),
                    bottom: pick(size[0]),
                    right: pick(size[1]),
                };
                let layer = match pick(3) {
                    0 => Layer::MaxPool { size, stride, padding },
                    n => Layer::AvgPool { size, stride, padding, count_padding: n == 1 },
                };
                (layer, vec![value])
            }
            4 => {
                let (size, stride) = ([2, 2], [2, 2]);
                (Layer::max_pool(size, stride), vec![value])
            }
            5 => (
                Layer::Add { scale: [1.0, 0.17][pick(2)], activation: activation(pick(3)) },
                vec![value, other],
            ),
            6 => {
                let layer = Layer::Affine {
                    scale: weights.values(c),
                    shift: weights.values(c),
                    activation: activation(pick(3)),
                };
                (layer, vec![value])
            }
            7 => (Layer::Activate(activation(1 + pick(2))), vec![value]),
            8 => {
                let padding = Padding { top: pick(2), left: pick(3), bottom: pick(3), right: 1 };
                (Layer::Pad(padding), vec![value])
            }
            _ => {
                let count = 1 + pick(3);
                let inputs = (0..count).map(|_| side[pick(side.len())].0).collect();
                (Layer::Concat, inputs)
            }
        };
        // Whoever does not fit (a pool on too small an image) is left out.
        let mut longer = program.clone();
        let value = longer.push(layer, inputs);
        let Ok(network) =
            Network::compile(longer.clone(), shape, Isa::Portable, Precision::Highest)
        else {
            continue;
        };
        let made = network.output_shape();
        if made[2] <= 200 && made[0] * made[1] > 0 {
            program = longer;
            values.push((value, made));
        }
    }
    (program, shape)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(reference::share(60) as u32))]

    #[test]
    fn any_program(seed: u64, operations in 1usize..14, batch in 1usize..4) {
        let (program, shape) = random_program(seed, operations);
        check(&program, shape, batch, seed);
    }
}

/// Concatenations of concatenations, of one value twice, and of the images themselves; branches of unequal depth.
#[test]
fn joined_channels() {
    let mut random = Random(11);
    let mut conv = |from, to, kernel, padding| {
        Layer::Conv(random.conv([from, to], kernel, [1, 1], padding, 1, true))
    };
    let mut p = Program::default();
    let a = p.push(conv(6, 16, [1, 1], [0, 0]), vec![Value::Input]);
    let b = p.push(conv(16, 16, [3, 3], [1, 1]), vec![a]);
    let c = p.push(conv(16, 8, [1, 3], [0, 1]), vec![b]);
    let d = p.push(conv(16, 5, [3, 1], [1, 0]), vec![b]);
    let inner = p.push(Layer::Concat, vec![c, d]);
    let e = p.push(conv(6, 7, [1, 1], [0, 0]), vec![Value::Input]);
    let joined = p.push(Layer::Concat, vec![inner, Value::Input, a, e, a]);
    let channels = 8 + 5 + 6 + 16 + 7 + 16;
    p.push(conv(channels, 16, [3, 3], [1, 1]), vec![joined]);
    for batch in [1, 3, 40] {
        check(&p, [9, 7, 6], batch, 5);
    }
    // A concatenation may be the last.
    p.operations.pop();
    check(&p, [9, 7, 6], 3, 5);
    check(&Program { operations: p.operations[..5].to_vec() }, [9, 7, 6], 2, 5);
}

/// Images so large and small by turns that values cross the borders of segments, read by several of them.
#[test]
fn values_that_cross_segments() {
    let mut random = Random(12);
    let mut conv = |from, to, stride, kernel: usize| {
        let padding = [kernel / 2; 2];
        Layer::Conv(random.conv([from, to], [kernel; 2], [stride; 2], padding, 1, true))
    };
    let mut p = Program::default();
    let a = p.push(conv(3, 64, 1, 3), vec![Value::Input]);
    let b = p.push(conv(64, 16, 4, 1), vec![a]);
    let c = p.push(conv(16, 16, 1, 3), vec![b]);
    let d = p.push(conv(16, 16, 2, 3), vec![c]);
    let e = p.push(conv(16, 16, 2, 1), vec![b]);
    let f = p.push(Layer::Add { scale: 1.0, activation: Activation::Relu }, vec![d, e]);
    let g = p.push(conv(64, 16, 8, 1), vec![a]);
    let h = p.push(Layer::Concat, vec![f, g]);
    let i = p.push(Layer::GlobalAvgPool, vec![h]);
    let j = p.push(Layer::GlobalMaxPool, vec![h]);
    let k = p.push(Layer::Concat, vec![i, j]);
    let flat = p.push(Layer::Flatten, vec![k]);
    let dense = p.push(conv(64, 10, 1, 1), vec![flat]);
    p.push(Layer::Softmax, vec![dense]);
    for batch in [1, 5, 33] {
        check(&p, [96, 96, 3], batch, 6);
    }
}

/// Strips whose convolutions read few or odd channels, between others: in `medium` they read f32 where those make and read bf16.
#[test]
fn strips_between_others() {
    for wide in [8, 15, 24] {
        let mut random = Random(13);
        let mut conv = |from, to, groups, kernel: usize| {
            let padding = [kernel / 2; 2];
            let channels = [from, to];
            Layer::Conv(random.conv(channels, [kernel; 2], [1, 1], padding, groups, true))
        };
        let mut p = Program::default();
        let a = p.push(conv(3, 32, 1, 3), vec![Value::Input]);
        let b = p.push(conv(32, wide, 1, 1), vec![a]);
        let c = p.push(conv(wide, wide, wide, 3), vec![b]);
        let d = p.push(conv(wide, 32, 1, 1), vec![c, a]);
        let e = p.push(conv(32, 32, 1, 1), vec![d]);
        let f = p.push(Layer::Add { scale: 0.5, activation: Activation::Relu6 }, vec![e, d]);
        p.push(conv(32, 16, 1, 3), vec![f]);
        // Several strips an image.
        check(&p, [29, 17, 3], 3, 9);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let refuse = |layer: Layer, inputs: Vec<Value>| {
        let mut p = Program::default();
        p.push(Layer::GlobalAvgPool, vec![Value::Input]);
        p.push(layer, inputs);
        Network::compile(p, [4, 4, 2], Isa::Portable, Precision::Highest)
            .expect_err("does not fit")
            .to_string()
    };
    let add = Layer::Add { scale: 1.0, activation: Activation::None };
    let affine = Layer::Affine { scale: vec![1.0; 2], shift: vec![], activation: Activation::None };
    let padding = Padding { top: 2, ..Padding::default() };
    let pool = Layer::MaxPool { size: [2, 2], stride: [2, 2], padding };
    for (layer, inputs, part) in [
        (add.clone(), vec![Value::Input], "number of inputs: expected 2, found 1"),
        (add.clone(), vec![Value::Input, Value::Of(0)], "shape of the second input"),
        (add, vec![Value::Input, Value::Of(1)], "an operation before it"),
        (Layer::Concat, vec![], "number of inputs"),
        (Layer::Concat, vec![Value::Input, Value::Of(0)], "height and width of all inputs"),
        (affine, vec![Value::Input], "number of scales and shifts: expected 2, found 0"),
        (pool, vec![Value::Input], "padding of the pool"),
    ] {
        let found = refuse(layer, inputs);
        assert!(found.contains(part), "{found} should contain {part}");
    }
}
