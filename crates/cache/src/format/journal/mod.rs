//! The journal of an unfinished run, `<split>.journal`: a line a fact, each with its own checksum.
//!
//! A line is 16 hex digits (the first of the sha256 of the rest), a space, JSON, a line feed. What follows the first line
//! that does not match its checksum does not count: it was being written when the run was cut off.

use std::path::{Path, PathBuf};

use crate::disk::{DiskFile, write_all_at};
use crate::error::CacheError;
use crate::input::Input;

mod record;
mod replay;
#[cfg(test)]
mod tests;

pub(crate) use record::{
    JournalHeader, MAX_LINE, Record, RowFact, SkipFact, checksum, parse_line, push_line,
};
pub(crate) use replay::{Entry, Layout, Replay};

/// Appends to a journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Bytes of whole lines. A write that failed half-way is overwritten by the next.
    len: u64,
    /// How many of them are on disk for sure, with what they speak of.
    synced: u64,
}

impl Journal {
    /// Goes on after the first `len` bytes.
    pub(crate) fn resume(
        path: &Path,
        file: Box<dyn DiskFile>,
        len: u64,
    ) -> Result<Self, CacheError> {
        file.set_len(len).map_err(CacheError::io("cut", path))?;
        Ok(Self { path: path.to_owned(), file, len, synced: len })
    }

    /// Writes head and inputs into an empty file.
    pub(crate) fn begin(
        path: &Path,
        file: Box<dyn DiskFile>,
        head: JournalHeader,
        inputs: &[Input],
    ) -> Result<Self, CacheError> {
        let mut journal = Self { path: path.to_owned(), file, len: 0, synced: 0 };
        journal.append(&Record::Head(Box::new(head)))?;
        let records = inputs.iter().map(|i| Record::Input(i.name.clone(), i.class));
        journal.append_all(records)?;
        Ok(journal)
    }

    pub(crate) fn append(&mut self, record: &Record) -> Result<(), CacheError> {
        let mut buffer = Vec::with_capacity(512);
        push_line(&mut buffer, record).map_err(CacheError::io("write", &self.path))?;
        self.write(&buffer)
    }

    /// Many lines with few writes.
    pub(crate) fn append_all(
        &mut self,
        records: impl Iterator<Item = Record>,
    ) -> Result<(), CacheError> {
        const CHUNK: usize = 1 << 18;
        let mut buffer = Vec::new();
        for record in records {
            push_line(&mut buffer, &record).map_err(CacheError::io("write", &self.path))?;
            if buffer.len() >= CHUNK {
                self.write(&buffer)?;
                buffer.clear();
            }
        }
        self.write(&buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        write_all_at(&*self.file, bytes, self.len).map_err(CacheError::io("write", &self.path))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Puts the lines on disk. What they speak of is there already.
    ///
    /// # Errors
    /// Those of the device: then the lines since the last success are taken back, see [`Self::take_back`].
    pub(crate) fn sync(&mut self) -> Result<(), CacheError> {
        if let Err(e) = self.file.sync() {
            self.take_back();
            return Err(CacheError::io("put on disk", &self.path)(e));
        }
        self.synced = self.len;
        Ok(())
    }

    /// Forgets the lines since the last successful sync. After a failed one they, or the rows they speak of, may be read
    /// back for a while although the device doesn't have them: the next run must not build on them.
    pub(crate) fn take_back(&mut self) {
        // Where even this fails, the error that came before says that the device is broken.
        let _ = self.file.set_len(self.synced);
        self.len = self.synced;
    }

    /// Whether its path still names this file.
    pub(crate) fn is_in_place(&self) -> bool {
        self.file.is_at(&self.path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file goes on under its lasting name.
    pub(crate) fn renamed(&mut self, path: &Path) {
        path.clone_into(&mut self.path);
    }
}
