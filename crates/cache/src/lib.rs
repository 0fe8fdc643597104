//! Feature arrays on disk: rows, labels and index that always agree, runs that resume after a kill at any moment, and
//! files that numpy reads. The formats and the rules of recovery are told in `docs/formats.md`.
//!
//! A caller scans a split into a sorted list of [`Input`]s, calls [`open`], computes what [`SplitWriter::pending`] lists,
//! gives each row to [`SplitWriter::write_row`] in any order from any thread, and ends with [`SplitWriter::finish`].
//! [`SplitReader`] maps a finished split into memory.
#![deny(unsafe_code)]

mod changes;
mod choice;
mod compare;
mod complete;
mod digest;
mod disk;
mod error;
mod finish;
mod index;
mod input;
mod journal;
pub mod leaks;
mod limits;
mod lock;
mod manifest;
mod merge;
mod mmap;
mod names;
mod npy;
mod open;
#[doc(hidden)]
pub mod parsers;
mod part;
mod reader;
mod recover;
mod settings;
mod setup;
mod splits;
mod staging;
mod stamps;
mod target;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod faulty;

pub use changes::{Changes, Names};
pub use error::CacheError;
pub use index::IndexEntry;
pub use input::{Existing, Input, Judged, OnError, OpenOptions, RowSource, Skip};
pub use manifest::{
    FORMAT_VERSION, FileRecord, Files, Manifest, Run, RunStats, Shard, check_compatible,
    harmless_differences,
};
pub use merge::merge;
pub use open::{Opened, open};
pub use reader::SplitReader;
pub use recover::{Recovered, Recovery, recover};
pub use settings::{Difference, Dtype, MAX_ROW_AXES, MAX_ROW_ELEMENTS, Settings, WeightsId};
pub use splits::{SplitInfo, State, info, list_splits};
pub use writer::SplitWriter;
