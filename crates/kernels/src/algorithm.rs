//! What computes a step, as data.

use std::fmt;

/// How a step of a network is computed. Displayed as a few words, such as `winograd F(4x4, 3x3), bf16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// A convolution that reads the image through a table of offsets (implicit GEMM), in f32.
    Direct,
    /// A convolution on matrix tiles, without a transform; activations are kept in blocks of channels between such layers.
    Blocked(Products),
    /// A depthwise convolution.
    Depthwise,
    /// A depthwise convolution with the 1×1 convolution after it, some rows at a time.
    Strips {
        /// With the 1×1 convolution before it too.
        expand: bool,
        /// What the 1×1 convolution after it multiplies; the depthwise one is f32.
        products: Products,
    },
    /// A 1×1 convolution as one matrix product.
    Gemm(Products),
    /// A convolution as a matrix product of copied patches.
    Im2col(Products),
    /// Winograd's algorithm.
    Winograd {
        /// Height and width of the tile of outputs.
        tile: [usize; 2],
        /// The same of the kernel.
        kernel: [usize; 2],
        /// What it multiplies.
        products: Products,
    },
    /// The largest value of each window.
    MaxPool,
    /// The mean of each window.
    AveragePool,
    /// The mean of each channel.
    GlobalAveragePool,
    /// The largest value of each channel.
    GlobalMaxPool,
    /// A sum of two arrays.
    Add,
    /// A factor and a summand for each channel.
    Affine,
    /// An activation by itself.
    Activation,
    /// Zeros around the image.
    Pad,
    /// A copy into a concatenation.
    Copy,
    /// Softmax.
    Softmax,
}

/// The factors of a matrix product. Sums are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Products {
    /// f32.
    F32,
    /// bf16.
    Bf16,
    /// Each f32 as the sum of two bf16: three products of bf16 for one of f32.
    Bf16Pair,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::Direct => "direct (implicit GEMM)",
            Self::Blocked(products) => return write!(f, "direct{}", products.ending()),
            Self::Depthwise => "depthwise",
            Self::Strips { expand, products } => {
                let first = if expand { "1x1, " } else { "" };
                return write!(f, "{first}depthwise and 1x1 in strips{}", products.ending());
            }
            Self::Gemm(products) => return write!(f, "GEMM{}", products.ending()),
            Self::Im2col(products) => return write!(f, "im2col GEMM{}", products.ending()),
            Self::Winograd { tile: [down, across], kernel: [kh, kw], products } => {
                let products = products.ending();
                return write!(f, "winograd F({down}x{across}, {kh}x{kw}){products}");
            }
            Self::MaxPool => "max-pool",
            Self::AveragePool => "average-pool",
            Self::GlobalAveragePool => "global average-pool",
            Self::GlobalMaxPool => "global max-pool",
            Self::Add => "add",
            Self::Affine => "affine",
            Self::Activation => "activation",
            Self::Pad => "zero padding",
            Self::Copy => "copy",
            Self::Softmax => "softmax",
        };
        f.write_str(name)
    }
}

impl Products {
    fn ending(self) -> &'static str {
        match self {
            Self::F32 => "",
            Self::Bf16 => ", bf16",
            Self::Bf16Pair => ", 3 x bf16",
        }
    }

    /// Bytes of an element of the left operand.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::Bf16 | Self::Bf16Pair => size_of::<u16>(),
        }
    }

    /// Matrices that are kept of one left operand: the lower parts of pairs are one of their own.
    pub(crate) fn planes(self) -> usize {
        if self == Self::Bf16Pair { 2 } else { 1 }
    }
}
