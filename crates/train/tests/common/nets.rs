//! A small network with every kind of state, and rows for it.
#![allow(dead_code)]

use graph::description::Description;
use kernels::{Isa, Precision};
use std::error::Error;
use train::convnet::{ConvNet, Inputs, Labelled, Machine, glorot};
use train::{EpochStats, Seeded};
use util::SplitMix64;

/// Height and width of an input.
pub(crate) const SIZE: [usize; 2] = [9, 8];
pub(crate) const CHANNELS: usize = 2;

pub(crate) const LAYERS: &str = r#"
    [[layer]]
    op = "conv"
    name = "conv"
    filters = 5
    kernel = 3

    [[layer]]
    op = "batch-norm"
    name = "norm"

    [[layer]]
    op = "activation"
    name = "relu"
    activation = "relu"

    [[layer]]
    op = "max-pool"
    name = "pool"

    [[layer]]
    op = "flatten"
    name = "flatten"

    [[layer]]
    op = "dropout"
    name = "dropout"
    rate = 0.3

    [[layer]]
    op = "dense"
    name = "dense"
    units = 6
    activation = "relu"

    [[layer]]
    op = "dense"
    name = "dense_1"
    units = 1
    activation = "sigmoid"
"#;

/// The network of these layers; `frozen` are not trained.
pub(crate) fn net_of(layers: &str, seed: u64, frozen: &[&str]) -> ConvNet {
    let graph = Description::from_toml(layers).unwrap().build(CHANNELS).unwrap();
    let machine = Machine { isa: Isa::best(), precision: Precision::Highest };
    let trainable = |layer: &str| !frozen.contains(&layer);
    let mut random = Seeded::new(seed);
    ConvNet::new(graph, SIZE, machine, &trainable, &mut glorot(&mut random)).unwrap()
}

pub(crate) fn net(seed: u64) -> ConvNet {
    net_of(LAYERS, seed, &[])
}

/// Rows of random numbers, which training sees shifted by a little in each epoch.
pub(crate) struct Rows {
    pub(crate) values: Vec<f32>,
    pub(crate) labels: Vec<i64>,
}

impl Rows {
    /// Rows of the second class are lighter.
    pub(crate) fn new(rows: usize, seed: u64) -> Self {
        let mut random = SplitMix64::new(seed);
        let width = SIZE[0] * SIZE[1] * CHANNELS;
        let labels: Vec<i64> = (0..rows as i64).map(|row| row % 2).collect();
        let mut value = |label: i64| random.next_f32() + 0.3 * label as f32;
        let values = labels.iter().flat_map(|label| {
            let row: Vec<f32> = (0..width).map(|_| value(*label)).collect();
            row
        });
        Self { values: values.collect(), labels: labels.clone() }
    }

    /// The same rows, each said to be of the other class.
    pub(crate) fn mislabelled(self) -> Self {
        let labels = self.labels.iter().map(|label| 1 - label).collect();
        Self { labels, ..self }
    }

    pub(crate) fn labelled(&self) -> Labelled<'_> {
        Labelled { inputs: self, labels: &self.labels }
    }
}

impl Inputs for Rows {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn width(&self) -> usize {
        self.values.len() / self.labels.len()
    }

    fn read(
        &self,
        epoch: Option<usize>,
        rows: &[u32],
        out: &mut [f32],
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let shift = epoch.unwrap_or(0) as f32 / 64.0;
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(self.width())) {
            let values = &self.values[*row as usize * self.width()..];
            out.iter_mut().zip(values).for_each(|(out, x)| *out = x + shift);
        }
        Ok(())
    }
}

/// The bits of all tensors.
pub(crate) fn bits(net: &ConvNet) -> Vec<Vec<u32>> {
    let of = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect();
    net.tensors().iter().map(|tensor| of(tensor.values())).collect()
}

/// A history but for the time that it took.
pub(crate) fn timeless(history: &[EpochStats]) -> Vec<EpochStats> {
    history.iter().map(|epoch| EpochStats { seconds: 0.0, ..epoch.clone() }).collect()
}

/// Runs on a pool of so many threads.
pub(crate) fn on<T: Send>(threads: usize, task: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(task)
}
