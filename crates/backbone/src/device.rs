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

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
            Self::Metal => f.write_str("metal"),
            Self::CandleCpu => f.write_str("candle-cpu"),
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
            "candle-cpu" => Ok(Self::CandleCpu),
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
    fn names_round_trip() {
        for device in [
            Device::Auto,
            Device::Cpu,
            Device::Cuda(0),
            Device::Cuda(3),
            Device::Metal,
            Device::CandleCpu,
        ] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for bad in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            assert!(bad.parse::<Device>().is_err(), "{bad}");
        }
    }
}
