//! A trained head, or a base's own classifier, on pictures.

use anyhow::{anyhow, bail};
use cli::embed::{self, Classifier};
use numpy::PyArray1;
use pipeline::Picture;
use pyo3::prelude::*;
use serde_json::json;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};

use crate::pictures::{pictures, refused};
use crate::{words, worker};

/// What predicts.
#[pyclass(module = "feature_cache._native", frozen)]
pub(crate) struct Head {
    /// One call at a time: how probabilities are used is set for each.
    classifier: Arc<Mutex<Classifier>>,
    classes: Vec<String>,
    recipe: Option<String>,
}

/// Probabilities, one a class and picture, and the predicted classes.
type Predicted<'py> = (Bound<'py, PyArray1<f32>>, Bound<'py, PyArray1<i64>>);

#[pymethods]
impl Head {
    /// By the flags of `predict`.
    #[new]
    #[pyo3(signature = (words, progress=None))]
    fn new(
        py: Python<'_>,
        words: Vec<OsString>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let classifier = worker::run(py, progress, String::new(), move |worker| {
            words::checked(Classifier::new(words, &worker.talk))
        })?;
        let classes = classifier.predictor.classes().to_vec();
        let recipe = classifier.predictor.recipe().map(|recipe| json!(recipe).to_string());
        Ok(Self { classifier: Arc::new(Mutex::new(classifier)), classes, recipe })
    }

    /// The classes, in the order of the probabilities.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.classes.clone()
    }

    /// How the head's features are made, as JSON; None for a base's own classifier.
    #[getter]
    fn recipe(&self) -> Option<String> {
        self.recipe.clone()
    }

    /// Probabilities and predicted classes of a list of paths and uint8 arrays, one after the other.
    #[pyo3(signature = (pictures, calibrated=false, threshold=None, progress=None))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = pictures)] pictures: Vec<Picture>,
        calibrated: bool,
        threshold: Option<String>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Predicted<'py>> {
        let classifier = Arc::clone(&self.classifier);
        let (probabilities, classes) = worker::run(py, progress, String::new(), move |worker| {
            let decision = embed::decision(calibrated, threshold.as_deref());
            let decision = decision.map_err(|why| anyhow!("threshold: {why}"))?;
            let mut classifier = classifier.lock().unwrap_or_else(PoisonError::into_inner);
            let Classifier { predictor, pool, batch_size } = &mut *classifier;
            predictor.set_decision(decision)?;
            let (mut probabilities, mut classes) = (Vec::new(), Vec::new());
            let finished = predictor.run::<anyhow::Error>(
                &pictures,
                pool,
                *batch_size,
                || worker.stopped(),
                |picture, outcome| {
                    let one = outcome.map_err(|error| refused(picture, classes.len(), error))?;
                    probabilities.extend_from_slice(one.probabilities);
                    classes.push(one.class as i64);
                    Ok(())
                },
            )?;
            if !finished {
                bail!("stopped");
            }
            Ok((probabilities, classes))
        })?;
        Ok((PyArray1::from_vec(py, probabilities), PyArray1::from_vec(py, classes)))
    }
}
