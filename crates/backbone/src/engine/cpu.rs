//! The project's own CPU kernels.

use super::{Engine, EngineError, EngineInfo, EngineOptions, Hardware};
use crate::{Base, lower};
use kernels::{Isa, Network, Precision, default_precision};
use weights::Weights;

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
        let program = lower::lower(base.graph(), [height, width], &|node, role| {
            weights.nhwc_values(node, role)
        })?;
        let network = Network::compile(&program, [height, width, 3], isa, precision)?;
        Ok(Self { network, isa, precision })
    }
}

impl Engine for CpuEngine {
    fn info(&self) -> EngineInfo {
        let mut algorithms: Vec<(String, usize)> = Vec::new();
        for name in self.network.algorithms() {
            match algorithms.iter_mut().find(|(known, _)| *known == name) {
                Some((_, layers)) => *layers += 1,
                None => algorithms.push((name, 1)),
            }
        }
        let algorithms = algorithms.into_iter().map(|(name, layers)| format!("{layers}x {name}"));
        EngineInfo {
            hardware: Hardware::Cpu(self.isa),
            device: "cpu".to_owned(),
            precision: self.precision,
            algorithms: algorithms.collect(),
        }
    }

    fn run(&self, batch: usize, images: &[f32], output: &mut [f32]) -> Result<(), EngineError> {
        Ok(self.network.run(batch, images, output)?)
    }
}
