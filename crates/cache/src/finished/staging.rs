//! Final files under their `.part` names, written piece by piece so that none is ever wholly in memory.

use std::io::{self, Write};
use std::path::Path;

use crate::disk::{Disk, DiskFile, write_all_at};
use crate::error::CacheError;
use crate::format::digest::{Hasher, Hex};
use crate::format::manifest::FileRecord;
use crate::format::names::{file_name, part};

/// Bytes that are written at once.
const PIECE: usize = 1 << 18;

/// What was written.
pub(crate) struct Staged {
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
}

impl Staged {
    /// As the manifest has it.
    pub(crate) fn record(&self, path: &Path) -> FileRecord {
        let sha256 = Some(Hex(self.sha256).to_string());
        FileRecord { name: file_name(path), bytes: self.bytes, sha256 }
    }
}

/// Writes a file under its `.part` name and puts it on disk.
pub(crate) fn stage(
    disk: &dyn Disk,
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Staged, CacheError> {
    let path = part(path);
    let file = disk.create(&path).map_err(CacheError::io("create", &path))?;
    let mut out =
        Out { file: &*file, buffer: Vec::with_capacity(PIECE), at: 0, hasher: Hasher::default() };
    fill(&mut out).and_then(|()| out.flush()).map_err(CacheError::io("write", &path))?;
    file.sync().map_err(CacheError::io("put on disk", &path))?;
    Ok(Staged { bytes: out.at, sha256: out.hasher.finish() })
}

struct Out<'a> {
    file: &'a dyn DiskFile,
    buffer: Vec<u8>,
    /// Where the buffer's bytes go.
    at: u64,
    hasher: Hasher,
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > PIECE {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        write_all_at(self.file, &self.buffer, self.at)?;
        self.hasher.update(&self.buffer);
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
