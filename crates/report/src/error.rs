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
    /// Nothing was trained into this folder.
    #[error("model '{}': expected the folder of a trained model, with history.csv in it, found none", path.display())]
    NoModel {
        /// The folder.
        path: PathBuf,
    },
    /// The model was not evaluated on that split.
    #[error("model '{}': expected predictions_{split}.csv, found none", path.display())]
    NoPredictions {
        /// The model's folder.
        path: PathBuf,
        /// The split.
        split: String,
    },
    /// A file of a report says something else than a report does.
    #[error("{}: {detail}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        detail: String,
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
            Self::NoModel { .. } => {
                Some("give the folder that a model was trained into".to_owned())
            }
            Self::NoPredictions { .. } => {
                Some("train with a split of that name, or compare on another split".to_owned())
            }
            Self::Format { .. } => Some("train the model again".to_owned()),
            Self::Inconsistent { .. } => None,
        }
    }
}
