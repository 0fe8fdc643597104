//! `<split>/<class>/…/<file>`: classes, files, labels.

use std::path::{Path, PathBuf};

use super::walk::{Entry, Kind, list, walk};
use super::{Ignored, display_name};
use util::Hint;

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
    /// What may be a folder of images can't be looked at: a broken link, for example.
    #[error("cannot tell what '{}' is: {source}", .path.display())]
    Unknown {
        /// The entry.
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

impl Hint for ScanError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Io { .. } => "check that the folder exists and may be read",
            Self::Unknown { .. } => {
                "restore what the link points to, or remove the link; what begins with a dot is left out"
            }
            Self::NoClasses { .. } => {
                "put the images of each class into a folder of its own, such as train/cats and train/dogs"
            }
            Self::NoSplits { .. } => "name the folder that holds train/, validation/ and test/",
            Self::TwoValidations { .. } => "name the split to use",
        };
        Some(text.to_owned())
    }
}

/// Lists a split: classes, images in row order, and everything that is not used.
///
/// Classes are the sub-folders sorted by code point (`10` before `2`), hidden ones left out. Inside a class, folders
/// are walked in sorted order, files sorted inside each; links are followed, loops are not. What has an image's name is
/// an input, also a broken link or a pipe: reading it gives the reason. `docs/images.md` has the rules.
///
/// # Errors
/// When a folder cannot be listed, when nobody can tell whether something is a folder, or when there are no class folders.
pub fn scan_split(dir: &Path) -> Result<SplitScan, ScanError> {
    let mut scan = SplitScan::default();
    let mut class_folders = Vec::new();
    let mut outside = 0;
    for mut entry in list(dir)? {
        let hidden = entry.is_hidden();
        let reason = match std::mem::replace(&mut entry.kind, Kind::Other) {
            _ if hidden => "hidden",
            Kind::Folder => {
                class_folders.push(entry);
                continue;
            }
            Kind::File | Kind::Other => {
                outside += 1;
                "file outside of the class folders"
            }
            Kind::Unknown(source) => return Err(entry.unknown(source)),
        };
        scan.ignored.push(Ignored { path: entry.path, reason: reason.to_owned() });
    }
    if class_folders.is_empty() {
        let found = match (outside, scan.ignored.len()) {
            (0, 0) => "an empty folder".to_owned(),
            (files, all) => {
                format!("{files} files and {} hidden entries", all - files)
            }
        };
        return Err(ScanError::NoClasses { path: dir.to_owned(), found });
    }
    for (class, folder) in class_folders.into_iter().enumerate() {
        let (files, ignored) = walk(&folder.path)?;
        scan.ignored.extend(ignored);
        if files.is_empty() {
            scan.ignored.push(Ignored {
                path: folder.path.clone(),
                reason: "class folder without images".to_owned(),
            });
        }
        scan.files.extend(files.into_iter().map(|file| InputFile {
            path: folder.path.join(&file),
            relative: Path::new(&folder.name).join(&file),
            class,
        }));
        scan.classes.push(display_name(Path::new(&folder.name)));
    }
    Ok(scan)
}

/// Those of `train`, `validation` (or `val`), `test` that are folders in `data`, in that order.
///
/// # Errors
/// When `data` cannot be listed or holds none of them, or holds both `validation` and `val`.
pub fn find_splits(data: &Path) -> Result<Vec<String>, ScanError> {
    const NAMES: [&str; 4] = ["train", "validation", "val", "test"];
    let mut entries = list(data)?;
    let unknown =
        |e: &Entry| matches!(e.kind, Kind::Unknown(_)) && NAMES.iter().any(|name| e.name == *name);
    if let Some(at) = entries.iter().position(unknown) {
        let mut entry = entries.swap_remove(at);
        if let Kind::Unknown(source) = std::mem::replace(&mut entry.kind, Kind::Other) {
            return Err(entry.unknown(source));
        }
    }
    let has = |name: &str| {
        entries.iter().any(|entry| entry.name == name && matches!(entry.kind, Kind::Folder))
    };
    if has("validation") && has("val") {
        return Err(ScanError::TwoValidations { path: data.to_owned() });
    }
    let splits: Vec<String> =
        NAMES.into_iter().filter(|name| has(name)).map(str::to_owned).collect();
    if splits.is_empty() {
        let found = match entries.len() {
            0 => "an empty folder".to_owned(),
            count => {
                const SHOWN: usize = 5;
                let mut names: Vec<String> = entries
                    .iter()
                    .take(SHOWN)
                    .map(|entry| display_name(Path::new(&entry.name)))
                    .collect();
                if count > SHOWN {
                    names.push(format!("{} more", count - SHOWN));
                }
                names.join(", ")
            }
        };
        return Err(ScanError::NoSplits { path: data.to_owned(), found });
    }
    Ok(splits)
}
