//! A head's folder, held by one writer at a time.

use crate::HeadError;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use util::regular;

/// Name of the lock in the folder; there only while somebody writes.
const LOCK: &str = "head.lock";
/// What a lock says at most, in bytes.
const LONGEST: u64 = 4096;
/// How often to try where others make and remove the same names.
const ATTEMPTS: u32 = 100;

/// A folder that this process alone writes a head to. Dropping it lets go and removes the lock, and the folder too if it
/// was made for this and stayed empty.
///
/// The lock is one of the operating system on the file `head.lock`, so it ends with its process, however that ends. Where
/// the file system has no locks, whoever makes the file holds it; after a kill it must be removed by hand.
#[derive(Debug)]
pub struct HeadFolder {
    path: PathBuf,
    lock: File,
    /// Folders that were not there before, the innermost first.
    made: Vec<PathBuf>,
}

/// What a lock says.
#[derive(Serialize, Deserialize)]
struct Holder {
    pid: u32,
    host: String,
    started_unix: u64,
}

impl HeadFolder {
    /// Makes the folder if it is missing, takes the lock, and removes temporary files that a killed writer left.
    ///
    /// # Errors
    /// [`HeadError::Locked`] when another process holds it, [`HeadError::NotALock`] when the lock's name is taken by something
    /// else, and those of the system.
    pub fn open(path: &Path) -> Result<Self, HeadError> {
        Self::open_with(path, File::try_lock)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `try_lock` is the system's.
    fn open_with(
        path: &Path,
        try_lock: impl Fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Self, HeadError> {
        let made: Vec<PathBuf> = path
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .map(Path::to_owned)
            .collect();
        let taken = fs::create_dir_all(path)
            .map_err(|source| HeadError::Io { action: "create", path: path.to_owned(), source })
            .and_then(|()| take(path, try_lock));
        match taken {
            Ok(lock) => {
                let held = Self { path: path.to_owned(), lock, made };
                let failed = |source| HeadError::Io {
                    action: "remove temporary files in",
                    path: path.to_owned(),
                    source,
                };
                util::atomic::remove_leftovers(path).map_err(failed)?;
                Ok(held)
            }
            Err(error) => {
                remove_if_empty(&made);
                Err(error)
            }
        }
    }
}

impl Drop for HeadFolder {
    fn drop(&mut self) {
        let path = self.path.join(LOCK);
        // Only the own file: somebody may have removed the folder and made another.
        if is_at(&self.lock, &path) {
            // A lock that stays is no harm: nobody holds it.
            let _ = fs::remove_file(&path);
        }
        remove_if_empty(&self.made);
    }
}

fn remove_if_empty(folders: &[PathBuf]) {
    for folder in folders {
        // A folder that is not empty stays, and so do those around it.
        let _ = fs::remove_dir(folder);
    }
}

fn take(
    folder: &Path,
    try_lock: impl Fn(&File) -> Result<(), TryLockError>,
) -> Result<File, HeadError> {
    let path = folder.join(LOCK);
    let failed = |source| HeadError::Io { action: "lock", path: path.clone(), source };
    for _ in 0..ATTEMPTS {
        let (mut file, is_new) = match open_or_create(&path) {
            Ok(opened) => opened,
            // Removed by the one before, perhaps with the folder.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(folder).map_err(failed)?;
                continue;
            }
            Err(e) => return Err(failed(e)),
        };
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(&path, &mut file, true)),
            // No locks here: the one who made the file has it.
            Err(TryLockError::Error(_)) if is_new => {}
            Err(TryLockError::Error(_)) => return Err(locked(&path, &mut file, false)),
        }
        // The holder removes the file when it lets go: one that was opened just before is no longer the one at the path.
        if !is_at(&file, &path) {
            continue;
        }
        if !is_new && !is_ours(&mut file).map_err(failed)? {
            return Err(HeadError::NotALock { path });
        }
        write(&mut file).map_err(failed)?;
        return Ok(file);
    }
    Err(HeadError::Locked { path, pid: None, host: String::new(), certain: false })
}

fn open_or_create(path: &Path) -> io::Result<(File, bool)> {
    match regular::create_new(path) {
        Ok(file) => Ok((file, true)),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            regular::open_to_write(path).map(|file| (file, false))
        }
        Err(e) => Err(e),
    }
}

fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn locked(path: &Path, file: &mut File, certain: bool) -> HeadError {
    let holder = text(file).ok().and_then(|text| serde_json::from_str::<Holder>(&text).ok());
    let (pid, host) = holder.map_or((None, String::new()), |h| (Some(h.pid), h.host));
    HeadError::Locked { path: path.to_owned(), pid, host, certain }
}

/// Whether the file is a lock, perhaps one whose writer was killed before it wrote a word.
fn is_ours(file: &mut File) -> io::Result<bool> {
    let text = text(file)?;
    Ok(text.is_empty() || serde_json::from_str::<Holder>(&text).is_ok())
}

fn write(file: &mut File) -> io::Result<()> {
    let started_unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let holder = Holder { pid: std::process::id(), host: host(), started_unix };
    let text = serde_json::to_vec(&holder)?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&text)
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(unix)]
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_locks(_: &File) -> Result<(), TryLockError> {
        Err(TryLockError::Error(ErrorKind::Unsupported.into()))
    }

    fn is_locked(result: Result<HeadFolder, HeadError>, sure: bool) -> bool {
        let own = Some(std::process::id());
        matches!(result, Err(HeadError::Locked { pid, certain, .. }) if pid == own && certain == sure)
    }

    #[test]
    fn one_at_a_time_and_nothing_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let held = HeadFolder::open(&path).unwrap();
        assert!(is_locked(HeadFolder::open(&path), true));
        drop(held);
        assert!(!dir.path().join("a").exists(), "what was made for nothing is gone");
        let held = HeadFolder::open(&path).unwrap();
        fs::write(path.join("file"), b"1").unwrap();
        drop(held);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "the file alone");
    }

    #[test]
    fn without_locks_the_file_alone_decides() {
        let dir = tempfile::tempdir().unwrap();
        let open = || HeadFolder::open_with(dir.path(), without_locks);
        let held = open().unwrap();
        assert!(is_locked(open(), false));
        drop(held);
        let held = open().unwrap();
        // A killed writer's file stays, and says whose it was.
        std::mem::forget(held);
        assert!(is_locked(open(), false));
        fs::remove_file(dir.path().join(LOCK)).unwrap();
        assert!(open().is_ok());
    }

    #[test]
    fn a_lock_that_is_replaced_meanwhile_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(LOCK);
        let times = std::cell::Cell::new(0);
        let held = HeadFolder::open_with(dir.path(), |file| {
            times.set(times.get() + 1);
            if times.get() == 1 {
                // The holder lets go, and another takes its place, between the opening and the lock.
                fs::remove_file(&path).unwrap();
                fs::write(&path, b"").unwrap();
            }
            file.try_lock()
        });
        assert_eq!(times.get(), if cfg!(unix) { 2 } else { 1 });
        assert!(is_locked(HeadFolder::open(dir.path()), true));
        drop(held);
    }

    #[test]
    fn leftovers_of_a_killed_writer_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".writing-a1B2c3"), b"half").unwrap();
        fs::write(dir.path().join(".writing-notes.txt"), b"mine").unwrap();
        drop(HeadFolder::open(dir.path()).unwrap());
        let names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [".writing-notes.txt"]);
    }
}
