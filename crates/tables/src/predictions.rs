//! Predictions as parquet.

use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type};
use std::io;
use std::path::Path;

use crate::atomically::write_file;
use crate::error::TableError;
use crate::parquet_file::ParquetFile;

const SCHEMA: &str = "message predictions {
    required binary file (STRING);
    optional int32 rank;
    optional binary class (STRING);
    optional float probability;
    optional binary error (STRING);
}";
/// Lines of a group.
const GROUP: usize = 1 << 16;

/// What is said of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicted {
    /// A class: its place among the most probable, from 1.
    Class {
        /// 1 for the class that is predicted.
        rank: usize,
        /// Its name.
        class: String,
        /// Its probability.
        probability: f32,
    },
    /// Why it can't be classified.
    Error(String),
}

/// The table of `predict`: `file`, `rank`, `class`, `probability`, `error`. It is kept encoded until it is saved.
pub struct PredictionTable {
    file: ParquetFile,
    lines: Vec<(String, Predicted)>,
}

impl PredictionTable {
    /// An empty one.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn new() -> Result<Self, TableError> {
        Ok(Self { file: ParquetFile::new(SCHEMA, &[], None)?, lines: Vec::new() })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// The encoder fails.
    pub fn push(&mut self, file: String, predicted: Predicted) -> Result<(), TableError> {
        self.lines.push((file, predicted));
        if self.lines.len() < GROUP { Ok(()) } else { self.encode() }
    }

    fn encode(&mut self) -> Result<(), TableError> {
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() {
            return Ok(());
        }
        let classes = || {
            lines.iter().map(|(_, predicted)| match predicted {
                Predicted::Class { rank, class, probability } => Some((*rank, class, *probability)),
                Predicted::Error(_) => None,
            })
        };
        self.file.group(|group| {
            group.text(lines.iter().map(|(file, _)| file.as_str()))?;
            group.optional::<Int32Type>(
                classes().map(|c| c.map(|(rank, ..)| i32::try_from(rank).unwrap_or(i32::MAX))),
            )?;
            group.optional::<ByteArrayType>(
                classes().map(|c| c.map(|(_, class, _)| ByteArray::from(class.as_str()))),
            )?;
            group.optional::<FloatType>(classes().map(|c| c.map(|(.., p)| p)))?;
            group.optional::<ByteArrayType>(lines.iter().map(|(_, predicted)| match predicted {
                Predicted::Error(why) => Some(ByteArray::from(why.as_str())),
                Predicted::Class { .. } => None,
            }))
        })
    }

    /// Writes the file; what is at `path` is replaced.
    ///
    /// # Errors
    /// It can't be written.
    pub fn save(mut self, path: &Path) -> Result<(), TableError> {
        self.encode()?;
        let bytes = self.file.finish()?;
        write_file(path, |out| Ok(out.write_all(&bytes)?))
    }

    /// An early error where [`Self::save`] could not write.
    ///
    /// # Errors
    /// There is a folder at `path`, or none to put it into.
    pub fn check(path: &Path) -> Result<(), TableError> {
        let folder = util::atomic::folder_of(path);
        let found = match (path.is_dir(), folder.is_dir()) {
            (false, true) => return Ok(()),
            (true, _) => io::ErrorKind::IsADirectory,
            (_, false) => io::ErrorKind::NotFound,
        };
        Err(TableError::io("write", path)(found.into()))
    }
}
