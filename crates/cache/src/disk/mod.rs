//! The few operations by which a cache changes a disk, behind a seam through which tests inject faults, and the guards
//! against what is not a regular file.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use util::{atomic, regular};

#[cfg(test)]
pub(crate) mod faulty;
pub(crate) mod lock;
pub(crate) mod mmap;

/// A file that is being written. Positioned reads and writes only, so threads share it.
pub(crate) trait DiskFile: Debug + Send + Sync {
    /// May write less than asked.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// May read less than asked; 0 at the end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the file `len` bytes long with the space reserved, where the file system can.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Data and size reach the device. After an error what it covered may be lost, and a later success says nothing of it.
    fn sync(&self) -> io::Result<()>;
    /// Whether `path` names this very file.
    fn is_at(&self, path: &Path) -> bool;
}

/// Operations on names.
pub(crate) trait Disk: Debug + Send + Sync {
    /// A new empty file in place of what regular file or link was there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// An existing regular file, for reading and writing; a link is refused.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The folder's entries reach the device.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// Writes all, going on after short writes and interruptions.
pub(crate) fn write_all_at(
    file: &dyn DiskFile,
    mut bytes: &[u8],
    mut offset: u64,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = bytes.get(n..).unwrap_or(&[]);
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Reads until `bytes` is full or the file ends; how much was read.
pub(crate) fn read_at_most(
    file: &dyn DiskFile,
    bytes: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// Renames over what is there; where a file system cannot, removes that first. Callers make sure that a kill between
/// the two is recovered from.
pub(crate) fn replace(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<()> {
    match disk.rename(from, to) {
        Err(first) if exists(to) && exists(from) => match disk.remove(to) {
            Ok(()) => disk.rename(from, to),
            Err(_) => Err(first),
        },
        other => other,
    }
}

/// Makes a folder and those above it that are missing, each on disk before anything is put into it.
pub(crate) fn create_folders(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let above = atomic::folder_of(path);
    create_folders(disk, above)?;
    match disk.create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            // Another process was faster; or a file has the name.
            if !path.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
        }
        other => other?,
    }
    disk.sync_dir(above)
}

/// Removes a file, if it is there.
pub(crate) fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether the name is taken, by whatever it be.
pub(crate) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// An error that names the kind when `path` is there and is no regular file, also behind a link.
pub(crate) fn check_regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(meta) => regular::check(&meta),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// Opens a regular file of a finished cache, for reading only.
pub(crate) fn open_to_read(path: &Path) -> io::Result<Box<dyn DiskFile>> {
    Ok(Box::new(RealFile(regular::open(path)?)))
}

/// Whether `path` names this very file, and no link to it.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Whether there is a file at `path`: its identity can't be asked, but an open file can't be replaced here.
#[cfg(not(unix))]
pub(crate) fn is_at(_: &File, path: &Path) -> bool {
    exists(path)
}

/// The disk itself.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        // A link that somebody put here must not lead the writes elsewhere: take it away, then make a new file.
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_symlink() => fs::remove_file(path)?,
            Ok(meta) => {
                regular::check(&meta)?;
                fs::remove_file(path)?;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        Ok(Box::new(RealFile(regular::create_new(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(regular::open_to_write(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        atomic::sync_folder(path)
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::write_at(&self.0, bytes, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_write(&self.0, bytes, offset);
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&self.0, bytes, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&self.0, bytes, offset);
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if len > 0 {
            use rustix::fs::{FallocateFlags, fallocate};
            use rustix::io::Errno;
            loop {
                match fallocate(&self.0, FallocateFlags::empty(), 0, len) {
                    Ok(()) => return Ok(()),
                    Err(Errno::INTR) => {}
                    // The file system cannot reserve: a full disk shows at the write instead.
                    Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => break,
                    Err(e) => return Err(e.into()),
                }
            }
        }
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        let synced = self.0.sync_data();
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if synced.is_err() {
            // The system counts the pages that it failed to write as written. Ask it to forget them, so that the next
            // reader sees what the device has.
            let _ = rustix::fs::fadvise(&self.0, 0, None, rustix::fs::Advice::DontNeed);
        }
        synced
    }

    fn is_at(&self, path: &Path) -> bool {
        is_at(&self.0, path)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Both are asked of the system: what cannot be put on disk is an error.
    #[test]
    fn syncs_reach_the_system() {
        let dir = tempfile::tempdir().unwrap();
        RealDisk.sync_dir(dir.path()).unwrap();
        assert!(RealDisk.sync_dir(&dir.path().join("none")).is_err());
        let file = RealDisk.create(&dir.path().join("file")).unwrap();
        file.sync().unwrap();
        let (pipe, _) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(pipe));
        assert!(RealFile(pipe).sync().is_err());
    }
}
