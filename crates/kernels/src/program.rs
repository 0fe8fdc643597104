//! What a network computes: operations with their inputs.

use crate::Layer;

/// Something that an operation reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// The images.
    Input,
    /// What the operation of this index makes.
    Of(usize),
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
}
