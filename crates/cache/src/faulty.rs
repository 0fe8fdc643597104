//! A disk that fails at a chosen operation, for tests, and forgets at a power cut what was not put on it.
//!
//! Everything is done to real files. Beside them, a model keeps what the device has for sure (after a sync) and what may
//! still be lost: writes and changes of a file's size until the file is synced; creations, removals and renames until
//! their folder is. At a power cut any of that may be lost while any other of it is there, as POSIX allows: the real
//! folder is made into that. A sync that fails loses what it covered, although it can still be read for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile, RealDisk};

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

/// What the device has for sure, and what may be lost.
#[derive(Debug, Default)]
struct Model {
    folders: BTreeSet<PathBuf>,
    files: BTreeMap<u64, Content>,
    /// Names as the device has them for sure.
    durable: BTreeMap<PathBuf, u64>,
    /// Names as programs see them.
    live: BTreeMap<PathBuf, u64>,
    /// What leads from the one to the other.
    changes: Vec<Change>,
}

/// A change of names that a power cut loses or not, as a whole.
#[derive(Debug)]
enum Change {
    Create(PathBuf, u64),
    Remove(PathBuf, u64),
    Rename(PathBuf, PathBuf, u64),
    Folder(PathBuf),
}

impl Change {
    fn path(&self) -> &Path {
        match self {
            Self::Create(path, _) | Self::Remove(path, _) | Self::Rename(path, ..) => path,
            Self::Folder(path) => path,
        }
    }
}

#[derive(Debug, Default)]
struct Content {
    durable: Vec<u8>,
    pending: Vec<Edit>,
}

#[derive(Debug)]
enum Edit {
    Write(u64, Vec<u8>),
    Len(u64),
}

impl Content {
    fn apply(&mut self, edit: &Edit, most: usize) {
        match edit {
            Edit::Len(len) => self.durable.resize(*len as usize, 0),
            Edit::Write(offset, bytes) => {
                let (at, bytes) = (*offset as usize, &bytes[..bytes.len().min(most)]);
                if bytes.is_empty() {
                    return;
                }
                let end = at + bytes.len();
                if self.durable.len() < end {
                    self.durable.resize(end, 0);
                }
                self.durable[at..end].copy_from_slice(bytes);
            }
        }
    }

    fn sync(&mut self) {
        for edit in std::mem::take(&mut self.pending) {
            self.apply(&edit, usize::MAX);
        }
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Model {
    /// Takes what is in a folder now for what the device has. The lock is not a matter of this disk.
    fn know(&mut self, folder: &Path) -> io::Result<()> {
        if !self.folders.insert(folder.to_owned()) || !folder.exists() {
            return Ok(());
        }
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_file() && path.extension().is_none_or(|e| e != "lock") {
                let content = Content { durable: fs::read(&path)?, pending: Vec::new() };
                let id = self.files.len() as u64;
                self.files.insert(id, content);
                self.durable.insert(path.clone(), id);
                self.live.insert(path, id);
            }
        }
        Ok(())
    }

    fn create(&mut self, path: &Path, durable: Vec<u8>) {
        let id = self.files.len() as u64;
        self.files.insert(id, Content { durable, pending: Vec::new() });
        self.live.insert(path.to_owned(), id);
        self.changes.push(Change::Create(path.to_owned(), id));
    }

    fn remove(&mut self, path: &Path) {
        if let Some(id) = self.live.remove(path) {
            self.changes.push(Change::Remove(path.to_owned(), id));
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let id = self.live.remove(from).unwrap();
        self.live.insert(to.to_owned(), id);
        self.changes.push(Change::Rename(from.to_owned(), to.to_owned(), id));
    }

    fn sync_dir(&mut self, folder: &Path) {
        let inside = |path: &Path| path.parent() == Some(folder);
        self.durable.retain(|path, _| !inside(path));
        let live = self.live.iter().filter(|(path, _)| inside(path));
        self.durable.extend(live.map(|(path, id)| (path.clone(), *id)));
        self.changes.retain(|change| !inside(change.path()));
    }

    /// Loses some of what is not on the device, and makes the real folder so.
    fn cut(&mut self, seed: u64) {
        let mut random = Random(seed);
        // 0: all is lost. 1: names stay, contents are lost. 2: the reverse. Else each is drawn.
        let mut kept = move |name: bool| match seed {
            0 => false,
            1 => name,
            2 => !name,
            _ => random.next().is_multiple_of(2),
        };
        let mut lost_folders = Vec::new();
        let mut names = std::mem::take(&mut self.durable);
        for change in std::mem::take(&mut self.changes) {
            let stays = kept(true);
            match change {
                Change::Folder(path) if !stays => lost_folders.push(path),
                _ if !stays => {}
                Change::Folder(_) => {}
                Change::Create(path, id) => drop(names.insert(path, id)),
                Change::Remove(path, id) => {
                    if names.get(&path) == Some(&id) {
                        names.remove(&path);
                    }
                }
                Change::Rename(from, to, id) => {
                    if names.get(&from) == Some(&id) {
                        names.remove(&from);
                    }
                    names.insert(to, id);
                }
            }
        }
        for content in self.files.values_mut() {
            for edit in std::mem::take(&mut content.pending) {
                // A write may be torn, too.
                match (kept(false), kept(false)) {
                    (true, true) => content.apply(&edit, usize::MAX),
                    (true, false) => content.apply(&edit, 100),
                    _ => {}
                }
            }
        }
        for path in self.live.keys() {
            let _ = fs::remove_file(path);
        }
        for (path, id) in &names {
            let _ = fs::remove_file(path);
            let _ = fs::write(path, &self.files[id].durable);
        }
        for folder in lost_folders {
            let _ = fs::remove_dir_all(&folder);
            names.retain(|path, _| !path.starts_with(&folder));
        }
        (self.durable, self.live) = (names.clone(), names);
    }
}
