//! A finished split: checked, opened for reading, listed; and its files while they get finished.

pub(crate) mod complete;
pub(crate) mod reader;
pub(crate) mod row_entries;
pub(crate) mod splits;
pub(crate) mod staging;
