//! A base that makes rows of pictures.

use anyhow::bail;
use cli::embed::Rows;
use numpy::PyArray1;
use pyo3::prelude::*;
use serde_json::json;
use std::ffi::OsString;
use std::sync::Arc;

use crate::pictures::{pictures, refused};
use crate::{words, worker};

/// A base with its weights on a device.
#[pyclass(module = "feature_cache._native", frozen)]
pub(crate) struct Extractor {
    rows: Arc<Rows>,
}

#[pymethods]
impl Extractor {
    /// By the flags of `extract`.
    #[new]
    #[pyo3(signature = (words, progress=None))]
    fn new(
        py: Python<'_>,
        words: Vec<OsString>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let rows = worker::run(py, progress, String::new(), move |worker| {
            words::checked(Rows::new(words, &worker.talk))
        })?;
        Ok(Self { rows: Arc::new(rows) })
    }

    /// The shape of one row.
    #[getter]
    fn row_shape(&self) -> Vec<usize> {
        self.rows.maker.row_shape()
    }

    /// How rows are computed, as JSON.
    #[getter]
    fn recipe(&self) -> String {
        json!(self.rows.maker.recipe()).to_string()
    }

    /// Pictures that the base takes at once.
    #[getter]
    fn batch_size(&self) -> usize {
        self.rows.batch_size
    }

    /// The rows of a list of paths and uint8 arrays, one after the other. The first one's place is `first` in messages.
    #[pyo3(signature = (pictures, progress=None, first=0))]
    fn rows<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = pictures)] pictures: Vec<pipeline::Picture>,
        progress: Option<&Bound<'_, PyAny>>,
        first: usize,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let made = Arc::clone(&self.rows);
        let values = worker::run(py, progress, String::new(), move |worker| {
            let Rows { maker, pool, batch_size } = &*made;
            let row_values: usize = maker.row_shape().iter().product();
            let mut values = Vec::with_capacity(pictures.len() * row_values);
            let finished = maker.run::<anyhow::Error>(
                &pictures,
                pool,
                *batch_size,
                || worker.stopped(),
                |place, row| {
                    values.extend_from_slice(
                        row.map_err(|error| refused(&pictures[place], first + place, error))?,
                    );
                    Ok(())
                },
            )?;
            if !finished {
                bail!("stopped");
            }
            Ok(values)
        })?;
        Ok(PyArray1::from_vec(py, values))
    }
}
