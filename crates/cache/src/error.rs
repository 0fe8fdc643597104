//! What can go wrong, each with the path and, where something fixes it, a hint.

use std::io;
use std::path::{Path, PathBuf};

use util::Hint;

use crate::changes::Changes;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system refused an operation.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, a verb phrase.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process on this machine writes this output.
    #[error("{path} is held by another run: process {pid} on {host}")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Process of the holder (0 when the file does not tell).
        pid: u32,
        /// Host of the holder.
        host: String,
    },
    /// A lock of another host, whose process cannot be asked.
    #[error("{path} was left or is held by process {pid} on another host, {host}")]
    LockedElsewhere {
        /// The lock file.
        path: PathBuf,
        /// Process of the holder.
        pid: u32,
        /// Host of the holder.
        host: String,
    },
    /// What is at the place of the lock is somebody's file, or a link to one.
    #[error("{path} is not a lock of this program: expected none or its own, found {found}")]
    ForeignLock {
        /// Where the lock should be.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// What is in the folder was made from other settings or other inputs.
    #[error("{path} was made from something else: {changes}")]
    Changed {
        /// The manifest, or the journal of an unfinished run.
        path: PathBuf,
        /// What changed.
        changes: Box<Changes>,
    },
    /// A file is not what it says, or what another file says of it.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Expected and found.
        why: String,
    },
    /// No finished cache of this split.
    #[error("{path} is missing: {why}")]
    Missing {
        /// The manifest.
        path: PathBuf,
        /// What is there instead.
        why: String,
    },
    /// Two splits that cannot be used together.
    #[error(
        "the splits {first:?} and {second:?} do not belong together: {field} is {a} in the first, {b} in the second"
    )]
    Incompatible {
        /// Name of the first split.
        first: String,
        /// Name of the second split.
        second: String,
        /// The field that differs.
        field: String,
        /// Its value in the first.
        a: String,
        /// Its value in the second.
        b: String,
    },
    /// Shards that do not make a whole.
    #[error("cannot merge the shards of {split:?} in {path}: {why}")]
    Shards {
        /// The folder.
        path: PathBuf,
        /// The split.
        split: String,
        /// Which shard, and what of it.
        why: String,
    },
    /// The output folder or file went away while the run wrote to it.
    #[error("{path} was removed or replaced while this run wrote to it")]
    OutputVanished {
        /// What is gone.
        path: PathBuf,
    },
    /// A bad input where the settings say to fail on it.
    #[error("{file}: {reason}")]
    BadInput {
        /// The input's name.
        file: String,
        /// Why it gives no row.
        reason: String,
    },
    /// A finite value that half precision cannot hold.
    #[error("{file}: feature {position} is {value}, more than f16 can hold (65504)")]
    TooLargeForF16 {
        /// The input's name.
        file: String,
        /// Position of the element in the row.
        position: usize,
        /// The value.
        value: f32,
    },
    /// `finish` came before every input had a row or a reason.
    #[error("{missing} of {total} inputs have neither a row nor a reason, the first is {first}")]
    Incomplete {
        /// How many are missing.
        missing: usize,
        /// Of how many.
        total: usize,
        /// Name of the first.
        first: String,
    },
    /// A wrong argument.
    #[error("{0}")]
    Usage(String),
}

impl CacheError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, why: impl Into<String>) -> Self {
        // It may quote what is in the file, which may be anything.
        const LIMIT: usize = 500;
        let mut why: String = why.into();
        if let Some((end, _)) = why.char_indices().nth(LIMIT) {
            why.truncate(end);
            why.push('…');
        }
        Self::Damaged { path: path.to_owned(), why }
    }
}

impl Hint for CacheError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Io { source, .. } => return io_hint(source),
            Self::Locked { pid, .. } => {
                return Some(format!("wait for process {pid} to end, or choose another folder"));
            }
            Self::LockedElsewhere { path, host, .. } => {
                return Some(format!("if no run goes on at {host}, remove {}", path.display()));
            }
            Self::ForeignLock { .. } => "it was left as it is: look whose it is, and move it away",
            Self::Changed { changes, .. } if changes.settings.is_empty() => {
                "update it to keep the rows of unchanged files, or overwrite it"
            }
            Self::Changed { .. } => "overwrite it, or choose another folder",
            Self::Damaged { .. } => "update it to compute what is damaged again, or overwrite it",
            Self::Missing { .. } => {
                "compute it first; an interrupted run goes on, and can be recovered if only the names were missing"
            }
            Self::Incompatible { .. } => "compute both splits with the same settings",
            Self::Shards { .. } => "compute what is missing, and keep the shards of one run only",
            Self::OutputVanished { .. } => {
                "leave the output folder alone while a run writes to it, and run it again"
            }
            Self::BadInput { .. } => "skip bad files: they are listed in the index",
            Self::TooLargeForF16 { .. } => "store features as f32",
            Self::Incomplete { .. } | Self::Usage(_) => return None,
        };
        Some(text.to_owned())
    }
}

fn io_hint(source: &io::Error) -> Option<String> {
    use io::ErrorKind as K;
    let text = match source.kind() {
        K::StorageFull | K::QuotaExceeded => {
            "make room on that disk; what is finished is kept, and the same command goes on from there"
        }
        K::FileTooLarge => "raise the limit on file sizes (ulimit -f); what is finished is kept",
        K::ReadOnlyFilesystem | K::PermissionDenied => "choose a folder that you may write",
        K::NotADirectory => "there is a file where a folder is needed; choose another folder",
        K::IsADirectory => "there is a folder where a file is needed; move it away",
        // Of this program, not of the system: see util::regular.
        K::InvalidInput if source.raw_os_error().is_none() => {
            "there is something else where a file is needed; move it away"
        }
        _ => return None,
    };
    Some(text.to_owned())
}
