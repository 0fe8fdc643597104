//! The project's own CPU kernels.

use super::chain::{self, Step};
use super::{Engine, EngineError, EngineInfo, EngineOptions};
use crate::Base;
use crate::weights::Weights;
use kernels::{Conv2d, Isa, Layer, Network, Precision, default_precision};

pub(super) struct CpuEngine {
    network: Network,
    isa: Isa,
    precision: Precision,
}

impl CpuEngine {
    pub(super) fn new(
        base: &Base,
        weights: &Weights,
        [height, width]: [usize; 2],
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let fastest = options.isa.unwrap_or_else(Isa::best);
        let precision = options.precision.unwrap_or_else(|| default_precision(fastest));
        let isa = options.isa.unwrap_or_else(|| Isa::best_for(precision));
        let layers = layers(base, weights)?;
        let network = Network::new(&layers, [height, width, 3], isa, precision)?;
        Ok(Self { network, isa, precision })
    }
}

fn layers(base: &Base, weights: &Weights) -> Result<Vec<Layer>, EngineError> {
    let mut layers = Vec::new();
    for step in chain::steps(base)? {
        layers.push(match step {
            Step::MaxPool { size } => Layer::MaxPool { size: [size; 2], stride: [size; 2] },
            Step::Conv { name, in_channels, out_channels, kernel } => {
                let missing = || EngineError::MissingLayer(name.to_owned());
                Layer::Conv(Conv2d {
                    in_channels,
                    out_channels,
                    kernel: [kernel; 2],
                    stride: [1; 2],
                    padding: [kernel / 2; 2],
                    groups: 1,
                    relu: true,
                    weight: weights.kernel(name).ok_or_else(missing)?.data.clone(),
                    bias: weights.bias(name).ok_or_else(missing)?.data.clone(),
                })
            }
        });
    }
    Ok(layers)
}

impl Engine for CpuEngine {
    fn info(&self) -> EngineInfo {
        // "conv 3x3 64->64 + relu: winograd F(4x4, 3x3)": layers are told by their algorithm.
        let mut algorithms: Vec<(String, usize)> = Vec::new();
        for line in self.network.describe() {
            let name = line.rsplit(": ").next().unwrap_or_default().to_owned();
            match algorithms.iter_mut().find(|(known, _)| *known == name) {
                Some((_, layers)) => *layers += 1,
                None => algorithms.push((name, 1)),
            }
        }
        let algorithms = algorithms.into_iter().map(|(name, layers)| format!("{layers}x {name}"));
        EngineInfo {
            engine: "cpu".to_owned(),
            device: "cpu".to_owned(),
            isa: self.isa.name().to_owned(),
            precision: self.precision.name().to_owned(),
            algorithms: algorithms.collect(),
        }
    }

    fn run(&self, batch: usize, images: &[f32], output: &mut [f32]) -> Result<(), EngineError> {
        Ok(self.network.run(batch, images, output)?)
    }
}
