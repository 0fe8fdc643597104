//! Engines: what runs a base on a device.

#[cfg(feature = "candle")]
pub(crate) mod candle;
mod cpu;
mod info;

use crate::lower::LowerError;
use crate::{Base, Device};
use kernels::{Isa, KernelError, Precision};
use thiserror::Error;
use util::Hint;
use weights::Weights;

pub use info::{EngineInfo, Hardware, LayerAlgorithm, Method};

/// What is requested of an engine; `None` leaves the choice to it.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Where to run.
    pub device: Device,
    /// How exact products are.
    pub precision: Option<Precision>,
    /// Force an instruction set of the CPU kernels.
    pub isa: Option<Isa>,
}

/// Why an engine can't be had or failed.
#[derive(Debug, Error)]
pub enum EngineError {
    /// This build has no support for the device.
    #[error("device {device}: this build has no support for it")]
    NotBuilt {
        /// The device asked for.
        device: Device,
        /// The cargo feature that brings it.
        feature: &'static str,
    },
    /// The device is not there, or its driver does not work.
    #[error("device {device}: not usable on this machine: {reason}")]
    Unavailable {
        /// The device asked for.
        device: Device,
        /// What the driver said.
        reason: String,
    },
    /// An instruction set was asked for where none can be chosen.
    #[error("instruction sets are those of the CPU kernels; device {0} has none")]
    IsaElsewhere(Device),
    /// The candle engine runs no layer of this kind.
    #[error("layer {0}: the candle engine runs no layers of its kind")]
    UnsupportedLayer(String),
    /// The device has no such precision.
    #[error("precision {precision}: device {device} has no such precision")]
    PrecisionElsewhere {
        /// The device asked for.
        device: Device,
        /// The precision asked for.
        precision: Precision,
    },
    /// The environment forbids TF32.
    #[error("precision tf32: forbidden by NVIDIA_TF32_OVERRIDE=0 in the environment")]
    Tf32Override,
    /// The base can't be made into a program for the CPU kernels.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The CPU kernels refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// candle failed while running or building.
    #[error("candle on {device}: {reason}")]
    Candle {
        /// Where it ran.
        device: String,
        /// What it said.
        reason: String,
    },
    /// A pass does not fit into the GPU's memory.
    #[error("candle on {device}: out of memory with passes of {images} images")]
    OutOfMemory {
        /// Where it ran.
        device: String,
        /// Images of a pass.
        images: usize,
    },
}

impl Hint for EngineError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotBuilt { device: Device::CandleCpu, .. } => {
                Some("use the kernels, or a build with the cargo feature candle".to_owned())
            }
            Self::NotBuilt { feature, .. } => Some(format!(
                "build with `cargo build --release --features {feature}`, or use the CPU"
            )),
            Self::Unavailable { .. } | Self::Candle { .. } => Some("use the CPU".to_owned()),
            Self::PrecisionElsewhere { device: Device::Cuda(_), .. } => {
                Some("it has highest (f32), tf32 and medium (bf16)".to_owned())
            }
            Self::PrecisionElsewhere { device: Device::Cpu, .. } => {
                Some("it has highest, high and medium; tf32 is for CUDA".to_owned())
            }
            Self::PrecisionElsewhere { .. } => Some("it has highest".to_owned()),
            Self::Tf32Override => Some("unset it, or use highest".to_owned()),
            Self::OutOfMemory { .. } => {
                Some("end other programs on that GPU, or use the CPU".to_owned())
            }
            Self::IsaElsewhere(_) => Some("name no instruction set, or use the CPU".to_owned()),
            Self::Kernel(e) => e.hint(),
            Self::UnsupportedLayer(_) | Self::Lower(_) => None,
        }
    }
}

/// Runs the convolutions of a base.
pub(crate) trait Engine: Send + Sync {
    /// What it is.
    fn info(&self) -> EngineInfo;

    /// Images that it computes together, whether so many are given or fewer.
    fn pass_images(&self) -> usize {
        1
    }

    /// The last layer's output for a batch.
    ///
    /// # Shapes
    /// `images`: (batch, height, width, 3); `output`: (batch, h, w, c); both C order. An image's output does not depend
    /// on the batch it comes in.
    fn run(&self, batch: usize, images: &[f32], output: &mut [f32]) -> Result<(), EngineError>;
}

/// The engine that `options` ask for. A device that is named but can't be had is an error, never a fallback.
pub(crate) fn build(
    base: &Base,
    weights: Weights,
    [height, width]: [usize; 2],
    options: &EngineOptions,
) -> Result<Box<dyn Engine>, EngineError> {
    let device = usable_device(options)?;
    if device == Device::Cpu {
        let engine = cpu::CpuEngine::new(base, weights, [height, width], options)?;
        return Ok(Box::new(engine));
    }
    #[cfg(feature = "candle")]
    {
        let engine =
            candle::CandleEngine::new(base, weights, [height, width], device, options.precision)?;
        Ok(Box::new(engine))
    }
    #[cfg(not(feature = "candle"))]
    Err(EngineError::not_built(device))
}

/// Whether the requested device can be had: to be asked before weights are fetched for it.
///
/// # Errors
/// [`EngineError::NotBuilt`], [`EngineError::Unavailable`], [`EngineError::IsaElsewhere`], [`EngineError::PrecisionElsewhere`],
/// [`EngineError::Tf32Override`], or an instruction set that this machine lacks.
pub fn check_device(options: &EngineOptions) -> Result<(), EngineError> {
    usable_device(options).map(|_| ())
}

/// The device that `options` mean, if it can be had with what they ask of it.
fn usable_device(options: &EngineOptions) -> Result<Device, EngineError> {
    let device = choose(options)?;
    match device {
        Device::Cpu if options.precision == Some(Precision::Tf32) => {
            Err(EngineError::PrecisionElsewhere { device, precision: Precision::Tf32 })
        }
        Device::Cpu => match options.isa.filter(|isa| !isa.is_available()) {
            Some(wanted) => {
                Err(KernelError::IsaUnavailable { wanted, available: Isa::available() }.into())
            }
            None => Ok(device),
        },
        #[cfg(feature = "candle")]
        _ => candle::check(device, options.precision).map(|()| device),
        #[cfg(not(feature = "candle"))]
        _ => Err(EngineError::not_built(device)),
    }
}

impl EngineError {
    /// A device that this build has no code for.
    fn not_built(device: Device) -> Self {
        let feature = match device {
            Device::Cuda(_) => "cuda",
            Device::Metal => "metal",
            Device::Auto | Device::Cpu | Device::CandleCpu => "candle",
        };
        Self::NotBuilt { device, feature }
    }
}

/// The fastest GPU that this build and this machine have, if it has the precision.
fn best_gpu(precision: Option<Precision>) -> Option<Device> {
    #[cfg(feature = "candle")]
    return candle::best_gpu(precision);
    #[cfg(not(feature = "candle"))]
    {
        let _ = precision;
        None
    }
}

/// What `auto` means here, and whether an instruction set goes with it.
fn choose(options: &EngineOptions) -> Result<Device, EngineError> {
    match options.device {
        Device::Auto if options.isa.is_some() => Ok(Device::Cpu),
        Device::Auto => Ok(best_gpu(options.precision).unwrap_or(Device::Cpu)),
        Device::Cpu => Ok(Device::Cpu),
        device if options.isa.is_some() => Err(EngineError::IsaElsewhere(device)),
        device => Ok(device),
    }
}
