//! Tensors that a training starts from: those of a saved head or network.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use train::convnet::ConvNet;
use train::{HeadManifest, SavedModel};

use crate::error::Error;
use crate::memory;

/// The tensors of a saved model, by `layer/role`.
#[derive(Debug)]
pub struct Start {
    path: PathBuf,
    tensors: HashMap<String, Vec<f32>>,
    /// What the folder says of the model.
    pub manifest: HeadManifest,
}

impl Start {
    /// Reads the model in a folder.
    ///
    /// # Errors
    /// [`Error::StartModel`]: files that are no model, or too little memory.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let available = memory::available().unwrap_or(u64::MAX);
        let (model, manifest) = SavedModel::load_within(available, path).map_err(|source| {
            Error::StartModel { path: path.to_owned(), source: Box::new(source) }
        })?;
        let tensors = model.into_tensors().into_iter().collect();
        Ok(Self { path: path.to_owned(), tensors, manifest })
    }

    /// Values for all tensors of `net`: those of the model where it has them, else those that are there. Every tensor of the model
    /// must have a place.
    ///
    /// # Errors
    /// [`Error::Start`]: a tensor of the model has no place in the network, or another number of values.
    pub(super) fn values(&self, net: &ConvNet) -> Result<Vec<Vec<f32>>, Error> {
        let mut used = 0;
        let mut all = Vec::with_capacity(net.tensors().len());
        for tensor in net.tensors() {
            let name = tensor.spec().path();
            let values = match self.tensors.get(&name) {
                None => tensor.values().to_vec(),
                Some(values) if values.len() == tensor.values().len() => {
                    used += 1;
                    values.clone()
                }
                Some(values) => {
                    let (expected, found) = (tensor.values().len(), values.len());
                    let detail = format!("{name}: expected {expected} values, found {found}");
                    return Err(Error::Start { path: self.path.clone(), detail });
                }
            };
            all.push(values);
        }
        if used < self.tensors.len() {
            let names: Vec<String> =
                net.tensors().iter().map(|tensor| tensor.spec().path()).collect();
            let mut left: Vec<&String> =
                self.tensors.keys().filter(|name| !names.contains(name)).collect();
            left.sort_unstable();
            let detail = format!(
                "expected a model whose layers are all in the network, found {} that is not",
                left.first().map_or("one", |name| name.as_str())
            );
            return Err(Error::Start { path: self.path.clone(), detail });
        }
        Ok(all)
    }
}
