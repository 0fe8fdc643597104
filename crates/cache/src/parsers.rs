//! Each parser of this crate from bytes, with the way back: what it accepts must come back the same when it is written
//! and read again. For `fuzz/` and the tests that replay its seeds; not part of the API.

use std::io::Cursor;
use std::path::Path;

use crate::complete::{parse_labels, parse_manifest};
use crate::journal::{Replay, checksum, parse_line, push_line};
use crate::names::SplitFiles;
use crate::{index, npy};

/// Whether the bytes were accepted; an error where what was accepted did not come back.
pub type Outcome = Result<bool, String>;

fn same<T: PartialEq + std::fmt::Debug>(first: &T, again: &Result<T, String>) -> Outcome {
    match again {
        Ok(again) if first == again => Ok(true),
        _ => Err(format!("{first:?} came back as {again:?}")),
    }
}

/// A `.npy` header.
pub fn npy_header(bytes: &[u8]) -> Outcome {
    let Ok(header) = npy::parse(bytes) else { return Ok(false) };
    if header.data_offset > bytes.len() {
        return Err(format!("data from byte {} of {}", header.data_offset, bytes.len()));
    }
    let written = npy::header(&header.descr, &header.shape);
    // What this program never writes, and what would be too long with its padding.
    if header.fortran_order || header.descr.contains('\'') || written.len() > npy::MAX_HEADER {
        return Ok(true);
    }
    same(&npy::Header { data_offset: written.len(), ..header }, &npy::parse(&written))
}

/// The labels file of two classes.
pub fn labels(bytes: &[u8]) -> Outcome {
    let Ok(npy::Header { shape, .. }) = npy::parse(bytes) else { return Ok(false) };
    let rows = shape.first().copied().unwrap_or(0);
    let Ok((labels, counts)) = parse_labels(bytes, rows, 2) else { return Ok(false) };
    if counts.iter().sum::<u64>() != rows {
        return Err(format!("{rows} rows, counted {counts:?}"));
    }
    let mut written = npy::header("<i8", &[rows]);
    written.extend(labels.iter().flat_map(|label| label.to_le_bytes()));
    if written == bytes { Ok(true) } else { Err("the labels came back as other bytes".to_owned()) }
}

/// The index of a split of the classes `cats` and `dogs`.
pub fn index(bytes: &[u8]) -> Outcome {
    let classes = ["cats", "dogs"].map(str::to_owned);
    let read = |bytes: &[u8]| index::parse_lines(bytes, &classes, u64::MAX);
    let Ok(lines) = read(bytes) else { return Ok(false) };
    let mut written = Vec::new();
    index::write_csv(lines.0.iter().cloned(), &mut written).map_err(|e| e.to_string())?;
    same(&lines, &read(&written))
}

/// The manifest of a split `train`.
pub fn manifest(bytes: &[u8]) -> Outcome {
    let files = SplitFiles::new(Path::new(""), "train", None);
    let read = |bytes: &[u8]| {
        parse_manifest(bytes, &files, "train", None).map_err(|error| error.to_string())
    };
    let Ok(manifest) = read(bytes) else { return Ok(false) };
    let written = serde_json::to_vec_pretty(&manifest).map_err(|e| e.to_string())?;
    same(&manifest, &read(&written))
}

/// A journal as it lies on disk.
pub fn journal(bytes: &[u8]) -> Outcome {
    let read = |bytes: &[u8]| {
        Replay::parse(Cursor::new(bytes), Path::new("")).map_err(|error| error.to_string())
    };
    let Ok(replay) = read(bytes) else { return Ok(false) };
    let valid = usize::try_from(replay.valid_len).ok().and_then(|len| bytes.get(..len));
    let valid = valid.ok_or_else(|| format!("{} of {} bytes", replay.valid_len, bytes.len()))?;
    // A run that goes on cuts the rest off: what is left says the same, also when its lines are written anew.
    same(&replay, &read(valid))?;
    let mut written = Vec::new();
    for line in valid.split_inclusive(|&byte| byte == b'\n') {
        let record = parse_line(line).ok_or("a line counted that is none")?;
        push_line(&mut written, &record).map_err(|e| e.to_string())?;
    }
    same(&Replay { valid_len: written.len() as u64, ..replay }, &read(&written))
}

/// A journal whose lines lack their checksums, which nobody would guess: they are put in front.
pub fn journal_lines(bytes: &[u8]) -> Outcome {
    let mut whole = Vec::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        whole.extend_from_slice(checksum(line).as_bytes());
        whole.extend_from_slice(&[b" ", line, b"\n"].concat());
    }
    journal(&whole)
}
