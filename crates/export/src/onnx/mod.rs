//! ONNX: operators of version 13, for ONNX Runtime, OpenVINO, and ONNX Runtime in the browser.
//!
//! The input is `pixels` (N, height, width, 3) of uint8, RGB, or `features` (N, …) of f32 as they are in the `.npy` file; the output
//! `probabilities` (N, classes). Layers keep their names.

mod draft;
mod file;
mod layers;
mod metadata;
mod network;
mod pixels;
mod proto;
mod protobuf;
mod resize;
#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};

use crate::{ExportError, Model};
use network::Network;

/// Bytes of constants up to which they are in the model's file: a message of protocol buffers can't be larger than 2 GiB.
pub const LARGEST_FILE: u64 = 2_000_000_000;

/// How a model is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Above so many bytes of constants they go to a file of their own, beside the model's.
    pub largest_file: u64,
    /// Take one picture of any size and resize it as Pillow does: the input is (1, H, W, 3) then. Of no matter for the head alone.
    pub with_resize: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { largest_file: LARGEST_FILE, with_resize: false }
    }
}

/// Writes the model to a file, and gives the names of the files: where the constants are many, they are in a second one, which the
/// first expects in its own folder.
///
/// # Errors
/// [`ExportError::Layer`] for layers that ONNX does not have, those of [`Model::check`] and of the system.
pub fn write(model: &Model, path: &Path, options: &Options) -> Result<Vec<PathBuf>, ExportError> {
    model.check()?;
    let network = Network::of(model, options.with_resize)?;
    let metadata = metadata::of(model, options.with_resize);
    let external = file::write(&network, &metadata, path, options.largest_file)?;
    Ok(std::iter::once(path.to_owned()).chain(external).collect())
}

/// The model as the bytes of one file.
pub(crate) fn to_bytes(model: &Model) -> Result<Vec<u8>, ExportError> {
    model.check()?;
    file::to_bytes(&Network::of(model, false)?, &metadata::of(model, false))
}
