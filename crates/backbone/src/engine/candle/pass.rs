//! How many images a GPU takes at once.

use kernels::{Layer, Program, Value};

/// The most images of a pass. A larger one keeps no GPU busier with a base whose layers have thousands of outputs an image.
const MOST: usize = 128;

/// The share of a GPU's memory that the largest values of a pass may take: the rest is for weights, the libraries' workspaces,
/// and other programs.
const SHARE: u64 = 8;

/// Values that an operation of a pass may hold: candle's kernels count them in 32 bits.
const COUNTABLE: usize = 1 << 31;

/// Images of a pass on a GPU of so many bytes of memory, of which the largest operation holds so many values an image: a power of two,
/// so that GPUs of nearly the same memory agree. It depends on the GPU's memory, not on what is free of it: another
/// size of pass may give other bits.
pub(super) fn images(memory: u64, values: usize, bytes_each: usize) -> usize {
    let fit = memory / SHARE / ((values * bytes_each) as u64).max(1);
    let fit = usize::try_from(fit).unwrap_or(MOST).min(COUNTABLE / values.max(1)).clamp(1, MOST);
    1 << fit.ilog2()
}

/// Values that the operation with the most of them holds an image: its inputs, its output, and for a convolution each window of
/// the input as a column (im2col), which candle makes where it has no cuDNN.
pub(super) fn largest(program: &Program, input: [usize; 3], shapes: &[[usize; 3]]) -> usize {
    let values = |shape: [usize; 3]| shape.iter().product::<usize>();
    let held = |(operation, output): (&kernels::Operation, &[usize; 3])| {
        let read = operation.inputs.iter().map(|value| match value {
            Value::Input => values(input),
            Value::Of(index) => values(shapes[*index]),
        });
        let columns = match &operation.layer {
            Layer::Conv(conv) => {
                let depth = conv.in_channels / conv.groups.max(1);
                output[0] * output[1] * depth * conv.kernel[0] * conv.kernel[1]
            }
            _ => 0,
        };
        read.sum::<usize>() + values(*output) + columns
    };
    program.operations.iter().zip(shapes).map(held).max().unwrap_or_else(|| values(input))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn passes_are_powers_of_two_that_fit() {
        // VGG16 at 150x150 in f32: 13 million columns of block1_conv2, and what it reads and makes.
        let values = 150 * 150 * 64 * 11;
        assert_eq!(images(80 * GIB, values, 4), 128);
        assert_eq!(images(8 * GIB, values, 4), 16);
        // Other GPUs of the same size by name.
        assert_eq!(images(8 * GIB - GIB / 10, values, 4), 16);
        assert_eq!(images(GIB, values, 4), 2);
        assert_eq!(images(0, values, 4), 1);
        assert_eq!(images(u64::MAX, 0, 4), MOST);
        // At 300x300 a pass of 64 would have 2^32 values, whatever memory there is.
        assert_eq!(images(u64::MAX, 4 * values, 2), 32);
        assert_eq!(images(u64::MAX, COUNTABLE + 1, 2), 1);
    }

    #[test]
    fn the_largest_operation_counts() {
        let conv = kernels::Conv2d {
            in_channels: 64,
            out_channels: 64,
            kernel: [3, 3],
            stride: [1, 1],
            padding: [1, 1].into(),
            groups: 1,
            activation: kernels::Activation::None,
            weight: Vec::new(),
            bias: Vec::new(),
            bias_last: false,
        };
        let mut program = Program::chain(&[Layer::Conv(conv), Layer::max_pool([2, 2], [2, 2])]);
        let shapes = [[10, 20, 64], [5, 10, 64]];
        assert_eq!(largest(&program, [10, 20, 64], &shapes), 10 * 20 * 64 * (1 + 1 + 9));
        // Of an operation with several inputs all count.
        program.operations[0].layer = Layer::Flatten;
        program.push(Layer::Concat, vec![Value::Of(0), Value::Of(0), Value::Input]);
        let found = largest(&program, [10, 20, 64], &[shapes[0], shapes[1], [10, 20, 192]]);
        assert_eq!(found, 10 * 20 * (64 * 3 + 192));
    }
}
