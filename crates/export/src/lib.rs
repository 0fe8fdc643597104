//! A trained model for other programs: as a file that they load, with all that they must know to predict the same.
//!
//! A [`Model`] is one graph from pixels or features to probabilities, with its tensors in Keras's layouts. Each format has a
//! module that writes it.
//!
//! It knows graphs, tensors and how pictures become pixels: no bases, no weights files, no flags, and it runs nothing.
#![forbid(unsafe_code)]

mod error;
pub mod keras;
mod model;
pub mod onnx;
pub mod web;

pub use error::ExportError;
pub use model::{BaseOrigin, Model, Part, Remark};
