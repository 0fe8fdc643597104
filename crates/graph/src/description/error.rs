//! What can be wrong with a description.

use crate::GraphError;
use thiserror::Error;

/// Why a [`Description`](super::Description) can't be read or built. One line each, safe to print.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DescriptionError {
    /// The text is no TOML, or its top level has other fields than a description.
    #[error("line {line}: {reason}")]
    Toml {
        /// Counted from 1.
        line: usize,
        /// What the reader found.
        reason: String,
    },
    /// A layer that can't be read, or that does not fit the layers before it.
    #[error("layer {number}{}: {reason}", named(.name))]
    Layer {
        /// Counted from 1; the input is not counted.
        number: usize,
        /// Its name or, without one, its operation; empty where neither can be read.
        name: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// More layers than [`MAX_LAYERS`](super::MAX_LAYERS).
    #[error("expected at most {most} layers, found {0}", most = super::MAX_LAYERS)]
    TooManyLayers(usize),
    /// The name of the input can't be used.
    #[error("the input's name: {0}")]
    Input(String),
    /// The layers do not form a graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

fn named(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" ({})", util::visible(name)) }
}
