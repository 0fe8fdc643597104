//! Backward passes against naive sums in f64, and those against finite differences.

use kernels::train::{
    BatchStatistics, Conv, ConvShape, Dense, Norm, Pool, PoolShape, gate, global_average_backward,
    global_max_backward,
};
use kernels::{Activation, Isa, Padding, Precision};
use proptest::prelude::*;

mod reference;
use reference::Random;

/// Sums of products of values in −1..1 over at most a few thousand terms, in f32, of which Winograd's transforms lose a
/// further factor: relative to the largest gradient.
const TOLERANCE: f64 = 1e-5;

fn close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3f64, |most, x| most.max(x.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(error <= TOLERANCE * largest, "{what} {i}: expected {expected}, found {found}");
    }
}

/// A convolution in f64 over (batch, height, width, channels), kernel (height, width, inputs / groups, outputs).
struct Naive {
    shape: ConvShape,
    batch: usize,
    input: [usize; 3],
    output: [usize; 3],
}

impl Naive {
    /// Calls `visit(input place, kernel place, output place)` for each product.
    fn each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ([h, w, ic], [oh, ow, oc]) = (self.input, self.output);
        let [kh, kw] = self.shape.kernel;
        let (per_in, per_out) = (ic / self.shape.groups, oc / self.shape.groups);
        for n in 0..self.batch {
            for oy in 0..oh {
                for ox in 0..ow {
                    for ky in 0..kh {
                        for kx in 0..kw {
                            let y = (oy * self.shape.stride[0] + ky)
                                .wrapping_sub(self.shape.padding.top);
                            let x = (ox * self.shape.stride[1] + kx)
                                .wrapping_sub(self.shape.padding.left);
                            if y >= h || x >= w {
                                continue;
                            }
                            for o in 0..oc {
                                for i in 0..per_in {
                                    let channel = o / per_out * per_in + i;
                                    visit(
                                        ((n * h + y) * w + x) * ic + channel,
                                        ((ky * kw + kx) * per_in + i) * oc + o,
                                        ((n * oh + oy) * ow + ox) * oc + o,
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn forward(&self, x: &[f64], k: &[f64], b: &[f64]) -> Vec<f64> {
        let oc = self.output[2];
        let len = self.batch * self.output.iter().product::<usize>();
        let mut y: Vec<f64> = (0..len).map(|at| b[at % oc]).collect();
        self.each(|from, kernel, to| y[to] += x[from] * k[kernel]);
        y
    }

    fn gradients(&self, x: &[f64], k: &[f64], dy: &[f64]) -> [Vec<f64>; 3] {
        let (mut dx, mut dk) = (vec![0.0; x.len()], vec![0.0; k.len()]);
        self.each(|from, kernel, to| {
            dx[from] += dy[to] * k[kernel];
            dk[kernel] += dy[to] * x[from];
        });
        let oc = self.output[2];
        let mut db = vec![0.0; oc];
        dy.iter().enumerate().for_each(|(at, g)| db[at % oc] += g);
        [dx, dk, db]
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|x| f64::from(*x)).collect()
}

fn isas() -> Vec<Isa> {
    Isa::available()
}

/// Runs all passes of one convolution on every instruction set and holds them to the naive ones.
fn check_conv(shape: ConvShape, input: [usize; 3], batch: usize, seed: u64) {
    let mut random = Random(seed);
    for isa in isas() {
        let mut conv = Conv::new(shape, input, isa, Precision::Highest, true).expect("sizes fit");
        let output = conv.output_shape();
        let naive = Naive { shape, batch, input, output };
        let x = random.values(batch * input.iter().product::<usize>());
        let k = random.values(conv.kernel_len());
        let b = random.values(shape.out_channels);
        let dy = random.values(batch * output.iter().product::<usize>());
        // Twice: weights that come later must reach all passes.
        conv.set_weights(&random.values(k.len()), &random.values(b.len())).expect("sizes fit");
        conv.set_weights(&k, &b).expect("sizes fit");
        let mut y = vec![f32::NAN; dy.len()];
        conv.forward(batch, &x, &mut y).expect("sizes fit");
        close(&y, &naive.forward(&wide(&x), &wide(&k), &wide(&b)), "output");
        let [ex, ek, eb] = naive.gradients(&wide(&x), &wide(&k), &wide(&dy));
        let mut dx = vec![f32::NAN; x.len()];
        let (mut dk, mut db) = (vec![f32::NAN; k.len()], vec![f32::NAN; b.len()]);
        for _ in 0..2 {
            conv.backward_input(batch, &dy, &mut dx).expect("sizes fit");
            conv.backward_weights(batch, &x, &dy, &mut dk, &mut db).expect("sizes fit");
            close(&dx, &ex, "input gradient");
            close(&dk, &ek, "kernel gradient");
            close(&db, &eb, "bias gradient");
        }
    }
}

fn plain(channels: [usize; 2], kernel: [usize; 2]) -> ConvShape {
    ConvShape {
        in_channels: channels[0],
        out_channels: channels[1],
        kernel,
        stride: [1, 1],
        padding: Padding::default(),
        groups: 1,
        activation: Activation::None,
    }
}

#[test]
fn convolutions_of_the_bases_have_the_naive_gradients() {
    let same = Padding::from([1, 1]);
    let shapes = [
        // Winograd's tiles of 3, of 4 and of 2; channels that do not fill a block of rows or a panel.
        (ConvShape { padding: same, ..plain([64, 48], [3, 3]) }, [9, 9, 64], 3),
        (ConvShape { padding: same, ..plain([16, 80], [3, 3]) }, [8, 12, 16], 2),
        (ConvShape { padding: same, ..plain([112, 16], [3, 3]) }, [4, 4, 112], 2),
        (plain([32, 64], [3, 3]), [14, 11, 32], 2),
        // The first layer, 1×1, strides, long kernels, "same" at stride 2.
        (plain([3, 32], [3, 3]), [13, 10, 3], 2),
        (
            ConvShape {
                stride: [2, 1],
                padding: Padding { top: 2, left: 1, bottom: 0, right: 3 },
                ..plain([5, 40], [4, 5])
            },
            [11, 9, 5],
            3,
        ),
        (plain([40, 24], [1, 1]), [7, 5, 40], 3),
        (ConvShape { stride: [2, 2], ..plain([16, 32], [1, 1]) }, [7, 8, 16], 2),
        (
            ConvShape { stride: [2, 2], padding: Padding::from([3, 3]), ..plain([3, 16], [7, 7]) },
            [15, 18, 3],
            2,
        ),
        (ConvShape { padding: Padding::from([0, 3]), ..plain([16, 16], [1, 7]) }, [5, 9, 16], 2),
        (
            ConvShape {
                stride: [2, 2],
                padding: Padding { top: 0, left: 0, bottom: 1, right: 1 },
                ..plain([8, 8], [3, 3])
            },
            [8, 10, 8],
            2,
        ),
    ];
    for (seed, (shape, input, batch)) in shapes.into_iter().enumerate() {
        check_conv(shape, input, batch, seed as u64);
    }
}

#[test]
fn depthwise_convolutions_have_the_naive_gradients() {
    for (stride, padding) in [([1, 1], [1, 1]), ([2, 2], [0, 0]), ([2, 1], [1, 0])] {
        let shape =
            ConvShape { stride, padding: padding.into(), groups: 20, ..plain([20, 20], [3, 3]) };
        check_conv(shape, [9, 8, 20], 3, 5);
    }
}

#[test]
fn many_pixels_are_summed_in_parts() {
    // Above the pixels of a part, so that there are several, and above a group of Winograd's tiles.
    check_conv(plain([3, 8], [3, 3]), [40, 40, 3], 3, 1);
    let same = Padding::from([1, 1]);
    check_conv(ConvShape { padding: same, ..plain([16, 16], [3, 3]) }, [80, 80, 16], 3, 2);
}

#[test]
fn gradients_do_not_depend_on_threads() {
    let shape = ConvShape { padding: Padding::from([1, 1]), ..plain([32, 32], [3, 3]) };
    for shape in [shape, plain([3, 32], [3, 3]), ConvShape { groups: 32, ..shape }] {
        let input = [24, 24, shape.in_channels];
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut random = Random(3);
                let isa = Isa::best();
                let mut conv = Conv::new(shape, input, isa, Precision::Highest, true).unwrap();
                let batch = 5;
                let k = random.values(conv.kernel_len());
                conv.set_weights(&k, &random.values(shape.out_channels)).unwrap();
                let x = random.values(batch * input.iter().product::<usize>());
                let dy = random.values(batch * conv.output_shape().iter().product::<usize>());
                let mut dx = vec![0.0; x.len()];
                let (mut dk, mut db) = (vec![0.0; k.len()], vec![0.0; shape.out_channels]);
                conv.backward_input(batch, &dy, &mut dx).unwrap();
                conv.backward_weights(batch, &x, &dy, &mut dk, &mut db).unwrap();
                [dx, dk, db].concat().into_iter().map(f32::to_bits).collect::<Vec<_>>()
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(5));
    }
}

#[test]
fn naive_gradients_are_those_of_finite_differences() {
    let shape =
        ConvShape { stride: [2, 1], padding: Padding::from([1, 0]), ..plain([2, 3], [3, 2]) };
    let naive = Naive { shape, batch: 2, input: [5, 4, 2], output: [3, 3, 3] };
    let mut random = Random(9);
    let x = wide(&random.values(80));
    let k = wide(&random.values(36));
    let b = wide(&random.values(3));
    let dy = wide(&random.values(54));
    let loss = |x: &[f64], k: &[f64]| -> f64 {
        naive.forward(x, k, &b).iter().zip(&dy).map(|(y, g)| y * g).sum()
    };
    let [dx, dk, _] = naive.gradients(&x, &k, &dy);
    let step = 1e-4;
    for at in 0..x.len() {
        let moved = |by: f64| {
            let mut x = x.clone();
            x[at] += by;
            loss(&x, &k)
        };
        assert!(((moved(step) - moved(-step)) / (2.0 * step) - dx[at]).abs() <= 1e-8);
    }
    for at in 0..k.len() {
        let moved = |by: f64| {
            let mut k = k.clone();
            k[at] += by;
            loss(&x, &k)
        };
        assert!(((moved(step) - moved(-step)) / (2.0 * step) - dk[at]).abs() <= 1e-8);
    }
}

#[test]
fn dense_layers_have_the_naive_gradients() {
    let mut random = Random(4);
    for [batch, inputs, outputs] in
        [[20, 600, 70], [1, 5, 1], [33, 24, 16], [3, 31, 33], [7, 1, 2], [40, 300, 3]]
    {
        let x = random.values(batch * inputs);
        let k = random.values(inputs * outputs);
        let b = random.values(outputs);
        let dy = random.values(batch * outputs);
        let (mut ey, mut ex, mut ek) =
            (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; k.len()]);
        let mut eb = vec![0.0; outputs];
        for n in 0..batch {
            for o in 0..outputs {
                ey[n * outputs + o] += f64::from(b[o]);
                eb[o] += f64::from(dy[n * outputs + o]);
                for i in 0..inputs {
                    let (x, k) = (f64::from(x[n * inputs + i]), f64::from(k[i * outputs + o]));
                    let g = f64::from(dy[n * outputs + o]);
                    ey[n * outputs + o] += x * k;
                    ex[n * inputs + i] += g * k;
                    ek[i * outputs + o] += g * x;
                }
            }
        }
        for isa in isas() {
            for activation in [Activation::None, Activation::Relu] {
                let dense = Dense::new([inputs, outputs], activation, isa).unwrap();
                let mut y = vec![f32::NAN; dy.len()];
                dense.forward(batch, &x, [&k, &b], &mut y).unwrap();
                let ey = ey.iter().map(|y| match activation {
                    Activation::Relu => y.max(0.0),
                    _ => *y,
                });
                close(&y, &ey.collect::<Vec<_>>(), "output");
                let mut dx = vec![f32::NAN; x.len()];
                dense.backward_input(batch, &dy, &k, &mut dx).unwrap();
                close(&dx, &ex, "input gradient");
                let (mut dk, mut db) = (vec![f32::NAN; k.len()], vec![f32::NAN; outputs]);
                dense.backward_weights(batch, &x, &dy, &mut dk, &mut db).unwrap();
                close(&dk, &ek, "kernel gradient");
                close(&db, &eb, "bias gradient");
            }
        }
    }
}

/// The naive gradient of a pool: for a maximum to the first of equal values.
fn pool_gradient(
    shape: PoolShape,
    [h, w, c]: [usize; 3],
    [oh, ow, _]: [usize; 3],
    x: &[f32],
    dy: &[f32],
) -> Vec<f64> {
    let mut dx = vec![0.0; x.len()];
    let Padding { top, left, bottom, right } = shape.padding;
    for oy in 0..oh {
        for ox in 0..ow {
            for channel in 0..c {
                let (mut places, mut padded) = (Vec::new(), 0);
                for ky in 0..shape.size[0] {
                    for kx in 0..shape.size[1] {
                        let (py, px) = (oy * shape.stride[0] + ky, ox * shape.stride[1] + kx);
                        padded += usize::from(py < h + top + bottom && px < w + left + right);
                        let (y, x) = (py.wrapping_sub(top), px.wrapping_sub(left));
                        if y < h && x < w {
                            places.push((y * w + x) * c + channel);
                        }
                    }
                }
                let g = f64::from(dy[(oy * ow + ox) * c + channel]);
                if shape.is_max {
                    let first = places.iter().copied().rev().max_by(|a, b| x[*a].total_cmp(&x[*b]));
                    dx[first.expect("a window has a place")] += g;
                } else {
                    let count = if shape.count_padding { padded } else { places.len() };
                    places.iter().for_each(|place| dx[*place] += g / count as f64);
                }
            }
        }
    }
    dx
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn pools_have_the_naive_gradients(
        is_max: bool,
        size in prop::array::uniform2(1usize..4),
        stride in prop::array::uniform2(1usize..4),
        padding in prop::array::uniform4(0usize..3),
        count_padding: bool,
        h in 4usize..9,
        w in 4usize..9,
        seed: u64,
    ) {
        let [top, left, bottom, right] = padding;
        let padding = Padding {
            top: top.min(size[0] - 1),
            left: left.min(size[1] - 1),
            bottom: bottom.min(size[0] - 1),
            right: right.min(size[1] - 1),
        };
        let shape = PoolShape { is_max, size, stride, padding, count_padding };
        let input = [h, w, 5];
        let pool = Pool::new(shape, input, Isa::best()).unwrap();
        let mut random = Random(seed);
        // Few different values, so that some are equal.
        let x: Vec<f32> = random.values(h * w * 5).iter().map(|x| (x * 3.0).round()).map(|x| if x == 0.0 { 0.0 } else { x }).collect();
        let dy = random.values(pool.output_shape().iter().product());
        let mut dx = vec![f32::NAN; x.len()];
        pool.backward(1, &x, &dy, Activation::None, &mut dx).unwrap();
        let mut expected = pool_gradient(shape, input, pool.output_shape(), &x, &dy);
        close(&dx, &expected, "pool gradient");
        // Of a ReLU's output: nothing passes where that is not above 0.
        let x: Vec<f32> = x.iter().map(|x| x.max(0.0)).collect();
        pool.backward(1, &x, &dy, Activation::Relu, &mut dx).unwrap();
        expected = pool_gradient(shape, input, pool.output_shape(), &x, &dy);
        expected.iter_mut().zip(&x).for_each(|(g, x)| if *x == 0.0 { *g = 0.0 });
        close(&dx, &expected, "gated pool gradient");
    }
}

#[test]
fn global_pools_pass_their_gradients_on() {
    let x = [1.0, 5.0, 3.0, 5.0, 2.0, 4.0, 3.0, 0.0];
    let mut dx = [f32::NAN; 8];
    global_max_backward([2, 2, 2], &x, &[10.0, 20.0], &mut dx);
    assert_eq!(dx, [0.0, 20.0, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    global_average_backward([2, 2, 2], &[8.0, 4.0], &mut dx);
    assert_eq!(dx, [2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0]);
}

#[test]
fn gates_are_closed_at_the_kinks_and_let_nan_pass() {
    let y = [-1.0, 0.0, 2.0, 6.0, 7.0, f32::NAN];
    let gated = |activation| {
        let mut g = [1.0; 6];
        gate(Isa::best(), activation, &y, &mut g);
        g
    };
    assert_eq!(gated(Activation::None), [1.0; 6]);
    assert_eq!(gated(Activation::Relu), [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(gated(Activation::Relu6), [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
}

/// Batch normalisation in f64.
fn normalise(x: &[f64], gamma: &[f64], beta: &[f64], epsilon: f64) -> Vec<f64> {
    let (c, n) = (gamma.len(), x.len() / gamma.len());
    let mut y = vec![0.0; x.len()];
    for channel in 0..c {
        let values: Vec<f64> = x.iter().skip(channel).step_by(c).copied().collect();
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        for (i, x) in values.iter().enumerate() {
            let normal = (x - mean) / (variance + epsilon).sqrt();
            y[i * c + channel] = gamma[channel] * normal + beta[channel];
        }
    }
    y
}

#[test]
fn batch_normalisation_has_the_gradients_of_finite_differences() {
    let (c, pixels, epsilon) = (3, 10, 1e-3);
    let mut random = Random(8);
    let x = random.values(c * pixels);
    let [gamma, beta] = [random.values(c), random.values(c)];
    let dy = random.values(x.len());
    let norm = Norm { channels: c, epsilon, isa: Isa::best() };
    let statistics = norm.statistics(&x);
    let mut y = vec![0.0; x.len()];
    norm.forward(&x, &statistics, [Some(&gamma), Some(&beta)], &mut y);
    close(&y, &normalise(&wide(&x), &wide(&gamma), &wide(&beta), epsilon), "normalised");
    let (mut dgamma, mut dbeta) = (vec![0.0; c], vec![0.0; c]);
    norm.backward_weights(&x, &statistics, &dy, &mut dgamma, &mut dbeta);
    let mut dx = dy.clone();
    norm.backward_input(&x, &statistics, Some(&gamma), Some([&dgamma, &dbeta]), &mut dx);
    let loss = |x: &[f64], gamma: &[f64], beta: &[f64]| -> f64 {
        normalise(x, gamma, beta, epsilon).iter().zip(&dy).map(|(y, g)| y * f64::from(*g)).sum()
    };
    let step = 1e-5;
    let slopes = |values: &[f32], loss: &dyn Fn(&[f64]) -> f64| -> Vec<f64> {
        (0..values.len())
            .map(|at| {
                let moved = |by: f64| {
                    let mut values = wide(values);
                    values[at] += by;
                    loss(&values)
                };
                (moved(step) - moved(-step)) / (2.0 * step)
            })
            .collect()
    };
    let (wx, wg, wb) = (wide(&x), wide(&gamma), wide(&beta));
    close(&dx, &slopes(&x, &|x| loss(x, &wg, &wb)), "input gradient");
    close(&dgamma, &slopes(&gamma, &|gamma| loss(&wx, gamma, &wb)), "gamma gradient");
    close(&dbeta, &slopes(&beta, &|beta| loss(&wx, &wg, beta)), "beta gradient");
}

#[test]
fn stored_statistics_do_not_depend_on_the_input() {
    let norm = Norm { channels: 1, epsilon: 0.0, isa: Isa::best() };
    let stored = BatchStatistics { mean: vec![1.0], variance: vec![4.0] };
    let mut y = [0.0; 2];
    norm.forward(&[3.0, 1.0], &stored, [Some(&[3.0]), None], &mut y);
    assert_eq!(y, [3.0, 0.0]);
    let mut g = [2.0, 4.0];
    norm.backward_input(&[3.0, 1.0], &stored, Some(&[3.0]), None, &mut g);
    assert_eq!(g, [3.0, 6.0]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let isa = Isa::best();
    let new = |shape, input| Conv::new(shape, input, isa, Precision::Highest, true);
    let groups = ConvShape { groups: 2, ..plain([4, 4], [3, 3]) };
    assert!(new(groups, [5, 5, 4]).unwrap_err().to_string().contains("groups"));
    let padding = ConvShape { padding: Padding::from([3, 0]), ..plain([4, 4], [3, 3]) };
    assert!(new(padding, [5, 5, 4]).unwrap_err().to_string().contains("padding"));
    assert!(new(plain([4, 4], [7, 7]), [5, 5, 4]).is_err());
    let mut conv = new(plain([4, 4], [3, 3]), [5, 5, 4]).unwrap();
    assert!(conv.set_weights(&[0.0; 3], &[0.0; 4]).is_err());
    assert!(conv.set_weights(&[0.0; 144], &[0.0; 3]).is_err());
    let [mut dk, mut db] = [vec![0.0; 144], vec![0.0; 4]];
    assert!(conv.backward_weights(1, &[0.0; 99], &[0.0; 36], &mut dk, &mut db).is_err());
    assert!(conv.backward_weights(1, &[0.0; 100], &[0.0; 35], &mut dk, &mut db).is_err());
    assert!(conv.backward_input(1, &[0.0; 35], &mut [0.0; 100]).is_err());
    let dense = Dense::new([4, 2], Activation::None, isa).unwrap();
    assert!(dense.forward(1, &[0.0; 3], [&[0.0; 8], &[0.0; 2]], &mut [0.0; 2]).is_err());
    assert!(dense.backward_input(1, &[0.0; 2], &[0.0; 7], &mut [0.0; 4]).is_err());
}
