//! What a frozen base is: a layer graph, its weights, and the engines that run it. The bases' definitions are in [`bases`].
//!
//! ```text
//! Base (names, shapes)  +  weights::Weights (numbers)  →  Extractor  →  feature rows, NHWC like Keras
//! ```
//!
//! A [`Base`] is cut at a layer, lowered with its weights to what an engine runs for one size of image, and run on batches
//! of pixels. It reads no pictures and no weight files, keeps no arrays on disk, and trains nothing.
//!
//! ```
//! use backbone::{Base, Device, EngineOptions, Extractor, Pooling};
//! use weights::{NoProgress, Options};
//!
//! let base = Base::ending_at("mobilenet-0.25", Some("conv_pw_3_relu"))?;
//! let options = Options::from_lookup("models".as_ref(), true, &NoProgress, &|_| None);
//! let weights = weights::resolve("random:7", &base.architecture()?, &options)?;
//! let engine = EngineOptions { device: Device::Cpu, precision: None, isa: None };
//! let extractor = Extractor::new(&base, weights, [32, 48], Pooling::Avg, &engine)?;
//!
//! let pixels = vec![0.5; 2 * 32 * 48 * 3];
//! let mut rows = vec![0.0; 2 * extractor.row_values()];
//! extractor.run(2, &pixels, &mut rows)?;
//! assert_eq!(extractor.row_shape(), [32]);
//! assert_eq!(rows[..32], rows[32..]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod base;
pub mod bases;
mod device;
mod engine;
mod extractor;
mod imagenet;
mod lower;
mod pooling;
mod summary;

pub use base::{Base, BaseError};
pub use device::{Device, EngineKind};
pub use engine::{
    EngineError, EngineInfo, EngineOptions, Hardware, LayerAlgorithm, Method, check_device,
};
pub use extractor::{Extractor, ExtractorError};
pub use imagenet::imagenet_classes;
pub use kernels::{Algorithm, Isa, KernelError, Precision};
pub use lower::{LowerError, Lowered, Parameters, lower};
pub use pooling::Pooling;
pub use summary::summary;
