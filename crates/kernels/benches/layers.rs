//! Images a second of single layers and of the whole VGG16 base at 150×150, random weights.
//!
//! `cargo bench -p kernels`; `cargo bench -p kernels -- base` for the base alone. The example `bench_base` puts these
//! rates next to the processor's peak.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kernels::{Activation, Conv2d, Isa, Layer, Network, Precision, default_precision};

fn main() {
    divan::main();
}

fn conv(in_channels: usize, out_channels: usize) -> Layer {
    let count = in_channels * out_channels * 9;
    let scale = (6.0 / (9 * in_channels) as f32).sqrt();
    Layer::Conv(Conv2d {
        in_channels,
        out_channels,
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1, 1].into(),
        groups: 1,
        activation: Activation::Relu,
        weight: (0..count).map(|i| ((i * 7919) % 2001) as f32 / 1000.0 * scale - scale).collect(),
        bias: vec![0.01; out_channels],
        bias_last: false,
    })
}

fn pool() -> Layer {
    Layer::max_pool([2, 2], [2, 2])
}

fn run(bencher: Bencher, layers: &[Layer], shape: [usize; 3], precision: Precision, batch: usize) {
    let network = match Network::new(layers, shape, Isa::best(), precision) {
        Ok(network) => network,
        Err(error) => return eprint_skip(&error),
    };
    let length: usize = shape.iter().product();
    let input: Vec<f32> =
        (0..batch * length).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    let mut output = vec![0.0; batch * network.output_shape().iter().product::<usize>()];
    bencher.counter(ItemsCount::new(batch)).bench_local(|| {
        let done = network.run(batch, black_box(&input), &mut output);
        black_box(&output);
        done
    });
}

#[allow(clippy::print_stderr)]
fn eprint_skip(error: &kernels::KernelError) {
    eprintln!("skipped: {error}");
}

/// Side of the image, channels in and out, whether a pool follows.
#[divan::bench(args = [
    (150, 3, 64, false), (150, 64, 64, true), (75, 64, 128, false), (75, 128, 128, true), (37, 128, 256, false),
    (37, 256, 256, false), (18, 256, 512, false), (18, 512, 512, false), (9, 512, 512, false),
], max_time = 1)]
fn layer(bencher: Bencher, (side, from, to, pooled): (usize, usize, usize, bool)) {
    let mut layers = vec![conv(from, to)];
    if pooled {
        layers.push(pool());
    }
    run(bencher, &layers, [side, side, from], default_precision(Isa::best()), 4);
}

/// The whole base at a batch size.
#[divan::bench(args = [1, 4, 20], consts = [0, 1], max_time = 4)]
fn base<const PRECISION: usize>(bencher: Bencher, batch: usize) {
    let mut layers = Vec::new();
    let mut channels = 3;
    for (width, count) in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)] {
        for _ in 0..count {
            layers.push(conv(channels, width));
            channels = width;
        }
        layers.push(pool());
    }
    run(bencher, &layers, [150, 150, 3], Precision::ON_CPU[PRECISION], batch);
}
