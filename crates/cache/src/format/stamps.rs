//! Whether a file is the one that was read: by size and times, and only where those differ by its content.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use util::regular;

use crate::format::digest::{Hex, sha256_file};

/// Size and times of a file, as the system tells them. Equal stamps mean that the file was not touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    /// Last change of the content, in nanoseconds since 1970.
    pub(crate) mtime: i64,
    /// Last change of the content, name or rights; cannot be set back. 0 where the system has none.
    pub(crate) ctime: i64,
}

impl Stamp {
    /// `None` when the path cannot be asked or is no regular file.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        #[cfg(unix)]
        let (mtime, ctime) = {
            use std::os::unix::fs::MetadataExt;
            let nanos = |s: i64, n: i64| s.saturating_mul(1_000_000_000).saturating_add(n);
            (nanos(meta.mtime(), meta.mtime_nsec()), nanos(meta.ctime(), meta.ctime_nsec()))
        };
        #[cfg(not(unix))]
        let (mtime, ctime) = {
            let since =
                meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
            (since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)), 0)
        };
        Some(Self { size: meta.len(), mtime, ctime })
    }
}

/// What was known of a file when its row was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) stamp: Option<Stamp>,
    pub(crate) bytes: Option<u64>,
    pub(crate) sha256: Option<[u8; 32]>,
}

/// Whether the file at `path` (with the stamp `now`) still has the content that was `known`. Of a file that was never read
/// to its end nothing is known: it isn't unchanged.
pub(crate) fn unchanged(path: &Path, now: Option<Stamp>, known: &Known) -> bool {
    let (Some(bytes), Some(sha)) = (known.bytes, known.sha256) else { return false };
    (now.is_some() && now == known.stamp)
        || (now.is_some_and(|n| n.size == bytes)
            && sha256_file(path).is_ok_and(|found| found == (bytes, sha)))
}

/// Whether the file at `path` can be read to its end.
pub(crate) fn readable(path: &Path) -> bool {
    sha256_file(path).is_ok()
}

/// Writes `<split>.stamps`: a line with the index's sha256, then a line an input.
pub(crate) fn write(
    index_sha256: &[u8; 32],
    stamps: &[Option<Stamp>],
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{}", Hex(*index_sha256))?;
    for stamp in stamps {
        match stamp {
            Some(s) => writeln!(out, "{} {} {}", s.size, s.mtime, s.ctime)?,
            None => writeln!(out, "-")?,
        }
    }
    Ok(())
}

/// Reads `<split>.stamps`; anything odd gives no stamps, and the files are hashed instead.
pub(crate) fn read(path: &Path, index_sha256: &str, inputs: usize) -> Vec<Option<Stamp>> {
    try_read(path, index_sha256, inputs).unwrap_or_else(|| vec![None; inputs])
}

fn try_read(path: &Path, index_sha256: &str, inputs: usize) -> Option<Vec<Option<Stamp>>> {
    const LONGEST: u64 = 80;
    let file = regular::open(path).ok()?;
    let most = (inputs as u64 + 1).saturating_mul(LONGEST);
    if file.metadata().ok()?.len() > most {
        return None;
    }
    let mut lines = BufReader::new(file.take(most)).lines();
    if lines.next()?.ok()? != index_sha256 {
        return None;
    }
    let mut stamps = Vec::with_capacity(inputs.min(1 << 20));
    for line in lines {
        let line = line.ok()?;
        let mut numbers = line.split(' ');
        let mut stamp = || {
            let size = numbers.next()?.parse().ok()?;
            Some(Stamp {
                size,
                mtime: numbers.next()?.parse().ok()?,
                ctime: numbers.next()?.parse().ok()?,
            })
        };
        stamps.push(stamp());
    }
    (stamps.len() == inputs).then_some(stamps)
}
