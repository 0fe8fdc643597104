//! From a full part to the final files, so that a kill at any point is recovered from.
//!
//! 1. Rows move down over the places of the skipped (journal: `compact`, `compacted`).
//! 2. Labels, index, stamps and manifest are written beside the features, all as `.part`, and put on disk.
//! 3. The journal says `commit`. From here on the next run only has to give the names.
//! 4. The old manifest goes, the files get their names, the new manifest last; then the journal goes.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk::lock::Lock;
use crate::disk::{self, Disk};
use crate::error::CacheError;
use crate::finished::complete::FORMAT;
use crate::finished::staging::stage;
use crate::format::digest::{Hasher, Hex, row_hash};
use crate::format::features::{block_rows, features_header};
use crate::format::index::{self, IndexEntry};
use crate::format::journal::{Entry, Journal, Layout, Record};
use crate::format::manifest::{FORMAT_VERSION, FileRecord, Files, Manifest, Provenance};
use crate::format::names::{SplitFiles, file_name, part};
use crate::format::npy;
use crate::format::stamps::{self, Stamp};
use crate::input::Input;
use crate::run::part::Part;
use crate::run::target::Target;

/// Everything that `finish` works on.
pub(crate) struct Job<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) files: &'a SplitFiles,
    pub(crate) target: &'a Target,
    pub(crate) stamps: &'a [Option<Stamp>],
    pub(crate) part: &'a mut Part,
    pub(crate) journal: &'a mut Journal,
    /// Each a row or skipped.
    pub(crate) entries: &'a mut [Entry],
    pub(crate) lock: &'a Lock,
    pub(crate) run: Provenance,
}

/// An error unless lock, part and journal are still the files at their names: else somebody else writes there by now, and
/// what has these names is theirs.
pub(crate) fn check_in_place(
    lock: &Lock,
    part: &Part,
    journal: &Journal,
) -> Result<(), CacheError> {
    let gone = if !part.is_in_place() {
        &part.path
    } else if !journal.is_in_place() {
        journal.path()
    } else if !lock.is_held() {
        lock.path()
    } else {
        return Ok(());
    };
    Err(CacheError::OutputVanished { path: gone.to_owned() })
}

impl Job<'_> {
    pub(crate) fn finish(mut self) -> Result<Manifest, CacheError> {
        self.compact()?;
        let rows = self.rows();
        let settings = &self.target.settings;
        let offset = features_header(settings, rows).len() as u64;
        let size = offset + rows * self.part.row_bytes as u64;
        let path = self.part.path.clone();
        self.part.file.set_len(size).map_err(CacheError::io("cut", &path))?;
        self.part.write_header(settings, rows)?;
        let block_sha256 = self.hash_blocks(rows)?;
        let (disk, files) = (self.disk, self.files);
        let labels = stage(disk, &files.labels, |out| self.write_labels(rows, out))?;
        let index = stage(disk, &files.index, |out| index::write_csv(self.index(), out))?;
        let stamps = self.known_stamps();
        stage(disk, &files.stamps, |out| stamps::write(&index.sha256, &stamps, out))?;
        let shape = settings.array_shape(rows).into_iter().map(|d| d as usize).collect();
        let inputs = self.entries.len() as u64;
        let mut run = self.run.clone();
        run.finished_unix = now_unix();
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            format_version: FORMAT_VERSION,
            split: self.target.split.clone(),
            settings: settings.clone(),
            shape,
            rows,
            skipped: inputs - rows,
            class_counts: self.class_counts(),
            inputs,
            inputs_total: self.target.list.0,
            inputs_sha256: Hex(self.target.list.1).to_string(),
            shard: self.target.shard,
            files: Files {
                features: FileRecord {
                    name: file_name(&files.features),
                    bytes: size,
                    sha256: None,
                },
                labels: labels.record(&files.labels),
                index: index.record(&files.index),
            },
            data_offset: offset,
            block_rows: block_rows(self.part.row_bytes, rows),
            block_sha256,
            run,
        };
        let json = serde_json::to_vec_pretty(&manifest)
            .map_err(|e| CacheError::io("write", &self.files.manifest)(e.into()))?;
        stage(disk, &files.manifest, |out| {
            out.write_all(&json).and_then(|()| out.write_all(b"\n"))
        })?;
        self.part.sync()?;
        sync_dir(self.disk, self.files)?;
        check_in_place(self.lock, self.part, self.journal)?;
        self.journal.append(&Record::Commit)?;
        self.journal.sync()?;
        give_names(self.disk, self.files)?;
        Ok(manifest)
    }

    fn rows(&self) -> u64 {
        self.entries.iter().filter(|e| matches!(e, Entry::Row(_))).count() as u64
    }

    fn compact(&mut self) -> Result<(), CacheError> {
        let to = Layout::compact(self.entries);
        if self.part.layout.same(&to, self.entries) {
            return Ok(());
        }
        self.journal.append(&Record::Compact)?;
        self.journal.sync()?;
        move_rows(self.part, self.journal, to, self.entries)?;
        match self.entries.iter().position(|e| *e == Entry::Pending) {
            None => Ok(()),
            Some(at) => Err(self.lost(at)),
        }
    }

    fn lost(&self, at: usize) -> CacheError {
        let name = self.target.inputs.get(at).map_or("?", |i| &i.name);
        let why = format!(
            "the row of {name} is no longer what was written; the same command computes it again"
        );
        CacheError::damaged(&self.part.path, why)
    }

    /// sha256 of each block; every row must still be what was written.
    fn hash_blocks(&self, rows: u64) -> Result<Vec<String>, CacheError> {
        let row_bytes = self.part.row_bytes;
        let block_rows = block_rows(row_bytes, rows) as usize;
        let mut buffer = vec![0; row_bytes * block_rows.min(rows as usize)];
        let mut hashes = Vec::new();
        let mut stored = self.entries.iter().enumerate().filter_map(|(at, e)| match e {
            Entry::Row(fact) => Some((at, fact)),
            _ => None,
        });
        for first in (0..rows).step_by(block_rows) {
            let count = block_rows.min((rows - first) as usize);
            let block = &mut buffer[..count * row_bytes];
            self.part.read_slots(first, block)?;
            for row in block.chunks_exact(row_bytes) {
                if let Some((at, fact)) = stored.next()
                    && row_hash(row) != fact.hash
                {
                    return Err(self.lost(at));
                }
            }
            let mut hasher = Hasher::default();
            hasher.update(block);
            hashes.push(Hex(hasher.finish()).to_string());
        }
        Ok(hashes)
    }

    /// The stamps of the inputs whose content is known.
    fn known_stamps(&self) -> Vec<Option<Stamp>> {
        let judged = |entry: &Entry| match entry {
            Entry::Skipped(fact) => fact.sha256.is_some(),
            _ => true,
        };
        let both = self.stamps.iter().zip(self.entries.iter());
        both.map(|(stamp, entry)| stamp.filter(|_| judged(entry))).collect()
    }

    /// The inputs that have a row, in order.
    fn stored(&self) -> impl Iterator<Item = &Input> {
        let both = self.target.inputs.iter().zip(self.entries.iter());
        both.filter(|(_, entry)| matches!(entry, Entry::Row(_))).map(|(input, _)| input)
    }

    fn write_labels(&self, rows: u64, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&npy::header("<i8", &[rows]))?;
        self.stored().try_for_each(|input| out.write_all(&(input.class as i64).to_le_bytes()))
    }

    fn class_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.target.settings.classes.len()];
        for input in self.stored() {
            if let Some(count) = counts.get_mut(input.class) {
                *count += 1;
            }
        }
        counts
    }

    fn index(&self) -> impl Iterator<Item = IndexEntry> {
        let classes = &self.target.settings.classes;
        let mut next = 0;
        self.target.inputs.iter().zip(self.entries.iter()).map(move |(input, entry)| {
            let mut line = IndexEntry {
                row: None,
                file: input.name.clone(),
                class: classes.get(input.class).cloned().unwrap_or_default(),
                label: input.class,
                reason: String::new(),
                width: None,
                height: None,
                bytes: None,
                sha256: None,
                phash: None,
            };
            match entry {
                Entry::Row(fact) => {
                    line.row = Some(next);
                    next += 1;
                    (line.width, line.height) = (Some(fact.width), Some(fact.height));
                    (line.bytes, line.sha256) = (Some(fact.bytes), Some(fact.sha256.0));
                    line.phash = fact.phash.map(|p| u64::from_be_bytes(p.0));
                }
                Entry::Skipped(fact) => {
                    line.reason.clone_from(&fact.reason);
                    line.bytes = fact.bytes();
                    line.sha256 = fact.sha256.map(|s| s.0);
                }
                Entry::Pending | Entry::Busy => {}
            }
            line
        })
    }
}

/// Moves rows and says so in the journal, which has the `compact` line already.
pub(crate) fn move_rows(
    part: &mut Part,
    journal: &mut Journal,
    to: Layout,
    entries: &mut [Entry],
) -> Result<(), CacheError> {
    part.move_rows(to, entries)?;
    part.sync()?;
    // This may wait for the next sync: until then the rows count as moving, and each is found at its new place.
    journal.append(&Record::Compacted)
}

/// Gives the staged files their names and removes the journal. Called after `commit`, again and again until it worked:
/// each step that is done already is skipped.
pub(crate) fn give_names(disk: &dyn Disk, files: &SplitFiles) -> Result<(), CacheError> {
    let staged_manifest = part(&files.manifest);
    // While the staged manifest is there, the other (if any) is that of the older cache.
    if disk::exists(&staged_manifest) {
        for path in [&files.features, &files.labels, &files.index] {
            if !disk::exists(&part(path)) && !disk::exists(path) {
                let why = format!("{} was complete and is gone", file_name(&part(path)));
                return Err(CacheError::damaged(&files.journal, why));
            }
        }
        let old = &files.manifest;
        disk::remove_if_there(disk, old).map_err(CacheError::io("remove the old", old))?;
        sync_dir(disk, files)?;
        for path in &files.finals()[..4] {
            let staged = part(path);
            if disk::exists(&staged) {
                disk::replace(disk, &staged, path)
                    .map_err(CacheError::io("give the final name to", &staged))?;
            }
        }
        sync_dir(disk, files)?;
        disk::replace(disk, &staged_manifest, &files.manifest)
            .map_err(CacheError::io("give the final name to", &staged_manifest))?;
    }
    // Also where an earlier run gave the last name: it may have died before this.
    sync_dir(disk, files)?;
    // The last step, for with it the memory of this run goes. Should a power cut bring it back, this is done again.
    disk::remove_if_there(disk, &files.journal).map_err(CacheError::io("remove", &files.journal))
}

pub(crate) fn sync_dir(disk: &dyn Disk, files: &SplitFiles) -> Result<(), CacheError> {
    disk.sync_dir(&files.dir).map_err(CacheError::io("put on disk the folder", &files.dir))
}

/// Seconds since 1970.
pub(crate) fn now_unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
