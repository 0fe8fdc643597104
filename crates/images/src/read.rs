//! Bytes of a file, bounded and without blocking.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::ImageError;
use crate::folders::walk::special;

/// The largest file that is read: 256 MiB.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// Reads a regular file of at most [`MAX_FILE_BYTES`] bytes.
///
/// # Errors
/// Folders, pipes, sockets and devices are refused without blocking on them; so are larger files.
pub fn read_file(path: &Path) -> Result<Vec<u8>, ImageError> {
    let failed = |source: io::Error| ImageError::Io { path: path.to_owned(), source };
    // Opening a device can have effects, so look first; what is opened is looked at again below.
    let regular = |metadata: std::fs::Metadata| {
        if metadata.is_file() {
            Ok(metadata.len())
        } else {
            Err(ImageError::NotRegular { path: path.to_owned(), found: special(&metadata) })
        }
    };
    regular(std::fs::metadata(path).map_err(failed)?)?;
    let file = open(path).map_err(failed)?;
    let length = regular(file.metadata().map_err(failed)?)?;
    let too_large = |bytes| ImageError::FileTooLarge { path: path.to_owned(), bytes };
    if length > MAX_FILE_BYTES {
        return Err(too_large(length));
    }
    // A file that grows meanwhile is still bounded.
    let mut bytes = Vec::with_capacity(length as usize + 1);
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// Without blocking even if a pipe took the file's place after the first look.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_file_and_refuses_what_is_none() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.jpg");
        std::fs::write(&path, b"bytes").unwrap();
        assert_eq!(read_file(&path).unwrap(), b"bytes");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(read_file(&path).unwrap(), b"");

        let folder = read_file(root.path()).unwrap_err();
        assert_eq!(folder.reason(), "not a regular file but a folder");
        let missing = read_file(&root.path().join("b.jpg")).unwrap_err();
        assert!(missing.reason().starts_with("cannot read: "), "{missing}");
        assert!(missing.to_string().contains("b.jpg"), "{missing}");
    }

    #[test]
    fn refuses_large_files_before_reading_them() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("large.bmp");
        File::create(&path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap(); // sparse
        let error = read_file(&path).unwrap_err();
        assert_eq!(error.reason(), "268,435,457 bytes are over the limit of 268,435,456");
    }

    #[cfg(unix)]
    #[test]
    fn refuses_pipes_and_devices_without_waiting() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe.jpg");
        match std::process::Command::new("mkfifo").arg(&pipe).status() {
            Ok(status) if status.success() => {
                assert_eq!(
                    read_file(&pipe).unwrap_err().reason(),
                    "not a regular file but a named pipe"
                );
            }
            _ => println!("skipped the pipe: no mkfifo"),
        }
        let device = read_file(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(device.reason(), "not a regular file but a device");
    }
}
