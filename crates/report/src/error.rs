//! What can go wrong when a report is written.

use std::path::PathBuf;
use util::Hint;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, for example `create`.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The values do not fit together.
    #[error("report of {what}: expected {expected}, found {found}")]
    Inconsistent {
        /// Which part.
        what: String,
        /// What would be right.
        expected: String,
        /// What is there.
        found: String,
    },
}

impl Hint for ReportError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { .. } => {
                Some("choose another folder, or free space and permissions there".to_owned())
            }
            Self::Inconsistent { .. } => None,
        }
    }
}
