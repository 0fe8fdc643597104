//! Why a table was not written.

use cache::CacheError;
use parquet::errors::ParquetError;
use std::io;
use std::path::{Path, PathBuf};
use util::Hint;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The features.
    #[error(transparent)]
    Cache(Box<CacheError>),
    /// The system refused an operation.
    #[error("cannot {action} '{}': {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The output took no more.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    /// The encoder failed.
    #[error("parquet: {0}")]
    Parquet(#[from] ParquetError),
    /// The manifest can't be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The names of all files take more than a header of safetensors may have.
    #[error(
        "safetensors: expected a header of up to {most} bytes, found {found} or more: the names of {rows} files are too long"
    )]
    Header {
        /// The most that readers take.
        most: usize,
        /// What it would be.
        found: usize,
        /// Rows of the split.
        rows: usize,
    },
    /// A folder that somebody else made is at the output's place.
    #[error("'{}': expected a folder of an earlier export, found '{found}' in it", .path.display())]
    ForeignFolder {
        /// The folder.
        path: PathBuf,
        /// What an export doesn't write.
        found: String,
    },
    /// The caller stopped it.
    #[error("stopped")]
    Stopped,
}

impl TableError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

impl From<CacheError> for TableError {
    fn from(error: CacheError) -> Self {
        Self::Cache(Box::new(error))
    }
}

impl Hint for TableError {
    fn hint(&self) -> Option<String> {
        use io::ErrorKind as K;
        let text = match self {
            Self::Cache(e) => return e.hint(),
            Self::Io { source, .. } | Self::Write(source) => match source.kind() {
                K::StorageFull | K::QuotaExceeded => {
                    "make room on that disk, or choose another; nothing was left of the output"
                }
                K::FileTooLarge => "raise the limit on file sizes (ulimit -f)",
                K::NotFound => "make the folder first",
                K::ReadOnlyFilesystem | K::PermissionDenied => "choose a folder that you may write",
                K::NotADirectory | K::AlreadyExists => {
                    "there is a file where a folder is needed; choose another"
                }
                K::IsADirectory => "there is a folder where a file is needed; choose another name",
                _ => return None,
            },
            Self::Header { .. } => "choose another format",
            Self::ForeignFolder { .. } => "choose another folder: it was left as it is",
            Self::Parquet(_) | Self::Json(_) | Self::Stopped => return None,
        };
        Some(text.to_owned())
    }
}
