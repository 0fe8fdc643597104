//! Which parameters a node needs.

use crate::{Node, Op, Shape};

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Of a convolution: (height, width, in / groups, out). Of a dense layer: (in, out).
    Kernel,
    /// Of a depthwise convolution, alone or in a separable one: (height, width, in, multiplier).
    DepthwiseKernel,
    /// Of the 1×1 half of a separable convolution: (1, 1, in * multiplier, out).
    PointwiseKernel,
    /// Added a channel: (out,).
    Bias,
    /// Batch normalisation's factor: (channels,).
    Gamma,
    /// Batch normalisation's offset: (channels,).
    Beta,
    /// Batch normalisation's stored mean: (channels,).
    Mean,
    /// Batch normalisation's stored variance: (channels,).
    Variance,
}

impl Role {
    /// Keras's name of the weight within its layer. (Keras 3 calls the kernel of `DepthwiseConv2D` just `kernel`.)
    pub fn keras_name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::DepthwiseKernel => "depthwise_kernel",
            Self::PointwiseKernel => "pointwise_kernel",
            Self::Bias => "bias",
            Self::Gamma => "gamma",
            Self::Beta => "beta",
            Self::Mean => "moving_mean",
            Self::Variance => "moving_variance",
        }
    }

    /// Whether training changes it by gradients; statistics are only observed.
    pub fn is_trainable(self) -> bool {
        !matches!(self, Self::Mean | Self::Variance)
    }
}

/// One parameter of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParamSpec {
    /// The node's name.
    pub node: String,
    /// What it is for.
    pub role: Role,
    /// Keras's shape; see [`Role`].
    pub shape: Vec<usize>,
}

impl ParamSpec {
    /// `layer/role` with Keras's name of the role, as files of weights name it: `block1_conv1/kernel`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.node, self.role.keras_name())
    }

    /// Number of values.
    pub fn values(&self) -> usize {
        self.shape.iter().copied().fold(1, usize::saturating_mul)
    }
}

/// A node's parameters in Keras's order, for its (first) input's shape.
pub(crate) fn of(node: &Node, input: Shape) -> Vec<ParamSpec> {
    let channels = input.channels();
    let mut specs = Vec::new();
    let mut spec = |role, shape: &[usize]| {
        specs.push(ParamSpec { node: node.name.clone(), role, shape: shape.to_vec() });
    };
    match &node.op {
        Op::Conv(conv) => {
            let [h, w] = conv.kernel;
            spec(Role::Kernel, &[h, w, channels / conv.groups.max(1), conv.filters]);
            if conv.bias {
                spec(Role::Bias, &[conv.filters]);
            }
        }
        Op::Depthwise(depthwise) => {
            let [h, w] = depthwise.kernel;
            spec(Role::DepthwiseKernel, &[h, w, channels, depthwise.multiplier]);
            if depthwise.bias {
                spec(Role::Bias, &[channels.saturating_mul(depthwise.multiplier)]);
            }
        }
        Op::Separable(separable) => {
            let [h, w] = separable.depthwise.kernel;
            let multiplier = separable.depthwise.multiplier;
            spec(Role::DepthwiseKernel, &[h, w, channels, multiplier]);
            spec(
                Role::PointwiseKernel,
                &[1, 1, channels.saturating_mul(multiplier), separable.filters],
            );
            if separable.bias {
                spec(Role::Bias, &[separable.filters]);
            }
        }
        Op::Norm(norm) => {
            if norm.scale {
                spec(Role::Gamma, &[channels]);
            }
            if norm.center {
                spec(Role::Beta, &[channels]);
            }
            spec(Role::Mean, &[channels]);
            spec(Role::Variance, &[channels]);
        }
        Op::Dense(dense) => {
            spec(Role::Kernel, &[channels, dense.units]);
            if dense.bias {
                spec(Role::Bias, &[dense.units]);
            }
        }
        Op::Input { .. }
        | Op::Act(_)
        | Op::Pool(_)
        | Op::GlobalPool { .. }
        | Op::Add { .. }
        | Op::Concat
        | Op::Multiply
        | Op::Pad(_)
        | Op::Flatten
        | Op::Reshape(_)
        | Op::Dropout { .. } => {}
    }
    specs
}
