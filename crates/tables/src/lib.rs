//! Cached features as files that others read: parquet, CSV, safetensors, and folders that `embedding-reader` takes; and
//! predictions as parquet. `docs/tables.md` has the columns.
//!
//! Everything is streamed: of a split there is one block of rows in memory, however many it has, but for the names in the header
//! of safetensors. Files get their names when they are complete.

mod atomically;
mod csv_table;
mod embedding_reader;
mod error;
mod features_table;
mod metadata;
mod parquet_file;
mod predictions;
mod rows;
mod safetensors_file;

use cache::SplitReader;
use std::ops::ControlFlow;
use std::path::Path;

pub use error::TableError;
pub use predictions::{Predicted, PredictionTable};

use atomically::write_file;

/// What cached features can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table with a list of numbers in each row, compressed.
    Parquet,
    /// A table of text with a column for each number.
    Csv,
    /// Two tensors, the names beside them.
    Safetensors,
    /// A folder of 2-D `.npy` parts, each with a table of parquet.
    EmbeddingReader,
}

util::named!(Format, "format", {
    Parquet = "parquet", Csv = "csv", Safetensors = "safetensors", EmbeddingReader = "embedding-reader",
});

impl Format {
    /// How names of its files end; `None` where it is a folder.
    pub fn extension(self) -> Option<&'static str> {
        (self != Self::EmbeddingReader).then_some(self.name())
    }
}

/// Writes a split as one file, or one folder, at `path`. What is there is replaced, but of folders only those that this function
/// wrote. `progress` gets the number of the split's rows that are done, after each block of them, and may stop the export: nothing is
/// left of it then.
///
/// # Errors
/// [`TableError::Stopped`]; the cache is damaged; the file can't be written, or is more than the format can hold.
pub fn export(
    split: &SplitReader,
    format: Format,
    path: &Path,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<(), TableError> {
    match format {
        Format::Parquet => write_file(path, |out| features_table::write(split, out, progress)),
        Format::Csv => write_file(path, |out| csv_table::write(split, out, progress)),
        Format::Safetensors => {
            write_file(path, |out| safetensors_file::write(split, out, progress))
        }
        Format::EmbeddingReader => embedding_reader::write(split, path, progress),
    }
}
