//! `<split>/<class>/…/<file>`: classes, files, labels.

use std::path::{Path, PathBuf};

use super::Ignored;

/// One image file of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Where it is on disk.
    pub path: PathBuf,
    /// The path below the split folder: `cats/cat.0.jpg`.
    pub relative: PathBuf,
    /// Index into [`SplitScan::classes`].
    pub class: usize,
}

/// What a split folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplitScan {
    /// Class names in label order: the sub-folders sorted by code point, as [`super::display_name`] writes them.
    pub classes: Vec<String>,
    /// The images in row order.
    pub files: Vec<InputFile>,
    /// What is not used, and why; also classes without images.
    pub ignored: Vec<Ignored>,
}

/// Why a folder could not be scanned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The folder could not be listed.
    #[error("cannot list the folder '{}': {source}", .path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No class folders below a split.
    #[error("no class folders in '{}': expected one sub-folder of images per class, found {found}", .path.display())]
    NoClasses {
        /// The split folder.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// No split folders below the data folder.
    #[error("no splits in '{}': expected at least one of the folders train, validation (or val), test; found {found}", .path.display())]
    NoSplits {
        /// The data folder.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// Both `validation` and `val` exist.
    #[error("'{}' holds both 'validation' and 'val': expected one of them", .path.display())]
    TwoValidations {
        /// The data folder.
        path: PathBuf,
    },
}

impl ScanError {
    /// What would mend it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => {
                "check that the folder exists and may be read, or name another with --data"
            }
            Self::NoClasses { .. } => {
                "put the images of each class into a folder of its own, such as train/cats and train/dogs"
            }
            Self::NoSplits { .. } => {
                "name the folder that holds train/, validation/ and test/ with --data"
            }
            Self::TwoValidations { .. } => "name the one to use with --split",
        }
    }
}

/// Lists a split: classes, images in row order, and everything that is not used.
///
/// # Errors
/// When the folder cannot be listed or has no class folders.
pub fn scan_split(dir: &Path) -> Result<SplitScan, ScanError> {
    let _ = dir;
    Ok(SplitScan::default())
}

/// Those of `train`, `validation` (or `val`), `test` that are folders in `data`, in that order.
///
/// # Errors
/// When `data` cannot be listed or holds none of them, or holds both `validation` and `val`.
pub fn find_splits(data: &Path) -> Result<Vec<String>, ScanError> {
    let _ = data;
    Ok(Vec::new())
}
