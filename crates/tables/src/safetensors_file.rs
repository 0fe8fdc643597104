//! A split as safetensors: `labels` and `features`, and the names as JSON in the metadata.

use cache::{Dtype, SplitReader};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::ops::ControlFlow;

use crate::error::TableError;
use crate::metadata;
use crate::rows::{Blocks, block_rows};

/// What readers take at most, in bytes.
const MAX_HEADER: usize = 100_000_000;
/// Data begins at a multiple of this.
const ALIGN: usize = 8;

/// Writes the file. The header comes first, so it holds the names of all files in memory, as every reader of it will.
pub(crate) fn write(
    split: &SplitReader,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<(), TableError> {
    let header = header(split)?;
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for label in split.labels() {
        out.write_all(&label.to_le_bytes())?;
    }
    // The index was read to its end for the header; once more, it paces the rows.
    let mut blocks = Blocks::new(split, block_rows(split), progress)?;
    while let Some((first, entries)) = blocks.next()? {
        for row in first..first + entries.len() {
            out.write_all(split.row_bytes(row)?)?;
        }
    }
    Ok(())
}

fn header(split: &SplitReader) -> Result<Vec<u8>, TableError> {
    let manifest = split.manifest();
    let too_long = |found| TableError::Header { most: MAX_HEADER, found, rows: split.len() };
    let (mut files, mut length) = (Vec::new(), 0);
    for entry in split.row_entries()? {
        let file = entry?.file;
        length += file.len() + 5;
        if length > MAX_HEADER {
            return Err(too_long(length));
        }
        files.push(file);
    }
    let mut metadata: Map<String, Value> = metadata::of(manifest)?
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    metadata.insert("files".to_owned(), serde_json::to_string(&files)?.into());
    metadata.insert("split".to_owned(), manifest.split.clone().into());
    let dtype = match manifest.settings.dtype {
        Dtype::F32 => "F32",
        Dtype::F16 => "F16",
    };
    // What needs the larger alignment comes first.
    let labels = 8 * split.len();
    let features = split.len() * split.row_elements() * manifest.settings.dtype.bytes();
    let header = json!({
        "__metadata__": metadata,
        "labels": { "dtype": "I64", "shape": [split.len()], "data_offsets": [0, labels] },
        "features": {
            "dtype": dtype, "shape": manifest.shape, "data_offsets": [labels, labels + features],
        },
    });
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(ALIGN), b' ');
    match header.len() <= MAX_HEADER {
        true => Ok(header),
        false => Err(too_long(header.len())),
    }
}
