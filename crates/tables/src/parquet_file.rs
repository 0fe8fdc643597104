//! Parquet, a group of rows at a time. The format's own library writes it; here are the columns.

use parquet::basic::{Compression, Encoding};
use parquet::data_type::{ByteArray, ByteArrayType, DataType};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use std::io::Write;
use std::mem;
use std::sync::Arc;

use crate::error::TableError;

/// A file whose groups of rows are encoded in memory, to be taken from there.
pub(crate) struct ParquetFile {
    writer: SerializedFileWriter<Vec<u8>>,
}

impl ParquetFile {
    /// `plain` names a column of numbers that hardly repeat, but for zeros: without dictionary and statistics. Of features behind a
    /// ReLU this gave the smallest files (docs/tables.md).
    pub(crate) fn new(
        schema: &str,
        metadata: &[(&str, String)],
        plain: Option<&[&str]>,
    ) -> Result<Self, TableError> {
        let pairs = metadata
            .iter()
            .map(|(key, value)| KeyValue::new(format!("feature-cache.{key}"), value.clone()));
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("feature-cache {}", env!("CARGO_PKG_VERSION")))
            .set_key_value_metadata(Some(pairs.collect()));
        if let Some(parts) = plain {
            let path = ColumnPath::new(parts.iter().map(|&part| part.to_owned()).collect());
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::PLAIN)
                .set_column_statistics_enabled(path, EnabledStatistics::None);
        }
        let schema = Arc::new(parse_message_type(schema)?);
        let writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build()))?;
        Ok(Self { writer })
    }

    /// Encodes a group of rows.
    pub(crate) fn group(
        &mut self,
        columns: impl FnOnce(&mut Group<'_>) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        let mut group = Group(self.writer.next_row_group()?);
        columns(&mut group)?;
        group.0.close()?;
        Ok(())
    }

    /// Hands what is encoded on, so that only one group is ever held.
    pub(crate) fn drain(&mut self, out: &mut dyn Write) -> Result<(), TableError> {
        self.writer.flush()?;
        out.write_all(self.writer.inner())?;
        // Offsets are counted by the writer: it doesn't look at what it has written.
        self.writer.inner_mut().clear();
        Ok(())
    }

    /// Ends the file; what was not handed on yet.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, TableError> {
        self.writer.finish()?;
        self.writer.flush()?;
        Ok(mem::take(self.writer.inner_mut()))
    }
}

/// A group of rows, whose columns are written in the order of the schema.
pub(crate) struct Group<'a>(SerializedRowGroupWriter<'a, Vec<u8>>);

impl Group<'_> {
    fn column<T: DataType>(
        &mut self,
        values: &[T::T],
        definition: Option<&[i16]>,
        repetition: Option<&[i16]>,
    ) -> Result<(), TableError> {
        let Some(mut column) = self.0.next_column()? else { return Ok(()) };
        column.typed::<T>().write_batch(values, definition, repetition)?;
        Ok(column.close()?)
    }

    /// A required column.
    pub(crate) fn required<T: DataType>(&mut self, values: &[T::T]) -> Result<(), TableError> {
        self.column::<T>(values, None, None)
    }

    /// A required column of text.
    pub(crate) fn text<'t>(
        &mut self,
        values: impl Iterator<Item = &'t str>,
    ) -> Result<(), TableError> {
        let values: Vec<ByteArray> = values.map(ByteArray::from).collect();
        self.required::<ByteArrayType>(&values)
    }

    /// An optional column.
    pub(crate) fn optional<T: DataType>(
        &mut self,
        values: impl Iterator<Item = Option<T::T>>,
    ) -> Result<(), TableError> {
        let (mut present, mut levels) = (Vec::new(), Vec::new());
        for value in values {
            levels.push(i16::from(value.is_some()));
            present.extend(value);
        }
        self.column::<T>(&present, Some(&levels), None)
    }

    /// A column of lists, all of the same length above 0. `fill` adds the values of the next list, as long as there is one.
    pub(crate) fn lists<T: DataType>(
        &mut self,
        length: usize,
        mut fill: impl FnMut(&mut Vec<T::T>) -> Result<bool, TableError>,
    ) -> Result<(), TableError> {
        let Some(mut column) = self.0.next_column()? else { return Ok(()) };
        let definition = vec![1; length];
        // A list begins where nothing is repeated.
        let mut repetition = vec![1; length];
        if let Some(first) = repetition.first_mut() {
            *first = 0;
        }
        let mut values = Vec::with_capacity(length);
        while fill(&mut values)? {
            column.typed::<T>().write_batch(&values, Some(&definition), Some(&repetition))?;
            values.clear();
        }
        Ok(column.close()?)
    }
}
