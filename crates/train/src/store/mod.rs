//! A head on disk: `head.safetensors` and `head.json`.

mod manifest;
mod network;
mod pair;

use crate::{Head, HeadError, HeadFolder, Layer};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::path::Path;

pub(crate) use manifest::few;
pub use manifest::{
    FORMAT_VERSION, HeadManifest, LayerRecord, TensorsRecord, TrainingRecord, check_features,
};
pub use network::{NetworkRecord, SavedModel, SavedNetwork};
pub(crate) use pair::read_at_most;

/// File of weights: Keras-layout kernels (in, out) and biases, f32, named `dense/kernel`, `dense/bias`, `dense_1/kernel`, …
pub const HEAD_TENSORS: &str = "head.safetensors";
/// File of everything else that prediction needs.
pub const HEAD_JSON: &str = "head.json";

/// Bytes of `head.safetensors` beyond its values at most.
const LARGEST_HEADER: u64 = 1 << 20;
/// Longest reason that is given for a refusal, in characters: what files say may be long.
const LONGEST_DETAIL: usize = 400;

impl Head {
    /// Writes both files. Wherever this is cut off, the folder holds the head that was there before or this one: see
    /// `docs/head.md`.
    ///
    /// # Errors
    /// A manifest that is not this head's, or those of the system.
    pub fn save(&self, folder: &HeadFolder, manifest: &HeadManifest) -> Result<(), HeadError> {
        let (json, tensors) = self.to_bytes(folder.path(), manifest)?;
        pair::replace(folder, &json, &tensors, &mut |_| Ok(()))
    }

    /// The bytes of both files, the text first; `dir` is for messages. Public for `fuzz/`, not part of the API.
    #[doc(hidden)]
    pub fn to_bytes(
        &self,
        dir: &Path,
        manifest: &HeadManifest,
    ) -> Result<(Vec<u8>, Vec<u8>), HeadError> {
        let json = dir.join(HEAD_JSON);
        let records: Vec<LayerRecord> = self.layers.iter().map(LayerRecord::of).collect();
        if manifest.layers != records {
            return refuse(
                &json,
                "expected the layers of the head that is saved, found others".to_owned(),
            );
        }
        manifest.check(&json)?;
        let tensors = self.to_safetensors(&dir.join(HEAD_TENSORS))?;
        let manifest = HeadManifest {
            format_version: FORMAT_VERSION,
            tensors: Some(pair::record(&tensors)),
            ..manifest.clone()
        };
        Ok((manifest.to_json(&json)?, tensors))
    }

    fn to_safetensors(&self, path: &Path) -> Result<Vec<u8>, HeadError> {
        let bytes =
            |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let raw: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .layers
            .iter()
            .flat_map(|l| {
                [
                    (format!("{}/kernel", l.name), vec![l.inputs, l.outputs], bytes(&l.kernel)),
                    (format!("{}/bias", l.name), vec![l.outputs], bytes(&l.bias)),
                ]
            })
            .collect();
        let views = raw.iter().map(|(name, shape, data)| {
            TensorView::new(Dtype::F32, shape.clone(), data).map(|view| (name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| bad(path, e.to_string()))?;
        safetensors::serialize(views, None).map_err(|e| bad(path, e.to_string()))
    }

    /// [`Head::load_within`] any memory.
    ///
    /// # Errors
    /// As [`Head::load_within`].
    pub fn load(dir: &Path) -> Result<(Self, HeadManifest), HeadError> {
        Self::load_within(u64::MAX, dir)
    }

    /// Reads both files from `dir`, trusting neither: regular files only; sizes are compared before anything is read; the
    /// weights must be those that `head.json` was written for (in its first format: of the same shapes); names, shapes,
    /// types and values are all checked. A head that is replaced meanwhile is the old one or the new one.
    ///
    /// # Errors
    /// [`HeadError::Memory`] when the weights would take more than `room` bytes while they are read, [`HeadError::Format`] for
    /// files that are no head, and those of the system.
    pub fn load_within(room: u64, dir: &Path) -> Result<(Self, HeadManifest), HeadError> {
        match SavedModel::load_within(room, dir)? {
            (SavedModel::Head(head), manifest) => Ok((head, manifest)),
            (SavedModel::Network(_), _) => refuse(
                &dir.join(HEAD_JSON),
                "expected a head of dense layers, found a network".to_owned(),
            ),
        }
    }

    /// From the bytes of both files; for `fuzz/`, not part of the API.
    #[doc(hidden)]
    pub fn from_bytes(json: &[u8], tensors: &[u8]) -> Result<(Self, HeadManifest), HeadError> {
        match SavedModel::from_bytes(json, tensors)? {
            (SavedModel::Head(head), manifest) => Ok((head, manifest)),
            _ => refuse(Path::new(HEAD_JSON), "a network".to_owned()),
        }
    }

    fn from_tensors(manifest: &HeadManifest, path: &Path, data: &[u8]) -> Result<Self, HeadError> {
        let tensors = SafeTensors::deserialize(data).map_err(|e| bad(path, e.to_string()))?;
        if let Some(extra) = tensors.names().into_iter().find(|n| !known(&manifest.layers, n)) {
            return refuse(
                path,
                format!("expected only the layers of {HEAD_JSON}, found tensor '{extra}'"),
            );
        }
        let layers = manifest.layers.iter().map(|l| {
            Ok(Layer {
                name: l.name.clone(),
                inputs: l.inputs,
                outputs: l.outputs,
                kernel: tensor(
                    path,
                    &tensors,
                    &format!("{}/kernel", l.name),
                    &[l.inputs, l.outputs],
                )?,
                bias: tensor(path, &tensors, &format!("{}/bias", l.name), &[l.outputs])?,
                activation: l.activation,
            })
        });
        Ok(Self { layers: layers.collect::<Result<_, HeadError>>()? })
    }
}

/// The weights that a manifest names, once their size is known to be that of its layers.
fn read_tensors(dir: &Path, manifest: &HeadManifest, room: u64) -> Result<Vec<u8>, HeadError> {
    let json = dir.join(HEAD_JSON);
    let values = manifest.check(&json)?;
    // Header and values, as they are read; then the values once more.
    let sizes = values * 4 + 8..=values * 4 + LARGEST_HEADER;
    let needed = values * 8 + LARGEST_HEADER;
    if needed > room {
        return Err(HeadError::Memory { path: dir.to_owned(), needed, available: room });
    }
    match &manifest.tensors {
        None => pair::read_within(&dir.join(HEAD_TENSORS), sizes),
        Some(record) if !sizes.contains(&record.bytes) => refuse(
            &json,
            format!(
                "expected from {} to {} bytes of weights, found {}",
                sizes.start(),
                sizes.end(),
                record.bytes
            ),
        ),
        Some(record) => pair::read_bound(dir, record),
    }
}

fn known(layers: &[LayerRecord], name: &str) -> bool {
    name.split_once('/').is_some_and(|(l, part)| {
        matches!(part, "kernel" | "bias") && layers.iter().any(|r| r.name == l)
    })
}

fn tensor(
    path: &Path,
    tensors: &SafeTensors<'_>,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>, HeadError> {
    let Ok(view) = tensors.tensor(name) else {
        return refuse(path, format!("expected tensor '{name}', found none of that name"));
    };
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        let found = format!("{:?} {:?}", view.dtype(), view.shape());
        return refuse(path, format!("expected '{name}' to be F32 {shape:?}, found {found}"));
    }
    let values: Vec<f32> =
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => {
            refuse(path, format!("expected finite weights, found {} in '{name}' at {i}", values[i]))
        }
        None => Ok(values),
    }
}

fn bad(path: &Path, detail: String) -> HeadError {
    let mut shown: String = detail.chars().take(LONGEST_DETAIL).collect();
    if shown.len() < detail.len() {
        shown.push('…');
    }
    HeadError::Format { path: path.to_owned(), detail: shown }
}

fn refuse<T>(path: &Path, detail: String) -> Result<T, HeadError> {
    Err(bad(path, detail))
}
