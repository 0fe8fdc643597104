//! What a node computes.

use crate::{Conv, Depthwise, Padding, Pool, PoolKind, Separable, Shape, Window};

/// A function of one value, or of one vector in the case of softmax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `exp(x) / sum(exp(x))` along the last axis.
    Softmax,
    /// `x * sigmoid(x)`, also called SiLU.
    Swish,
    /// `x * Φ(x)` with the normal distribution's Φ, not its tanh approximation.
    Gelu,
}

/// Batch normalisation with stored statistics: `gamma * (x - mean) / sqrt(variance + epsilon) + beta`, a channel. The default is
/// Keras's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Added to the variance.
    pub epsilon: f64,
    /// What training keeps of the stored statistics in each step; the rest comes from the batch. PyTorch's `momentum` is 1 minus this.
    pub momentum: f64,
    /// Whether there is a beta; 0 otherwise.
    pub center: bool,
    /// Whether there is a gamma; 1 otherwise.
    pub scale: bool,
}

impl Default for Norm {
    fn default() -> Self {
        Self { epsilon: 1e-3, momentum: 0.99, center: true, scale: true }
    }
}

/// Zeros around a feature map, as a layer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pad {
    /// Pixels at the (top, left, bottom, right).
    Fixed([usize; 4]),
    /// As much as [`Padding::Same`] gives a window that follows; it depends on the map's size.
    SameFor(Window),
}

impl Pad {
    /// Pixels at the `[top, left, bottom, right]` of a map of `[height, width]`.
    pub fn resolve(&self, input: [usize; 2]) -> [usize; 4] {
        match self {
            Self::Fixed(sides) => *sides,
            Self::SameFor(window) => Padding::Same.resolve(input, window),
        }
    }
}

/// A matrix product with the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dense {
    /// Output values.
    pub units: usize,
    /// Whether a bias is added.
    pub bias: bool,
    /// What is applied to the sum, as part of the same layer.
    pub activation: Option<Activation>,
}

/// What a node computes from its inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// The pixels, (height, width, channels).
    Input {
        /// Values a pixel.
        channels: usize,
    },
    /// Convolution.
    Conv(Conv),
    /// Depthwise convolution.
    Depthwise(Depthwise),
    /// Depthwise-separable convolution.
    Separable(Separable),
    /// Batch normalisation.
    Norm(Norm),
    /// Activation.
    Act(Activation),
    /// Pooling over windows.
    Pool(Pool),
    /// Pooling over height and width, or over tokens.
    GlobalPool {
        /// Max or average.
        kind: PoolKind,
        /// Whether height and width stay, as 1 each.
        keep_dims: bool,
    },
    /// Sum of two equal shapes: the first plus `scale` times the second.
    Add {
        /// Factor of the second; `None` is a plain sum.
        scale: Option<f64>,
    },
    /// The inputs side by side along the last axis, in order.
    Concat,
    /// Product of two equal shapes; the second may be 1×1 and then scales whole channels.
    Multiply,
    /// Zero padding.
    Pad(Pad),
    /// All values in storage order, as a vector.
    Flatten,
    /// The same values in storage order, in another shape.
    Reshape(Shape),
    /// Fully connected.
    Dense(Dense),
    /// Sets values to 0 at random while training; the identity in a frozen base.
    Dropout {
        /// The share of values that are dropped, 0 to 1.
        rate: f64,
    },
}

impl Op {
    /// Keras's class name, as model summaries print it.
    pub fn class_name(&self) -> &'static str {
        match self {
            Self::Input { .. } => "InputLayer",
            Self::Conv(_) => "Conv2D",
            Self::Depthwise(_) => "DepthwiseConv2D",
            Self::Separable(_) => "SeparableConv2D",
            Self::Norm(_) => "BatchNormalization",
            // Keras's bases write ReLU as `Activation`, and bounded ReLU as a class of its own.
            Self::Act(Activation::Relu6) => "ReLU",
            Self::Act(_) => "Activation",
            Self::Pool(Pool { kind: PoolKind::Max, .. }) => "MaxPooling2D",
            Self::Pool(Pool { kind: PoolKind::Avg, .. }) => "AveragePooling2D",
            Self::GlobalPool { kind: PoolKind::Max, .. } => "GlobalMaxPooling2D",
            Self::GlobalPool { kind: PoolKind::Avg, .. } => "GlobalAveragePooling2D",
            Self::Add { scale: None } => "Add",
            Self::Add { scale: Some(_) } => "CustomScaleLayer",
            Self::Concat => "Concatenate",
            Self::Multiply => "Multiply",
            Self::Pad(_) => "ZeroPadding2D",
            Self::Flatten => "Flatten",
            Self::Reshape(_) => "Reshape",
            Self::Dense(_) => "Dense",
            Self::Dropout { .. } => "Dropout",
        }
    }

    /// The least and the greatest number of inputs.
    pub(crate) fn arity(&self) -> (usize, usize) {
        match self {
            Self::Input { .. } => (0, 0),
            Self::Add { .. } | Self::Multiply => (2, 2),
            Self::Concat => (2, usize::MAX),
            _ => (1, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_for_a_window_depends_on_the_size() {
        let pad = Pad::SameFor(Window::new([3, 3], [2, 2]));
        assert_eq!(pad.resolve([112, 57]), [0, 1, 1, 1]);
        assert_eq!(Pad::Fixed([0, 0, 1, 1]).resolve([57, 57]), [0, 0, 1, 1]);
    }
}
