//! One writer at a time: an operating-system lock on `<split>.lock`, whose text tells others who holds it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::disk;
use crate::error::CacheError;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) host: String,
    pub(crate) started_unix: u64,
}

/// A held lock; dropping it removes the file and lets go. The system lets go of a killed process's lock by itself.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    file: File,
}

/// How often and how long a writer waits for somebody who only looks at the lock.
const LOOKS: u32 = 3;
const LOOK: Duration = Duration::from_millis(10);

impl Lock {
    pub(crate) fn acquire(path: &Path) -> Result<Self, CacheError> {
        let host = host();
        // The holder removes the file when it lets go: a file opened just before is then no longer the one at the path.
        for attempt in 0..100 {
            disk::check_regular(path).map_err(CacheError::io("lock", path))?;
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let file = options.open(path).map_err(CacheError::io("create the lock", path))?;
            let by_system = match file.try_lock() {
                Ok(()) => true,
                // Somebody who only looks (see `holder`) lets go at once.
                Err(TryLockError::WouldBlock) if attempt < LOOKS => {
                    std::thread::sleep(LOOK);
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    let holder = read(&file).unwrap_or_else(|| unknown(&host));
                    return Err(CacheError::Locked {
                        path: path.to_owned(),
                        pid: holder.pid,
                        host: holder.host,
                    });
                }
                // A file system without locks: the text alone must do.
                Err(TryLockError::Error(_)) => false,
            };
            if !still_there(&file, path) {
                continue;
            }
            if let Some(holder) = read(&file) {
                let path = path.to_owned();
                if holder.host != host {
                    return Err(CacheError::LockedElsewhere {
                        path,
                        pid: holder.pid,
                        host: holder.host,
                    });
                }
                // With the system's lock in hand, the named process is dead, or its number was given to another.
                if !by_system && alive(holder.pid) {
                    return Err(CacheError::Locked { path, pid: holder.pid, host: holder.host });
                }
            }
            let mut lock = Self { path: path.to_owned(), file };
            lock.write(&host).map_err(CacheError::io("write the lock", path))?;
            return Ok(lock);
        }
        Err(CacheError::Locked { path: path.to_owned(), pid: 0, host })
    }

    fn write(&mut self, host: &str) -> std::io::Result<()> {
        let started_unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let holder = Holder { pid: std::process::id(), host: host.to_owned(), started_unix };
        let text = serde_json::to_string(&holder)?;
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Only the own file: somebody may have removed the folder and made another.
        if still_there(&self.file, &self.path) {
            let _ = self.file.set_len(0);
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Who writes at this moment, for `info`.
pub(crate) fn holder(path: &Path) -> Option<Holder> {
    let file = disk::open_regular(path).ok()?;
    let holder = read(&file)?;
    let free = holder.host == host() && file.try_lock_shared().is_ok();
    (!free).then_some(holder)
}

fn unknown(host: &str) -> Holder {
    Holder { pid: 0, host: host.to_owned(), started_unix: 0 }
}

fn read(mut file: &File) -> Option<Holder> {
    const LONGEST: u64 = 4096;
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(unix)]
fn still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn still_there(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(unix)]
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
pub(crate) fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "unknown".to_owned())
}

#[cfg(unix)]
fn alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|p| rustix::process::test_kill_process(p) != Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn alive(_: u32) -> bool {
    true
}
