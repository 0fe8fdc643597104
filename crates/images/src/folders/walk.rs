//! All image files below one folder, in a fixed order.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::Ignored;

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

/// What stands under a name, links followed.
pub(super) enum Kind {
    Folder,
    File,
    /// Nothing that is read, with the reason.
    Other(String),
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
}

/// The entries of a folder sorted by name (bytes, so code points), and what could not be listed.
pub(super) fn list(folder: &Path) -> io::Result<(Vec<Entry>, Vec<Ignored>)> {
    let mut entries = Vec::new();
    let mut ignored = Vec::new();
    for entry in fs::read_dir(folder)? {
        match entry {
            Ok(entry) => {
                let path = entry.path();
                entries.push(Entry { name: entry.file_name(), kind: kind(&path), path });
            }
            Err(error) => {
                ignored.push(Ignored { path: folder.to_owned(), reason: cannot_list(&error) })
            }
        }
    }
    entries.sort_by(|a, b| by_bytes(&a.name, &b.name));
    Ok((entries, ignored))
}

pub(super) fn cannot_list(error: &io::Error) -> String {
    format!("cannot list the folder: {error}")
}

fn by_bytes(a: &OsStr, b: &OsStr) -> std::cmp::Ordering {
    a.as_encoded_bytes().cmp(b.as_encoded_bytes())
}

fn kind(path: &Path) -> Kind {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Kind::Folder,
        Ok(metadata) if metadata.is_file() => Kind::File,
        Ok(metadata) => Kind::Other(format!("not a regular file but a {}", special(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Kind::Other("broken symbolic link".to_owned())
        }
        // Linux: too many levels of symbolic links.
        Err(error) => Kind::Other(format!("cannot read: {error}")),
    }
}

/// What a path is that is neither a file nor a folder.
pub(crate) fn special(metadata: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "named pipe";
        }
        if kind.is_socket() {
            return "socket";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "device";
        }
    }
    if metadata.is_dir() { "folder" } else { "special file" }
}

/// The image files below `root` (paths relative to it) sorted by folder, then by name, as Keras's legacy iterator
/// does; and what is not taken.
///
/// Links are followed. A link to a folder that contains the place of the link is a loop; a folder that was walked
/// already is not walked again. Both are listed as ignored, so a walk always ends.
pub(super) fn walk(root: &Path) -> (Vec<PathBuf>, Vec<Ignored>) {
    let mut files: Vec<(OsString, OsString)> = Vec::new();
    let mut ignored = Vec::new();
    let mut walked: HashSet<PathBuf> = HashSet::new();
    // Folders to walk: relative path, and the real places of the folders above.
    let mut waiting: Vec<(PathBuf, Vec<PathBuf>)> = vec![(PathBuf::new(), Vec::new())];
    while let Some((relative, mut above)) = waiting.pop() {
        let folder =
            if relative.as_os_str().is_empty() { root.to_owned() } else { root.join(&relative) };
        let ignore = |reason: String| Ignored { path: folder.clone(), reason };
        let real = match fs::canonicalize(&folder) {
            Ok(real) => real,
            Err(error) => {
                ignored.push(ignore(cannot_list(&error)));
                continue;
            }
        };
        if above.iter().any(|above| above.starts_with(&real)) {
            ignored.push(ignore("symbolic link loop".to_owned()));
            continue;
        }
        if !walked.insert(real.clone()) {
            ignored.push(ignore("folder listed already under another name".to_owned()));
            continue;
        }
        above.push(real);
        let entries = match list(&folder) {
            Ok((entries, unlisted)) => {
                ignored.extend(unlisted);
                entries
            }
            Err(error) => {
                ignored.push(ignore(cannot_list(&error)));
                continue;
            }
        };
        let mut folders = Vec::new();
        for entry in entries {
            let reason = match entry.kind {
                _ if entry.is_hidden() => "hidden".to_owned(),
                Kind::Folder => {
                    folders.push((relative.join(&entry.name), above.clone()));
                    continue;
                }
                Kind::File if has_image_suffix(&entry.path) => {
                    files.push((relative.clone().into_os_string(), entry.name));
                    continue;
                }
                Kind::File => "not an image suffix".to_owned(),
                Kind::Other(reason) => reason,
            };
            ignored.push(Ignored { path: entry.path, reason });
        }
        // The last is walked first: reversed, so that folders come in order.
        waiting.extend(folders.into_iter().rev());
    }
    files.sort_by(|a, b| by_bytes(&a.0, &b.0).then_with(|| by_bytes(&a.1, &b.1)));
    ignored.sort_by(|a, b| by_bytes(a.path.as_os_str(), b.path.as_os_str()));
    (files.into_iter().map(|(folder, name)| Path::new(&folder).join(name)).collect(), ignored)
}
