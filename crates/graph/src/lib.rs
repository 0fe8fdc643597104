//! What a network is: named nodes, what each computes, and what follows from that.
//!
//! A [`Graph`] is pure data. It says which layers there are, how they connect, which output shape each has for an image
//! size, and which parameters it needs. It holds no tensors, reads no files, and computes nothing; running a graph is the
//! work of other crates. Layer names, classes, order and counts are Keras's, so that a table or a weights file of Keras
//! can be held against a graph line by line.
//!
//! ```
//! use graph::{Activation, Builder, Conv, Op, Padding, Pool, Shape};
//!
//! let mut builder = Builder::new();
//! let pixels = builder.input("input_1", 3);
//! let conv = Conv::new(64, [3, 3]).padding(Padding::Same).activation(Activation::Relu);
//! let conv = builder.add("block1_conv1", Op::Conv(conv), &[pixels]);
//! let pool = builder.add("block1_pool", Op::Pool(Pool::max([2, 2], [2, 2])), &[conv]);
//! let graph = builder.finish(pool)?;
//!
//! assert_eq!(graph.output_shape([150, 90])?, Shape::Map { height: 75, width: 45, channels: 64 });
//! assert_eq!(graph.parameters([150, 90])?, 3 * 3 * 3 * 64 + 64);
//! assert_eq!(graph.cut("block1_conv1")?.nodes().len(), 2);
//! # Ok::<(), graph::GraphError>(())
//! ```
#![forbid(unsafe_code)]

mod builder;
mod conv;
mod cost;
pub mod description;
mod error;
mod graph;
mod infer;
mod op;
mod order;
mod padding;
mod params;
mod pool;
mod shape;
mod split;
mod summary;

pub use self::graph::{Graph, Node};
pub use builder::{Builder, NodeId, snake_case};
pub use conv::{Conv, Depthwise, Separable};
pub use error::GraphError;
pub use op::{Activation, Dense, Norm, Op, Pad};
pub use order::layer_order;
pub use padding::{Padding, Window};
pub use params::{ParamSpec, Role};
pub use pool::{Pool, PoolKind};
pub use shape::Shape;
pub use summary::summary;
