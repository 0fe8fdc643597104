//! All image files below one folder, in a fixed order.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Ignored, ScanError};

/// Suffixes of the files that a walk takes (any case). What a file holds decides how it is decoded.
pub const IMAGE_SUFFIXES: &[&str] = &[
    "bmp", "gif", "jfif", "jpe", "jpeg", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff",
    "webp",
];

/// Whether the path ends in one of [`IMAGE_SUFFIXES`], in any case.
pub fn has_image_suffix(path: &Path) -> bool {
    path.extension()
        .is_some_and(|suffix| IMAGE_SUFFIXES.iter().any(|known| suffix.eq_ignore_ascii_case(known)))
}

/// What is under a name, links followed.
pub(super) enum Kind {
    Folder,
    /// A file, or something else under the name of an image, which reading refuses with its reason.
    File,
    /// Not a folder, and not named like an image.
    Other,
    /// Nobody can tell, a broken link for example.
    Unknown(io::Error),
}

/// One entry of a folder.
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
}

impl Entry {
    pub(super) fn is_hidden(&self) -> bool {
        self.name.as_encoded_bytes().starts_with(b".")
    }

    /// The error of an entry that may be a folder of images, for all that can be known.
    pub(super) fn unknown(self, source: io::Error) -> ScanError {
        ScanError::Unknown { path: self.path, source }
    }
}

/// The entries of a folder sorted by name (bytes, so code points).
///
/// # Errors
/// When the folder can't be listed to its end.
pub(super) fn list(folder: &Path) -> Result<Vec<Entry>, ScanError> {
    let unlisted = |source| ScanError::Io { path: folder.to_owned(), source };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(unlisted)? {
        let entry = entry.map_err(unlisted)?;
        let path = entry.path();
        match kind(&path) {
            // Removed since the folder was opened: a moment later it would not have been listed.
            Kind::Unknown(e) if e.kind() == io::ErrorKind::NotFound && is_gone(&path) => {}
            kind => entries.push(Entry { name: entry.file_name(), kind, path }),
        }
    }
    entries.sort_by(|a, b| by_bytes(&a.name, &b.name));
    Ok(entries)
}

fn by_bytes(a: &OsStr, b: &OsStr) -> std::cmp::Ordering {
    a.as_encoded_bytes().cmp(b.as_encoded_bytes())
}

fn kind(path: &Path) -> Kind {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Kind::Folder,
        Ok(metadata) if metadata.is_file() => Kind::File,
        // Who names it like an image wants to know why there is no row of it.
        _ if has_image_suffix(path) => Kind::File,
        Ok(_) => Kind::Other,
        Err(error) => Kind::Unknown(error),
    }
}

fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
}

/// The image files below `root` (paths relative to it) sorted by folder, then by name, as Keras's legacy iterator
/// does; and what is not taken.
///
/// Links are followed. A link to a folder that contains the place of the link is a loop, and a folder that was walked
/// already is not walked again: their images are listed under another name, and a walk always ends. (`walkdir` finds
/// loops below its root only, and walks a folder again under each of its names.)
///
/// # Errors
/// Folders that can't be listed, and what may be one: whoever lost sight of images must know.
pub(super) fn walk(root: &Path) -> Result<(Vec<PathBuf>, Vec<Ignored>), ScanError> {
    let mut files: Vec<(OsString, OsString)> = Vec::new();
    let mut ignored = Vec::new();
    let mut walked: HashSet<PathBuf> = HashSet::new();
    // Folders to walk: relative path, and the real places of the folders above.
    let mut waiting: Vec<(PathBuf, Vec<PathBuf>)> = vec![(PathBuf::new(), Vec::new())];
    while let Some((relative, mut above)) = waiting.pop() {
        let folder =
            if relative.as_os_str().is_empty() { root.to_owned() } else { root.join(&relative) };
        let real = fs::canonicalize(&folder)
            .map_err(|source| ScanError::Io { path: folder.clone(), source })?;
        if above.iter().any(|above| above.starts_with(&real)) {
            match (relative.parent(), relative.file_name()) {
                // Named like an image: an input, which reading refuses.
                (Some(parent), Some(name)) if has_image_suffix(&relative) => {
                    files.push((parent.as_os_str().to_owned(), name.to_owned()));
                }
                _ => {
                    let reason = "symbolic link loop".to_owned();
                    ignored.push(Ignored { path: folder, reason });
                }
            }
            continue;
        }
        if !walked.insert(real.clone()) {
            let reason = "folder listed already under another name".to_owned();
            ignored.push(Ignored { path: folder, reason });
            continue;
        }
        above.push(real);
        let mut folders = Vec::new();
        for mut entry in list(&folder)? {
            let hidden = entry.is_hidden();
            let reason = match std::mem::replace(&mut entry.kind, Kind::Other) {
                _ if hidden => "hidden",
                Kind::Folder => {
                    folders.push((relative.join(&entry.name), above.clone()));
                    continue;
                }
                Kind::File if has_image_suffix(&entry.path) => {
                    files.push((relative.clone().into_os_string(), entry.name));
                    continue;
                }
                Kind::File | Kind::Other => "not an image suffix",
                Kind::Unknown(source) => return Err(entry.unknown(source)),
            };
            ignored.push(Ignored { path: entry.path, reason: reason.to_owned() });
        }
        // The last is walked first: reversed, so that folders come in order.
        waiting.extend(folders.into_iter().rev());
    }
    files.sort_by(|a, b| by_bytes(&a.0, &b.0).then_with(|| by_bytes(&a.1, &b.1)));
    ignored.sort_by(|a, b| by_bytes(a.path.as_os_str(), b.path.as_os_str()));
    let files = files.into_iter().map(|(folder, name)| Path::new(&folder).join(name)).collect();
    Ok((files, ignored))
}
