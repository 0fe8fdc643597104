//! How many images a GPU takes at once.

use kernels::{Layer, Program, Value};

/// The most images of a pass. A larger one keeps no GPU busier with a base whose layers have thousands of outputs an image.
const MOST: usize = 128;

/// The share of a GPU's memory that the largest values of a pass may take: the rest is for weights, the libraries' workspaces,
/// and other programs.
const SHARE: u64 = 8;

/// Images of a pass on a GPU of so many bytes of memory, of which the largest operation holds so many an image: a power of two,
/// so that GPUs of nearly the same memory agree. It depends on the GPU's memory, not on what is free of it: another
/// size of pass may give other bits.
pub(super) fn images(memory: u64, bytes: usize) -> usize {
    let fit = memory / SHARE / (bytes as u64).max(1);
    let fit = usize::try_from(fit).unwrap_or(MOST).clamp(1, MOST);
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
        let bytes = (150 * 150 * 64 * 11) * 4;
        assert_eq!(images(80 * GIB, bytes), 128);
        assert_eq!(images(8 * GIB, bytes), 16);
        // Other GPUs of the same size by name.
        assert_eq!(images(8 * GIB - GIB / 10, bytes), 16);
        assert_eq!(images(GIB, bytes), 2);
        assert_eq!(images(0, bytes), 1);
        assert_eq!(images(u64::MAX, 0), MOST);
    }

    #[test]
    fn the_largest_operation_counts() {
        let base = crate::Base::named("vgg16").expect("it is there").up_to("block2_conv1");
        let base = base.expect("it is there");
        let zeros = |_: &str, _| None;
        // Weights are not there, so their number is: shapes alone are asked for.
        assert!(crate::lower::lower(base.graph(), [10, 20], &zeros).is_err());
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
        let program = Program::chain(&[Layer::Conv(conv), Layer::max_pool([2, 2], [2, 2])]);
        let found = largest(&program, [10, 20, 64], &[[10, 20, 64], [5, 10, 64]]);
        assert_eq!(found, 10 * 20 * 64 * (1 + 1 + 9));
    }
}
