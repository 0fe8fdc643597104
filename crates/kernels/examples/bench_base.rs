//! How fast the VGG16 base runs, as a whole and layer by layer, next to the rate of bare multiply-adds.
//!
//! ```text
//! bench_base [--isa avx2] [--precision highest] [--size 150] [--batch 1,20] [--threads 2] [--layers] [--seconds 4]
//! ```
//!
//! Weights and images are random. "effective" rates count the products of the direct algorithm, whatever runs.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use kernels::{Activation, Conv2d, Isa, Layer, Network, Precision, default_precision};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut isa = None;
    let mut precision = None;
    let mut size = 150;
    let mut batches = vec![1, 20];
    let mut threads = 0;
    let mut layers = false;
    let mut seconds = 4.0;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--layers" {
            layers = true;
            continue;
        }
        let value = arguments.next().ok_or("a value is missing")?;
        match name.as_str() {
            "--isa" => isa = Some(value.parse::<Isa>()?),
            "--precision" => precision = Some(value.parse::<Precision>()?),
            "--size" => size = value.parse()?,
            "--batch" => {
                batches = value.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
            }
            "--threads" => threads = value.parse()?,
            "--seconds" => seconds = value.parse()?,
            other => return Err(format!("unknown flag {other}").into()),
        }
    }
    let precision = precision.unwrap_or_else(|| default_precision(isa.unwrap_or_else(Isa::best)));
    let isa = isa.unwrap_or_else(|| Isa::best_for(precision));
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let threads = rayon::current_num_threads();

    let peak = peak_rate(threads);
    println!("{isa}, {precision}, {threads} threads; f32 multiply-adds alone: {peak:.1} GFLOP/s");
    let base = vgg16();
    let network = Network::new(&base, [size, size, 3], isa, precision)?;
    for line in network.describe() {
        println!("  {line}");
    }
    println!("packed weights {:.1} MB", network.packed_bytes() as f64 / 1e6);
    for batch in batches {
        let time = time(&network, batch, seconds)?;
        let gflop = flop(&base, size) * batch as f64 / 1e9;
        println!(
            "batch {batch}: {:.2} images/s (median {:.2}), {:.1} ms, effective {:.0} GFLOP/s = {:.0} % of peak; workspace {:.1} MB",
            batch as f64 / time[0],
            batch as f64 / time[1],
            time[0] * 1e3,
            gflop / time[0],
            100.0 * gflop / time[0] / peak,
            network.workspace_bytes(batch) as f64 / 1e6
        );
    }
    if layers {
        each_layer(&base, size, isa, precision, peak)?;
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        for line in status.lines().filter(|line| line.starts_with("VmHWM")) {
            println!("{line}");
        }
    }
    Ok(())
}

/// Each convolution (with its pool) as a network of its own.
fn each_layer(
    base: &[Layer],
    size: usize,
    isa: Isa,
    precision: Precision,
    peak: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut shape = [size, size, 3];
    let mut total = 0.0;
    let mut index = 0;
    while index < base.len() {
        let mut end = index + 1;
        if end < base.len() && matches!(base[end], Layer::MaxPool { .. }) {
            end += 1;
        }
        let batch = (400_000_000 / (shape[0] * shape[1] * 64 * 9 * 64)).clamp(2, 20);
        let network = Network::new(&base[index..end], shape, isa, precision)?;
        let time = time(&network, batch, 0.6)?[0] / batch as f64;
        let Layer::Conv(conv) = &base[index] else { continue };
        let flop = 2.0 * (shape[0] * shape[1] * 9 * conv.in_channels * conv.out_channels) as f64;
        println!(
            "{:>4.2} ms/image {:>6.1} GFLOP/s effective, {:>4.0} % of peak  {}",
            time * 1e3,
            flop / time / 1e9,
            100.0 * flop / time / 1e9 / peak,
            network.describe()[0]
        );
        total += time;
        shape = network.output_shape();
        index = end;
    }
    println!("sum {:.2} ms/image = {:.2} images/s", total * 1e3, 1.0 / total);
    Ok(())
}

/// Best and median seconds of a run.
fn time(network: &Network, batch: usize, seconds: f64) -> Result<[f64; 2], kernels::KernelError> {
    let length: usize = network.input_shape().iter().product();
    let input: Vec<f32> =
        (0..batch * length).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    let mut output = vec![0.0; batch * network.output_shape().iter().product::<usize>()];
    network.run(batch, &input, &mut output)?;
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < 3 || start.elapsed().as_secs_f64() < seconds {
        let one = Instant::now();
        network.run(batch, black_box(&input), &mut output)?;
        times.push(one.elapsed().as_secs_f64());
        black_box(&output);
    }
    times.sort_by(f64::total_cmp);
    Ok([times[0], times[times.len() / 2]])
}

/// The 13 convolutions and 5 pools, random weights.
fn vgg16() -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut channels = 3;
    let mut state = 1u64;
    for (width, count) in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)] {
        for _ in 0..count {
            let scale = (6.0 / (9 * channels) as f32).sqrt();
            let weight = (0..width * channels * 9)
                .map(|_| {
                    state =
                        state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * scale
                })
                .collect();
            layers.push(Layer::Conv(Conv2d {
                in_channels: channels,
                out_channels: width,
                kernel: [3, 3],
                stride: [1, 1],
                padding: [1, 1].into(),
                groups: 1,
                activation: Activation::Relu,
                weight,
                bias: vec![0.01; width],
            }));
            channels = width;
        }
        layers.push(Layer::max_pool([2, 2], [2, 2]));
    }
    layers
}

/// Floating-point operations of one image with the direct algorithm.
fn flop(base: &[Layer], size: usize) -> f64 {
    let mut side = size;
    let mut sum = 0.0;
    for layer in base {
        match layer {
            Layer::Conv(c) => {
                sum += 2.0 * (side * side * 9 * c.in_channels * c.out_channels) as f64
            }
            _ => side /= 2,
        }
    }
    sum
}

/// GFLOP/s of independent multiply-adds in registers, all threads together: the best of several short runs.
fn peak_rate(threads: usize) -> f64 {
    const ROUNDS: usize = 2_000_000;
    let mut best = 0.0f64;
    for _ in 0..5 {
        let start = Instant::now();
        let per_round = rayon::broadcast(|_| multiply_adds(ROUNDS))[0];
        let rate = (threads * ROUNDS * per_round) as f64 / start.elapsed().as_secs_f64() / 1e9;
        best = best.max(rate);
    }
    best
}

/// Does `rounds` rounds; returns the floating-point operations of one.
fn multiply_adds(rounds: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") {
            // SAFETY: just detected.
            return unsafe { x86::avx512(rounds) };
        }
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            // SAFETY: just detected.
            return unsafe { x86::avx2(rounds) };
        }
    }
    let mut sums = [1.0f32; 64];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = *sum * 0.999 + 0.001;
        }
    }
    black_box(sums);
    128
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    #[target_feature(enable = "avx2,fma")]
    pub(crate) fn avx2(rounds: usize) -> usize {
        let (a, b) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
        let mut sums = [a; 12];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
        12 * 8 * 2
    }

    #[target_feature(enable = "avx512f")]
    pub(crate) fn avx512(rounds: usize) -> usize {
        let (a, b) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
        let mut sums = [a; 24];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
        24 * 16 * 2
    }
}
