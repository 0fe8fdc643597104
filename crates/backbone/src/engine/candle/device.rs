//! candle's devices: whether they can be had, what they are, and which precisions they have.

use super::super::EngineError;
use crate::Device;
use candle_core::Device as CandleDevice;
use kernels::Precision;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// NVIDIA's switch for all its libraries: 0 forbids TF32 products.
const TF32_OVERRIDE: &str = "NVIDIA_TF32_OVERRIDE";

/// The GPU that `auto` takes, if this build and this machine have one with the precision.
pub(in super::super) fn best_gpu(precision: Option<Precision>) -> Option<Device> {
    let suits = |device: &Device| precision.is_none_or(|kind| has(*device, kind));
    // None is opened that does not suit: it would hold memory.
    [Device::Cuda(0), Device::Metal].into_iter().find(|gpu| suits(gpu) && open(*gpu).is_ok())
}

/// The device, if this build and this machine have it.
pub(super) fn open(device: Device) -> Result<CandleDevice, EngineError> {
    let unavailable = |e: candle_core::Error| EngineError::Unavailable {
        device,
        reason: format!("{}{}", one_line(&e), visible_devices(device)),
    };
    match device {
        Device::Cuda(_) if !candle_core::utils::cuda_is_available() => {
            Err(EngineError::not_built(device))
        }
        Device::Metal if !candle_core::utils::metal_is_available() => {
            Err(EngineError::not_built(device))
        }
        Device::Cuda(ordinal) => {
            load_cuda().map_err(|reason| EngineError::Unavailable { device, reason })?;
            cuda(ordinal).map_err(unavailable)
        }
        Device::Metal => CandleDevice::new_metal(0).map_err(unavailable),
        Device::Auto | Device::Cpu | Device::CandleCpu => Ok(CandleDevice::Cpu),
    }
}

/// The device of this ordinal, opened once: each time would make a context and the libraries' handles again.
fn cuda(ordinal: usize) -> candle_core::Result<CandleDevice> {
    static OPENED: Mutex<Vec<(usize, CandleDevice)>> = Mutex::new(Vec::new());
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, device)) = opened.iter().find(|(known, _)| *known == ordinal) {
        return Ok(device.clone());
    }
    let device = CandleDevice::new_cuda(ordinal)?;
    opened.push((ordinal, device.clone()));
    Ok(device)
}

/// Tells cuBLAS what products of f32 are until the guard is dropped. The switch is the whole process's, so one pass waits for the
/// other.
pub(super) fn with_products_of(precision: Precision) -> MutexGuard<'static, ()> {
    static PASS: Mutex<()> = Mutex::new(());
    let guard = PASS.lock().unwrap_or_else(PoisonError::into_inner);
    candle_core::cuda::set_gemm_reduced_precision_f32(precision == Precision::Tf32);
    guard
}

/// The first line of candle's message; the rest is a backtrace.
pub(super) fn one_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Whether the message is the CUDA driver's, cuBLAS's or cuDNN's of too little memory.
pub(super) fn is_out_of_memory(message: &str) -> bool {
    ["OUT_OF_MEMORY", "out of memory", "ALLOC_FAILED"].iter().any(|known| message.contains(known))
}

/// CUDA's libraries; the error says which one is missing.
#[cfg(feature = "cuda")]
fn load_cuda() -> Result<(), String> {
    cuda_libraries::load().map_err(|e| e.to_string())
}

#[cfg(not(feature = "cuda"))]
fn load_cuda() -> Result<(), String> {
    Ok(())
}

/// What the environment lets CUDA see, for messages: ordinals count those alone.
fn visible_devices(device: Device) -> String {
    match (device, std::env::var("CUDA_VISIBLE_DEVICES")) {
        (Device::Cuda(_), Ok(visible)) => format!(" (CUDA_VISIBLE_DEVICES={visible})"),
        _ => String::new(),
    }
}

/// The device for people: `cuda:0`, and what the environment lets CUDA see.
pub(super) fn place(device: Device) -> String {
    match device {
        Device::CandleCpu => "cpu".to_owned(),
        device => format!("{device}{}", visible_devices(device)),
    }
}

/// Whether the device has this precision.
fn has(device: Device, precision: Precision) -> bool {
    match precision {
        Precision::Highest => true,
        Precision::Tf32 | Precision::Medium => matches!(device, Device::Cuda(_)),
        // TF32 does not keep its bound.
        Precision::High => false,
    }
}

/// The precision that runs: never another one than is requested, or than is recorded.
pub(super) fn precision(
    device: Device,
    requested: Option<Precision>,
) -> Result<Precision, EngineError> {
    let precision = requested.unwrap_or(Precision::Highest);
    if !has(device, precision) {
        return Err(EngineError::PrecisionElsewhere { device, precision });
    }
    if precision == Precision::Tf32 && std::env::var(TF32_OVERRIDE).is_ok_and(|v| v == "0") {
        return Err(EngineError::Tf32Override);
    }
    Ok(precision)
}

/// A GPU.
pub(super) struct Gpu {
    /// Its model and the versions of what computes on it: the same name, the same bits.
    pub(super) name: String,
    /// Bytes of memory.
    pub(super) memory: u64,
}

/// What a GPU is.
pub(super) fn describe(device: &CandleDevice) -> candle_core::Result<Gpu> {
    match device {
        #[cfg(feature = "cuda")]
        CandleDevice::Cuda(cuda) => describe_cuda(cuda),
        CandleDevice::Metal(_) => Ok(Gpu { name: "metal".to_owned(), memory: METAL_MEMORY }),
        _ => Err(candle_core::Error::Msg("no GPU".to_owned())),
    }
}

/// candle tells neither model nor memory of an Apple GPU; all that it runs on have as much.
const METAL_MEMORY: u64 = 8 << 30;

#[cfg(feature = "cuda")]
fn describe_cuda(device: &candle_core::CudaDevice) -> candle_core::Result<Gpu> {
    use candle_core::cuda_backend::WrapErr as _;

    let stream = device.cuda_stream();
    let context = stream.context();
    let model = context.name().w()?;
    let (major, minor) = context.compute_capability().w()?;
    let memory = context.total_mem().w()? as u64;
    let versions = cuda_libraries::versions().map_err(candle_core::Error::wrap)?;
    let name = format!("{model}, sm_{major}{minor}, {versions}");
    Ok(Gpu { name, memory })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precision_is_what_it_says_or_is_refused() {
        assert_eq!(precision(Device::CandleCpu, None).ok(), Some(Precision::Highest));
        let refused = [Precision::High, Precision::Tf32, Precision::Medium];
        for device in [Device::CandleCpu, Device::Metal] {
            assert!(precision(device, Some(Precision::Highest)).is_ok());
            for kind in refused {
                let error = precision(device, Some(kind)).unwrap_err();
                assert!(error.to_string().contains(kind.name()), "{error}");
            }
        }
        let error = precision(Device::Cuda(0), Some(Precision::High)).unwrap_err();
        assert!(error.to_string().contains("cuda:0"), "{error}");
        assert!(precision(Device::Cuda(0), Some(Precision::Medium)).is_ok());
    }
}
