//! What is in a folder of arrays.

use cache::{SplitReader, State};
use pyo3::prelude::*;
use serde_json::json;
use std::path::PathBuf;

use crate::worker;

/// The names of the finished splits of a folder.
#[pyfunction]
pub(crate) fn splits(py: Python<'_>, dir: PathBuf) -> PyResult<Vec<String>> {
    worker::run(py, None, String::new(), move |_| {
        let all = cache::info(&dir)?;
        let finished = all.into_iter().filter(|one| one.shard.is_none());
        Ok(finished
            .filter(|one| matches!(one.state, State::Complete(_)))
            .map(|one| one.split)
            .collect())
    })
}

/// Checks that a split's files belong together, and gives its manifest as JSON.
#[pyfunction]
pub(crate) fn open_split(py: Python<'_>, dir: PathBuf, split: String) -> PyResult<String> {
    worker::run(py, None, String::new(), move |_| {
        Ok(json!(SplitReader::open(&dir, &split)?.manifest()).to_string())
    })
}

/// The files of a split in row order; and those without a row, with the reasons.
#[pyfunction]
#[expect(clippy::type_complexity, reason = "two lists")]
pub(crate) fn files(
    py: Python<'_>,
    dir: PathBuf,
    split: String,
) -> PyResult<(Vec<String>, Vec<(String, String)>)> {
    worker::run(py, None, String::new(), move |_| {
        let (mut rows, mut skipped) = (Vec::new(), Vec::new());
        for entry in SplitReader::open(&dir, &split)?.index()? {
            match entry.row {
                Some(_) => rows.push(entry.file),
                None => skipped.push((entry.file, entry.reason)),
            }
        }
        Ok((rows, skipped))
    })
}
