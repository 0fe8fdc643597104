//! What a device has for sure, what a power cut may take, and the cut.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the device has for sure, and what may be lost.
#[derive(Debug, Default)]
pub(super) struct Model {
    folders: BTreeSet<PathBuf>,
    pub(super) files: BTreeMap<u64, Content>,
    /// Names as the device has them for sure.
    durable: BTreeMap<PathBuf, u64>,
    /// Names as programs see them.
    pub(super) live: BTreeMap<PathBuf, u64>,
    /// What leads from the one to the other.
    pub(super) changes: Vec<Change>,
}

/// A change of names that a power cut loses or not, as a whole.
#[derive(Debug)]
pub(super) enum Change {
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
pub(super) struct Content {
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Edit>,
}

#[derive(Debug)]
pub(super) enum Edit {
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

    pub(super) fn sync(&mut self) {
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
    pub(super) fn know(&mut self, folder: &Path) -> io::Result<()> {
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

    pub(super) fn create(&mut self, path: &Path, durable: Vec<u8>) {
        let id = self.files.len() as u64;
        self.files.insert(id, Content { durable, pending: Vec::new() });
        self.live.insert(path.to_owned(), id);
        self.changes.push(Change::Create(path.to_owned(), id));
    }

    pub(super) fn remove(&mut self, path: &Path) {
        if let Some(id) = self.live.remove(path) {
            self.changes.push(Change::Remove(path.to_owned(), id));
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        let id = self.live.remove(from).unwrap();
        self.live.insert(to.to_owned(), id);
        self.changes.push(Change::Rename(from.to_owned(), to.to_owned(), id));
    }

    pub(super) fn sync_dir(&mut self, folder: &Path) {
        let inside = |path: &Path| path.parent() == Some(folder);
        self.durable.retain(|path, _| !inside(path));
        let live = self.live.iter().filter(|(path, _)| inside(path));
        self.durable.extend(live.map(|(path, id)| (path.clone(), *id)));
        self.changes.retain(|change| !inside(change.path()));
    }

    /// Loses some of what is not on the device, and makes the real folder so.
    pub(super) fn cut(&mut self, seed: u64) {
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
