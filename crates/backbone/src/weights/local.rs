//! The first way: a file on this machine.

use std::path::Path;

use super::convert::Plan;
use super::format::{self, FormatError, Input};
use super::{ConvSpec, PreprocessHint, Weights, canonical, hub};

/// Endings by which a specification is known to mean a file, even one that is not there.
const ENDINGS: &[&str] =
    &[".safetensors", ".pth", ".pt", ".npz", ".h5", ".hdf5", ".ckpt", ".bin", ".pkl"];

/// Whether a specification means a local file: it is spelt like one, or is one and could mean nothing else.
///
/// `owner/name` always means the hub: a folder that somebody sent must not be able to pass its file off as known weights.
pub(super) fn is_file_spec(spec: &str) -> bool {
    is_file_name(spec) || (!hub::is_hub_id(spec) && spec != "mirror" && Path::new(spec).is_file())
}

/// Whether a specification is spelt like a file.
fn is_file_name(spec: &str) -> bool {
    let lower = spec.to_ascii_lowercase();
    ENDINGS.iter().any(|e| lower.ends_with(e)) || is_path_like(spec)
}

fn is_path_like(spec: &str) -> bool {
    ["/", "./", "../", "~/"].iter().any(|p| spec.starts_with(p))
        || spec.contains('\\')
        || Path::new(spec).is_absolute()
}

/// The name of a file's weights, for manifests: without its folder, and such that it can't be taken for `mirror`,
/// `random:SEED` or a hub id.
pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if is_file_name(&name) && !name.starts_with("random:") { name } else { format!("./{name}") }
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
    read(Box::new(util::regular::open(path)?), name, source, architecture)
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
