//! A disk that fails at a chosen operation, for tests, and forgets at a power cut what was not put on it.
//!
//! Everything is done to real files. Beside them, a model keeps what the device has for sure (after a sync) and what may
//! still be lost: writes and changes of a file's size until the file is synced; creations, removals and renames until
//! their folder is. At a power cut any of that may be lost while any other of it is there, as POSIX allows: the real
//! folder is made into that. A sync that fails loses what it covered, although it can still be read for a while.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile, RealDisk};

mod model;

use model::{Change, Edit, Model};

/// How the chosen operation fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// The process dies in it: half of a write is done, nothing after it.
    Kill,
    /// As `Kill`, and of what was not put on disk some is lost, drawn by this seed (0: all of it).
    PowerCut(u64),
    /// It fails with this error after half a write; what follows works. A sync that fails loses what it covered at the
    /// next power cut.
    Once(i32),
    /// As `Once`, but what a failed sync covered is gone at once.
    Gone(i32),
    /// It and every later write or reservation fail with this error; names and syncs work.
    From(i32),
}

#[derive(Debug)]
struct State {
    count: u64,
    at: u64,
    fault: Fault,
    dead: bool,
    model: Model,
}

/// Counts operations from 1 on; the one numbered `at` fails. Syncs are done in the model only.
#[derive(Debug, Clone)]
pub(crate) struct FaultyDisk {
    state: Arc<Mutex<State>>,
    /// Most bytes of one write.
    shortest: usize,
}

enum Verdict {
    Go,
    Half(io::Error),
    No(io::Error),
}

fn killed() -> io::Error {
    io::Error::other("killed")
}

impl FaultyDisk {
    pub(crate) fn new(at: u64, fault: Fault) -> Self {
        let state = State { count: 0, at, fault, dead: false, model: Model::default() };
        Self { state: Arc::new(Mutex::new(state)), shortest: usize::MAX }
    }

    /// Never fails.
    pub(crate) fn sound() -> Self {
        Self::new(u64::MAX, Fault::Kill)
    }

    /// Never fails, but writes a few bytes at a time.
    pub(crate) fn short(bytes: usize) -> Self {
        Self { shortest: bytes, ..Self::sound() }
    }

    /// The same disk for the next process: what was not put on it yet may still be lost.
    pub(crate) fn again(&self, at: u64, fault: Fault) -> Self {
        let mut state = self.state();
        (state.count, state.at, state.fault, state.dead) = (0, at, fault, false);
        self.clone()
    }

    /// The power goes now, between two operations.
    pub(crate) fn cut_power(&self, seed: u64) {
        self.state().model.cut(seed);
    }

    /// Whether the fault has struck.
    pub(crate) fn struck(&self) -> bool {
        let state = self.state();
        state.count >= state.at
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn ask(&self, write: bool) -> Verdict {
        let mut state = self.state();
        if state.dead {
            return Verdict::No(killed());
        }
        state.count += 1;
        let struck = state.count == state.at;
        match state.fault {
            Fault::From(code) if state.count >= state.at && write => {
                let error = io::Error::from_raw_os_error(code);
                if struck { Verdict::Half(error) } else { Verdict::No(error) }
            }
            _ if !struck => Verdict::Go,
            Fault::Once(code) | Fault::Gone(code) => {
                Verdict::Half(io::Error::from_raw_os_error(code))
            }
            Fault::From(_) => Verdict::Go,
            Fault::Kill | Fault::PowerCut(_) => {
                state.dead = true;
                Verdict::Half(killed())
            }
        }
    }

    /// After the operation in which the process died.
    fn after(&self) {
        let mut state = self.state();
        if let (true, Fault::PowerCut(seed)) = (state.dead, state.fault) {
            state.model.cut(seed);
        }
    }

    fn on_name<T>(
        &self,
        work: impl FnOnce() -> io::Result<T>,
        told: impl FnOnce(&mut Model) -> io::Result<()>,
    ) -> io::Result<T> {
        match self.ask(false) {
            Verdict::Go => {
                let done = work()?;
                told(&mut self.state().model)?;
                Ok(done)
            }
            Verdict::Half(e) | Verdict::No(e) => {
                self.after();
                Err(e)
            }
        }
    }

    fn file(&self, path: &Path, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let id = self.state().model.live[path];
        Box::new(FaultyFile { inner: inner.into(), id, disk: self.clone() })
    }

    /// The model must know the folder before the first change.
    fn knows(&self, path: &Path) -> io::Result<()> {
        self.state().model.know(path.parent().unwrap_or(path))
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.knows(path)?;
        let file = self.on_name(
            || RealDisk.create(path),
            |model| {
                model.remove(path);
                model.create(path, Vec::new());
                Ok(())
            },
        )?;
        Ok(self.file(path, file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.knows(path)?;
        let file = RealDisk.open(path)?;
        Ok(self.file(path, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.knows(from)?;
        self.on_name(
            || RealDisk.rename(from, to),
            |model| {
                model.rename(from, to);
                Ok(())
            },
        )
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.knows(path)?;
        self.on_name(
            || RealDisk.remove(path),
            |model| {
                model.remove(path);
                Ok(())
            },
        )
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.on_name(
            || RealDisk.create_dir(path),
            |model| {
                model.changes.push(Change::Folder(path.to_owned()));
                Ok(())
            },
        )
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.on_name(
            || Ok(()),
            |model| {
                model.sync_dir(path);
                Ok(())
            },
        )
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Arc<dyn DiskFile>,
    id: u64,
    disk: FaultyDisk,
}

impl FaultyFile {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let written = self.inner.write_at(bytes, offset)?;
        self.pending(Edit::Write(offset, bytes[..written].to_vec()));
        Ok(written)
    }

    fn resize(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)?;
        self.pending(Edit::Len(len));
        Ok(())
    }

    fn pending(&self, edit: Edit) {
        self.disk.state().model.files.get_mut(&self.id).unwrap().pending.push(edit);
    }
}

impl DiskFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(self.disk.shortest)];
        match self.disk.ask(true) {
            Verdict::Go => self.write(bytes, offset),
            Verdict::No(e) => Err(e),
            Verdict::Half(e) => {
                let _ = self.write(&bytes[..bytes.len() / 2], offset);
                self.disk.after();
                Err(e)
            }
        }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match self.disk.ask(false) {
            Verdict::Go => self.resize(len),
            Verdict::Half(e) | Verdict::No(e) => {
                self.disk.after();
                Err(e)
            }
        }
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match self.disk.ask(true) {
            Verdict::Go => self.resize(len),
            Verdict::Half(e) | Verdict::No(e) => {
                self.disk.after();
                Err(e)
            }
        }
    }

    fn is_at(&self, path: &Path) -> bool {
        self.inner.is_at(path)
    }

    fn sync(&self) -> io::Result<()> {
        match self.disk.ask(false) {
            Verdict::Go => {
                self.disk.state().model.files.get_mut(&self.id).unwrap().sync();
                Ok(())
            }
            Verdict::No(e) => Err(e),
            Verdict::Half(e) => {
                self.disk.after();
                let mut state = self.disk.state();
                if !state.dead {
                    let gone = matches!(state.fault, Fault::Gone(_));
                    let file = state.model.files.get_mut(&self.id).unwrap();
                    file.pending.clear();
                    if gone {
                        self.inner.set_len(0)?;
                        crate::disk::write_all_at(&*self.inner, &file.durable, 0)?;
                    }
                }
                Err(e)
            }
        }
    }
}
