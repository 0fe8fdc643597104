//! One writer at a time: `<split>.lock`, whose text tells others who holds it.
//!
//! Where the file system has locks of the operating system, that lock decides, and it ends with its process. Where it has
//! none (Lustre as it is often mounted, some NFS), the name decides: whoever creates the file holds the lock. A lock that a
//! dead process left is moved aside first, and given back if it turns out to be another's. Two writers could still meet
//! there after a pause at the worst moment, so [`Lock::is_held`] is asked again before files get their names.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use util::regular;

use crate::disk;
use crate::error::CacheError;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) host: String,
    pub(crate) started_unix: u64,
    /// Whether the holder has the operating system's lock, too. Then nobody else can get that while the holder lives,
    /// whatever its host is called.
    #[serde(default = "yes")]
    pub(crate) system_lock: bool,
}

fn yes() -> bool {
    true
}

/// A held lock; dropping it removes the file and lets go. The system lets go of a killed process's lock by itself.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    file: File,
}

/// How the operating system is asked for its lock: the seam for tests of file systems that have none.
type TryLock = fn(&File) -> Result<(), TryLockError>;

/// How often the lock is tried before giving up among many who come and go.
const ATTEMPTS: u32 = 200;
/// How often and how long a writer waits for somebody who only looks at the lock.
const LOOKS: u32 = 3;
const LOOK: Duration = Duration::from_millis(10);
/// How often it looks at an empty lock, which is one whose maker is about to write its name.
const LOOKS_AT_EMPTY: u32 = 50;
/// How long it waits, without the system's lock, before it looks whether the file is still its own.
const SETTLE: Duration = Duration::from_millis(30);
/// Largest text of a lock, in bytes.
const MAX_TEXT: u64 = 4096;

impl Lock {
    /// Takes the lock at `path`, which must be free, left by a dead process, or absent.
    ///
    /// # Errors
    /// [`CacheError::Locked`], [`CacheError::LockedElsewhere`]; [`CacheError::ForeignLock`] for a file that is no lock,
    /// which stays as it is; what the disk says.
    pub(crate) fn acquire(path: &Path) -> Result<Self, CacheError> {
        Self::acquire_by(path, File::try_lock)
    }

    fn acquire_by(path: &Path, try_lock: TryLock) -> Result<Self, CacheError> {
        let host = host();
        let locked =
            |h: Holder| CacheError::Locked { path: path.to_owned(), pid: h.pid, host: h.host };
        let (mut looks, mut looks_at_empty, mut looks_at_foreign) = (0, 0, 0);
        for _ in 0..ATTEMPTS {
            let Some((file, created)) = open_or_create(path)? else { continue };
            let by_system = match try_lock(&file) {
                Ok(()) => true,
                // Somebody who only looks (see `holder`) lets go at once.
                Err(TryLockError::WouldBlock) if looks < LOOKS => {
                    looks += 1;
                    std::thread::sleep(LOOK);
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(locked(match Text::read(&file) {
                        Ok(Text::Holder(holder)) => holder,
                        _ => unknown(&host),
                    }));
                }
                Err(TryLockError::Error(_)) => false,
            };
            // A holder removes the file when it lets go: what was opened just before is no longer the one at the path.
            if !disk::is_at(&file, path) {
                continue;
            }
            match Text::read(&file).map_err(CacheError::io("read the lock", path))? {
                // Half of it may be of a text that is being replaced: that one is whole at the next look.
                Text::Foreign(_) if looks_at_foreign < LOOKS => {
                    looks_at_foreign += 1;
                    std::thread::sleep(LOOK);
                    continue;
                }
                Text::Foreign(found) => {
                    return Err(CacheError::ForeignLock { path: path.to_owned(), found });
                }
                Text::Empty if by_system || created => {}
                Text::Empty if looks_at_empty < LOOKS_AT_EMPTY => {
                    looks_at_empty += 1;
                    std::thread::sleep(LOOK);
                    continue;
                }
                Text::Empty => {
                    move_aside(path, &file).map_err(CacheError::io("remove the old", path))?;
                    continue;
                }
                Text::Holder(holder) => {
                    let dead = (by_system && holder.system_lock)
                        || (holder.host == host && !alive(holder.pid));
                    if !dead && holder.host == host {
                        return Err(locked(holder));
                    }
                    if !dead {
                        let Holder { pid, host, .. } = holder;
                        return Err(CacheError::LockedElsewhere {
                            path: path.to_owned(),
                            pid,
                            host,
                        });
                    }
                    if !by_system {
                        move_aside(path, &file).map_err(CacheError::io("remove the old", path))?;
                        continue;
                    }
                }
            }
            let mut lock = Self { path: path.to_owned(), file };
            lock.write(&host, by_system).map_err(CacheError::io("write the lock", path))?;
            if !by_system {
                std::thread::sleep(SETTLE);
            }
            if lock.is_held() {
                return Ok(lock);
            }
        }
        Err(locked(unknown(&host)))
    }

    /// Whether the file at the path is still this one.
    pub(crate) fn is_held(&self) -> bool {
        disk::is_at(&self.file, &self.path)
    }

    /// The lock file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, host: &str, system_lock: bool) -> io::Result<()> {
        let started_unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let (pid, host) = (std::process::id(), host.to_owned());
        let text = serde_json::to_string(&Holder { pid, host, started_unix, system_lock })?;
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Only the own file: somebody may have removed the folder and made another.
        if self.is_held() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The file, and whether it was made just now; `None` when it came or went in between.
fn open_or_create(path: &Path) -> Result<Option<(File, bool)>, CacheError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => Err(CacheError::ForeignLock {
            path: path.to_owned(),
            found: "a symbolic link".to_owned(),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => match regular::create_new(path) {
            Ok(file) => Ok(Some((file, true))),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(CacheError::io("create the lock", path)(e)),
        },
        _ => match regular::open_to_write(path) {
            Ok(file) => Ok(Some((file, false))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(CacheError::io("open the lock", path)(e)),
        },
    }
}

/// Takes the name from a lock that nobody holds.
fn move_aside(path: &Path, stale: &File) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if !disk::is_at(stale, path) {
        return Ok(());
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".stale-{}-{}-{count}", host(), std::process::id()));
    let aside = PathBuf::from(aside);
    match fs::rename(path, &aside) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    if !disk::is_at(stale, &aside) {
        // Somebody was faster, and this is their lock. Where the name is taken meanwhile, they notice.
        let _ = fs::hard_link(&aside, path);
    }
    fs::remove_file(&aside)
}

/// Who writes at this moment, for `info`.
pub(crate) fn holder(path: &Path) -> Option<Holder> {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
    let file = regular::open(path).ok()?;
    let Text::Holder(holder) = Text::read(&file).ok()? else { return None };
    let free = (holder.system_lock && file.try_lock_shared().is_ok())
        || (holder.host == host() && !alive(holder.pid));
    (!free).then_some(holder)
}

fn unknown(host: &str) -> Holder {
    Holder { pid: 0, host: host.to_owned(), started_unix: 0, system_lock: true }
}

/// What is in a lock file.
enum Text {
    /// Nothing: about to be written, or a power cut came before its text was on disk.
    Empty,
    Holder(Holder),
    /// Something else, with a word on what: somebody's file.
    Foreign(String),
}

impl Text {
    fn read(mut file: &File) -> io::Result<Self> {
        // As few calls as can be: between two of them the text may change.
        let mut text = vec![0; MAX_TEXT as usize + 1];
        file.seek(SeekFrom::Start(0))?;
        let mut length = 0;
        while let n @ 1.. = file.read(&mut text[length..])? {
            length += n;
        }
        text.truncate(length);
        // After a power cut some file systems give zeros for what was not on disk.
        if text.iter().all(|&byte| byte == 0) {
            return Ok(Self::Empty);
        }
        if text.len() as u64 > MAX_TEXT {
            return Ok(Self::Foreign(format!("more than {MAX_TEXT} bytes")));
        }
        Ok(match serde_json::from_slice(&text) {
            Ok(holder) => Self::Holder(holder),
            Err(_) => Self::Foreign(format!("{} bytes of something else", text.len())),
        })
    }
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

#[cfg(test)]
mod tests;
