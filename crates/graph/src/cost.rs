//! What a network costs to run.

use crate::{Graph, GraphError, Op, Shape};

impl Graph {
    /// Multiplications of a value and a weight for one image of `[height, width]`, in convolutions and dense layers. Each
    /// goes with an addition, so it is two floating-point operations. Papers and model tables count the same layers, and
    /// often call the multiplications alone FLOP.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn multiplications(&self, image: [usize; 2]) -> Result<u64, GraphError> {
        let shapes = self.shapes(image)?;
        let mut sum = 0u64;
        for (node, output) in self.nodes().iter().zip(&shapes) {
            let Some(channels) = node.inputs.first().map(|&input| shapes[input].channels()) else {
                continue;
            };
            // Each value of the output takes so many weights; a separable convolution has values in between.
            let pixels = pixels(*output);
            let weights = match &node.op {
                Op::Conv(conv) => {
                    let [height, width] = conv.kernel;
                    product(&[height, width, channels / conv.groups.max(1), conv.filters])
                }
                Op::Depthwise(depthwise) => {
                    let [height, width] = depthwise.kernel;
                    product(&[height, width, channels, depthwise.multiplier])
                }
                Op::Separable(separable) => {
                    let depthwise = &separable.depthwise;
                    let [height, width] = depthwise.kernel;
                    let between = product(&[channels, depthwise.multiplier]);
                    let taps = product(&[height, width]).saturating_add(separable.filters as u64);
                    between.saturating_mul(taps)
                }
                Op::Dense(dense) => product(&[channels, dense.units]),
                _ => 0,
            };
            sum = sum.saturating_add(pixels.saturating_mul(weights));
        }
        Ok(sum)
    }
}

/// `u64::MAX` where the product does not fit.
fn product(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |product, &factor| product.saturating_mul(factor as u64))
}

/// Pixels of a map, tokens of a row of them; a vector counts as one.
fn pixels(shape: Shape) -> u64 {
    match shape {
        Shape::Map { height, width, .. } => product(&[height, width]),
        Shape::Tokens { count, .. } => count as u64,
        Shape::Vector { .. } => 1,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Builder, Conv, Dense, Depthwise, Op, Padding, Separable};

    #[test]
    fn every_layer_with_weights_counts() {
        let mut builder = Builder::new();
        let x = builder.input("input_1", 3);
        let conv = Conv::new(8, [3, 5]).stride(2).padding(Padding::Same);
        let x = builder.add("conv", Op::Conv(conv), &[x]);
        let depthwise = Depthwise::new([3, 3], 1, Padding::Same);
        let x = builder.add("depthwise", Op::Depthwise(depthwise), &[x]);
        let separable = Separable { filters: 5, depthwise, bias: true };
        let x = builder.add("separable", Op::Separable(separable), &[x]);
        let x = builder.add("flatten", Op::Flatten, &[x]);
        let dense = Dense { units: 7, bias: true, activation: None };
        let x = builder.add("dense", Op::Dense(dense), &[x]);
        let graph = builder.finish(x).unwrap();
        // A map of 10×6 becomes one of 5×3.
        let expected = 15 * (3 * 5 * 3 * 8) + 15 * (9 * 8) + 15 * (9 * 8 + 8 * 5) + 75 * 7;
        assert_eq!(graph.multiplications([10, 6]).unwrap(), expected);
    }
}
