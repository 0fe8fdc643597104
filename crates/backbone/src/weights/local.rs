//! The first way: a file on this machine.

use std::fs::File;
use std::path::Path;

use super::convert::Plan;
use super::format::{self, FormatError, Input};
use super::{ConvSpec, PreprocessHint, Weights, canonical};

/// Endings by which a specification is known to mean a file, even one that is not there.
const ENDINGS: &[&str] =
    &[".safetensors", ".pth", ".pt", ".npz", ".h5", ".hdf5", ".ckpt", ".bin", ".pkl"];

/// Whether a specification means a local file: it is one, or is spelt like one.
pub(super) fn is_file_spec(spec: &str) -> bool {
    let lower = spec.to_ascii_lowercase();
    ENDINGS.iter().any(|e| lower.ends_with(e)) || Path::new(spec).is_file() || is_path_like(spec)
}

fn is_path_like(spec: &str) -> bool {
    ["/", "./", "../", "~/"].iter().any(|p| spec.starts_with(p))
        || spec.contains('\\')
        || Path::new(spec).is_absolute()
}

/// Reads the architecture's weights from a file.
///
/// # Errors
/// [`FormatError`]
pub(super) fn read_file(
    path: &Path,
    name: &str,
    source: String,
    architecture: &[ConvSpec],
) -> Result<Weights, FormatError> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        // A FIFO would block, a folder gives a message that helps nobody.
        let what = if metadata.is_dir() { "a folder" } else { "not a regular file" };
        return Err(FormatError::Unsupported(format!("{what}: expected one file of weights")));
    }
    read(Box::new(File::open(path)?), name, source, architecture)
}

/// Reads the architecture's weights from an open file of any kind.
///
/// # Errors
/// [`FormatError`]
pub(super) fn read(
    input: Input,
    name: &str,
    source: String,
    architecture: &[ConvSpec],
) -> Result<Weights, FormatError> {
    let mut container = format::open(input)?;
    let plan = Plan::new(container.kind(), container.entries(), architecture)?;
    let tensors = plan.read(architecture, |index| container.read(index))?;
    let noted = container.preprocess().and_then(|p| p.parse().ok());
    finish(tensors, name, source, noted.unwrap_or(plan.preprocess), architecture)
}

/// Names a complete set of tensors by its digest.
///
/// # Errors
/// None in practice; the digest is written to memory.
pub(super) fn finish(
    tensors: std::collections::BTreeMap<String, super::Tensor>,
    name: &str,
    source: String,
    preprocess: PreprocessHint,
    architecture: &[ConvSpec],
) -> Result<Weights, FormatError> {
    let sha256 = canonical::digest(&tensors, architecture, preprocess)?;
    Ok(Weights { name: name.to_owned(), source, sha256, preprocess, tensors })
}
