//! The index, `<split>_index.csv`: one line an input, in order.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use serde::Serialize;
use util::regular;

use crate::error::CacheError;
use crate::format::digest::Hex;
use crate::format::manifest::Manifest;

/// The columns, in order. Later versions may add columns behind.
pub(crate) const COLUMNS: [&str; 11] = [
    "row", "file", "class", "label", "status", "reason", "width", "height", "bytes", "sha256",
    "phash",
];
/// Longest accepted field, in bytes.
pub(crate) const MAX_FIELD: usize = 1 << 16;
/// Largest accepted index, in bytes: 30 million bad files with the longest reasons and names of 4 kB. Its lines are read
/// into memory.
pub(crate) const MAX_INDEX: u64 = 256 << 30;

/// One line of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexEntry {
    /// Row in the features array; `None` for a bad file.
    pub row: Option<u64>,
    /// The input's name.
    pub file: String,
    /// The class's name.
    pub class: String,
    /// The class's index, as in the labels array.
    pub label: usize,
    /// Why there is no row; empty when there is one.
    pub reason: String,
    /// Width of the decoded image in pixels.
    pub width: Option<u32>,
    /// Height of the decoded image in pixels.
    pub height: Option<u32>,
    /// Size of the file in bytes.
    pub bytes: Option<u64>,
    /// sha256 of the file's bytes.
    pub sha256: Option<[u8; 32]>,
    /// Perceptual hash of the picture.
    pub phash: Option<u64>,
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

/// Writes the file.
pub(crate) fn write_csv(
    entries: impl Iterator<Item = IndexEntry>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("{other:?}")),
    };
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(out);
    writer.write_record(COLUMNS).map_err(failed)?;
    for e in entries {
        let status = if e.row.is_some() { "ok" } else { "bad" };
        let record = [
            text(e.row),
            e.file,
            e.class,
            e.label.to_string(),
            status.to_owned(),
            e.reason,
            text(e.width),
            text(e.height),
            text(e.bytes),
            text(e.sha256.map(Hex)),
            text(e.phash.map(|p| Hex(p.to_be_bytes()))),
        ];
        writer.write_record(record).map_err(failed)?;
    }
    writer.flush()
}

/// Reads an index and checks it against the manifest: as many lines as inputs, rows 0, 1, 2 … in order, known classes.
pub(crate) fn read(path: &Path, manifest: &Manifest) -> Result<Vec<IndexEntry>, CacheError> {
    let file = open(path, manifest)?;
    parse(file, manifest).map_err(|why| CacheError::damaged(path, why))
}

/// Opens an index of the size that the manifest says.
pub(crate) fn open(path: &Path, manifest: &Manifest) -> Result<File, CacheError> {
    let file = regular::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            CacheError::damaged(path, "expected the file that the manifest names, found none")
        }
        _ => CacheError::io("open", path)(error),
    })?;
    let size = file.metadata().map_err(CacheError::io("open", path))?.len();
    let expected = manifest.files.index.bytes;
    if size != expected || size > MAX_INDEX {
        return Err(CacheError::damaged(path, format!("expected {expected} bytes, found {size}")));
    }
    Ok(file)
}

fn parse(from: impl Read, manifest: &Manifest) -> Result<Vec<IndexEntry>, String> {
    let (inputs, all) = (manifest.inputs, manifest.rows);
    let (entries, rows) = parse_lines(from, &manifest.settings.classes, inputs)?;
    let lines = entries.len();
    if lines as u64 != inputs || rows != all {
        return Err(format!(
            "expected {inputs} lines with {all} rows, found {lines} lines with {rows} rows"
        ));
    }
    Ok(entries)
}

/// The lines, at most so many, and how many of them have a row.
pub(crate) fn parse_lines(
    from: impl Read,
    classes: &[String],
    most: u64,
) -> Result<(Vec<IndexEntry>, u64), String> {
    let mut lines = Lines::new(from, classes, most)?;
    let entries = lines.by_ref().collect::<Result<_, _>>()?;
    Ok((entries, lines.rows))
}

/// The lines of an index one by one, each checked: at most so many, rows 0, 1, 2 … in order, known classes. Ends with the first error.
pub(crate) struct Lines<'a, R> {
    records: csv::StringRecordsIntoIter<R>,
    classes: &'a [String],
    most: u64,
    /// Lines so far.
    pub(crate) lines: u64,
    /// How many of them have a row.
    pub(crate) rows: u64,
    failed: bool,
}

impl<'a, R: Read> Lines<'a, R> {
    pub(crate) fn new(from: R, classes: &'a [String], most: u64) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(from);
        let header = reader.headers().map_err(|e| e.to_string())?;
        if header.iter().take(COLUMNS.len()).ne(COLUMNS) {
            return Err(format!(
                "expected the columns {}, found {}",
                COLUMNS.join(","),
                shorten(header)
            ));
        }
        let records = reader.into_records();
        Ok(Self { records, classes, most, lines: 0, rows: 0, failed: false })
    }

    /// What the lines are read from.
    pub(crate) fn source(&self) -> &R {
        self.records.reader().get_ref()
    }

    fn check(&mut self, record: csv::Result<csv::StringRecord>) -> Result<IndexEntry, String> {
        let line = self.lines + 2;
        let record = record.map_err(|e| e.to_string())?;
        if self.lines == self.most {
            return Err(format!("expected {} lines, found more", self.most));
        }
        let entry = entry(&record).map_err(|what| format!("line {line}: {what}"))?;
        if self.classes.get(entry.label) != Some(&entry.class) {
            return Err(format!(
                "line {line}: the label {} is not that of the class {:?}",
                entry.label, entry.class
            ));
        }
        if let Some(row) = entry.row {
            if row != self.rows {
                return Err(format!("line {line}: expected row {}, found {row}", self.rows));
            }
            self.rows += 1;
        }
        self.lines += 1;
        Ok(entry)
    }
}

impl<R: Read> Iterator for Lines<'_, R> {
    type Item = Result<IndexEntry, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let record = self.records.next()?;
        let checked = self.check(record);
        self.failed = checked.is_err();
        Some(checked)
    }
}

fn shorten(record: &csv::StringRecord) -> String {
    let text: Vec<&str> = record.iter().take(2 * COLUMNS.len()).collect();
    text.join(",").chars().take(100).collect()
}

fn entry(record: &csv::StringRecord) -> Result<IndexEntry, String> {
    if record.iter().any(|f| f.len() > MAX_FIELD) {
        return Err("a field is too long".to_owned());
    }
    let field = |i: usize| record.get(i).unwrap_or_default();
    let number = |i: usize| match field(i) {
        "" => Ok(None),
        text => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| format!("{} is no number: {text:?}", COLUMNS[i])),
    };
    let small = |i: usize| match number(i)? {
        None => Ok(None),
        Some(n) => {
            u32::try_from(n).map(Some).map_err(|_| format!("{} is too large: {n}", COLUMNS[i]))
        }
    };
    let row = number(0)?;
    match (field(4), row) {
        ("ok", Some(_)) | ("bad", None) => {}
        (status, row) => {
            return Err(format!("the status {status:?} does not go with the row {row:?}"));
        }
    }
    let hex = |i: usize| format!("{} is no hex of the right length: {:?}", COLUMNS[i], field(i));
    let sha256 = match field(9) {
        "" => None,
        text => Some(Hex::<32>::parse(text).ok_or_else(|| hex(9))?.0),
    };
    let phash = match field(10) {
        "" => None,
        text => Some(u64::from_be_bytes(Hex::<8>::parse(text).ok_or_else(|| hex(10))?.0)),
    };
    Ok(IndexEntry {
        row,
        file: field(1).to_owned(),
        class: field(2).to_owned(),
        label: number(3)?.and_then(|n| usize::try_from(n).ok()).ok_or("the label is missing")?,
        reason: field(5).to_owned(),
        width: small(6)?,
        height: small(7)?,
        bytes: number(8)?,
        sha256,
        phash,
    })
}
