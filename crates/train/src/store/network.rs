//! A saved network: the graph's part that was trained, in `head.json`, and its tensors in `head.safetensors`.

use super::{bad, manifest, pair, refuse, tensor};
use crate::convnet::{ConvNet, Machine};
use crate::{Head, HeadError, HeadFolder, HeadManifest};
use graph::description::Description;
use graph::{Graph, ParamSpec, Shape};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What `head.json` says of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// Its layers.
    pub layers: Description,
    /// Height, width and channels of its input: a layer's output, or pixels.
    pub input: [usize; 3],
}

/// A network that was read.
#[derive(Clone, Debug)]
pub struct SavedNetwork {
    graph: Graph,
    input: [usize; 2],
    /// In the order of the graph's parameters.
    tensors: Vec<(ParamSpec, Vec<f32>)>,
}

/// A saved model of either kind.
#[derive(Clone, Debug)]
pub enum SavedModel {
    /// Dense layers on feature rows.
    Head(Head),
    /// Any layers, on feature rows or pixels.
    Network(SavedNetwork),
}

impl NetworkRecord {
    /// What a network is.
    pub fn of(net: &ConvNet) -> Self {
        let input = match net.input() {
            Shape::Map { height, width, channels } => [height, width, channels],
            Shape::Tokens { count, width } => [1, count, width],
            Shape::Vector { len } => [1, 1, len],
        };
        Self { layers: Description::of(net.graph()), input }
    }

    /// The graph with its parameters, if there is such a network for so many classes.
    pub(super) fn check(
        &self,
        path: &Path,
        classes: usize,
    ) -> Result<(Graph, Vec<ParamSpec>), HeadError> {
        let [height, width, channels] = self.input;
        let wrong = |e: &dyn std::fmt::Display| bad(path, format!("its network: {e}"));
        let graph = self.layers.build(channels).map_err(|e| wrong(&e))?;
        let outputs = if classes == 2 { 1 } else { classes };
        let shape = graph.output_shape([height, width]).map_err(|e| wrong(&e))?;
        if shape != (Shape::Vector { len: outputs }) {
            let found = shape.dims();
            return refuse(
                path,
                format!(
                    "expected a network with {outputs} outputs for {classes} classes, found {found:?}"
                ),
            );
        }
        let specs = graph.params([height, width]).map_err(|e| wrong(&e))?;
        Ok((graph, specs))
    }
}

impl SavedNetwork {
    /// Makes it ready to predict.
    ///
    /// # Errors
    /// [`HeadError::Layer`]: layers that can't be run here.
    pub fn ready(self, machine: Machine) -> Result<ConvNet, HeadError> {
        let mut tensors = self.tensors.into_iter();
        ConvNet::new(self.graph, self.input, machine, &|_| false, &mut |_, values| {
            // `new` asks in the order in which they were read.
            if let Some((_, stored)) = tensors.next() {
                values.copy_from_slice(&stored);
            }
        })
    }

    /// Its layers, and `[height, width]` of its input.
    pub fn layers(&self) -> (&Graph, [usize; 2]) {
        (&self.graph, self.input)
    }
    /// Values of an input.
    pub fn inputs(&self) -> usize {
        self.graph.shapes(self.input).map_or(0, |shapes| shapes[0].values())
    }

    /// Weights and all else that is stored.
    pub fn parameter_count(&self) -> usize {
        self.tensors.iter().map(|(_, values)| values.len()).sum()
    }
}

impl SavedModel {
    /// [`Head::load_within`] for a model of either kind.
    ///
    /// # Errors
    /// As [`Head::load_within`].
    pub fn load_within(room: u64, dir: &Path) -> Result<(Self, HeadManifest), HeadError> {
        let path = dir.join(super::HEAD_JSON);
        let read = || pair::read_at_most(&path, manifest::LARGEST_JSON);
        let mut json = read()?;
        loop {
            let manifest = HeadManifest::parse(&path, &json)?;
            let loaded = Self::with_manifest(dir, &manifest, room);
            if loaded.is_ok() && manifest.tensors.is_some() {
                return loaded.map(|model| (model, manifest));
            }
            // Where a training ends just now, the weights are the new ones and the text was the old one.
            let now = read()?;
            if now == json {
                return loaded.map(|model| (model, manifest));
            }
            json = now;
        }
    }

    /// Values of an input.
    pub fn inputs(&self) -> usize {
        match self {
            Self::Head(head) => head.inputs(),
            Self::Network(network) => network.inputs(),
        }
    }

    /// All tensors by `layer/role`, as they are named in the file.
    pub fn into_tensors(self) -> Vec<(String, Vec<f32>)> {
        match self {
            Self::Head(head) => head
                .layers
                .into_iter()
                .flat_map(|l| {
                    [(format!("{}/kernel", l.name), l.kernel), (format!("{}/bias", l.name), l.bias)]
                })
                .collect(),
            Self::Network(network) => {
                network.tensors.into_iter().map(|(spec, values)| (spec.path(), values)).collect()
            }
        }
    }

    /// From the bytes of both files; for `fuzz/`, not part of the API.
    #[doc(hidden)]
    pub fn from_bytes(json: &[u8], tensors: &[u8]) -> Result<(Self, HeadManifest), HeadError> {
        let path = Path::new(super::HEAD_JSON);
        if json.len() as u64 > manifest::LARGEST_JSON {
            return refuse(path, "too long".to_owned());
        }
        let manifest = HeadManifest::parse(path, json)?;
        let values = manifest.check(path)?;
        if tensors.len() as u64 > values * 4 + super::LARGEST_HEADER {
            return refuse(path, "too many bytes of weights".to_owned());
        }
        if manifest.tensors.as_ref().is_some_and(|record| *record != pair::record(tensors)) {
            return refuse(path, "the weights of another head".to_owned());
        }
        let model = Self::from_tensors(&manifest, Path::new(super::HEAD_TENSORS), tensors)?;
        Ok((model, manifest))
    }

    fn with_manifest(dir: &Path, manifest: &HeadManifest, room: u64) -> Result<Self, HeadError> {
        let path = dir.join(super::HEAD_TENSORS);
        let data = super::read_tensors(dir, manifest, room)?;
        Self::from_tensors(manifest, &path, &data)
    }

    pub(super) fn from_tensors(
        manifest: &HeadManifest,
        path: &Path,
        data: &[u8],
    ) -> Result<Self, HeadError> {
        let Some(record) = &manifest.network else {
            return Ok(Self::Head(Head::from_tensors(manifest, path, data)?));
        };
        let (graph, specs) = record.check(path, manifest.classes.len())?;
        let tensors = SafeTensors::deserialize(data).map_err(|e| bad(path, e.to_string()))?;
        if tensors.len() != specs.len() {
            let (expected, found) = (specs.len(), tensors.len());
            return refuse(path, format!("expected {expected} tensors, found {found}"));
        }
        let read = |spec: ParamSpec| {
            let values = tensor(path, &tensors, &spec.path(), &spec.shape)?;
            Ok((spec, values))
        };
        let tensors = specs.into_iter().map(read).collect::<Result<_, HeadError>>()?;
        let [height, width, _] = record.input;
        Ok(Self::Network(SavedNetwork { graph, input: [height, width], tensors }))
    }
}

impl ConvNet {
    /// Writes the network as [`Head::save`] writes a head. The manifest's `network` and `tensors` are set here.
    ///
    /// # Errors
    /// A manifest that does not fit, or those of the system.
    pub fn save(&self, folder: &HeadFolder, manifest: &HeadManifest) -> Result<(), HeadError> {
        let path = folder.path().join(super::HEAD_JSON);
        let tensors = self.to_safetensors(&folder.path().join(super::HEAD_TENSORS))?;
        let manifest = HeadManifest {
            format_version: manifest::WITH_NETWORK,
            network: Some(NetworkRecord::of(self)),
            tensors: Some(pair::record(&tensors)),
            layers: Vec::new(),
            ..manifest.clone()
        };
        manifest.check(&path)?;
        pair::replace(folder, &manifest.to_json(&path)?, &tensors, &mut |_| Ok(()))
    }

    fn to_safetensors(&self, path: &Path) -> Result<Vec<u8>, HeadError> {
        let raw: Vec<(String, &[usize], Vec<u8>)> = self
            .tensors()
            .iter()
            .map(|tensor| {
                let bytes = tensor.values().iter().flat_map(|v| v.to_le_bytes()).collect();
                (tensor.spec().path(), &tensor.spec().shape[..], bytes)
            })
            .collect();
        let views = raw.iter().map(|(name, shape, data)| {
            TensorView::new(Dtype::F32, shape.to_vec(), data).map(|view| (name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| bad(path, e.to_string()))?;
        safetensors::serialize(views, None).map_err(|e| bad(path, e.to_string()))
    }
}
