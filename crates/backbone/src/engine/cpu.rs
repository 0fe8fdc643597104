//! The project's own CPU kernels.

use super::{Engine, EngineError, EngineInfo, EngineOptions, Hardware, LayerAlgorithm, Method};
use crate::Base;
use crate::lower::{self, Lowered};
use std::cell::RefCell;

use kernels::{Isa, Network, Precision, default_precision};
use weights::Weights;

pub(super) struct CpuEngine {
    network: Network,
    /// The layer of each operation.
    layers: Vec<String>,
    isa: Isa,
    precision: Precision,
}

impl CpuEngine {
    pub(super) fn new(
        base: &Base,
        weights: Weights,
        [height, width]: [usize; 2],
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let fastest = options.isa.unwrap_or_else(Isa::best);
        let precision = options.precision.unwrap_or_else(|| default_precision(fastest));
        let isa = options.isa.unwrap_or_else(|| Isa::best_for(precision));
        let weights = RefCell::new(weights);
        let Lowered { program, layers } =
            lower::lower(base.graph(), [height, width], &|node, role| {
                weights.borrow_mut().take_nhwc_values(node, role)
            })?;
        // Those of layers beyond the last one.
        drop(weights);
        let network = Network::compile(program, [height, width, 3], isa, precision)?;
        Ok(Self { network, layers, isa, precision })
    }
}

impl Engine for CpuEngine {
    fn info(&self) -> EngineInfo {
        let layer = |(operation, algorithm): (usize, _)| LayerAlgorithm {
            layer: self.layers[operation].clone(),
            method: Method::Kernel(algorithm),
        };
        EngineInfo {
            hardware: Hardware::Cpu(self.isa),
            device: "cpu".to_owned(),
            precision: self.precision,
            algorithms: self.network.algorithms().into_iter().map(layer).collect(),
        }
    }

    fn run(&self, batch: usize, images: &[f32], output: &mut [f32]) -> Result<(), EngineError> {
        Ok(self.network.run(batch, images, output)?)
    }
}
