//! Convolutions: ordinary, depthwise, and depthwise-separable.

use crate::{Activation, Padding, Window};

/// A 2-D cross-correlation over (height, width, channels), as deep-learning frameworks define convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv {
    /// Output channels.
    pub filters: usize,
    /// Kernel height and width, in taps.
    pub kernel: [usize; 2],
    /// Step between outputs, (vertical, horizontal).
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: Padding,
    /// Channel groups; each sees its own slice of the input channels.
    pub groups: usize,
    /// Distance between taps, (vertical, horizontal).
    pub dilation: [usize; 2],
    /// Whether a bias is added.
    pub bias: bool,
    /// What is applied to the sum, as part of the same layer.
    pub activation: Option<Activation>,
}

impl Conv {
    /// Stride 1, no padding, one group, a bias, no activation: Keras's defaults.
    pub fn new(filters: usize, kernel: [usize; 2]) -> Self {
        Self {
            filters,
            kernel,
            stride: [1, 1],
            padding: Padding::Valid,
            groups: 1,
            dilation: [1, 1],
            bias: true,
            activation: None,
        }
    }

    /// With this stride on both axes.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// With this padding.
    pub fn padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// With a bias or without.
    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// With this activation as part of the layer.
    pub fn activation(self, activation: Activation) -> Self {
        Self { activation: Some(activation), ..self }
    }

    /// The window that slides over the input.
    pub fn window(&self) -> Window {
        Window { size: self.kernel, stride: self.stride, dilation: self.dilation }
    }
}

/// A convolution of each channel on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Depthwise {
    /// Output channels for each input channel; those of one input channel are neighbours.
    pub multiplier: usize,
    /// Kernel height and width, in taps.
    pub kernel: [usize; 2],
    /// Step between outputs, (vertical, horizontal).
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: Padding,
    /// Distance between taps, (vertical, horizontal).
    pub dilation: [usize; 2],
    /// Whether a bias is added.
    pub bias: bool,
}

impl Depthwise {
    /// One output channel for each input channel, no dilation, no bias.
    pub fn new(kernel: [usize; 2], stride: usize, padding: Padding) -> Self {
        Self { multiplier: 1, kernel, stride: [stride; 2], padding, dilation: [1, 1], bias: false }
    }

    /// The window that slides over the input.
    pub fn window(&self) -> Window {
        Window { size: self.kernel, stride: self.stride, dilation: self.dilation }
    }
}

/// A depthwise convolution without bias, then a 1×1 convolution, as one layer (Keras's `SeparableConv2D`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Separable {
    /// Output channels of the 1×1 convolution.
    pub filters: usize,
    /// The first half.
    pub depthwise: Depthwise,
    /// Whether the 1×1 convolution adds a bias.
    pub bias: bool,
}
