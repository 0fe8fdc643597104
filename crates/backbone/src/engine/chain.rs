//! What the candle engine runs: chains of convolutions and max pools, as VGG16 is.

use super::EngineError;
use crate::Base;
use graph::{Activation, Conv, Op, Padding, Pool};

/// One layer of a chain.
pub(super) enum Step<'a> {
    /// Stride 1, an odd square kernel, padding that keeps the extent, a bias, ReLU.
    Conv {
        /// The layer's name.
        name: &'a str,
        kernel: usize,
    },
    /// Without padding; the step is as long as the window.
    MaxPool {
        /// Height and width.
        size: usize,
    },
}

/// The base as a chain.
///
/// # Errors
/// [`EngineError::UnsupportedLayer`] names the first layer that is no part of one.
pub(super) fn steps(base: &Base) -> Result<Vec<Step<'_>>, EngineError> {
    let mut steps = Vec::new();
    for (position, node) in base.graph().nodes().iter().enumerate() {
        let unsupported = || EngineError::UnsupportedLayer(node.name.clone());
        // Each layer takes the one before it.
        if node.inputs.iter().any(|input| input + 1 != position) {
            return Err(unsupported());
        }
        match node.op {
            Op::Input { .. } => {}
            Op::Conv(conv) => {
                let kernel = conv.kernel[0];
                let plain = Conv::new(conv.filters, [kernel; 2])
                    .padding(Padding::Same)
                    .activation(Activation::Relu);
                if conv != plain || kernel % 2 == 0 {
                    return Err(unsupported());
                }
                steps.push(Step::Conv { name: &node.name, kernel });
            }
            Op::Pool(pool) if pool == Pool::max([pool.size[0]; 2], [pool.size[0]; 2]) => {
                steps.push(Step::MaxPool { size: pool.size[0] });
            }
            _ => return Err(unsupported()),
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_chains_of_plain_layers_are_taken() {
        assert_eq!(steps(&Base::named("vgg16").unwrap()).unwrap().len(), 18);
        for (base, layer) in
            [("vgg19", "flatten"), ("resnet50", "conv1_pad"), ("inception-v3", "conv2d")]
        {
            let base = Base::of_keras(base, true).unwrap();
            match steps(&base) {
                Err(EngineError::UnsupportedLayer(found)) => assert_eq!(found, layer),
                _ => panic!("{layer} was taken"),
            }
        }
    }
}
