//! Bytes of a file, bounded and without blocking.

use std::io::{self, Read};
use std::path::Path;

use crate::ImageError;

/// The largest file that is read: 256 MiB.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// Reads a regular file of at most [`MAX_FILE_BYTES`] bytes.
///
/// # Errors
/// Folders, pipes, sockets and devices are refused without blocking on them; so are larger files.
/// [`ImageError::cause`] tells whether another attempt may succeed.
pub fn read_file(path: &Path) -> Result<Vec<u8>, ImageError> {
    read_after(path, |_| ())
}

/// As [`read_file`]; `claim` is called with the file's size before anything of that size is allocated.
pub(crate) fn read_after(path: &Path, claim: impl FnOnce(u64)) -> Result<Vec<u8>, ImageError> {
    let opened = retried(|| {
        let file = util::regular::open(path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    });
    let (file, length) = opened.map_err(|source| failed(path, source))?;
    read_open(file, length, path, claim)
}

/// The rest of [`read_after`], for any reader that a file can be.
fn read_open(
    from: impl Read,
    length: u64,
    path: &Path,
    claim: impl FnOnce(u64),
) -> Result<Vec<u8>, ImageError> {
    let too_large = |bytes| ImageError::FileTooLarge { path: path.to_owned(), bytes };
    if length > MAX_FILE_BYTES {
        return Err(too_large(length));
    }
    claim(length);
    let mut bytes = Vec::new();
    // Where memory is short this is an error that the run can be continued after, not the end of the process.
    bytes
        .try_reserve_exact(length as usize + 1)
        .map_err(|_| failed(path, io::ErrorKind::OutOfMemory.into()))?;
    // A file that grows meanwhile is still bounded. `read_to_end` itself goes on after EINTR.
    from.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| failed(path, e))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// A signal's arrival is no reason to give a file up.
fn retried<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn failed(path: &Path, source: io::Error) -> ImageError {
    let path = path.to_owned();
    // Without a code it is no answer of the system: `util::regular` found something else than a file.
    let found_other = source.raw_os_error().is_none()
        && matches!(source.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput);
    if found_other {
        ImageError::NotRegular { path, source }
    } else {
        ImageError::Io { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cause;
    use std::fs::File;

    #[test]
    fn reads_a_file_and_refuses_what_is_none() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.jpg");
        std::fs::write(&path, b"bytes").unwrap();
        assert_eq!(read_file(&path).unwrap(), b"bytes");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(read_file(&path).unwrap(), b"");

        let folder = read_file(root.path()).unwrap_err();
        assert_eq!(folder.reason(), "expected a regular file, found a folder");
        assert_eq!(folder.cause(), Cause::File);
        let missing = read_file(&root.path().join("b.jpg")).unwrap_err();
        assert!(missing.reason().starts_with("cannot read: "), "{missing}");
        assert!(missing.to_string().contains("b.jpg"), "{missing}");
        assert_eq!(missing.cause(), Cause::File);
    }

    #[test]
    fn refuses_large_files_before_reading_them() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("large.bmp");
        File::create(&path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap(); // sparse
        let error = read_file(&path).unwrap_err();
        assert_eq!(error.reason(), "268,435,457 bytes are over the limit of 268,435,456");
        assert_eq!(error.cause(), Cause::File);
    }

    #[cfg(unix)]
    #[test]
    fn refuses_pipes_and_devices_without_waiting() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe.jpg");
        let expected = "expected a regular file, found a pipe, socket or device";
        match std::process::Command::new("mkfifo").arg(&pipe).status() {
            Ok(status) if status.success() => {
                assert_eq!(read_file(&pipe).unwrap_err().reason(), expected);
            }
            _ => println!("skipped the pipe: no mkfifo"),
        }
        assert_eq!(read_file(Path::new("/dev/zero")).unwrap_err().reason(), expected);
    }

    /// Some bytes, then errors in turn.
    struct Failing(&'static [u8], Vec<io::Error>);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.1.pop() {
                Some(error) => Err(error),
                None => self.0.read(buffer),
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_fails_while_reading_has_its_cause_and_a_signal_is_none() {
        let read = |codes: &[i32]| {
            let errors = codes.iter().map(|&code| io::Error::from_raw_os_error(code)).collect();
            read_open(Failing(b"bytes", errors), 5, Path::new("a.jpg"), |_| ())
        };
        assert_eq!(read(&[libc::EINTR, libc::EINTR]).unwrap(), b"bytes");
        let cause = |codes: &[i32]| read(codes).unwrap_err().cause();
        assert_eq!(cause(&[libc::EIO]), Cause::Passing);
        assert_eq!(cause(&[libc::ESTALE, libc::EINTR]), Cause::Passing);
        assert_eq!(cause(&[libc::ENOMEM]), Cause::Machine);
        let mut interrupted = 2;
        let opened = retried(|| {
            interrupted -= 1;
            if interrupted > 0 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(7) }
        });
        assert_eq!(opened.unwrap(), 7);
    }
}
