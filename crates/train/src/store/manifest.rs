//! `head.json`: what it says, and what is believed of it.

use super::{HEAD_JSON, NetworkRecord, refuse};
use crate::calibration::Calibration;
use crate::data::class_names_problem;
use crate::{Activation, EpochStats, FitConfig, Fitted, HeadError, Layer, Outcome, network};
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, Value};
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

/// Version of `head.json` that this crate writes for heads of dense layers.
pub const FORMAT_VERSION: u32 = 2;
/// Version that it writes for networks; it reads this one and those before.
pub(super) const WITH_NETWORK: u32 = 3;
/// From this version on `head.json` says which weights it belongs to.
const WITH_TENSORS: u32 = 2;
/// Bytes of `head.json` at most: more than the longest history that a training may have.
pub(super) const LARGEST_JSON: u64 = 64 << 20;
/// Bytes of the section `features` at most.
const LARGEST_FEATURES: usize = 64 << 10;
/// Bytes of the section `network` at most.
const LARGEST_NETWORK: usize = 4 << 20;
/// Weights and biases at most (16 GiB).
const MOST_VALUES: u64 = 1 << 32;
/// Entries of a list of which each takes much more memory than text.
const MOST_ENTRIES: usize = 1 << 20;

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
    pub(super) fn of(layer: &Layer) -> Self {
        let Layer { name, inputs, outputs, activation, .. } = layer;
        Self { name: name.clone(), inputs: *inputs, outputs: *outputs, activation: *activation }
    }
}

/// The file of weights that a `head.json` belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorsRecord {
    /// Size in bytes.
    pub bytes: u64,
    /// sha256 of the whole file, in lower-case hex.
    pub sha256: String,
}

/// How a head was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// The settings, without the names of the classes.
    pub config: FitConfig,
    /// One entry an epoch.
    pub history: Vec<EpochStats>,
    /// Epoch of the lowest validation loss, from 1.
    pub best_epoch: Option<usize>,
    /// The weights are those of `best_epoch`, not of the last epoch.
    pub restored_best: bool,
}

/// `head.json`. It can be read from JSON text alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadManifest {
    /// 2 for a head, 3 for a network.
    pub format_version: u32,
    /// Version of the tool that wrote it.
    pub tool_version: String,
    /// Class names in index order.
    #[serde(deserialize_with = "few")]
    pub classes: Vec<String>,
    /// Layers in order; must agree with the weights. Empty for a network.
    pub layers: Vec<LayerRecord>,
    /// The layers of a network; `None` for a head of dense layers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "network")]
    pub network: Option<NetworkRecord>,
    /// The weights. `None` in version 1, and before the head is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensors: Option<TensorsRecord>,
    /// How it was trained.
    pub training: TrainingRecord,
    /// How its probabilities can be used; `None` without a validation split, and from before there was this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Where the features come from (base, weights, size, preprocessing, …): the command line's part, opaque here.
    #[serde(deserialize_with = "small")]
    pub features: Value,
}

impl HeadManifest {
    /// The manifest of a head's training.
    pub fn of_head(
        fitted: &Fitted,
        config: &FitConfig,
        classes: Vec<String>,
        features: Value,
    ) -> Self {
        let layers = fitted.head.layers.iter().map(LayerRecord::of).collect();
        let manifest = Self::of_network(&fitted.outcome, config, classes, features);
        Self { format_version: FORMAT_VERSION, layers, ..manifest }
    }

    /// The manifest of a network's training; the network itself comes with [`ConvNet::save`](crate::convnet::ConvNet::save).
    pub fn of_network(
        outcome: &Outcome,
        config: &FitConfig,
        classes: Vec<String>,
        features: Value,
    ) -> Self {
        Self {
            format_version: WITH_NETWORK,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            classes,
            layers: Vec::new(),
            network: None,
            tensors: None,
            training: TrainingRecord {
                config: FitConfig { class_names: Vec::new(), ..config.clone() },
                history: outcome.history.clone(),
                best_epoch: outcome.best_epoch,
                restored_best: outcome.restored_best,
            },
            calibration: None,
            features,
        }
    }

    /// Reads what is at most [`LARGEST_JSON`] bytes of text; it takes a few times as much memory, whatever the text.
    pub(super) fn parse(path: &Path, json: &[u8]) -> Result<Self, HeadError> {
        /// What every version has: looked at first, for a clear word on newer ones.
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let bad = |e: serde_json::Error| super::bad(path, e.to_string());
        let Version { format_version } = serde_json::from_slice(json).map_err(bad)?;
        if !(1..=WITH_NETWORK).contains(&format_version) {
            return refuse(
                path,
                format!(
                    "expected a format_version from 1 to {WITH_NETWORK}, found {format_version}"
                ),
            );
        }
        let manifest: Self = serde_json::from_slice(json).map_err(bad)?;
        if manifest.network.is_some() != (format_version == WITH_NETWORK) {
            return refuse(
                path,
                format!("expected 'network' in format_version {WITH_NETWORK} and in no other"),
            );
        }
        match &manifest.tensors {
            None if format_version >= WITH_TENSORS => {
                refuse(path, "expected 'tensors' with size and sha256, found none".to_owned())
            }
            Some(_) if format_version < WITH_TENSORS => refuse(
                path,
                format!("expected no 'tensors' in format_version {format_version}, found some"),
            ),
            _ => Ok(manifest),
        }
    }

    /// The text of `head.json`, if [`HeadManifest::parse`] will take it.
    pub(super) fn to_json(&self, path: &Path) -> Result<Vec<u8>, HeadError> {
        check_features(&self.features)?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| super::bad(path, e.to_string()))?;
        if text.len() as u64 > LARGEST_JSON {
            return refuse(
                path,
                format!("expected at most {LARGEST_JSON} bytes, found {}", text.len()),
            );
        }
        Ok(text)
    }

    /// Refuses a manifest that describes no head; gives the number of weights and biases.
    pub(super) fn check(&self, path: &Path) -> Result<u64, HeadError> {
        if let Some(problem) = class_names_problem(&self.classes) {
            return refuse(path, problem);
        }
        let classes = self.classes.len();
        if classes < 2 {
            return refuse(path, format!("expected at least 2 classes, found {classes}"));
        }
        if let Some(problem) = self.calibration.as_ref().and_then(|c| c.problem(classes)) {
            return refuse(path, problem);
        }
        if let Some(network) = &self.network {
            if !self.layers.is_empty() {
                return refuse(
                    path,
                    "expected no 'layers' beside a network, found some".to_owned(),
                );
            }
            let (_, specs) = network.check(path, classes)?;
            let values = specs.iter().fold(0u64, |n, spec| n.saturating_add(spec.values() as u64));
            return match values {
                1..=MOST_VALUES => Ok(values),
                n => refuse(path, format!("expected from 1 to {MOST_VALUES} weights, found {n}")),
            };
        }
        let last = match classes {
            2 => (1, Activation::Sigmoid),
            n => (n, Activation::Softmax),
        };
        let mut values = 0_u64;
        let mut width = None;
        for (i, l) in self.layers.iter().enumerate() {
            let at = format!("layer {i} ('{}')", l.name);
            if l.name != network::layer_name(i) {
                return refuse(
                    path,
                    format!("expected the name '{}' for {at}", network::layer_name(i)),
                );
            }
            if l.inputs == 0 || l.outputs == 0 || width.is_some_and(|w| w != l.inputs) {
                let expected = width
                    .map_or("widths above 0".to_owned(), |w| format!("{w} inputs and an output"));
                return refuse(
                    path,
                    format!(
                        "expected {at} to have {expected}, found {} to {}",
                        l.inputs, l.outputs
                    ),
                );
            }
            let is_last = i + 1 == self.layers.len();
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
}

/// Refuses a description of features that [`HeadManifest`] could not hold, before a training and not after it.
///
/// # Errors
/// [`HeadError::TooLarge`].
pub fn check_features(features: &Value) -> Result<(), HeadError> {
    let found = features.to_string().len();
    if found > LARGEST_FEATURES {
        return Err(HeadError::TooLarge {
            what: "description of the features in bytes",
            limit: LARGEST_FEATURES as u64,
            found: found as u64,
        });
    }
    Ok(())
}

/// A list of a bounded number of entries.
pub(crate) fn few<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct Few<T>(PhantomData<T>);
    impl<'de, T: DeserializeOwned> Visitor<'de> for Few<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = list.next_element()? {
                if all.len() == MOST_ENTRIES {
                    let detail = format!("expected at most {MOST_ENTRIES} entries, found more");
                    return Err(A::Error::custom(detail));
                }
                all.push(one);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_seq(Few(PhantomData))
}

/// A network's description is text of any length in memory many times as large: so it is bounded.
fn network<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NetworkRecord>, D::Error> {
    let Some(raw) = Option::<Box<RawValue>>::deserialize(deserializer)? else { return Ok(None) };
    let found = raw.get().len();
    if found > LARGEST_NETWORK {
        let detail = format!(
            "'network' of {HEAD_JSON}: expected at most {LARGEST_NETWORK} bytes, found {found}"
        );
        return Err(D::Error::custom(detail));
    }
    serde_json::from_str(raw.get()).map(Some).map_err(D::Error::custom)
}

/// A value of bounded text, since a value takes many times the memory of its text.
fn small<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let found = raw.get().len();
    if found > LARGEST_FEATURES {
        let detail = format!(
            "'features' of {HEAD_JSON}: expected at most {LARGEST_FEATURES} bytes, found {found}"
        );
        return Err(D::Error::custom(detail));
    }
    serde_json::from_str(raw.get()).map_err(D::Error::custom)
}
