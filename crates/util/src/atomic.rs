//! Files that appear under their name whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Prefix of temporary files, by which those of a killed process can be told.
pub const TEMPORARY_PREFIX: &str = ".writing-";

/// Writes a file by a temporary file in the same folder, fsync and rename; then the folder is put on disk too. A link at
/// `path` is replaced, not followed. The file gets the usual permissions (0666 less the umask).
///
/// # Errors
/// Those of `write` and of the system. What was at `path` is then still there, and the temporary file is gone.
pub fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX);
    // Temporary files are private by default; this one becomes an ordinary file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut out = BufWriter::new(builder.tempfile_in(folder)?);
    write(&mut out)?;
    let temporary = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|e| e.error)?;
    sync_folder(folder)
}

/// Removes what [`write()`] left in a folder when its process was killed. Only for a folder that nobody else writes to.
///
/// # Errors
/// Those of the system, but for files that are gone already.
pub fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(end) = name.to_str().and_then(|name| name.strip_prefix(TEMPORARY_PREFIX)) else {
            continue;
        };
        // As `tempfile` makes them: six letters or digits. Anything else is somebody's own file.
        let is_ours = end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric());
        if is_ours && entry.file_type()?.is_file() {
            match fs::remove_file(entry.path()) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The folder that holds `path`; the current one for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts a folder's entries on disk.
///
/// # Errors
/// Those of the system. Network file systems that can't do this order the entries themselves: no error.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match File::open(folder)?.sync_all() {
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, |out| out.write_all(b"one")).unwrap();
        let error = write(&path, |out| {
            out.write_all(b"tw")?;
            Err(io::Error::other("broke"))
        });
        assert!(error.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write(&path, |out| out.write_all(b"three")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn leftovers_and_nothing_else_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        // One that a killed process leaves: `keep` is what its death does.
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY_PREFIX).tempfile_in(dir.path()).unwrap().keep().unwrap();
        let own = [".writing-", ".writing-notes.txt", ".writing-abc-ef", "writing-a1b2c3"];
        for name in own {
            fs::write(dir.path().join(name), b"mine").unwrap();
        }
        fs::create_dir(dir.path().join(".writing-a1b2c3")).unwrap();
        remove_leftovers(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), own.len() + 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_replaced_and_not_followed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (path, target) = (dir.path().join("file"), dir.path().join("target"));
        fs::write(&target, b"precious").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        write(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        let meta = fs::symlink_metadata(&path).unwrap();
        assert!(meta.is_file() && meta.permissions().mode() & 0o400 != 0);
        assert_eq!(meta.permissions().mode() & 0o111, 0);
    }
}
