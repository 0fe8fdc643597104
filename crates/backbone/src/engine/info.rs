//! What really runs: for people, and for the record of how rows were computed.

use kernels::{Algorithm, Isa, Precision};
use serde::{Deserialize, Serialize};

/// What computes. The same input gives the same bits on equal hardware of this kind.
///
/// As JSON it is two fields: `engine`, and `isa_or_gpu`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Names", into = "Names")]
pub enum Hardware {
    /// The project's kernels, on this instruction set of the CPU.
    Cpu(Isa),
    /// candle on a GPU.
    Gpu {
        /// What the same bits come from: its model, the versions of what computes on it, and the images of a pass.
        model: String,
    },
    /// candle on the CPU, for comparison.
    CandleCpu,
    /// What another version of this program, or another program, names: it can be recorded, not requested.
    Other {
        /// The engine.
        engine: String,
        /// What it ran on.
        on: String,
    },
}

/// The two fields.
#[derive(Serialize, Deserialize)]
struct Names {
    engine: String,
    isa_or_gpu: String,
}

const CPU: &str = "cpu";
const CANDLE: &str = "candle";
const CANDLE_CPU: &str = "candle-cpu";

impl Hardware {
    /// `cpu` (the project's kernels) or `candle`.
    pub fn engine(&self) -> &str {
        match self {
            Self::Cpu(_) => CPU,
            Self::Gpu { .. } | Self::CandleCpu => CANDLE,
            Self::Other { engine, .. } => engine,
        }
    }

    /// Whether both give the same bits at this precision.
    pub fn same_bits(&self, other: &Self, precision: Precision) -> bool {
        match (self, other) {
            (Self::Cpu(a), Self::Cpu(b)) => a.bits(precision) == b.bits(precision),
            _ => self == other,
        }
    }

    /// The instruction set on a CPU, the GPU elsewhere.
    pub fn isa_or_gpu(&self) -> &str {
        match self {
            Self::Cpu(isa) => isa.name(),
            Self::Gpu { model } => model,
            Self::CandleCpu => CANDLE_CPU,
            Self::Other { on, .. } => on,
        }
    }
}

impl From<Names> for Hardware {
    fn from(names: Names) -> Self {
        match (names.engine.as_str(), names.isa_or_gpu.parse()) {
            (CPU, Ok(isa)) => Self::Cpu(isa),
            (CANDLE, _) if names.isa_or_gpu == CANDLE_CPU => Self::CandleCpu,
            (CANDLE, _) => Self::Gpu { model: names.isa_or_gpu },
            _ => Self::Other { engine: names.engine, on: names.isa_or_gpu },
        }
    }
}

impl From<Hardware> for Names {
    fn from(hardware: Hardware) -> Self {
        Self { engine: hardware.engine().to_owned(), isa_or_gpu: hardware.isa_or_gpu().to_owned() }
    }
}

impl std::fmt::Display for Hardware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.engine(), self.isa_or_gpu())
    }
}

/// What really runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineInfo {
    /// What computes.
    pub hardware: Hardware,
    /// `cpu`, `cuda:0`, `metal`.
    pub device: String,
    /// How exact products are.
    pub precision: Precision,
    /// How layers are computed, in the order in which they run. A layer that became a part of another has no entry; one that
    /// takes several steps has one for each.
    pub algorithms: Vec<LayerAlgorithm>,
}

/// How one layer is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerAlgorithm {
    /// The layer's name in the graph.
    pub layer: String,
    /// What computes it.
    pub method: Method,
}

/// What computes a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// An algorithm of the project's kernels.
    Kernel(Algorithm),
    /// candle's convolution, with products of this precision.
    CandleConv(Precision),
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kernel(algorithm) => algorithm.fmt(f),
            Self::CandleConv(Precision::Highest | Precision::High) => f.write_str("conv2d, f32"),
            Self::CandleConv(Precision::Tf32) => f.write_str("conv2d, tf32 products, f32 sums"),
            Self::CandleConv(Precision::Medium) => f.write_str("conv2d, bf16 operands"),
        }
    }
}

impl EngineInfo {
    /// The methods for people, each once, in the order of their first use: `13x winograd F(2x2, 3x3)`. candle chooses among
    /// algorithms of its own, so its layers are not counted.
    pub fn method_counts(&self) -> Vec<String> {
        let mut counts: Vec<(Method, usize)> = Vec::new();
        for LayerAlgorithm { method, .. } in &self.algorithms {
            match counts.iter_mut().find(|(known, _)| known == method) {
                Some((_, layers)) => *layers += 1,
                None => counts.push((*method, 1)),
            }
        }
        let text = |(method, layers): (Method, usize)| match method {
            Method::Kernel(algorithm) => format!("{layers}x {algorithm}"),
            Method::CandleConv(_) => method.to_string(),
        };
        counts.into_iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_is_two_names_in_json_and_comes_back() {
        let all = [
            (Hardware::Cpu(Isa::Portable), "cpu", "portable"),
            (
                Hardware::Gpu { model: "NVIDIA H100 80GB HBM3, sm_90".to_owned() },
                "candle",
                "NVIDIA H100 80GB HBM3, sm_90",
            ),
            (Hardware::CandleCpu, "candle", "candle-cpu"),
            (Hardware::Other { engine: "cpu".to_owned(), on: "new".to_owned() }, "cpu", "new"),
        ];
        for (hardware, engine, on) in all {
            let json = serde_json::to_value(&hardware).unwrap();
            assert_eq!(json, serde_json::json!({ "engine": engine, "isa_or_gpu": on }));
            assert_eq!(serde_json::from_value::<Hardware>(json).unwrap(), hardware);
        }
    }
}
