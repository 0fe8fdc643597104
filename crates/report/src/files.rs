//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::ReportError;

/// Makes the folder, its parents included.
pub(crate) fn make_dir(dir: &Path) -> Result<(), ReportError> {
    fs::create_dir_all(dir).map_err(|source| ReportError::Io {
        action: "create the folder",
        path: dir.to_owned(),
        source,
    })
}

/// Writes `bytes` under a temporary name in `dir`, flushes them to disk, then renames to `name`.
pub(crate) fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, ReportError> {
    let path = dir.join(name);
    let temporary = dir.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = write_through(&temporary, bytes).and_then(|()| fs::rename(&temporary, &path));
    if let Err(source) = written {
        // What counts is the first error; a leftover that cannot be removed either changes nothing.
        let _ = fs::remove_file(&temporary);
        return Err(ReportError::Io { action: "write", path, source });
    }
    Ok(path)
}

/// Makes the renames in `dir` last through a power cut, where the system can.
pub(crate) fn settle(dir: &Path) {
    if let Ok(folder) = File::open(dir) {
        // Not every file system can flush a folder; the files themselves are flushed already.
        let _ = folder.sync_all();
    }
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a folder");
        put(dir.path(), "a.txt", b"one").expect("written");
        put(dir.path(), "a.txt", b"two").expect("written");
        settle(dir.path());
        assert_eq!(fs::read(dir.path().join("a.txt")).expect("readable"), b"two");
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
    }

    #[test]
    fn a_refusal_names_the_path_and_cleans_up() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("a.txt")).expect("made");
        let error = put(dir.path(), "a.txt", b"one").expect_err("a folder is in the way");
        assert!(error.to_string().contains("a.txt"), "{error}");
        assert!(error.hint().is_some());
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
    }
}
