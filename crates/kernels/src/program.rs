//! What a network computes: operations with their inputs.

use crate::winograd::scheme::MAX_N;
use crate::{KernelError, Layer};

/// Images that pass through the whole network together at most; a larger batch is cut.
pub(crate) const CHUNK: usize = 32;

/// Values that a shape may have, as a part of the address space: no product of one shape with the images of a chunk, the
/// bytes of a value and the places of a transformed tile overflows then.
const SIZE_MARGIN: usize = 4 * CHUNK * MAX_N * MAX_N;

/// Something that an operation reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// The images.
    Input,
    /// What the operation of this index makes.
    Of(usize),
}

impl Value {
    /// Its shape, for images of shape `input` and operations of these output shapes.
    pub(crate) fn shape(self, input: [usize; 3], shapes: &[[usize; 3]]) -> [usize; 3] {
        match self {
            Self::Input => input,
            Self::Of(index) => shapes[index],
        }
    }
}

/// An operation and what it reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// What is computed.
    pub layer: Layer,
    /// What it reads, each the input or made by an operation before it.
    pub inputs: Vec<Value>,
}

/// Operations in an order in which each comes after all that it reads. The last one's output is the program's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    /// The operations.
    pub operations: Vec<Operation>,
}

impl Program {
    /// A chain: each layer reads what the one before it made.
    pub fn chain(layers: &[Layer]) -> Self {
        let mut program = Self::default();
        let mut value = Value::Input;
        for layer in layers {
            value = program.push(layer.clone(), vec![value]);
        }
        program
    }

    /// Appends an operation; what it makes.
    pub fn push(&mut self, layer: Layer, inputs: Vec<Value>) -> Value {
        self.operations.push(Operation { layer, inputs });
        Value::Of(self.operations.len() - 1)
    }

    /// Height, width and channels of what each operation makes of images of this shape.
    ///
    /// # Errors
    /// When a layer does not fit what it reads, or a size overflows.
    pub fn shapes(&self, input: [usize; 3]) -> Result<Vec<[usize; 3]>, KernelError> {
        check_size(input)?;
        let mut shapes: Vec<[usize; 3]> = Vec::with_capacity(self.operations.len());
        for (index, Operation { layer, inputs }) in self.operations.iter().enumerate() {
            if let Some(Value::Of(later)) = inputs.iter().find(|v| **v >= Value::Of(index)) {
                return Err(KernelError::BadLayer {
                    layer: index,
                    what: "input",
                    expected: "an operation before it".to_owned(),
                    found: format!("operation {later}"),
                });
            }
            let inputs: Vec<_> = inputs.iter().map(|value| value.shape(input, &shapes)).collect();
            let output = layer.output_shape(index, &inputs)?;
            check_size(output)?;
            shapes.push(output);
        }
        Ok(shapes)
    }
}

/// Refuses what would overflow later. It comes before any algorithm is chosen, since that counts products.
fn check_size(shape: [usize; 3]) -> Result<(), KernelError> {
    shape
        .iter()
        .try_fold(SIZE_MARGIN, |product, extent| product.checked_mul((*extent).max(1)))
        .map(|_| ())
        .ok_or(KernelError::TooLarge { what: "activations" })
}
