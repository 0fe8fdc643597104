//! Mapping a file into memory, read-only: the one place of this crate with unsafe code.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// Maps a whole file.
pub(crate) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: The mapping is read-only and private to us, and what is read through it is plain numbers, for which every
    // bit pattern is valid. Another process could change or cut the file meanwhile. This crate never does that to a file
    // that has its final name: writers make a new file and rename it, and the mapping keeps the old one. If something
    // else writes into it, rows change under the reader, as they would with any reader of the file; if something else
    // cuts it, the system ends this process with SIGBUS at the first access behind the new end. docs/formats.md says so.
    unsafe { Mmap::map(file) }
}
