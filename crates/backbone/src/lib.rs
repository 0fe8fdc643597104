//! What a frozen base is: a layer graph, its weights, and the engines that run it. The bases' definitions are in [`bases`].
//!
//! ```text
//! Base (names, shapes)  +  weights::Weights (numbers)  →  Extractor  →  feature rows, NHWC like Keras
//! ```
#![forbid(unsafe_code)]

mod base;
pub mod bases;
mod device;
mod engine;
mod extractor;
mod lower;
mod pooling;
mod summary;
pub mod weights;

pub use base::{Base, BaseError};
pub use device::Device;
pub use engine::{EngineError, EngineInfo, EngineOptions, check_device};
pub use extractor::{Extractor, ExtractorError};
pub use kernels::{Isa, Precision};
pub use lower::{LowerError, Parameters, lower};
pub use pooling::Pooling;
pub use summary::summary;
