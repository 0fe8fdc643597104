//! Setting up a part with its journal, and recovering from runs that were cut off while they did so or while they
//! finished.
//!
//! Both are made under `.new` names and renamed, the features first: a `.new` journal alone means that its features have
//! their name already; with its features beside it, that neither is ready. The folder is put on disk after each step, so
//! that a power cut leaves no other combination.

use std::sync::Arc;

use crate::disk::{self, Disk, read_at_most};
use crate::error::CacheError;
use crate::finished::complete::Complete;
use crate::format::digest::{Hex, sha256};
use crate::format::features::features_size;
use crate::format::journal::{Entry, Journal, JournalHeader, Layout, Record, Replay, RowFact};
use crate::format::names::{SplitFiles, new, part};
use crate::format::stamps::Stamp;
use crate::input::{Existing, RowSource};
use crate::run::finish::{give_names, move_rows, now_unix, sync_dir};
use crate::run::part::Part;
use crate::run::target::Target;

/// A part that is ready to be filled.
pub(crate) struct Ready {
    pub(crate) part: Part,
    pub(crate) journal: Journal,
    pub(crate) entries: Vec<Entry>,
    pub(crate) sessions: u64,
}

/// Rows of older runs that may be kept: for each input of the target the position in the older one.
#[derive(Default)]
pub(crate) struct Reuse<'a> {
    pub(crate) part: Option<(&'a Replay, Vec<Option<usize>>)>,
    pub(crate) complete: Option<(&'a Complete, Vec<Option<usize>>)>,
}

/// Ends what a cut-off run had decided: names of a part that was set up, names of files that were complete. Whether the
/// latter happened, that is whether a run became complete just now.
pub(crate) fn recover(disk: &dyn Disk, files: &SplitFiles) -> Result<bool, CacheError> {
    let (new_features, new_journal) = (new(&files.features), new(&files.journal));
    if disk::exists(&new_journal) && !disk::exists(&new_features) {
        disk::replace(disk, &new_journal, &files.journal)
            .map_err(CacheError::io("rename", &new_journal))?;
        sync_dir(disk, files)?;
    } else {
        drop_new(disk, files)?;
    }
    match Replay::read(&files.journal) {
        Ok(Some(replay)) if replay.committed => {
            // The run that wrote it may have died before this was on disk.
            let file = disk.open(&files.journal).map_err(CacheError::io("open", &files.journal))?;
            file.sync().map_err(CacheError::io("put on disk", &files.journal))?;
            give_names(disk, files).map(|()| true)
        }
        // What else is wrong with a journal is reported when its turn comes.
        _ => Ok(false),
    }
}

/// Removes a half-made setup: the journal first, so that it is never alone.
fn drop_new(disk: &dyn Disk, files: &SplitFiles) -> Result<(), CacheError> {
    let (features, journal) = (new(&files.features), new(&files.journal));
    if disk::exists(&journal) {
        disk.remove(&journal).map_err(CacheError::io("remove", &journal))?;
        sync_dir(disk, files)?;
    }
    disk::remove_if_there(disk, &features).map_err(CacheError::io("remove", &features))
}

/// Removes an unfinished run.
pub(crate) fn discard(disk: &dyn Disk, files: &SplitFiles) -> Result<(), CacheError> {
    let mut all = vec![files.journal.clone()];
    all.extend(files.finals().iter().map(|p| part(p)));
    all.iter().try_for_each(|path| {
        disk::remove_if_there(disk, path).map_err(CacheError::io("remove", path))
    })
}

/// Goes on with an unfinished run of the same target.
pub(crate) fn resume(
    disk: &dyn Disk,
    files: &SplitFiles,
    target: &Target,
    replay: Replay,
) -> Result<Ready, CacheError> {
    let path = part(&files.features);
    let file = disk.open(&path).map_err(CacheError::io("open", &path))?;
    let mut part = Part::new(path, file, &target.settings, replay.layout)?;
    let file = disk.open(&files.journal).map_err(CacheError::io("open", &files.journal))?;
    let mut journal = Journal::resume(&files.journal, file, replay.valid_len)?;
    let mut entries = replay.entries;
    match replay.moving_to {
        Some(to) => move_rows(&mut part, &mut journal, to, &mut entries)?,
        None => part.drop_lost(&mut entries)?,
    }
    if !part.layout.is_compact() {
        // A file that could not be read may be readable now.
        entries
            .iter_mut()
            .filter(|e| matches!(e, Entry::Skipped(..)))
            .for_each(|e| *e = Entry::Pending);
    }
    journal.append(&Record::Session { started_unix: now_unix() })?;
    Ok(Ready { part, journal, entries, sessions: replay.sessions + 1 })
}

/// Sets up a new part, with the rows that can be kept; it takes the place of an older part.
pub(crate) fn build(
    disk: &Arc<dyn Disk>,
    files: &SplitFiles,
    target: &Target,
    stamps: &[Option<Stamp>],
    begun_by: Existing,
    reuse: &Reuse<'_>,
) -> Result<Ready, CacheError> {
    drop_new(&**disk, files)?;
    if reuse.part.is_none() {
        discard(&**disk, files)?;
    }
    let built = fill(disk, files, target, stamps, begun_by, reuse);
    if built.is_err() {
        // The space is needed: an error here would hide the one that matters.
        let _ = drop_new(&**disk, files);
    }
    let mut ready = built?;
    let (new_features, new_journal) = (new(&files.features), new(&files.journal));
    sync_dir(&**disk, files)?;
    disk::replace(&**disk, &new_features, &part(&files.features))
        .map_err(CacheError::io("rename", &new_features))?;
    sync_dir(&**disk, files)?;
    disk::replace(&**disk, &new_journal, &files.journal)
        .map_err(CacheError::io("rename", &new_journal))?;
    sync_dir(&**disk, files)?;
    ready.part.path = part(&files.features);
    ready.journal.renamed(&files.journal);
    Ok(ready)
}

fn fill(
    disk: &Arc<dyn Disk>,
    files: &SplitFiles,
    target: &Target,
    stamps: &[Option<Stamp>],
    begun_by: Existing,
    reuse: &Reuse<'_>,
) -> Result<Ready, CacheError> {
    let path = new(&files.features);
    let file = disk.create(&path).map_err(CacheError::io("create", &path))?;
    let rows = target.inputs.len() as u64;
    file.allocate(features_size(&target.settings, rows)?)
        .map_err(CacheError::io("reserve the space for all rows in", &path))?;
    let part = Part::new(path, file, &target.settings, Layout::default())?;
    part.write_header(&target.settings, rows)?;
    sync_dir(&**disk, files)?;
    let path = new(&files.journal);
    let file = disk.create(&path).map_err(CacheError::io("create", &path))?;
    let head = JournalHeader::new(
        &target.split,
        target.shard,
        target.settings.clone(),
        target.list,
        begun_by,
    );
    let mut journal = Journal::begin(&path, file, head, &target.inputs)?;
    journal.append(&Record::Session { started_unix: now_unix() })?;
    let mut entries = vec![Entry::Pending; target.inputs.len()];
    copy_from_part(&**disk, files, target, reuse, &part, &mut entries, stamps)?;
    copy_from_complete(files, reuse, &part, &mut entries, stamps)?;
    let facts = entries.iter().enumerate().filter_map(|(at, e)| match e {
        Entry::Row(fact) => Some(Record::Row(at, (**fact).clone())),
        _ => None,
    });
    journal.append_all(facts)?;
    part.sync()?;
    journal.sync()?;
    Ok(Ready { part, journal, entries, sessions: 1 })
}

fn copy_from_part(
    disk: &dyn Disk,
    files: &SplitFiles,
    target: &Target,
    reuse: &Reuse<'_>,
    to: &Part,
    entries: &mut [Entry],
    stamps: &[Option<Stamp>],
) -> Result<(), CacheError> {
    let Some((old, positions)) = &reuse.part else { return Ok(()) };
    let path = part(&files.features);
    if !disk::exists(&path) {
        return Ok(());
    }
    let file = disk.open(&path).map_err(CacheError::io("open", &path))?;
    let mut from = Part::new(path, file, &target.settings, old.layout.clone())?;
    let mut row = vec![0; to.row_bytes];
    // A row that was moving is at its old or at its new place.
    for layout in [Some(old.layout.clone()), old.moving_to.clone()].into_iter().flatten() {
        from.layout = layout;
        for (at, &i) in positions.iter().enumerate() {
            if let Some(i) = i
                && entries[at] == Entry::Pending
                && let Some(Entry::Row(fact)) = old.entries.get(i)
                && from.fetch(i, fact.hash, &mut row)?
            {
                to.write(at, &row)?;
                entries[at] =
                    Entry::Row(Box::new(RowFact { stamp: stamps[at], ..(**fact).clone() }));
            }
        }
    }
    Ok(())
}

fn copy_from_complete(
    files: &SplitFiles,
    reuse: &Reuse<'_>,
    to: &Part,
    entries: &mut [Entry],
    stamps: &[Option<Stamp>],
) -> Result<(), CacheError> {
    let Some((old, positions)) = &reuse.complete else { return Ok(()) };
    if !disk::exists(&files.features) {
        return Ok(());
    }
    let file =
        disk::open_to_read(&files.features).map_err(CacheError::io("open", &files.features))?;
    // In the order of the old rows, so that each block is read and checked once.
    let mut wanted: Vec<(u64, usize, usize)> = positions
        .iter()
        .enumerate()
        .filter(|&(at, _)| entries[at] == Entry::Pending)
        .filter_map(|(at, &i)| Some((old.entries.get(i?)?.row?, at, i?)))
        .collect();
    wanted.sort_unstable();
    let m = &old.manifest;
    let (row_bytes, block_rows) = (to.row_bytes, m.block_rows);
    let mut block = Vec::new();
    let mut current = None;
    for (row, at, i) in wanted {
        let number = row / block_rows;
        if current != Some(number) {
            current = Some(number);
            let count = block_rows.min(m.rows - number * block_rows);
            block.resize(count as usize * row_bytes, 0);
            let offset = m.data_offset + number * block_rows * row_bytes as u64;
            let read = read_at_most(&*file, &mut block, offset)
                .map_err(CacheError::io("read", &files.features))?;
            let expected = m.block_sha256.get(number as usize);
            if read < block.len() || Some(&Hex(sha256(&block)).to_string()) != expected {
                block.clear();
            }
        }
        // Rows of a damaged block are computed again.
        let start = (row % block_rows) as usize * row_bytes;
        let Some(bytes) = block.get(start..start + row_bytes) else { continue };
        let Some(source) = old.entries.get(i).and_then(source) else { continue };
        to.write(at, bytes)?;
        let fact = RowFact::new(crate::format::digest::row_hash(bytes), &source, stamps[at]);
        entries[at] = Entry::Row(Box::new(fact));
    }
    Ok(())
}

/// What the index knows of a row's file; `None` for a bad one.
pub(crate) fn source(entry: &crate::format::index::IndexEntry) -> Option<RowSource> {
    Some(RowSource {
        sha256: entry.sha256?,
        bytes: entry.bytes?,
        width: entry.width?,
        height: entry.height?,
        phash: entry.phash,
    })
}
