//! A head on disk: `head.safetensors` and `head.json`.

use crate::{Activation, EpochStats, FitConfig, Head, HeadError, Layer, network};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// Version of `head.json` that this crate writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;
/// File of weights: Keras-layout kernels (in, out) and biases, f32, named `dense/kernel`, `dense/bias`, `dense_1/kernel`, …
pub const HEAD_TENSORS: &str = "head.safetensors";
/// File of everything else that prediction needs.
pub const HEAD_JSON: &str = "head.json";

/// Bytes of `head.json` at most: a thousand long histories.
const LARGEST_JSON: u64 = 64 << 20;
/// Bytes of `head.safetensors` beyond its values at most.
const LARGEST_HEADER: u64 = 1 << 20;
/// Weights and biases at most (16 GiB).
const MOST_VALUES: u64 = 1 << 32;

/// One layer in `head.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// `dense`, `dense_1`, …
    pub name: String,
    /// Width of the input.
    pub inputs: usize,
    /// Width of the output.
    pub outputs: usize,
    /// What follows the affine map.
    pub activation: Activation,
}

impl LayerRecord {
    fn of(layer: &Layer) -> Self {
        let Layer { name, inputs, outputs, activation, .. } = layer;
        Self { name: name.clone(), inputs: *inputs, outputs: *outputs, activation: *activation }
    }
}

/// How a head was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// The settings.
    pub config: FitConfig,
    /// One entry an epoch.
    pub history: Vec<EpochStats>,
    /// Epoch of the lowest validation loss, from 1.
    pub best_epoch: Option<usize>,
    /// The weights are those of `best_epoch`, not of the last epoch.
    pub restored_best: bool,
}

/// `head.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadManifest {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Version of the tool that wrote it.
    pub tool_version: String,
    /// Class names in index order.
    pub classes: Vec<String>,
    /// Layers in order; must agree with the weights.
    pub layers: Vec<LayerRecord>,
    /// How it was trained.
    pub training: TrainingRecord,
    /// Where the features come from (base, weights, size, preprocessing, …): the command line's part, opaque here.
    pub features: serde_json::Value,
}

impl HeadManifest {
    /// The manifest of a training run.
    pub fn new(
        fitted: &crate::Fitted,
        config: &FitConfig,
        classes: Vec<String>,
        features: serde_json::Value,
    ) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            classes,
            layers: fitted.head.layers.iter().map(LayerRecord::of).collect(),
            training: TrainingRecord {
                config: config.clone(),
                history: fitted.history.clone(),
                best_epoch: fitted.best_epoch,
                restored_best: fitted.restored_best,
            },
            features,
        }
    }
}

impl Head {
    /// Writes both files into `dir` (made if missing), each by a temporary file, fsync and rename. The weights come
    /// first, so that `head.json` appears only beside weights that are whole.
    pub fn save(&self, dir: &Path, manifest: &HeadManifest) -> Result<(), HeadError> {
        let (text, tensors) = self.to_bytes(dir, manifest)?;
        std::fs::create_dir_all(dir).map_err(io("create", dir))?;
        write(&dir.join(HEAD_TENSORS), &tensors)?;
        write(&dir.join(HEAD_JSON), &text)
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
        check_manifest(&json, manifest)?;
        let text = serde_json::to_vec_pretty(manifest).map_err(|e| bad(&json, e.to_string()))?;
        Ok((text, self.to_safetensors(&dir.join(HEAD_TENSORS))?))
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

    /// Reads both files from `dir`, trusting neither: sizes are bounded before anything is read, and names, shapes,
    /// types and values are all checked.
    pub fn load(dir: &Path) -> Result<(Self, HeadManifest), HeadError> {
        let json = dir.join(HEAD_JSON);
        Self::parse(dir, &read(&json, LARGEST_JSON)?, read)
    }

    /// As [`Head::load`] from the bytes of both files; for `fuzz/`, not part of the API.
    #[doc(hidden)]
    pub fn from_bytes(json: &[u8], tensors: &[u8]) -> Result<(Self, HeadManifest), HeadError> {
        Self::parse(Path::new(""), json, |path, limit| match tensors.len() as u64 > limit {
            true => refuse(path, format!("expected at most {limit} bytes, found more")),
            false => Ok(tensors.to_vec()),
        })
    }

    /// `tensors` reads the file of weights, up to a limit.
    fn parse(
        dir: &Path,
        json: &[u8],
        tensors: impl FnOnce(&Path, u64) -> Result<Vec<u8>, HeadError>,
    ) -> Result<(Self, HeadManifest), HeadError> {
        let at = dir.join(HEAD_JSON);
        let manifest: HeadManifest =
            serde_json::from_slice(json).map_err(|e| bad(&at, e.to_string()))?;
        let values = check_manifest(&at, &manifest)?;
        let path = dir.join(HEAD_TENSORS);
        let data = tensors(&path, values * 4 + LARGEST_HEADER)?;
        let tensors = SafeTensors::deserialize(&data).map_err(|e| bad(&path, e.to_string()))?;
        if let Some(extra) = tensors.names().into_iter().find(|n| !known(&manifest.layers, n)) {
            return refuse(
                &path,
                format!("expected only the layers of {HEAD_JSON}, found tensor '{extra}'"),
            );
        }
        let layers = manifest.layers.iter().map(|l| {
            Ok(Layer {
                name: l.name.clone(),
                inputs: l.inputs,
                outputs: l.outputs,
                kernel: tensor(
                    &path,
                    &tensors,
                    &format!("{}/kernel", l.name),
                    &[l.inputs, l.outputs],
                )?,
                bias: tensor(&path, &tensors, &format!("{}/bias", l.name), &[l.outputs])?,
                activation: l.activation,
            })
        });
        Ok((Self { layers: layers.collect::<Result<_, HeadError>>()? }, manifest))
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

/// Refuses a manifest that describes no head; gives the number of weights and biases.
fn check_manifest(path: &Path, manifest: &HeadManifest) -> Result<u64, HeadError> {
    if manifest.format_version != FORMAT_VERSION {
        return refuse(
            path,
            format!("expected format_version {FORMAT_VERSION}, found {}", manifest.format_version),
        );
    }
    let classes = manifest.classes.len();
    if classes < 2 {
        return refuse(path, format!("expected at least 2 classes, found {classes}"));
    }
    let last = match classes {
        2 => (1, Activation::Sigmoid),
        n => (n, Activation::Softmax),
    };
    let mut values = 0_u64;
    let mut width = None;
    for (i, l) in manifest.layers.iter().enumerate() {
        let at = format!("layer {i} ('{}')", l.name);
        if l.name != network::layer_name(i) {
            return refuse(path, format!("expected {at} to be named '{}'", network::layer_name(i)));
        }
        if l.inputs == 0 || l.outputs == 0 || width.is_some_and(|w| w != l.inputs) {
            let expected =
                width.map_or("widths above 0".to_owned(), |w| format!("{w} inputs and an output"));
            return refuse(
                path,
                format!("expected {at} to have {expected}, found {} to {}", l.inputs, l.outputs),
            );
        }
        let is_last = i + 1 == manifest.layers.len();
        let right = match is_last {
            true => (l.outputs, l.activation) == last,
            false => l.activation == Activation::Relu,
        };
        if !right {
            let found = format!("{} outputs, {:?}", l.outputs, l.activation);
            return refuse(
                path,
                format!("{at} does not fit {classes} classes in its place: found {found}"),
            );
        }
        width = Some(l.outputs);
        let kernel = (l.inputs as u64).checked_mul(l.outputs as u64);
        let sum = kernel
            .and_then(|k| k.checked_add(l.outputs as u64))
            .and_then(|k| k.checked_add(values));
        match sum {
            Some(sum) if sum <= MOST_VALUES => values = sum,
            _ => {
                return refuse(
                    path,
                    format!("expected at most {MOST_VALUES} weights, found more at {at}"),
                );
            }
        }
    }
    match values {
        0 => refuse(path, "expected at least one layer, found none".to_owned()),
        n => Ok(n),
    }
}

fn bad(path: &Path, detail: String) -> HeadError {
    HeadError::Format { path: path.to_owned(), detail }
}

fn refuse<T>(path: &Path, detail: String) -> Result<T, HeadError> {
    Err(bad(path, detail))
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> HeadError + 'a {
    move |source| HeadError::Io { action, path: path.to_owned(), source }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, HeadError> {
    let file = File::open(path).map_err(io("read", path))?;
    let mut data = Vec::new();
    file.take(limit + 1).read_to_end(&mut data).map_err(io("read", path))?;
    if data.len() as u64 > limit {
        return refuse(path, format!("expected at most {limit} bytes, found more"));
    }
    Ok(data)
}

fn write(path: &Path, data: &[u8]) -> Result<(), HeadError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; this one becomes an ordinary file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(dir).map_err(io("write", path))?;
    file.write_all(data).map_err(io("write", path))?;
    file.as_file().sync_all().map_err(io("write", path))?;
    file.persist(path).map_err(|e| io("write", path)(e.error))?;
    // The rename is safe on disk once its folder is. Folders cannot be opened everywhere, so failure is no error.
    if let Ok(folder) = File::open(dir) {
        folder.sync_all().ok();
    }
    Ok(())
}
