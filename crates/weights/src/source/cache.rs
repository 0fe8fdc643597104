//! Fetched weights on disk: `<models_dir>/weights/<owner>--<name>.safetensors` in the canonical form, and beside it its sha256
//! in the format of `sha256sum`. Both appear under their names only when complete.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind as Kind};
use std::path::{Path, PathBuf};

use super::local;
use crate::error::Failure;
use crate::format::FormatError;
use crate::{Architecture, ErrorKind, Options, Weights, canonical, pins};

/// Largest file of a sum; one line takes about 100 bytes.
const MAX_SUM: u64 = 4096;

/// The folder of fetched weights.
pub(crate) fn folder(models_dir: &Path) -> PathBuf {
    models_dir.join("weights")
}

/// Where the weights of a hub id are kept. Those with the classifier are a file of their own.
pub(crate) fn path(models_dir: &Path, id: &str, architecture: &Architecture) -> PathBuf {
    let classifier = if architecture.with_classifier { "--classifier" } else { "" };
    folder(models_dir).join(format!("{}{classifier}.safetensors", id.replace('/', "--")))
}

/// Where their sha256 is kept.
pub(crate) fn sum_path(models_dir: &Path, id: &str, architecture: &Architecture) -> PathBuf {
    path(models_dir, id, architecture).with_extension("safetensors.sha256")
}

/// The sha256 that these weights must have: the pinned one, or that of the first time they were fetched here.
///
/// # Errors
/// A sum file that can't be read or is none: it must not be taken for one that was never there.
pub(crate) fn expected(
    id: &str,
    architecture: &Architecture,
    opts: &Options<'_>,
) -> Result<Option<String>, Failure> {
    if let Some(pinned) = pins::pinned_sha256(id, architecture) {
        return Ok(Some(pinned.to_owned()));
    }
    let path = sum_path(opts.models_dir, id, architecture);
    let fault = |what: String| Failure {
        hint: Some(format!("delete {} if you no longer hold to what it says", path.display())),
        ..Failure::new(ErrorKind::Cache, format!("{}: {what}", path.display()))
    };
    let text = match util::regular::read(&path, MAX_SUM) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), Kind::NotFound | Kind::NotADirectory) => return Ok(None),
        Err(e) => return Err(fault(e.to_string())),
    };
    let text = String::from_utf8_lossy(&text);
    let sum = text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    if sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(fault("expected a sha256 of 64 hexadecimal digits".into()));
    }
    Ok(Some(sum))
}

/// Reads weights that were fetched before, verified against the pinned or the noted digest; None if there are none.
pub(crate) fn load(
    id: &str,
    architecture: &Architecture,
    opts: &Options<'_>,
) -> Result<Option<Weights>, Failure> {
    let file = path(opts.models_dir, id, architecture);
    // Without a digest there is nothing to verify the file by: it counts as not there.
    let Some(expected) = expected(id, architecture, opts)? else { return Ok(None) };
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let delete = Some(format!("delete {} to have it fetched again", file.display()));
    let damaged = |e: FormatError| Failure { hint: delete.clone(), ..Failure::from(e) };
    match local::read_file(&file, id, format!("models cache, weights/{name}"), architecture) {
        Ok(weights) if weights.sha256 == expected => Ok(Some(weights)),
        Ok(weights) => {
            let reason =
                format!("sha256 of its tensors: expected {expected}, found {}", weights.sha256);
            Err(Failure { hint: delete, ..Failure::new(ErrorKind::Checksum, reason) })
        }
        Err(FormatError::Io(e)) if matches!(e.kind(), Kind::NotFound | Kind::NotADirectory) => {
            Ok(None)
        }
        Err(e) => Err(damaged(e)),
    }
}

/// Keeps fetched weights.
pub(crate) fn store(
    weights: &Weights,
    id: &str,
    architecture: &Architecture,
    opts: &Options<'_>,
) -> io::Result<()> {
    let file = path(opts.models_dir, id, architecture);
    let folder = folder(opts.models_dir);
    fs::create_dir_all(&folder)?;
    // Short, and for all ids: whoever holds it is the only one with temporary files here.
    let lock = lock(&folder.join(".keeping.lock"), || ());
    if lock.is_ok() {
        clean(&folder);
    }
    util::atomic::write(&file, |out| canonical::write(out, &weights.tensors, weights.preprocess))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    util::atomic::write(&sum_path(opts.models_dir, id, architecture), |out| {
        writeln!(out, "{}  {name}", weights.sha256)
    })
}

/// Removes the half-written files of killed runs, also those that version 0.1.0 left.
fn clean(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|n| {
            n.starts_with(util::atomic::TEMPORARY_PREFIX)
                || (n.starts_with(".fetching-") && n.ends_with(".part"))
        });
        if is_ours && entry.file_type().is_ok_and(|t| t.is_file()) {
            // What can't be removed is no reason to fail.
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// Held while weights are fetched, so that two processes do not fetch the same; released when dropped.
pub(crate) struct FetchLock(Option<File>);

impl FetchLock {
    /// Waits for another process that fetches the same. Where locks do not work, both fetch, and nothing breaks.
    pub(crate) fn acquire(id: &str, opts: &Options<'_>) -> Self {
        let folder = folder(opts.models_dir);
        let path = folder.join(format!(".{}.lock", id.replace('/', "--")));
        let waiting =
            || opts.progress.note(&format!("another process is fetching {id}: waiting for it"));
        match fs::create_dir_all(&folder).and_then(|()| lock(&path, waiting)) {
            Ok(file) => Self(Some(file)),
            Err(e) => {
                let path = path.display();
                opts.progress
                    .note(&format!("no lock on {path} ({e}): another process may fetch {id} too"));
                Self(None)
            }
        }
    }

    /// Whether no other process can have the lock.
    pub(crate) fn is_held(&self) -> bool {
        self.0.is_some()
    }
}

/// Locks an empty file, made if need be. Nothing is written to it, and no link is followed to it.
fn lock(path: &Path, waiting: impl FnOnce()) -> io::Result<File> {
    let file = match util::regular::open_to_write(path) {
        Err(e) if e.kind() == Kind::NotFound => match util::regular::create_new(path) {
            // Another process was faster.
            Err(e) if e.kind() == Kind::AlreadyExists => util::regular::open_to_write(path),
            other => other,
        },
        other => other,
    }?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            waiting();
            file.lock()?;
        }
        Err(TryLockError::Error(e)) => return Err(e),
    }
    Ok(file)
}
