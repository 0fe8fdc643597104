//! Feature arrays on disk: rows, labels and index that always agree, runs that resume after a kill at any moment, and
//! files that numpy reads. `docs/formats.md` has the formats and the rules of recovery.
//!
//! A caller lists a split's [`Input`]s, calls [`open`], computes what [`SplitWriter::pending`] lists, gives each row to
//! [`SplitWriter::write_row`] in any order from any thread, and ends with [`SplitWriter::finish`]. [`SplitReader`] maps
//! a finished split into memory; [`merge`] joins shards, [`recover`] ends what a killed run had decided, and [`leaks`]
//! finds pictures that two splits share.
//!
//! It is not a computation: it never decodes an image, and knows of a row only its bytes and what was said of them.
#![deny(unsafe_code)]

mod changes;
mod disk;
mod error;
mod finished;
mod format;
mod input;
pub mod leaks;
#[doc(hidden)]
pub mod parsers;
mod recipe;
mod run;
mod settings;

pub use changes::{Changes, Difference, Names};
pub use error::CacheError;
pub use finished::reader::SplitReader;
pub use finished::row_entries::RowEntries;
pub use finished::splits::{SplitInfo, State, info, list_splits};
pub use format::index::IndexEntry;
pub use format::manifest::{
    FORMAT_VERSION, FileRecord, Files, Manifest, Provenance, RunStats, Shard, check_compatible,
};
pub use format::npy::header as npy_header;
pub use input::{Existing, Input, Judged, OnError, OpenOptions, RowSource, Skip};
pub use recipe::{OpaqueRecipe, Rule, Rules};
pub use run::merge::merge;
pub use run::open::{Opened, open};
pub use run::recover::{Recovered, Recovery, recover};
pub use run::writer::SplitWriter;
pub use settings::{Dtype, MAX_ROW_AXES, MAX_ROW_ELEMENTS, Settings};
