//! The first way: a file on this machine.

use std::path::Path;

use crate::format::{self, FormatError, Input, Listing};
use crate::plan::Plan;
use crate::{Architecture, Parameter, PreprocessHint, Tensor, Weights, canonical};

/// Reads a base's weights from a file.
///
/// # Errors
/// [`FormatError`]
pub(crate) fn read_file(
    path: &Path,
    name: &str,
    source: String,
    architecture: &Architecture,
) -> Result<Weights, FormatError> {
    read(Box::new(util::regular::open(path)?), name, source, architecture)
}

/// Reads a base's weights from an open file of any kind.
///
/// # Errors
/// [`FormatError`]
pub(crate) fn read(
    input: Input,
    name: &str,
    source: String,
    architecture: &Architecture,
) -> Result<Weights, FormatError> {
    let mut container = format::open(input)?;
    let plan = Plan::new(&Listing::of(&*container), architecture)?;
    let noted = container.preprocess().and_then(|p| p.parse().ok());
    let preprocess = noted.unwrap_or(plan.variant.preprocess);
    let (tensors, sha256) = plan.read(preprocess, |index| container.read(index))?;
    let (name, variant) = (name.to_owned(), plan.variant.name);
    Ok(Weights { name, source, sha256, variant, preprocess, tensors })
}

/// Names a complete set of tensors by its digest.
///
/// # Errors
/// None in practice; the digest is written to memory.
pub(crate) fn finish(
    tensors: Vec<(Parameter, Tensor)>,
    name: &str,
    source: String,
    variant: &'static str,
    preprocess: PreprocessHint,
) -> Result<Weights, FormatError> {
    let sha256 = canonical::digest(&tensors, preprocess)?;
    Ok(Weights { name: name.to_owned(), source, sha256, variant, preprocess, tensors })
}
