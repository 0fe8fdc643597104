//! Keras: a `.keras` file that `keras.models.load_model` reads, from Keras 3.0.5 on.
//!
//! It is a zip file of three members: `metadata.json`, `config.json` (the layers, as a functional model) and
//! `model.weights.h5`. Layers are of Keras's own classes, so nothing else is needed to load it.

mod archive;
mod config;
mod convert;
mod layers;
mod pixels;
mod weights;

#[cfg(test)]
mod tests;

use crate::{ExportError, Model};
use std::path::Path;

/// Writes a model as a `.keras` file, whole or not at all. The same model gives the same bytes.
///
/// # Errors
/// [`ExportError`]: a model that does not fit together, a layer that Keras has no class for, and those of the system.
pub fn write(model: &Model, path: &Path) -> Result<(), ExportError> {
    model.check()?;
    let layers = convert::layers(model)?;
    let members = archive::Members {
        metadata: config::metadata(model).to_string(),
        config: config::functional(&model.name, &layers).to_string(),
        weights: weights::hdf5(&layers),
    };
    util::atomic::write(path, |out| archive::write(out, members)).map_err(ExportError::io(path))
}
