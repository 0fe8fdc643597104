//! From a file's tensors, under whatever names and in whatever layout, to the architecture's.
//!
//! First a [`Plan`] is made from names and declared shapes alone; only then are the chosen tensors read.

use std::collections::BTreeMap;

use super::format::{Entry, FormatError, shape_text};
use super::schemes::{Scheme, candidates};
use super::{ConvSpec, PreprocessHint, Tensor};

/// The order of a kernel's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// (out, in, height, width): PyTorch.
    Oihw,
    /// (height, width, in, out): Keras, TensorFlow, Flax.
    Hwio,
}

/// Which entries of a file give which tensors.
#[derive(Debug)]
pub(super) struct Plan {
    /// Kernel, its layout, and bias, for each layer of the architecture.
    layers: Vec<(usize, Layout, usize)>,
    /// The preprocessing that weights under such names were trained with.
    pub(super) preprocess: PreprocessHint,
}

/// Names of tensors as messages list them.
const MAX_LISTED: usize = 6;

impl Plan {
    /// Finds every tensor of the architecture among the entries of a file of some kind.
    ///
    /// # Errors
    /// One that names every tensor that is missing or has another shape.
    pub(super) fn new(
        kind: &str,
        entries: &[Entry],
        architecture: &[ConvSpec],
    ) -> Result<Self, FormatError> {
        let mut best: Option<(usize, Vec<String>, Scheme)> = None;
        for scheme in candidates(entries, architecture) {
            let mut problems = Vec::new();
            let mut layers = Vec::with_capacity(architecture.len());
            for (i, spec) in architecture.iter().enumerate() {
                let kernel = pick(
                    entries,
                    &scheme.kernels[i],
                    &scheme.describe(spec, i, "kernel"),
                    |shape| kernel_layout(shape, spec, scheme.layout).is_some(),
                    &format!("{:?}", preferred(spec, scheme.layout)),
                );
                let bias = pick(
                    entries,
                    &scheme.biases[i],
                    &scheme.describe(spec, i, "bias"),
                    |shape| shape == [spec.out_channels],
                    &format!("[{}]", spec.out_channels),
                );
                match (kernel, bias) {
                    (Ok(k), Ok(b)) => {
                        let layout = kernel_layout(&entries[k].shape, spec, scheme.layout)
                            .unwrap_or(scheme.layout);
                        layers.push((k, layout, b));
                    }
                    (k, b) => problems.extend([k.err(), b.err()].into_iter().flatten()),
                }
            }
            if problems.is_empty() {
                // Theano's kernels lie as OIHW under Keras's names, and are rotated besides; nothing in the file says so.
                if kind == "HDF5"
                    && scheme.layout == Layout::Hwio
                    && layers.iter().any(|l| l.1 == Layout::Oihw)
                {
                    return Err(FormatError::Architecture(
                        "the kernels are in Theano's order (out, in, height, width) under Keras's names: convert the file with Keras first".into(),
                    ));
                }
                return Ok(Self { layers, preprocess: scheme.preprocess });
            }
            if best.as_ref().is_none_or(|(n, ..)| problems.len() < *n) {
                best = Some((problems.len(), problems, scheme));
            }
        }
        Err(FormatError::Architecture(match best {
            Some((_, problems, _)) => listed(&problems, "; "),
            None => none_found(entries, architecture),
        }))
    }

    /// The entries that are needed.
    pub(super) fn needed(&self) -> impl Iterator<Item = usize> {
        self.layers.iter().flat_map(|&(kernel, _, bias)| [kernel, bias])
    }

    /// Reads the needed entries and brings the kernels into (out, in, height, width).
    pub(super) fn read(
        &self,
        architecture: &[ConvSpec],
        mut read: impl FnMut(usize) -> Result<Vec<f32>, FormatError>,
    ) -> Result<BTreeMap<String, Tensor>, FormatError> {
        let mut out = BTreeMap::new();
        for (spec, &(kernel, layout, bias)) in architecture.iter().zip(&self.layers) {
            let data = read(kernel)?;
            let shape = spec.oihw().to_vec();
            let data = match layout {
                Layout::Oihw => data,
                Layout::Hwio => hwio_to_oihw(&data, spec),
            };
            insert(&mut out, format!("{}/kernel", spec.keras_name), Tensor { shape, data })?;
            let bias = Tensor { shape: vec![spec.out_channels], data: read(bias)? };
            insert(&mut out, format!("{}/bias", spec.keras_name), bias)?;
        }
        Ok(out)
    }
}

fn insert(
    out: &mut BTreeMap<String, Tensor>,
    name: String,
    tensor: Tensor,
) -> Result<(), FormatError> {
    let expected: usize = tensor.shape.iter().product();
    if tensor.data.len() != expected {
        let found = tensor.data.len();
        return Err(FormatError::Damaged(format!(
            "{name}: expected {expected} values, found {found}"
        )));
    }
    if let Some(at) = tensor.data.iter().position(|v| !v.is_finite()) {
        return Err(FormatError::Damaged(format!("{name}: value {at} is {}", tensor.data[at])));
    }
    out.insert(name, tensor);
    Ok(())
}

fn preferred(spec: &ConvSpec, layout: Layout) -> [usize; 4] {
    match layout {
        Layout::Oihw => spec.oihw(),
        Layout::Hwio => spec.hwio(),
    }
}

/// The layout that a declared shape has, the names' own where both fit.
fn kernel_layout(shape: &[usize], spec: &ConvSpec, names: Layout) -> Option<Layout> {
    let other = if names == Layout::Oihw { Layout::Hwio } else { Layout::Oihw };
    [names, other].into_iter().find(|&l| shape == preferred(spec, l))
}

/// The one entry of the wanted shape; an entry of another shape is named, as are two that fit equally.
fn pick(
    entries: &[Entry],
    found: &[usize],
    name: &str,
    fits: impl Fn(&[usize]) -> bool,
    expected: &str,
) -> Result<usize, String> {
    let fitting: Vec<usize> = found.iter().copied().filter(|&i| fits(&entries[i].shape)).collect();
    match (fitting.as_slice(), found) {
        ([one], _) => Ok(*one),
        ([one, two, ..], _) => Err(format!(
            "two tensors for one layer: {} and {}",
            entries[*one].name, entries[*two].name
        )),
        ([], []) => Err(format!("{name} is missing")),
        ([], [first, ..]) => {
            let Entry { name, shape } = &entries[*first];
            Err(format!("{name}: expected shape {expected}, found {}", shape_text(shape)))
        }
    }
}

fn listed(items: &[String], separator: &str) -> String {
    let shown = items[..items.len().min(MAX_LISTED)].join(separator);
    match items.len().saturating_sub(MAX_LISTED) {
        0 => shown,
        more => format!("{shown}{separator}and {more} more"),
    }
}

fn none_found(entries: &[Entry], architecture: &[ConvSpec]) -> String {
    let wanted = architecture.first().map_or_else(String::new, |s| {
        format!(
            "{}.weight (PyTorch), {}/kernel (Keras) or Conv_0/kernel (Flax)",
            s.torch_name, s.keras_name
        )
    });
    let names: Vec<String> = entries.iter().map(|e| format!("{:.80}", e.name)).collect();
    let held = if names.is_empty() { "no tensors".to_owned() } else { listed(&names, ", ") };
    format!("none of the architecture's tensors are there: expected {wanted}, found {held}")
}

/// (height, width, in, out) to (out, in, height, width).
fn hwio_to_oihw(data: &[f32], spec: &ConvSpec) -> Vec<f32> {
    let ([height, width, inputs, outputs], mut out) = (spec.hwio(), Vec::with_capacity(data.len()));
    for o in 0..outputs {
        for i in 0..inputs {
            for hw in 0..height * width {
                out.extend(data.get((hw * inputs + i) * outputs + o));
            }
        }
    }
    out
}
