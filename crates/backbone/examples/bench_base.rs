//! How fast a base runs on the CPU, as a whole and layer by layer, next to the rate of bare multiply-adds.
//!
//! ```text
//! bench_base [--base vgg16] [--isa avx2] [--precision highest] [--size 150] [--batch 1,20] [--threads 2] [--layers] [--seconds 4]
//! ```
//!
//! Weights and images are random. "effective" rates count the products of the direct algorithm, whatever runs. VGG16 runs at
//! 150x150 if no size is given, other bases at their default. Processor time (Linux only) is the steadier figure on a machine
//! that others use: of all threads, a mean over all runs.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use backbone::{bases, lower};
use graph::{ParamSpec, Role};
use kernels::{Conv2d, Isa, Layer, Network, Precision, Program, default_precision};

fn main() -> Result<(), Box<dyn Error>> {
    let mut base = "vgg16".to_owned();
    let mut isa = None;
    let mut precision = None;
    let mut size = None;
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
            "--base" => base = value,
            "--isa" => isa = Some(value.parse::<Isa>()?),
            "--precision" => precision = Some(value.parse::<Precision>()?),
            "--size" => size = Some(value.parse()?),
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
    let (program, shape) = program(&base, size)?;
    let shapes = program.shapes(shape)?;
    let network = Network::compile(program.clone(), shape, isa, precision)?;
    for line in network.describe() {
        println!("  {line}");
    }
    println!("packed weights {:.1} MB", network.packed_bytes() as f64 / 1e6);
    let convs = program.operations.iter().zip(&shapes).filter_map(|(operation, output)| {
        let Layer::Conv(conv) = &operation.layer else { return None };
        Some(flop(conv, *output))
    });
    let all: f64 = convs.sum();
    for batch in batches {
        let before = processor_seconds();
        let (time, runs) = time(&network, batch, seconds)?;
        let busy = (processor_seconds() - before) / (runs * batch) as f64;
        let gflop = all * batch as f64 / 1e9;
        println!(
            "batch {batch}: {:.2} images/s (median {:.2}), {:.1} ms, effective {:.0} GFLOP/s = {:.0} % of peak; {:.1} ms of processor time an image; workspace {:.1} MB",
            batch as f64 / time[0],
            batch as f64 / time[1],
            time[0] * 1e3,
            gflop / time[0],
            100.0 * gflop / time[0] / peak,
            busy * 1e3,
            network.workspace_bytes(batch) as f64 / 1e6
        );
    }
    if layers {
        each_layer(&program, shape, isa, precision, peak)?;
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        for line in status.lines().filter(|line| line.starts_with("VmHWM")) {
            println!("{line}");
        }
    }
    Ok(())
}

/// The base without its classifier, and the shape of its images.
fn program(base: &str, size: Option<usize>) -> Result<(Program, [usize; 3]), Box<dyn Error>> {
    let definition = bases::find(base).ok_or("unknown base")?;
    let size =
        size.unwrap_or(if definition.name == "vgg16" { 150 } else { definition.default_size });
    let graph = definition.graph(&definition.variants[0], false)?;
    let specs = graph.params([size; 2])?;
    let lowered = lower(&graph, [size; 2], &|node, role| {
        specs.iter().find(|spec| spec.node == node && spec.role == role).map(parameter)
    })?;
    Ok((lowered.program, [size, size, 3]))
}

/// Random kernels that keep the size of activations; a batch normalisation that changes nothing.
fn parameter(spec: &ParamSpec) -> Vec<f32> {
    let count = spec.values();
    match spec.role {
        Role::Gamma | Role::Variance => vec![1.0; count],
        Role::Bias | Role::Beta => vec![0.01; count],
        Role::Mean => vec![0.0; count],
        Role::Kernel | Role::DepthwiseKernel | Role::PointwiseKernel => {
            let filters = match spec.role {
                Role::DepthwiseKernel => spec.shape[2] * spec.shape[3],
                _ => spec.shape[spec.shape.len() - 1],
            };
            let scale = (6.0 / (count / filters) as f32).sqrt();
            let mut state = 1u64;
            let mut next = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * scale
            };
            std::iter::repeat_with(&mut next).take(count).collect()
        }
    }
}

/// Each kind of convolution (with its pool) as a network of its own, and how often it is in the base.
fn each_layer(
    program: &Program,
    shape: [usize; 3],
    isa: Isa,
    precision: Precision,
    peak: f64,
) -> Result<(), Box<dyn Error>> {
    let shapes = program.shapes(shape)?;
    let mut kinds: Vec<(usize, f64, [usize; 3], Vec<Layer>)> = Vec::new();
    for (index, operation) in program.operations.iter().enumerate() {
        let Layer::Conv(conv) = &operation.layer else { continue };
        let input = match operation.inputs[0] {
            kernels::Value::Input => shape,
            kernels::Value::Of(from) => shapes[from],
        };
        let mut layers = vec![operation.layer.clone()];
        let pool = Layer::max_pool([2, 2], [2, 2]);
        if let Some(next) = program.operations.get(index + 1).filter(|next| next.layer == pool) {
            layers.push(next.layer.clone());
        }
        let same = |(_, _, other, known): &&mut (usize, f64, [usize; 3], Vec<Layer>)| {
            let Layer::Conv(known_conv) = &known[0] else { return false };
            *other == input && known.len() == layers.len() && is_like(known_conv, conv)
        };
        match kinds.iter_mut().find(same) {
            Some((count, ..)) => *count += 1,
            None => kinds.push((1, flop(conv, shapes[index]), input, layers)),
        }
    }
    let mut total = 0.0;
    for (count, flop, input, layers) in kinds {
        let batch = ((2e9 / flop) as usize).clamp(2, 20);
        let network = Network::new(&layers, input, isa, precision)?;
        let time = time(&network, batch, 0.4)?.0[0] / batch as f64;
        println!(
            "{count:>2} x {:>5.2} ms/image {:>6.1} GFLOP/s effective, {:>4.0} % of peak  {}",
            time * 1e3,
            flop / time / 1e9,
            100.0 * flop / time / 1e9 / peak,
            network.describe()[0]
        );
        total += count as f64 * time;
    }
    println!("sum {:.2} ms/image = {:.2} images/s", total * 1e3, 1.0 / total);
    Ok(())
}

/// Whether two convolutions take the same time.
fn is_like(a: &Conv2d, b: &Conv2d) -> bool {
    let kind = |c: &Conv2d| {
        (c.in_channels, c.out_channels, c.kernel, c.stride, c.padding, c.groups, c.activation)
    };
    kind(a) == kind(b)
}

/// Best and median seconds of a run, and how many ran.
fn time(
    network: &Network,
    batch: usize,
    seconds: f64,
) -> Result<([f64; 2], usize), kernels::KernelError> {
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
    Ok(([times[0], times[times.len() / 2]], times.len() + 1))
}

/// Seconds that all threads of the process were busy so far; 0 where the system does not say so in Linux's way.
fn processor_seconds() -> f64 {
    /// The unit of /proc/self/stat on every common Linux.
    const TICKS_A_SECOND: f64 = 100.0;
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return 0.0 };
    // After the name in parentheses: field 3 and on; user and system time are 14 and 15.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_A_SECOND
}

/// Floating-point operations of one image with the direct algorithm.
fn flop(conv: &Conv2d, [height, width, channels]: [usize; 3]) -> f64 {
    let taps = conv.kernel[0] * conv.kernel[1] * conv.in_channels / conv.groups;
    2.0 * (height * width * channels * taps) as f64
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
