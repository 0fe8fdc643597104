//! Operations of training: each with its forward and backward pass, on NHWC batches of f32.
//!
//! The forward passes of convolutions are those of [`Network`](crate::Network), one layer each; their backward passes are a
//! convolution with the kernel flipped and transposed (by the input), and a sum over pixels (by the kernel). Everything here
//! works on the current rayon pool, and no bit depends on the number of its threads: sums run in an order that sizes alone
//! decide.
//!
//! Nothing here knows a graph, an optimizer or a loss.

mod activation;
mod conv;
mod dense;
mod norm;
mod pool;
mod sums;

pub use activation::gate;
pub use conv::{Conv, ConvShape};
pub use dense::Dense;
pub use norm::{BatchStatistics, Norm};
pub use pool::{Pool, PoolShape, global_average_backward, global_max_backward};
