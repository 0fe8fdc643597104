//! A disk that fails at a chosen operation, for tests.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::disk::{Disk, DiskFile, RealDisk};

/// How the chosen operation fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// The process dies in it: half of a write is done, nothing after it.
    Kill,
    /// As `Kill`, and of what was written since the last sync some is lost, drawn by this seed.
    PowerCut(u64),
    /// It fails with this error after half a write; what follows works.
    Once(i32),
    /// It and every later write or reservation fail with this error; names and syncs work.
    From(i32),
}

#[derive(Debug)]
struct State {
    count: u64,
    at: u64,
    fault: Fault,
    dead: bool,
    /// Writes since the last sync of their file: what was there before.
    undo: Vec<(Arc<dyn DiskFile>, u64, Vec<u8>)>,
}

/// Counts operations from 1 on; the one numbered `at` fails. Syncs are only counted, never done.
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
        let state = State { count: 0, at, fault, dead: false, undo: Vec::new() };
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

    /// Whether the fault has struck.
    pub(crate) fn struck(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.count >= state.at
    }

    fn ask(&self, write: bool) -> Verdict {
        let mut state = self.state.lock().unwrap();
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
            Fault::Once(code) => Verdict::Half(io::Error::from_raw_os_error(code)),
            Fault::From(_) => Verdict::Go,
            Fault::Kill | Fault::PowerCut(_) => {
                state.dead = true;
                if let Fault::PowerCut(seed) = state.fault {
                    let mut random = seed;
                    for (file, offset, before) in std::mem::take(&mut state.undo).into_iter().rev()
                    {
                        random = random
                            .wrapping_mul(6364136223846793005)
                            .wrapping_add(1442695040888963407);
                        if random >> 63 == 0 {
                            let _ = file.write_at(&before, offset);
                        }
                    }
                }
                Verdict::Half(killed())
            }
        }
    }

    fn on_name<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.ask(false) {
            Verdict::Go => work(),
            Verdict::Half(e) | Verdict::No(e) => Err(e),
        }
    }

    fn file(&self, file: io::Result<Box<dyn DiskFile>>) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FaultyFile { inner: file?.into(), disk: self.clone() }))
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.on_name(|| self.file(RealDisk.create(path)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.file(RealDisk.open(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.on_name(|| RealDisk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.on_name(|| RealDisk.remove(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.on_name(|| RealDisk.create_dir_all(path))
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.on_name(|| Ok(()))
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Arc<dyn DiskFile>,
    disk: FaultyDisk,
}

impl DiskFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(self.disk.shortest)];
        let fault = self.disk.state.lock().unwrap().fault;
        if matches!(fault, Fault::PowerCut(_)) {
            let mut before = vec![0; bytes.len()];
            let _ = self.inner.read_at(&mut before, offset);
            self.disk.state.lock().unwrap().undo.push((self.inner.clone(), offset, before));
        }
        match self.disk.ask(true) {
            Verdict::Go => self.inner.write_at(bytes, offset),
            Verdict::No(e) => Err(e),
            Verdict::Half(e) => {
                let _ = self.inner.write_at(&bytes[..bytes.len() / 2], offset);
                Err(e)
            }
        }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.on_name(|| self.inner.set_len(len))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match self.disk.ask(true) {
            Verdict::Go => self.inner.set_len(len),
            Verdict::Half(e) | Verdict::No(e) => Err(e),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.on_name(|| {
            let mut state = self.disk.state.lock().unwrap();
            state.undo.retain(|(file, ..)| !Arc::ptr_eq(file, &self.inner));
            Ok(())
        })
    }
}
