//! Regular files and nothing else: a pipe would make the program wait, a device would give data without end, and a link in
//! the place of a file to write would lead the writes elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file for reading. Links are followed: people keep their data behind them.
///
/// # Errors
/// Those of the system, and `IsADirectory` or `InvalidInput` for what is no regular file. Never waits for the other end of
/// a pipe.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    open_checked(path, &mut options, fs::metadata(path)?, 0)
}

/// Opens an existing regular file for reading and writing, without cutting it.
///
/// # Errors
/// Those of [`open`]; and a link at `path` is refused.
pub fn open_to_write(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    open_checked(path, &mut options, fs::symlink_metadata(path)?, NO_FOLLOW)
}

/// Makes a new empty regular file for reading and writing.
///
/// # Errors
/// Those of the system; `AlreadyExists` where anything, even a broken link, has the name.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

/// The whole of a regular file of at most `limit` bytes.
///
/// # Errors
/// Those of [`open`], and `FileTooLarge` for a file with more bytes; its size is looked at before anything is read, and
/// held while it is read.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let too_large = |size: &str| {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("expected at most {limit} bytes, found {size}"),
        )
    };
    let size = file.metadata()?.len();
    if size > limit {
        return Err(too_large(&size.to_string()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large("more"));
    }
    Ok(bytes)
}

/// An error unless the metadata are those of a regular file.
///
/// # Errors
/// `IsADirectory` or `InvalidInput`, with what was found.
pub fn check(meta: &fs::Metadata) -> io::Result<()> {
    let (kind, found) = if meta.is_file() {
        return Ok(());
    } else if meta.is_dir() {
        (io::ErrorKind::IsADirectory, "a folder")
    } else if meta.is_symlink() {
        (io::ErrorKind::InvalidInput, "a symbolic link")
    } else {
        (io::ErrorKind::InvalidInput, "a pipe, socket or device")
    };
    Err(io::Error::new(kind, format!("expected a regular file, found {found}")))
}

#[cfg(unix)]
const NO_FOLLOW: i32 = libc::O_NOFOLLOW;
#[cfg(not(unix))]
const NO_FOLLOW: i32 = 0;

/// Looks before opening, since opening alone can already do something to a device, and again after, since what is at the
/// path may have been exchanged meanwhile.
fn open_checked(
    path: &Path,
    options: &mut OpenOptions,
    before: fs::Metadata,
    flags: i32,
) -> io::Result<File> {
    check(&before)?;
    // Without O_NONBLOCK, a pipe that took the file's place in between would make the call wait. Regular files ignore it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NONBLOCK | flags);
    #[cfg(windows)]
    if flags == NO_FOLLOW {
        const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
        std::os::windows::fs::OpenOptionsExt::custom_flags(options, FILE_FLAG_OPEN_REPARSE_POINT);
    }
    let file = options.open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_regular_files_are_opened_and_nothing_waits() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), b"12345").unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("nothing"), at("broken")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        symlink(at("pipe"), at("link to pipe")).unwrap();

        assert!(open(&at("file")).is_ok() && open(&at("link")).is_ok());
        assert!(open_to_write(&at("file")).is_ok());
        for (path, found) in [
            (at("pipe"), "pipe"),
            (at("link to pipe"), "pipe"),
            (dir.path().to_owned(), "folder"),
            ("/dev/null".into(), "device"),
        ] {
            let message = open(&path).unwrap_err().to_string();
            assert!(message.contains(found), "{message}");
        }
        for name in ["link", "broken", "link to pipe"] {
            let message = open_to_write(&at(name)).unwrap_err().to_string();
            assert!(message.contains("symbolic link"), "{message}");
            assert_eq!(create_new(&at(name)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        assert!(!at("nothing").exists());
    }

    #[test]
    fn no_more_is_read_than_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let error = read(&path, 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("at most 4 bytes, found 5"), "{error}");
    }
}
