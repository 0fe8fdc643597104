//! Where the base runs.

use std::fmt;
use std::str::FromStr;

/// A requested device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The first of CUDA, Metal and CPU that this build and this machine have.
    Auto,
    /// The project's own CPU kernels.
    Cpu,
    /// A CUDA device by its ordinal.
    Cuda(usize),
    /// The Apple GPU.
    Metal,
    /// candle on the CPU: slow, a reference to check the kernels with.
    CandleCpu,
}

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// The project's kernels on the CPU, candle on a GPU.
    #[default]
    Auto,
    /// candle, on the CPU too.
    Candle,
}

util::named!(EngineKind, "engine", { Auto = "auto", Candle = "candle" });

impl Device {
    /// The device on which this engine runs.
    pub fn with_engine(self, engine: EngineKind) -> Self {
        match (engine, self) {
            (EngineKind::Candle, Self::Auto | Self::Cpu) => Self::CandleCpu,
            (EngineKind::Auto | EngineKind::Candle, device) => device,
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
            Self::Metal => f.write_str("metal"),
            Self::CandleCpu => f.write_str("cpu (candle)"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let unknown = || format!("unknown device '{s}': expected auto, cpu, cuda, cuda:N or metal");
        match s {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            _ => {
                let ordinal = s.strip_prefix("cuda:").ok_or_else(unknown)?;
                ordinal.parse().map(Self::Cuda).map_err(|_| unknown())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candle_is_another_engine_on_the_cpu_alone() {
        let candle = |device: Device| device.with_engine(EngineKind::Candle);
        assert_eq!(candle(Device::Cpu), Device::CandleCpu);
        assert_eq!(candle(Device::Auto), Device::CandleCpu);
        assert_eq!(candle(Device::Cuda(1)), Device::Cuda(1));
        assert_eq!(Device::Cpu.with_engine(EngineKind::Auto), Device::Cpu);
    }

    #[test]
    fn names_round_trip() {
        for device in [Device::Auto, Device::Cpu, Device::Cuda(0), Device::Cuda(3), Device::Metal] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for bad in ["", "gpu", "cpu (candle)", "candle-cpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            assert!(bad.parse::<Device>().is_err(), "{bad}");
        }
    }
}
