//! From a file's tensors, under whatever names and in whatever layout, to a base's.
//!
//! First a [`Plan`] is made from names and declared shapes alone; only then are the chosen tensors read.

use std::sync::mpsc;
use std::{io, thread};

use crate::format::{Entry, FormatError, Listing, shape_text};
use crate::layout::Layout;
use crate::names::{Found, Scheme, schemes};
use crate::{Architecture, Framework, Parameter, PreprocessHint, Tensor, Variant, canonical};

/// Which entries of a file give which tensors.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The form of the base that the file has.
    pub(crate) variant: &'a Variant,
    /// For each parameter of the variant its entry and the entry's layout.
    entries: Vec<(usize, Layout)>,
}

/// Names of tensors as messages list them.
const MAX_LISTED: usize = 6;

impl<'a> Plan<'a> {
    /// Finds every tensor of a base in a file, under the names of any of its variants.
    ///
    /// # Errors
    /// One that names every tensor that is missing or has another shape, under the names that come closest.
    pub(crate) fn new(
        listing: &Listing<'_>,
        architecture: &'a Architecture,
    ) -> Result<Self, FormatError> {
        let mut variants: Vec<&Variant> = architecture.variants.iter().collect();
        // Files of two publishers can have the same names. Where the file says whose preprocessing it needs, that decides.
        let is_noted = |variant: &Variant| listing.preprocess == Some(variant.preprocess.name());
        variants.sort_by_key(|variant| !is_noted(variant));
        let mut closest: Option<Vec<String>> = None;
        for variant in variants {
            for scheme in schemes(listing, variant) {
                match pick_all(listing.entries, variant, &scheme) {
                    Ok(entries) => {
                        check_not_theano(listing, variant, &entries)?;
                        return Ok(Self { variant, entries });
                    }
                    Err(problems) => {
                        if closest.as_ref().is_none_or(|known| problems.len() < known.len()) {
                            closest = Some(problems);
                        }
                    }
                }
            }
        }
        Err(FormatError::Architecture(match closest {
            Some(problems) => listed(&problems, "; "),
            None => none_found(listing.entries, architecture),
        }))
    }

    /// The entries that are needed.
    pub(crate) fn needed(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().map(|&(entry, _)| entry)
    }

    /// Reads the needed entries and brings them into PyTorch's layout; also the sha256 of their canonical form, which another thread
    /// computes of what is read already.
    ///
    /// # Errors
    /// Those of `read`; and [`FormatError::Damaged`] where values are missing or not finite.
    pub(crate) fn read(
        &self,
        preprocess: PreprocessHint,
        mut read: impl FnMut(usize) -> Result<Vec<f32>, FormatError>,
    ) -> Result<(Vec<(Parameter, Tensor)>, String), FormatError> {
        let parameters = &self.variant.parameters;
        let mut digest = canonical::Running::new(parameters, preprocess)?;
        let (mut tensors, sha256) = thread::scope(|scope| {
            let (to, from) = mpsc::channel::<(usize, Tensor)>();
            let hashing = thread::Builder::new().spawn_scoped(scope, move || {
                let mut tensors = Vec::with_capacity(parameters.len());
                for one in from {
                    digest.add(&one.1)?;
                    tensors.push(one);
                }
                Ok::<_, io::Error>((tensors, digest.finish()))
            })?;
            for index in canonical::order(parameters) {
                let (parameter, (entry, layout)) = (&parameters[index], self.entries[index]);
                let data = layout.to_torch(parameter, read(entry)?);
                let tensor = Tensor { shape: parameter.shape(), data };
                check(parameter, &tensor)?;
                if to.send((index, tensor)).is_err() {
                    // The other thread has ended early, and says why.
                    break;
                }
            }
            drop(to);
            let found = hashing.join().map_err(|_| io::Error::other("the digest failed"))?;
            Ok::<_, FormatError>(found?)
        })?;
        tensors.sort_by_key(|(index, _)| *index);
        let named = parameters.iter().cloned().zip(tensors.into_iter().map(|(_, tensor)| tensor));
        Ok((named.collect(), sha256))
    }
}

/// The entry of each parameter and its layout; or what is wrong with all that have none.
fn pick_all(
    entries: &[Entry],
    variant: &Variant,
    scheme: &Scheme,
) -> Result<Vec<(usize, Layout)>, Vec<String>> {
    let mut picked = Vec::with_capacity(variant.parameters.len());
    let mut problems = Vec::new();
    for (parameter, found) in variant.parameters.iter().zip(&scheme.parameters) {
        match pick(entries, found, parameter, scheme.layout) {
            Ok(entry) => {
                let layout = Layout::of(parameter, &entries[entry].shape, scheme.layout);
                picked.push((entry, layout.unwrap_or(scheme.layout)));
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(picked) } else { Err(problems) }
}

/// Theano's kernels are (out, in, height, width) under Keras's names, and are rotated besides; nothing in the file says so.
fn check_not_theano(
    listing: &Listing<'_>,
    variant: &Variant,
    entries: &[(usize, Layout)],
) -> Result<(), FormatError> {
    let is_convolution = |p: &Parameter| p.spec.shape.len() == 4;
    let mut convolutions =
        variant.parameters.iter().zip(entries).filter(|(parameter, _)| is_convolution(parameter));
    if listing.kind == "HDF5"
        && variant.framework == Framework::Keras
        && convolutions.any(|(_, (_, layout))| *layout == Layout::OutFirst)
    {
        return Err(FormatError::Architecture(
            "the kernels are in Theano's order (out, in, height, width) under Keras's names: convert the file with Keras first".into(),
        ));
    }
    Ok(())
}

fn check(parameter: &Parameter, tensor: &Tensor) -> Result<(), FormatError> {
    let name = || format!("{}/{}", parameter.spec.node, parameter.spec.role.keras_name());
    let expected = parameter.spec.values();
    if tensor.data.len() != expected {
        let found = tensor.data.len();
        return Err(FormatError::Damaged(format!(
            "{}: expected {expected} values, found {found}",
            name()
        )));
    }
    if let Some(at) = tensor.data.iter().position(|v| !v.is_finite()) {
        return Err(FormatError::Damaged(format!("{}: value {at} is {}", name(), tensor.data[at])));
    }
    Ok(())
}

/// The one entry of the right shape; an entry of another shape is named, as are two that fit equally.
fn pick(
    entries: &[Entry],
    found: &Found,
    parameter: &Parameter,
    layout: Layout,
) -> Result<usize, String> {
    let fits = |i: &usize| Layout::of(parameter, &entries[*i].shape, layout).is_some();
    let fitting: Vec<usize> = found.entries.iter().copied().filter(fits).collect();
    match (fitting.as_slice(), found.entries.as_slice()) {
        ([one], _) => Ok(*one),
        ([one, two, ..], _) => Err(format!(
            "two tensors for one parameter: {} and {}",
            entries[*one].name, entries[*two].name
        )),
        ([], []) => Err(format!("{} is missing", found.name)),
        ([], [first, ..]) => {
            let Entry { name, shape } = &entries[*first];
            let expected = layout.expected(parameter);
            Err(format!("{name}: expected shape {expected:?}, found {}", shape_text(shape)))
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

fn none_found(entries: &[Entry], architecture: &Architecture) -> String {
    let mut expected: Vec<String> = Vec::new();
    for variant in &architecture.variants {
        let Some(first) = variant.parameters.first() else { continue };
        let name = match variant.framework {
            Framework::Keras => {
                format!("{}/{} (Keras)", first.spec.node, first.spec.role.keras_name())
            }
            Framework::PyTorch => format!("{} (PyTorch)", first.tensor),
        };
        if !expected.contains(&name) {
            expected.push(name);
        }
    }
    let expected = expected.join(" or ");
    let names: Vec<String> = entries.iter().map(|e| format!("{:.80}", e.name)).collect();
    let held = if names.is_empty() { "no tensors".to_owned() } else { listed(&names, ", ") };
    format!(
        "none of the tensors of {} are there: expected {expected}, found {held}",
        architecture.base
    )
}
