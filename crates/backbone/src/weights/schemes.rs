//! The naming schemes of weight files.

use std::collections::{BTreeSet, HashMap};

use super::convert::Layout;
use super::format::Entry;
use super::{ConvSpec, PreprocessHint};

/// One way of reading a file's names: for each layer of the architecture, the entries that may be its kernel and its bias.
#[derive(Debug)]
pub(super) struct Scheme {
    pub(super) kernels: Vec<Vec<usize>>,
    pub(super) biases: Vec<Vec<usize>>,
    /// The layout that such names stand for.
    pub(super) layout: Layout,
    pub(super) preprocess: PreprocessHint,
    names: Names,
}

#[derive(Clone, Debug)]
enum Names {
    Torch(String),
    Keras,
    /// Numbered layers: what stands before the layer, the layer's stem, and what stands for kernel and bias.
    Numbered(String, &'static str, [&'static str; 2]),
}

impl Scheme {
    /// The name under which a missing tensor was looked for.
    pub(super) fn describe(&self, spec: &ConvSpec, layer: usize, part: &str) -> String {
        match &self.names {
            Names::Torch(prefix) => {
                format!(
                    "{prefix}{}.{}",
                    spec.torch_name,
                    if part == "kernel" { "weight" } else { part }
                )
            }
            Names::Keras => format!("{}/{part}", spec.keras_name),
            Names::Numbered(prefix, stem, [kernel, bias]) => {
                format!(
                    "{prefix}{}/{}",
                    numbered(stem, layer),
                    if part == "kernel" { kernel } else { bias }
                )
            }
        }
    }
}

/// Every scheme under which at least one layer of the architecture is found.
pub(super) fn candidates(entries: &[Entry], architecture: &[ConvSpec]) -> Vec<Scheme> {
    let mut out = torch(entries, architecture);
    out.extend(keras(entries, architecture));
    out.extend(numbered_layers(entries, architecture));
    out.retain(|s| s.kernels.iter().chain(&s.biases).any(|found| !found.is_empty()));
    out
}

/// Entries that can be tensors of the architecture, with their names. A longer name is none that anybody gave.
fn named(entries: &[Entry]) -> impl Iterator<Item = (usize, &str)> {
    const MAX_NAME: usize = 1024;
    let named = entries.iter().enumerate().map(|(i, e)| (i, e.name.as_str()));
    named.filter(|(_, name)| name.len() <= MAX_NAME)
}

/// `features.0.weight`, also behind a prefix such as `module.` or the key of a checkpoint's dictionary.
fn torch(entries: &[Entry], architecture: &[ConvSpec]) -> Vec<Scheme> {
    let mut index: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, name) in named(entries) {
        index.entry(name).or_default().push(i);
    }
    let find = |name: &str| index.get(name).cloned().unwrap_or_default();
    let mut prefixes = BTreeSet::new();
    for spec in architecture.iter().take(1) {
        let wanted = format!("{}.weight", spec.torch_name);
        prefixes.extend(named(entries).filter_map(|(_, name)| {
            let prefix = name.strip_suffix(&wanted)?;
            (prefix.is_empty() || prefix.ends_with(['.', '/'])).then(|| prefix.to_owned())
        }));
    }
    if prefixes.is_empty() {
        prefixes.insert(String::new());
    }
    let scheme = |prefix: String| Scheme {
        kernels: architecture
            .iter()
            .map(|s| find(&format!("{prefix}{}.weight", s.torch_name)))
            .collect(),
        biases: architecture
            .iter()
            .map(|s| find(&format!("{prefix}{}.bias", s.torch_name)))
            .collect(),
        layout: Layout::Oihw,
        preprocess: PreprocessHint::Torch,
        names: Names::Torch(prefix),
    };
    // A checkpoint may hold a running average beside the model; the shortest prefix is the model itself.
    let mut prefixes: Vec<String> = prefixes.into_iter().take(8).collect();
    prefixes.sort_by_key(String::len);
    prefixes.into_iter().map(scheme).collect()
}

/// Layers by their Keras names, in any of Keras's group structures. Each name is looked at once, however many layers there are.
fn keras(entries: &[Entry], architecture: &[ConvSpec]) -> Option<Scheme> {
    let layers: HashMap<&str, usize> =
        architecture.iter().enumerate().map(|(i, s)| (s.keras_name.as_str(), i)).collect();
    let mut kernels = vec![Vec::new(); architecture.len()];
    let mut biases = kernels.clone();
    for (i, name) in named(entries) {
        let parts: Vec<&str> = name.split(['/', '.']).collect();
        let Some(last) = parts.last() else { continue };
        let in_keras_1 = |s: &ConvSpec| is_keras_1(last, &s.keras_name).is_some();
        let found = parts.iter().filter_map(|part| layers.get(part).copied());
        let found = found.chain(architecture.iter().position(in_keras_1));
        for layer in found.collect::<BTreeSet<usize>>() {
            match leaf(&parts, &architecture[layer].keras_name) {
                Some(Part::Kernel) => kernels[layer].push(i),
                Some(Part::Bias) => biases[layer].push(i),
                None => {}
            }
        }
    }
    Some(Scheme {
        kernels,
        biases,
        layout: Layout::Hwio,
        preprocess: PreprocessHint::Caffe,
        names: Names::Keras,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Kernel,
    Bias,
}

/// What the last part of a name stands for.
fn leaf(parts: &[&str], layer: &str) -> Option<Part> {
    let last = parts.last()?;
    let last = last.strip_suffix(":0").unwrap_or(last);
    match last {
        "kernel" | "weight" => Some(Part::Kernel),
        "bias" => Some(Part::Bias),
        "0" | "1" if parts.len() >= 2 && parts[parts.len() - 2] == "vars" => {
            Some(if last == "0" { Part::Kernel } else { Part::Bias })
        }
        _ => is_keras_1(last, layer),
    }
}

/// Keras 1: `block1_conv1_W_1:0` and `block1_conv1_b_1:0`.
fn is_keras_1(last: &str, layer: &str) -> Option<Part> {
    let rest = last.strip_suffix(":0").unwrap_or(last).strip_prefix(layer)?;
    let (part, rest) = match rest.get(..2)? {
        "_W" => (Part::Kernel, &rest[2..]),
        "_b" => (Part::Bias, &rest[2..]),
        _ => return None,
    };
    let number = rest.strip_prefix('_').unwrap_or(rest);
    (rest.is_empty() || (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())))
        .then_some(part)
}

/// Layers by their number: Keras 3's `layers/conv2d_1/vars/0`, Flax's `Conv_1/kernel`.
fn numbered_layers(entries: &[Entry], architecture: &[ConvSpec]) -> Vec<Scheme> {
    let index: HashMap<&str, usize> = named(entries).map(|(i, name)| (name, i)).collect();
    let kinds: [(&'static str, [&'static str; 2], PreprocessHint); 3] = [
        ("conv2d", ["vars/0", "vars/1"], PreprocessHint::Caffe),
        ("Conv_0", ["kernel", "bias"], PreprocessHint::Torch),
        ("conv2d", ["kernel:0", "bias:0"], PreprocessHint::Caffe),
    ];
    let mut out = Vec::new();
    for (stem, parts, preprocess) in kinds {
        let first = format!("{}/{}", numbered(stem, 0), parts[0]);
        let prefixes = named(entries)
            .filter_map(|(_, name)| name.strip_suffix(&first))
            .filter(|p| p.is_empty() || p.ends_with('/'));
        // A chain of models may hold several; those whose shapes do not fit drop out later.
        for prefix in prefixes.take(8) {
            let find = |layer: usize, part: &str| {
                let name = format!("{prefix}{}/{part}", numbered(stem, layer));
                index.get(name.as_str()).copied().into_iter().collect::<Vec<_>>()
            };
            out.push(Scheme {
                kernels: (0..architecture.len()).map(|l| find(l, parts[0])).collect(),
                biases: (0..architecture.len()).map(|l| find(l, parts[1])).collect(),
                layout: Layout::Hwio,
                preprocess,
                names: Names::Numbered(prefix.to_owned(), stem, parts),
            });
        }
    }
    out
}

/// Keras counts conv2d, conv2d_1, conv2d_2; Flax counts Conv_0, Conv_1.
fn numbered(stem: &str, layer: usize) -> String {
    match (stem.strip_suffix('0'), layer) {
        (Some(stem), layer) => format!("{stem}{layer}"),
        (None, 0) => stem.to_owned(),
        (None, layer) => format!("{stem}_{layer}"),
    }
}
