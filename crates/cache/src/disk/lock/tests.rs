//! Locks of the dead, of other hosts, and of nobody.

use super::*;
use std::sync::atomic::AtomicUsize;

/// A file system without locks.
fn no_locks(_: &File) -> Result<(), TryLockError> {
    Err(TryLockError::Error(io::ErrorKind::Unsupported.into()))
}

fn text(pid: u32, host: &str, system_lock: bool) -> String {
    let holder = Holder { pid, host: host.to_owned(), started_unix: 1, system_lock };
    serde_json::to_string(&holder).unwrap()
}

/// The number of a process that is over.
fn dead_pid() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// Many threads take the lock again and again; now and then one "dies" and leaves it behind. Never do two hold it.
fn race(try_lock: TryLock, rounds: usize) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.lock");
    let dead = dead_pid();
    let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (path, inside, taken) = (&path, &inside, &taken);
            scope.spawn(move || {
                while taken.load(Ordering::SeqCst) < rounds {
                    let lock = match Lock::acquire_by(path, try_lock) {
                        Ok(lock) => lock,
                        Err(CacheError::Locked { .. }) => {
                            std::thread::sleep(Duration::from_micros(300 * (thread + 1)));
                            continue;
                        }
                        Err(e) => panic!("{e}"),
                    };
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                    std::thread::sleep(Duration::from_micros(500));
                    assert!(lock.is_held());
                    let n = taken.fetch_add(1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    if n.is_multiple_of(3) {
                        // A killed process: its text stays, the system's lock goes.
                        fs::write(path, text(dead, &host(), n.is_multiple_of(2))).unwrap();
                        let copy = lock.file.try_clone().unwrap();
                        copy.unlock().unwrap();
                        std::mem::forget(lock);
                    }
                }
            });
        }
    });
    let _ = fs::remove_file(&path);
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn never_two_at_once_with_the_systems_lock() {
    race(File::try_lock, 300);
}

#[test]
fn never_two_at_once_on_a_file_system_without_locks() {
    race(no_locks, 120);
}

#[test]
fn a_lock_from_the_kernel_is_worth_more_than_the_name_of_a_host() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.lock");
    // A container that was killed; its pid may well live here, as another process.
    fs::write(&path, text(1, "killed-container", true)).unwrap();
    assert_eq!(holder(&path), None);
    drop(Lock::acquire(&path).unwrap());
    // Without locks of its own, the kernel of that host says nothing to this one, and the other way round.
    for (left, try_lock) in [(false, File::try_lock as TryLock), (true, no_locks)] {
        fs::write(&path, text(1, "other", left)).unwrap();
        let error = Lock::acquire_by(&path, try_lock).unwrap_err();
        assert!(matches!(error, CacheError::LockedElsewhere { .. }), "{error}");
    }
    fs::write(&path, text(std::process::id(), &host(), false)).unwrap();
    for try_lock in [File::try_lock as TryLock, no_locks] {
        let error = Lock::acquire_by(&path, try_lock).unwrap_err();
        assert!(matches!(error, CacheError::Locked { .. }), "{error}");
    }
    fs::write(&path, text(dead_pid(), &host(), false)).unwrap();
    drop(Lock::acquire_by(&path, no_locks).unwrap());
    // Emptied by a power cut.
    for left in [&b""[..], &[0; 100]] {
        fs::write(&path, left).unwrap();
        drop(Lock::acquire_by(&path, no_locks).unwrap());
        assert!(!path.exists());
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_lock_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, precious) = (dir.path().join("train.lock"), dir.path().join("precious"));
    for text in [&b"precious"[..], b"{", b"{\"pid\": 1}", &[b' '; 5000]] {
        for try_lock in [File::try_lock as TryLock, no_locks] {
            fs::write(&path, text).unwrap();
            let error = Lock::acquire_by(&path, try_lock).unwrap_err();
            assert!(matches!(error, CacheError::ForeignLock { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), text);
        }
    }
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&precious, &path).unwrap();
    for text in ["", "precious"] {
        // A link to nothing is no way to make a file either.
        if !text.is_empty() {
            fs::write(&precious, text).unwrap();
        }
        let error = Lock::acquire(&path).unwrap_err();
        assert!(error.to_string().contains("a symbolic link"), "{error}");
        assert_eq!(fs::read_to_string(&precious).unwrap_or_default(), text);
        assert_eq!(precious.exists(), !text.is_empty());
    }
}
