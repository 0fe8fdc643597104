//! The features file of an unfinished run: a place for every input's row, filled in any order.

use std::path::PathBuf;

use crate::disk::{DiskFile, read_at_most, write_all_at};
use crate::error::CacheError;
use crate::format::digest::{RowHash, row_hash};
use crate::format::features::features_header;
use crate::format::journal::{Entry, Layout};
use crate::settings::Settings;

/// `<split>_features.npy.part`, open for reading and writing.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) row_bytes: usize,
    pub(crate) data_offset: u64,
    pub(crate) layout: Layout,
}

impl Part {
    pub(crate) fn new(
        path: PathBuf,
        file: Box<dyn DiskFile>,
        settings: &Settings,
        layout: Layout,
    ) -> Result<Self, CacheError> {
        let data_offset = features_header(settings, 0).len() as u64;
        Ok(Self { path, file, row_bytes: settings.row_bytes()?, data_offset, layout })
    }

    fn offset(&self, slot: u64) -> u64 {
        // Cannot overflow for a slot of this run (see features_size); a hostile one meets the end of the file.
        self.data_offset.saturating_add(slot.saturating_mul(self.row_bytes as u64))
    }

    /// Stores an input's row at its place.
    pub(crate) fn write(&self, at: usize, row: &[u8]) -> Result<(), CacheError> {
        self.write_slot(self.layout.slot(at), row)
    }

    fn write_slot(&self, slot: u64, row: &[u8]) -> Result<(), CacheError> {
        write_all_at(&*self.file, row, self.offset(slot))
            .map_err(CacheError::io("write a row to", &self.path))
    }

    /// Writes the header for `rows` rows.
    pub(crate) fn write_header(&self, settings: &Settings, rows: u64) -> Result<(), CacheError> {
        let header = features_header(settings, rows);
        write_all_at(&*self.file, &header, 0)
            .map_err(CacheError::io("write the header of", &self.path))
    }

    pub(crate) fn sync(&self) -> Result<(), CacheError> {
        self.file.sync().map_err(CacheError::io("put on disk", &self.path))
    }

    /// Whether its path still names this file.
    pub(crate) fn is_in_place(&self) -> bool {
        self.file.is_at(&self.path)
    }

    /// Reads `row` (whole rows) from the place of row number `slot` on; whether all of it was there.
    pub(crate) fn read_slots(&self, slot: u64, rows: &mut [u8]) -> Result<bool, CacheError> {
        let read = read_at_most(&*self.file, rows, self.offset(slot));
        Ok(read.map_err(CacheError::io("read", &self.path))? == rows.len())
    }

    /// Whether the row with this hash is at `slot`; `row` holds it then.
    fn holds(&self, slot: u64, hash: RowHash, row: &mut [u8]) -> Result<bool, CacheError> {
        Ok(self.read_slots(slot, row)? && row_hash(row) == hash)
    }

    /// The row of an input, if it is there in whole.
    pub(crate) fn fetch(
        &self,
        at: usize,
        hash: RowHash,
        row: &mut [u8],
    ) -> Result<bool, CacheError> {
        self.holds(self.layout.slot(at), hash, row)
    }

    /// Makes pending what the journal knows but the file does not hold (a power cut between the two).
    pub(crate) fn drop_lost(&self, entries: &mut [Entry]) -> Result<(), CacheError> {
        let mut row = vec![0; self.row_bytes];
        for (at, entry) in entries.iter_mut().enumerate() {
            if let Entry::Row(fact) = entry
                && !self.fetch(at, fact.hash, &mut row)?
            {
                *entry = Entry::Pending;
            }
        }
        Ok(())
    }

    /// Moves rows down to the places of `to`, in ascending order. A kill anywhere in it leaves each row whole at its old
    /// or its new place (the old is overwritten only by rows after it), so that the same call goes on. Rows that are at
    /// neither place become pending. Rows at their new place are written again, since an earlier call may have failed to
    /// put them on disk.
    pub(crate) fn move_rows(
        &mut self,
        to: Layout,
        entries: &mut [Entry],
    ) -> Result<(), CacheError> {
        let mut row = vec![0; self.row_bytes];
        for (at, entry) in entries.iter_mut().enumerate() {
            let Entry::Row(fact) = entry else { continue };
            let (old, new) = (self.layout.slot(at), to.slot(at));
            if old == new && self.holds(old, fact.hash, &mut row)? {
                continue;
            }
            if self.holds(new, fact.hash, &mut row)? || self.holds(old, fact.hash, &mut row)? {
                self.write_slot(new, &row)?;
            } else {
                *entry = Entry::Pending;
            }
        }
        self.layout = to;
        Ok(())
    }
}
