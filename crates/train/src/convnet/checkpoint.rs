//! What a training run can be resumed from: one file.

use super::fit::Tensors;
use super::{ConvNet, Tensor};
use crate::fit::{Best, State};
use crate::{EpochStats, FitConfig, HeadError, optimizer};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// File of a checkpoint in a model's folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

/// Version of the file.
const FORMAT_VERSION: u32 = 1;
/// The key of the file's metadata that holds what is not a tensor.
const KEY: &str = "feature-cache.training";
/// Numbers that an optimizer keeps for a weight beside it, at most.
const MAX_STATE: usize = 2;

/// A training run between two epochs: all tensors, the optimizer's state, the history and the best epoch's tensors. Random
/// choices follow from the seed and the number of the epoch or step, so that nothing else is needed to go on to the same bits.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Where it was read.
    path: Option<PathBuf>,
    tensors: Vec<Saved>,
    state: State<Tensors>,
}

/// One tensor.
#[derive(Clone, Debug)]
struct Saved {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
    /// What the optimizer keeps.
    state: Vec<Vec<f32>>,
}

/// What is not a tensor.
#[derive(Serialize, Deserialize)]
struct Record {
    format_version: u32,
    /// What the run is: settings, network and data, as the caller says it. A run is resumed only by itself.
    run: serde_json::Value,
    step: u32,
    history: Vec<EpochStats>,
    /// Epoch and validation loss.
    best: Option<(usize, f64)>,
}

impl Checkpoint {
    pub(super) fn of(net: &ConvNet, state: &State<Tensors>) -> Self {
        let save = |tensor: &Tensor| Saved {
            name: tensor.spec().path(),
            shape: tensor.spec().shape.clone(),
            values: tensor.values().to_vec(),
            state: tensor.state().to_vec(),
        };
        let tensors = net.tensors().iter().map(save).collect();
        Self { path: None, tensors, state: state.clone() }
    }

    /// Epochs that are done.
    pub fn epochs(&self) -> usize {
        self.state.history.len()
    }

    /// What the epochs so far reported.
    pub fn history(&self) -> &[EpochStats] {
        &self.state.history
    }

    /// Gives the network its tensors and the optimizer's state, if they are those of this network after so many epochs with
    /// `rows` rows.
    pub(super) fn restore(
        self,
        net: &mut ConvNet,
        config: &FitConfig,
        rows: usize,
    ) -> Result<State<Tensors>, HeadError> {
        let Self { path, tensors, state } = self;
        check(net, &tensors, &state, config, rows)
            .map_err(|detail| HeadError::Checkpoint { path, detail })?;
        let values: Vec<Vec<f32>> = tensors.iter().map(|saved| saved.values.clone()).collect();
        net.set_tensors(&values)?;
        for (tensor, saved) in net.tensors_mut().iter_mut().zip(tensors) {
            tensor.set_state(saved.state)?;
        }
        Ok(state)
    }

    /// Writes the file whole or not at all. `run` says what the run is, and is compared by [`Checkpoint::load`].
    ///
    /// # Errors
    /// Those of the system.
    pub fn save(&self, path: &Path, run: &serde_json::Value) -> Result<(), HeadError> {
        let bad = |detail: String| HeadError::Checkpoint { path: Some(path.to_owned()), detail };
        let record = Record {
            format_version: FORMAT_VERSION,
            run: run.clone(),
            step: self.state.steps,
            history: self.state.history.clone(),
            best: self.state.best.as_ref().map(|best| (best.epoch, best.loss)),
        };
        let record = serde_json::to_string(&record).map_err(|e| bad(e.to_string()))?;
        let mut entries: Vec<(String, &[usize], &[f32])> = Vec::new();
        for (index, saved) in self.tensors.iter().enumerate() {
            entries.push((format!("values/{}", saved.name), &saved.shape, &saved.values));
            for (slot, state) in saved.state.iter().enumerate() {
                entries.push((format!("state{slot}/{}", saved.name), &saved.shape, state));
            }
            if let Some(best) = &self.state.best {
                entries.push((format!("best/{}", saved.name), &saved.shape, &best.weights[index]));
            }
        }
        let bytes =
            |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let data: Vec<Vec<u8>> = entries.iter().map(|(.., values)| bytes(values)).collect();
        let views = entries.iter().zip(&data).map(|((name, shape, _), data)| {
            TensorView::new(Dtype::F32, shape.to_vec(), data).map(|view| (name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| bad(e.to_string()))?;
        let metadata = HashMap::from([(KEY.to_owned(), record)]);
        let file = safetensors::serialize(views, Some(metadata)).map_err(|e| bad(e.to_string()))?;
        util::atomic::write(path, |to| to.write_all(&file)).map_err(|source| HeadError::Io {
            action: "write",
            path: path.to_owned(),
            source,
        })
    }

    /// Reads a file of [`Checkpoint::save`] for this network and this run.
    ///
    /// # Errors
    /// [`HeadError::Checkpoint`] for a file that is no checkpoint, is damaged, or is of another network or run; those of the system.
    pub fn load(path: &Path, net: &ConvNet, run: &serde_json::Value) -> Result<Self, HeadError> {
        Self::read(path, net, run).map_err(|error| match error {
            HeadError::Format { path, detail } => {
                HeadError::Checkpoint { path: Some(path), detail }
            }
            other => other,
        })
    }

    fn read(path: &Path, net: &ConvNet, run: &serde_json::Value) -> Result<Self, HeadError> {
        let bad = |detail: String| HeadError::Checkpoint { path: Some(path.to_owned()), detail };
        let largest = net.counts().values as u64 * 4 * (2 + MAX_STATE as u64) + MAX_HEADER;
        let file = crate::store::read_at_most(path, largest)?;
        let damaged = |e: safetensors::SafeTensorError| bad(format!("expected a checkpoint: {e}"));
        let (_, header) = SafeTensors::read_metadata(&file).map_err(damaged)?;
        let record = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let record =
            record.ok_or_else(|| bad("expected a checkpoint, found another file".into()))?;
        let record: Record =
            serde_json::from_str(record).map_err(|e| bad(format!("expected a checkpoint: {e}")))?;
        if record.format_version != FORMAT_VERSION {
            let found = record.format_version;
            return Err(bad(format!("expected format_version {FORMAT_VERSION}, found {found}")));
        }
        if record.run != *run {
            return Err(bad(format!(
                "expected a checkpoint of this run, found one of another: {}",
                difference(run, &record.run)
            )));
        }
        check_record(&record).map_err(bad)?;
        let tensors = SafeTensors::deserialize(&file).map_err(damaged)?;
        let read = |name: String, like: &Tensor| -> Result<Option<Vec<f32>>, HeadError> {
            let Ok(view) = tensors.tensor(&name) else { return Ok(None) };
            if view.dtype() != Dtype::F32 || view.shape() != like.spec().shape {
                let (expected, dtype, found) = (&like.spec().shape, view.dtype(), view.shape());
                return Err(bad(format!(
                    "{name}: expected f32 of {expected:?}, found {dtype:?} of {found:?}"
                )));
            }
            let values = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
            Ok(Some(values.collect()))
        };
        let needed = |name: String, like: &Tensor| {
            let missing = || bad(format!("expected the tensor {name}, found none"));
            read(name.clone(), like)?.ok_or_else(missing)
        };
        let mut saved = Vec::with_capacity(net.tensors().len());
        let mut best = Vec::new();
        for tensor in net.tensors() {
            let name = tensor.spec().path();
            let values = needed(format!("values/{name}"), tensor)?;
            let mut state = Vec::new();
            for slot in 0..MAX_STATE {
                state.extend(read(format!("state{slot}/{name}"), tensor)?);
            }
            if record.best.is_some() {
                best.push(needed(format!("best/{name}"), tensor)?);
            }
            saved.push(Saved { name, shape: tensor.spec().shape.clone(), values, state });
        }
        let is_known = |name: &str| {
            name.split_once('/')
                .is_some_and(|(_, name)| saved.iter().any(|saved| saved.name == name))
        };
        if let Some(other) = tensors.names().into_iter().filter(|name| !is_known(name)).min() {
            return Err(bad(format!("expected tensors of the network, found {other}")));
        }
        let best = record.best.map(|(epoch, loss)| Best { epoch, loss, weights: best });
        let state = State { best, history: record.history, steps: record.step };
        Ok(Self { path: Some(path.to_owned()), tensors: saved, state })
    }
}

/// Refuses a history that no run has.
fn check_record(record: &Record) -> Result<(), String> {
    let history = &record.history;
    if history.is_empty() {
        return Err("expected at least one epoch, found none".to_owned());
    }
    if let Some((expected, found)) = (1..).zip(history).find(|(n, epoch)| epoch.epoch != *n) {
        let found = found.epoch;
        return Err(format!("expected epoch {expected} in the history, found {found}"));
    }
    let Some((epoch, loss)) = record.best else { return Ok(()) };
    let of_history = epoch.checked_sub(1).and_then(|at| history.get(at)?.val_loss);
    match of_history == Some(loss) {
        true => Ok(()),
        false => Err(format!(
            "expected the best epoch to be one of the history, found epoch {epoch} with a validation loss of {loss}"
        )),
    }
}

/// Refuses tensors and counts of another network or training.
fn check(
    net: &ConvNet,
    tensors: &[Saved],
    state: &State<Tensors>,
    config: &FitConfig,
    rows: usize,
) -> Result<(), String> {
    let (expected, found) = (net.tensors().len(), tensors.len());
    if expected != found {
        return Err(format!("expected {expected} tensors, found {found}"));
    }
    for (tensor, saved) in net.tensors().iter().zip(tensors) {
        let (name, shape) = (tensor.spec().path(), &tensor.spec().shape);
        if name != saved.name || *shape != saved.shape {
            let (other, found) = (&saved.name, &saved.shape);
            return Err(match name == *other {
                true => format!("expected {name} of {shape:?}, found {found:?}"),
                false => format!("expected the tensor {name}, found {other}"),
            });
        }
        let kept = optimizer::slots(config.optimizer) - 1;
        let expected = if tensor.is_trainable() { kept } else { 0 };
        let found = saved.state.len();
        if expected != found {
            return Err(format!(
                "{name}: expected {expected} arrays of the optimizer, found {found}"
            ));
        }
    }
    let (expected, found) = (config.epochs, state.history.len());
    if found > expected {
        return Err(format!("expected at most {expected} epochs, found {found}"));
    }
    let (expected, found) = (found * rows.div_ceil(config.batch_size), state.steps);
    if expected != found as usize {
        return Err(format!("expected {expected} steps, found {found}"));
    }
    Ok(())
}

/// Bytes of the file beside its tensors, at most: a long history.
const MAX_HEADER: u64 = 64 << 20;

/// The first field in which two runs differ.
fn difference(expected: &serde_json::Value, found: &serde_json::Value) -> String {
    if let (Some(a), Some(b)) = (expected.as_object(), found.as_object()) {
        for (key, expected) in a {
            match b.get(key) {
                Some(found) if found == expected => {}
                Some(found) => return format!("{key}: {}", difference(expected, found)),
                None => return format!("{key}: expected {expected}, found nothing"),
            }
        }
        if let Some(key) = b.keys().find(|key| !a.contains_key(*key)) {
            return format!("{key}: expected nothing, found it");
        }
    }
    format!("expected {}, found {}", brief(expected), brief(found))
}

/// A value in a message: a number that is an f32 as that is written, and no long text.
fn brief(value: &serde_json::Value) -> String {
    const MOST: usize = 200;
    let text = match value.as_f64().filter(|_| value.is_f64()) {
        Some(number) if f64::from(number as f32) == number => (number as f32).to_string(),
        _ => value.to_string(),
    };
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    util::visible(&short).into_owned()
}
