//! What a specification of weights means: a file, or a repository on the hub.

use std::path::Path;

/// Endings by which a specification is known to mean a file, even one that is not there.
const ENDINGS: &[&str] =
    &[".safetensors", ".pth", ".pt", ".npz", ".h5", ".hdf5", ".keras", ".ckpt", ".bin", ".pkl"];

/// Whether a specification means a local file: it is spelt like one, or is one and could mean nothing else.
///
/// `owner/name` always means the hub: a folder that somebody sent must not be able to pass its file off as known weights.
pub(crate) fn is_file(spec: &str) -> bool {
    is_file_name(spec) || (!is_hub_id(spec) && spec != "mirror" && Path::new(spec).is_file())
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
pub(crate) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if is_file_name(&name) && !name.starts_with("random:") { name } else { format!("./{name}") }
}

/// Whether a specification is a hub id: `owner/name`.
pub(crate) fn is_hub_id(spec: &str) -> bool {
    let part = |p: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !p.is_empty()
            && p.len() <= 96
            && p.bytes().all(allowed)
            && !p.starts_with(['.', '-'])
            && !p.contains("..")
    };
    spec.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}
