//! candle: CUDA and Metal, and on the CPU the second reference in tests.

use super::chain;
use super::{Engine, EngineError, EngineInfo, Hardware, LayerAlgorithm, Method};
use crate::lower::LowerError;
use crate::{Base, Device};
use candle_core::{DType, Device as CandleDevice, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Module};
use graph::Role;
use kernels::Precision;
use weights::{Tensor as Weight, Weights};

/// Images a GPU takes at once. The engine always runs batches of this one size, the last one filled up with zeros:
/// GPU libraries choose their algorithm by batch size, and a row must not depend on the batch it came in.
const GPU_BATCH: usize = 32;

enum Step {
    ConvRelu(Conv2d),
    MaxPool(usize),
}

pub(super) struct CandleEngine {
    steps: Vec<Step>,
    device: CandleDevice,
    dtype: DType,
    /// (height, width) of the images.
    size: [usize; 2],
    row: usize,
    batch: usize,
    info: EngineInfo,
}

/// The GPU that `auto` takes, if this build and this machine have one.
pub(super) fn best_gpu() -> Option<Device> {
    if candle_core::utils::cuda_is_available() && CandleDevice::new_cuda(0).is_ok() {
        return Some(Device::Cuda(0));
    }
    if candle_core::utils::metal_is_available() && CandleDevice::new_metal(0).is_ok() {
        return Some(Device::Metal);
    }
    None
}

pub(super) fn open(device: Device) -> Result<CandleDevice, EngineError> {
    let unavailable =
        |e: candle_core::Error| EngineError::Unavailable { device, reason: one_line(&e) };
    match device {
        Device::Cuda(_) if !candle_core::utils::cuda_is_available() => {
            Err(EngineError::NotBuilt { device, feature: "cuda" })
        }
        Device::Metal if !candle_core::utils::metal_is_available() => {
            Err(EngineError::NotBuilt { device, feature: "metal" })
        }
        Device::Cuda(ordinal) => CandleDevice::new_cuda(ordinal).map_err(unavailable),
        Device::Metal => CandleDevice::new_metal(0).map_err(unavailable),
        Device::Auto | Device::Cpu | Device::CandleCpu => Ok(CandleDevice::Cpu),
    }
}

/// The first line of candle's message; the rest is a backtrace.
fn one_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

impl CandleEngine {
    pub(super) fn new(
        base: &Base,
        weights: &Weights,
        size: [usize; 2],
        requested: Device,
        precision: Option<Precision>,
    ) -> Result<Self, EngineError> {
        let device = open(requested)?;
        let on_gpu = !device.is_cpu();
        // Off CUDA, f32 products are the only ones: a lower precision is met by a higher one, and recorded as such.
        let precision = match precision.unwrap_or(Precision::Highest) {
            asked if device.is_cuda() => asked,
            _ => Precision::Highest,
        };
        if device.is_cuda() {
            candle_core::cuda::set_gemm_reduced_precision_f32(precision == Precision::High);
        }
        let dtype = if precision == Precision::Medium { DType::BF16 } else { DType::F32 };
        let name = requested.to_string();
        let wrap = |source| EngineError::Candle { device: name.clone(), source };

        let (mut steps, mut algorithms) = (Vec::new(), Vec::new());
        for step in chain::steps(base)? {
            match step {
                chain::Step::MaxPool { size } => steps.push(Step::MaxPool(size)),
                chain::Step::Conv { name, kernel, .. } => {
                    let missing = || EngineError::MissingLayer(name.to_owned());
                    let load = |weight: &Weight| {
                        Tensor::from_slice(&weight.data, weight.shape.as_slice(), &device)?
                            .to_dtype(dtype)
                    };
                    let weight = load(weights.get(name, Role::Kernel).ok_or_else(missing)?)
                        .map_err(&wrap)?;
                    let bias =
                        load(weights.get(name, Role::Bias).ok_or_else(missing)?).map_err(&wrap)?;
                    let config = Conv2dConfig { padding: kernel / 2, ..Default::default() };
                    let method = Method::CandleConv(precision);
                    algorithms.push(LayerAlgorithm { layer: name.to_owned(), method });
                    steps.push(Step::ConvRelu(Conv2d::new(weight, Some(bias), config)));
                }
            }
        }
        let row = base.graph().output_shape(size).map_err(LowerError::from)?.values();
        Ok(Self {
            steps,
            dtype,
            size,
            row,
            batch: if on_gpu { GPU_BATCH } else { 1 },
            info: EngineInfo {
                hardware: match on_gpu {
                    true => Hardware::Gpu { model: gpu_name(&device) },
                    false => Hardware::CandleCpu,
                },
                device: if on_gpu { name } else { "cpu".to_owned() },
                precision,
                algorithms,
            },
            device,
        })
    }

    fn forward(&self, images: &[f32]) -> candle_core::Result<Vec<f32>> {
        let [height, width] = self.size;
        let mut x = Tensor::from_slice(images, (self.batch, height, width, 3), &self.device)?
            .permute((0, 3, 1, 2))?
            .contiguous()?
            .to_dtype(self.dtype)?;
        for step in &self.steps {
            x = match step {
                Step::ConvRelu(conv) => conv.forward(&x)?.relu()?,
                Step::MaxPool(size) => x.max_pool2d(*size)?,
            };
        }
        x.permute((0, 2, 3, 1))?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
    }
}

/// What kind of GPU it is; candle does not tell its model.
fn gpu_name(device: &CandleDevice) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

impl Engine for CandleEngine {
    fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    fn run(&self, batch: usize, images: &[f32], output: &mut [f32]) -> Result<(), EngineError> {
        let image = self.size[0] * self.size[1] * 3;
        debug_assert_eq!((images.len(), output.len()), (batch * image, batch * self.row));
        let mut padded = vec![0.0f32; self.batch * image];
        let parts = images.chunks(self.batch * image).zip(output.chunks_mut(self.batch * self.row));
        for (images, output) in parts {
            padded[..images.len()].copy_from_slice(images);
            padded[images.len()..].fill(0.0);
            let features = self.forward(&padded).map_err(|source| EngineError::Candle {
                device: self.info.device.clone(),
                source,
            })?;
            output.copy_from_slice(&features[..output.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stdout)]
// a test that fails should panic, one that skips should say so
mod tests;
