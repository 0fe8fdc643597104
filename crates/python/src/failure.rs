//! Errors as the exceptions of `feature_cache.errors`, with their hints.

use backbone::{BaseError, EngineError, ExtractorError};
use cache::CacheError;
use images::{ImageError, ScanError};
use pipeline::Error;
use pyo3::prelude::*;
use std::error::Error as StdError;
use train::HeadError;
use weights::WeightsError;

use crate::words;
use crate::worker::Panicked;

const REPORT: &str =
    "this is a bug: please report it with what was called and what Python printed before";

/// The exception for an error; where not even that can be made, why.
pub(crate) fn raise(py: Python<'_>, error: &anyhow::Error) -> PyErr {
    if let Some(clap) = error.downcast_ref::<words::WordsError>() {
        return exception(py, "InvalidArgumentError", clap.to_string(), words::hint(clap));
    }
    let message = words::keywords(&cli::embed::message(error));
    if error.downcast_ref::<Panicked>().is_some() {
        return exception(py, "InternalError", message, Some(REPORT.to_owned()));
    }
    let class = error.chain().find_map(class_of).unwrap_or("InvalidArgumentError");
    exception(py, class, message, cli::embed::hint(error).map(|hint| words::keywords(&hint)))
}

/// An exception of the package.
pub(crate) fn exception(
    py: Python<'_>,
    class: &str,
    message: String,
    hint: Option<String>,
) -> PyErr {
    let made = py
        .import("feature_cache.errors")
        .and_then(|errors| errors.getattr(class))
        .and_then(|class| class.call1((message, hint)));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// A wrong argument.
pub(crate) fn invalid(py: Python<'_>, message: String) -> PyErr {
    exception(py, "InvalidArgumentError", message, None)
}

fn class_of(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    if let Some(error) = cause.downcast_ref::<Error>() {
        return of_pipeline(error);
    }
    if cause.is::<CacheError>() {
        return Some("CacheError");
    }
    if cause.is::<ScanError>() {
        return Some("DataError");
    }
    if cause.is::<ImageError>() {
        return Some("ImageError");
    }
    if cause.is::<WeightsError>() {
        return Some("WeightsError");
    }
    if cause.is::<HeadError>() {
        return Some("ModelError");
    }
    if cause.is::<EngineError>() || cause.is::<ExtractorError>() {
        return Some("EngineError");
    }
    cause.is::<BaseError>().then_some("InvalidArgumentError")
}

fn of_pipeline(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::Cache(_) | Error::Features { .. } | Error::NoTrain { .. } | Error::Recipe(_) => {
            "CacheError"
        }
        Error::Scan(_)
        | Error::NoPictures { .. }
        | Error::ClassWithoutPictures { .. }
        | Error::SplitClasses { .. } => "DataError",
        Error::Split { source, .. } => return of_pipeline(source),
        Error::Machine(_) | Error::Memory { .. } => "ResourceError",
        Error::Weights { .. }
        | Error::WeightsDiffer { .. }
        | Error::PinnedWeightsDiffer { .. }
        | Error::UnknownWeights { .. }
        | Error::NoWeights { .. } => "WeightsError",
        Error::Run(_) | Error::Extractor(_) => "EngineError",
        Error::Head(_)
        | Error::HeadFolder { .. }
        | Error::HeadFeatures { .. }
        | Error::ModelFolder { .. }
        | Error::Model { .. }
        | Error::StartModel { .. }
        | Error::Start { .. }
        | Error::Report(_)
        | Error::CheckpointThere { .. }
        | Error::Diverged { .. }
        | Error::OtherRows { .. }
        | Error::RowShape { .. } => "ModelError",
        _ => return None,
    })
}
