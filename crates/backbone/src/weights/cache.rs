//! Fetched weights on disk: `<models_dir>/weights/<owner>--<name>.safetensors` in the canonical form, and beside it its sha256
//! in the format of `sha256sum`. Both appear under their names only when complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::error::Failure;
use super::format::FormatError;
use super::{ConvSpec, ErrorKind, Options, Weights, canonical, local, pins};

/// The folder of fetched weights.
pub(super) fn folder(models_dir: &Path) -> PathBuf {
    models_dir.join("weights")
}

/// Where the weights of a hub id are kept.
pub(super) fn path(models_dir: &Path, id: &str) -> PathBuf {
    folder(models_dir).join(format!("{}.safetensors", id.replace('/', "--")))
}

fn sum_path(file: &Path) -> PathBuf {
    file.with_extension("safetensors.sha256")
}

/// Reads weights that were fetched before, verified against the pinned or the noted digest; None if there are none.
pub(super) fn load(
    id: &str,
    architecture: &[ConvSpec],
    opts: &Options<'_>,
) -> Result<Option<Weights>, Failure> {
    let file = path(opts.models_dir, id);
    let noted = || {
        let text = fs::read_to_string(sum_path(&file)).ok()?;
        text.split_whitespace().next().map(str::to_owned)
    };
    // Without a digest there is nothing to verify the file by: it counts as not there.
    let Some(expected) = pins::pinned(id, architecture.len()).map(str::to_owned).or_else(noted)
    else {
        return Ok(None);
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let delete = Some(format!("delete {} to have it fetched again", file.display()));
    let damaged = |e: FormatError| Failure { hint: delete.clone(), ..Failure::from(e) };
    match local::read_file(&file, id, format!("models cache, weights/{name}"), architecture) {
        Ok(weights) if weights.sha256 == expected => Ok(Some(weights)),
        Ok(weights) => {
            let reason =
                format!("sha256 of its tensors: expected {expected}, found {}", weights.sha256);
            Err(Failure { kind: ErrorKind::Checksum, reason, hint: delete })
        }
        Err(FormatError::Io(e)) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(damaged(e)),
    }
}

/// Keeps fetched weights.
pub(super) fn store(
    weights: &Weights,
    id: &str,
    architecture: &[ConvSpec],
    opts: &Options<'_>,
) -> io::Result<()> {
    let file = path(opts.models_dir, id);
    write_whole(&file, |out| {
        canonical::write(out, &weights.tensors, architecture, weights.preprocess)
    })?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    write_whole(&sum_path(&file), |out| writeln!(out, "{}  {name}", weights.sha256))
}

/// Writes a file so that it is seen whole or not at all, also after a loss of power.
fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".fetching-").suffix(".part");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as for any new file
    let temp = builder.tempfile_in(folder)?;
    let mut out = BufWriter::new(temp);
    write(&mut out)?;
    let temp = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|e| e.error)?;
    // The name itself is durable once its folder is; not every system can do this, and then the rename was enough.
    File::open(folder).and_then(|f| f.sync_all()).ok();
    Ok(())
}

/// Held while weights are fetched, so that two processes do not fetch the same; released when dropped.
pub(super) struct FetchLock(#[allow(dead_code)] Option<File>);

impl FetchLock {
    /// Waits for another process that fetches the same. Where locks do not work, both fetch, and nothing breaks.
    pub(super) fn acquire(id: &str, opts: &Options<'_>) -> Self {
        let try_lock = || {
            fs::create_dir_all(folder(opts.models_dir)).ok()?;
            let path = folder(opts.models_dir).join(format!(".{}.lock", id.replace('/', "--")));
            let file = File::options().create(true).truncate(false).write(true).open(path).ok()?;
            match file.try_lock() {
                Err(fs::TryLockError::WouldBlock) => {
                    opts.progress
                        .note(&format!("another process is fetching {id}: waiting for it"));
                    file.lock().ok()?;
                }
                Err(fs::TryLockError::Error(_)) => return None,
                Ok(()) => {}
            }
            Some(file)
        };
        Self(try_lock())
    }
}
