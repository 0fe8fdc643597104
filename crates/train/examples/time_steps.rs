//! Milliseconds of a training step of two networks, without reading inputs.
//!
//! ```text
//! cargo run --release -p head --example time_steps -- [THREADS]
//! ```
//!
//! "block5" is VGG16's last block and a dense head on activations of block4_pool at 150x150, "scratch" the lesson's own network;
//! batches of 20.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use graph::{Activation, Builder, Conv, Dense, Graph, Op, Padding, Pool};
use kernels::{Isa, Precision};
use std::error::Error;
use train::convnet::{ConvNet, Inputs, Labelled, Machine, glorot};
use train::{FitConfig, Seeded, Trainer};

const BATCH: usize = 20;

struct Noise {
    width: usize,
}

impl Inputs for Noise {
    fn len(&self) -> usize {
        10 * BATCH
    }
    fn width(&self) -> usize {
        self.width
    }
    fn read(
        &self,
        _: Option<usize>,
        rows: &[u32],
        out: &mut [f32],
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(self.width)) {
            let mut x = *row;
            for value in out {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *value = (x >> 8) as f32 / 16_777_216.0;
            }
        }
        Ok(())
    }
}

fn dense(units: usize, activation: Activation) -> Op {
    Op::Dense(Dense { units, bias: true, activation: Some(activation) })
}

fn block5() -> Graph {
    let mut b = Builder::new();
    let mut x = b.input("block4_pool", 512);
    for i in 1..=3 {
        let conv = Conv::new(512, [3, 3]).padding(Padding::Same).activation(Activation::Relu);
        x = b.add(format!("block5_conv{i}"), Op::Conv(conv), &[x]);
    }
    x = b.add("block5_pool", Op::Pool(Pool::max([2, 2], [2, 2])), &[x]);
    x = b.add("flatten", Op::Flatten, &[x]);
    x = b.add("dense", dense(256, Activation::Relu), &[x]);
    x = b.add("dense_1", dense(1, Activation::Sigmoid), &[x]);
    b.finish(x).unwrap()
}

fn scratch() -> Graph {
    let mut b = Builder::new();
    let mut x = b.input("input", 3);
    for (i, filters) in [32, 64, 128, 128].into_iter().enumerate() {
        let conv = Conv::new(filters, [3, 3]).activation(Activation::Relu);
        x = b.add(format!("conv2d_{i}"), Op::Conv(conv), &[x]);
        x = b.add(format!("pool_{i}"), Op::Pool(Pool::max([2, 2], [2, 2])), &[x]);
    }
    x = b.add("flatten", Op::Flatten, &[x]);
    x = b.add("dense", dense(512, Activation::Relu), &[x]);
    x = b.add("dense_1", dense(1, Activation::Sigmoid), &[x]);
    b.finish(x).unwrap()
}

/// Seconds of processor time of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn main() {
    let threads = std::env::args().nth(1).map_or(0, |n| n.parse().unwrap());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        for (name, graph, size) in
            [("block5", block5(), [9, 9]), ("scratch", scratch(), [150, 150])]
        {
            let machine = Machine { isa: Isa::best(), precision: Precision::Highest };
            let mut seeded = Seeded::new(0);
            let mut init = glorot(&mut seeded);
            let mut net = ConvNet::new(graph, size, machine, &|_| true, &mut init).unwrap();
            let inputs = Noise { width: net.input().values() };
            let labels: Vec<i64> = (0..inputs.len() as i64).map(|row| row % 2).collect();
            let config = FitConfig { epochs: 5, batch_size: BATCH, ..FitConfig::default() };
            let train = Labelled { inputs: &inputs, labels: &labels };
            let before = cpu();
            let fitted = Trainer::new(&config).fit_network(&mut net, train, None).unwrap();
            let steps = (5 * inputs.len() / BATCH) as f64;
            println!("{name}: {:.1} ms of processor time a step", (cpu() - before) * 1e3 / steps);
            let best = fitted.history.iter().map(|e| e.seconds).fold(f64::INFINITY, f64::min);
            println!("{name}: {:.1} ms a step", best * 1e3 / (inputs.len() / BATCH) as f64);
        }
    });
}
