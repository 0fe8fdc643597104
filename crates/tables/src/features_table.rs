//! A split as parquet.

use cache::{IndexEntry, SplitReader};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type, Int64Type};
use std::fmt::Write as _;
use std::io::Write;
use std::ops::ControlFlow;

use crate::error::TableError;
use crate::metadata;
use crate::parquet_file::{Group, ParquetFile};
use crate::rows::{Blocks, append_f32, block_rows};

/// The columns that say what a row is.
pub(crate) const INDEX_COLUMNS: &str = "
    required binary split (STRING);
    required int64 row;
    required int32 view;
    required binary file (STRING);
    required binary class (STRING);
    required int64 label;
    optional binary sha256 (STRING);";

const FEATURES: &[&str] = &["features", "list", "element"];

/// Writes the table: a line for each view of each row.
pub(crate) fn write(
    split: &SplitReader,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<(), TableError> {
    let schema = format!(
        "message features {{ {INDEX_COLUMNS}
            required group features (LIST) {{ repeated group list {{ required float element; }} }}
        }}"
    );
    let manifest = split.manifest();
    let mut file = ParquetFile::new(&schema, &metadata::of(manifest)?, Some(FEATURES))?;
    let (views, width) = (split.views(), split.view_elements());
    let view_bytes = width * manifest.settings.dtype.bytes();
    let mut blocks = Blocks::new(split, block_rows(split), progress)?;
    while let Some((first, entries)) = blocks.next()? {
        file.group(|group| {
            index_columns(group, &manifest.split, views, first, &entries)?;
            let mut line = 0;
            group.lists::<FloatType>(width, |values| {
                let (row, view) = (line / views, line % views);
                if row == entries.len() {
                    return Ok(false);
                }
                let bytes = split.row_bytes(first + row)?;
                let bytes = &bytes[view * view_bytes..(view + 1) * view_bytes];
                append_f32(manifest.settings.dtype, bytes, values);
                line += 1;
                Ok(true)
            })
        })?;
        file.drain(out)?;
    }
    Ok(out.write_all(&file.finish()?)?)
}

/// Writes [`INDEX_COLUMNS`] of rows, the first of which is `first`: each as often as there are views.
pub(crate) fn index_columns(
    group: &mut Group<'_>,
    split: &str,
    views: usize,
    first: usize,
    entries: &[IndexEntry],
) -> Result<(), TableError> {
    let lines = || {
        let rows = (first as i64..).zip(entries);
        rows.flat_map(|(row, entry)| (0..views as i32).map(move |view| (row, view, entry)))
    };
    group.text(lines().map(|_| split))?;
    group.required::<Int64Type>(&lines().map(|(row, ..)| row).collect::<Vec<_>>())?;
    group.required::<Int32Type>(&lines().map(|(_, view, _)| view).collect::<Vec<_>>())?;
    group.text(lines().map(|(.., entry)| entry.file.as_str()))?;
    group.text(lines().map(|(.., entry)| entry.class.as_str()))?;
    let labels: Vec<i64> = lines().map(|(.., entry)| entry.label as i64).collect();
    group.required::<Int64Type>(&labels)?;
    group.optional::<ByteArrayType>(
        lines().map(|(.., entry)| entry.sha256.map(|sha| ByteArray::from(hex(&sha).as_str()))),
    )
}

/// As the index has it.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
