//! A split as CSV: the index's columns, then one for each value.

use cache::SplitReader;
use std::fmt::Write as _;
use std::io::Write;
use std::ops::ControlFlow;

use crate::error::TableError;
use crate::features_table::hex;
use crate::rows::{Blocks, append_f32, block_rows};

const INDEX_COLUMNS: [&str; 7] = ["split", "row", "view", "file", "class", "label", "sha256"];

/// Writes the table: a line for each view of each row.
pub(crate) fn write(
    split: &SplitReader,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<(), TableError> {
    let manifest = split.manifest();
    let dtype = manifest.settings.dtype;
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(out);
    let columns = (0..split.view_elements()).map(|i| format!("f{i}"));
    let names = INDEX_COLUMNS.map(str::to_owned).into_iter().chain(columns);
    writer.write_record(names).map_err(failed)?;
    let (mut values, mut text) = (Vec::new(), String::new());
    let mut blocks = Blocks::new(split, block_rows(split), progress)?;
    while let Some((first, entries)) = blocks.next()? {
        for (row, entry) in (first..).zip(&entries) {
            let bytes = split.row_bytes(row)?;
            for (view, bytes) in bytes.chunks_exact(bytes.len() / split.views()).enumerate() {
                // Names are those of the index; one that somebody else wrote may begin a formula.
                let cells = [
                    manifest.split.clone(),
                    row.to_string(),
                    view.to_string(),
                    util::csv_cell(&entry.file).into_owned(),
                    util::csv_cell(&entry.class).into_owned(),
                    entry.label.to_string(),
                    entry.sha256.map(|sha| hex(&sha)).unwrap_or_default(),
                ];
                for cell in cells {
                    writer.write_field(cell).map_err(failed)?;
                }
                values.clear();
                append_f32(dtype, bytes, &mut values);
                for value in &values {
                    text.clear();
                    number(*value, &mut text);
                    writer.write_field(&text).map_err(failed)?;
                }
                writer.write_record(None::<&[u8]>).map_err(failed)?;
            }
        }
    }
    Ok(writer.flush()?)
}

/// The shortest text that reads back as the same f32; `NaN`, `inf` and `-inf` for what is no number.
fn number(value: f32, out: &mut String) {
    // Writing to a String can't fail. A whole number needs no `.0`.
    let _ = match value.fract() == 0.0 && value.abs() < 1e7 {
        true => write!(out, "{value}"),
        false => write!(out, "{value:?}"),
    };
}

fn failed(error: csv::Error) -> TableError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => TableError::Write(error),
        other => TableError::Write(std::io::Error::other(format!("{other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_short_and_read_back_bit_by_bit() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e-30, "1e-30"),
            (f32::MAX, "3.4028235e38"),
            (f32::NAN, "NaN"),
            (f32::NEG_INFINITY, "-inf"),
            (16_777_216.0, "16777216.0"),
        ] {
            let mut text = String::new();
            number(value, &mut text);
            assert_eq!(text, expected);
            let read: f32 = text.parse().unwrap();
            assert!(read.to_bits() == value.to_bits() || value.is_nan());
        }
    }
}
