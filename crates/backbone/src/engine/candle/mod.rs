//! candle: CUDA and Metal, and on the CPU a second implementation to hold the kernels to.

mod device;
mod pass;
mod program;

use super::{Engine, EngineError, EngineInfo, Hardware, LayerAlgorithm, Method};
use crate::lower::{self, Lowered};
use crate::{Base, Device};
use candle_core::{DType, Device as CandleDevice, Tensor};
use kernels::{Layer, Precision};
use program::{How, Refusal, Steps};
use std::cell::RefCell;
use weights::Weights;

pub(super) use device::best_gpu;

/// Whether the device can be had, with this precision.
pub(super) fn check(device: Device, precision: Option<Precision>) -> Result<(), EngineError> {
    device::open(device)?;
    device::precision(device, precision).map(|_| ())
}

pub(super) struct CandleEngine {
    steps: Steps,
    device: CandleDevice,
    /// (height, width) of the images.
    size: [usize; 2],
    row: usize,
    /// Images of each pass. The engine always runs passes of this one size, the last one filled up with zeros: GPU libraries
    /// choose their algorithm by it, and a row must not depend on the batch it came in.
    batch: usize,
    info: EngineInfo,
}

impl CandleEngine {
    pub(super) fn new(
        base: &Base,
        weights: Weights,
        size: [usize; 2],
        requested: Device,
        precision: Option<Precision>,
    ) -> Result<Self, EngineError> {
        let device = device::open(requested)?;
        let precision = device::precision(requested, precision)?;
        let name = requested.to_string();
        let wrap = |e: candle_core::Error| EngineError::Candle {
            device: name.clone(),
            reason: device::one_line(&e),
        };

        let weights = RefCell::new(weights);
        let Lowered { program, layers } = lower::lower(base.graph(), size, &|node, role| {
            weights.borrow_mut().take_nhwc_values(node, role)
        })?;
        drop(weights);
        let input = [size[0], size[1], 3];
        let shapes = program.shapes(input)?;
        let convolutions = program.operations.iter().zip(&layers);
        let algorithms = convolutions
            .filter(|(operation, _)| matches!(operation.layer, Layer::Conv(_)))
            .map(|(_, layer)| LayerAlgorithm {
                layer: layer.clone(),
                method: Method::CandleConv(precision),
            })
            .collect();
        let dtype = if precision == Precision::Medium { DType::BF16 } else { DType::F32 };
        // candle leaves cuDNN's products at their default, which is TF32 where the GPU has it.
        let columns =
            cfg!(feature = "cudnn") && device.is_cuda() && precision == Precision::Highest;
        let how = How { device: &device, dtype, columns };
        let values = pass::largest(&program, input, &shapes);
        let steps = Steps::new(program, input, &shapes, how).map_err(|e| match e {
            Refusal::Unsupported(operation) => {
                EngineError::UnsupportedLayer(layers[operation].clone())
            }
            Refusal::Candle(e) => wrap(e),
        })?;
        let (hardware, batch) = match device.is_cpu() {
            true => (Hardware::CandleCpu, 1),
            false => {
                let gpu = device::describe(&device).map_err(wrap)?;
                let batch = pass::images(gpu.memory, values, dtype.size_in_bytes());
                // A pass of another size may run other algorithms.
                let model = format!("{}, passes of {batch}", gpu.name);
                (Hardware::Gpu { model }, batch)
            }
        };
        let row = shapes.last().unwrap_or(&input).iter().product();
        let info = EngineInfo { hardware, device: device::place(requested), precision, algorithms };
        // The weights are there for passes on any thread.
        device.synchronize().map_err(wrap)?;
        Ok(Self { steps, size, row, batch, info, device })
    }

    fn forward(&self, images: &[f32]) -> candle_core::Result<Vec<f32>> {
        let [height, width] = self.size;
        let _products = device::with_products_of(self.info.precision);
        let images = Tensor::from_slice(images, (self.batch, height, width, 3), &self.device)?;
        self.steps.run(&images)?.flatten_all()?.to_vec1()
    }

    fn failure(&self, error: &candle_core::Error) -> EngineError {
        let (device, reason) = (self.info.device.clone(), device::one_line(error));
        match device::is_out_of_memory(&reason) {
            true => EngineError::OutOfMemory { device, images: self.batch },
            false => EngineError::Candle { device, reason },
        }
    }
}

impl Engine for CandleEngine {
    fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    fn pass_images(&self) -> usize {
        self.batch
    }

    fn run(&self, batch: usize, images: &[f32], output: &mut [f32]) -> Result<(), EngineError> {
        let image = self.size[0] * self.size[1] * 3;
        debug_assert_eq!((images.len(), output.len()), (batch * image, batch * self.row));
        let mut padded = vec![0.0f32; self.batch * image];
        let parts = images.chunks(self.batch * image).zip(output.chunks_mut(self.batch * self.row));
        for (images, output) in parts {
            padded[..images.len()].copy_from_slice(images);
            padded[images.len()..].fill(0.0);
            let features = self.forward(&padded).map_err(|e| self.failure(&e))?;
            output.copy_from_slice(&features[..output.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stdout)]
// a test that fails should panic, one that skips should say so
mod tests;

/// The output of a program for one image, on candle's CPU device.
#[cfg(test)]
pub(crate) fn compute(
    program: kernels::Program,
    size: [usize; 2],
    image: &[f32],
    columns: bool,
) -> Vec<f32> {
    let input = [size[0], size[1], 3];
    let shapes = program.shapes(input).expect("a program that fits");
    let how = How { device: &CandleDevice::Cpu, dtype: DType::F32, columns };
    let steps = Steps::new(program, input, &shapes, how);
    let steps = steps.unwrap_or_else(|e| match e {
        Refusal::Unsupported(operation) => panic!("operation {operation}"),
        Refusal::Candle(e) => panic!("{e}"),
    });
    let images = Tensor::from_slice(image, (1, size[0], size[1], 3), &CandleDevice::Cpu);
    let output = images.and_then(|images| steps.run(&images)?.flatten_all()?.to_vec1());
    output.unwrap_or_else(|e| panic!("{e}"))
}
