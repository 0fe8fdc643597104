//! CPU convolution for frozen convolutional bases.
//!
//! A [`Network`] is compiled once from a [`Program`] of operations: weights are packed for the instruction set, an algorithm
//! is chosen for each, memory is planned by liveness. [`Network::run`] then takes batches of NHWC images. It works on the
//! current rayon pool and keeps every thread busy at batch 1 too. It knows no names of layers and reads no files.
//!
//! **Promise.** For one [`Isa`] and one [`Precision`], an image's output is the same bits whatever the batch size, its
//! place in the batch, or the number of threads: every output element is one chain of operations in an order that
//! depends on the layer alone.

mod algorithm;
mod bf16;
#[cfg_attr(not(target_arch = "x86_64"), path = "blocked/absent.rs")]
mod blocked;
mod depthwise;
mod direct;
mod elementwise;
mod error;
mod gemm;
mod im2col;
mod isa;
mod layer;
mod memory;
mod network;
mod parallel;
mod place;
mod pool;
mod precision;
mod prefetch;
mod program;
mod simd;
mod strips;
pub mod train;
mod winograd;
mod workspace;

pub use algorithm::{Algorithm, Products};
pub use elementwise::{channel_maxima, channel_means};
pub use error::KernelError;
pub use isa::Isa;
pub use layer::{Activation, Conv2d, Layer, Padding};
pub use memory::Buffer;
pub use network::Network;
pub use precision::{Precision, default_precision};
pub use prefetch::prefetch;
pub use program::{Operation, Program, Value};
