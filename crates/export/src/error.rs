//! Why a model can't be written.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use util::Hint;

/// Why a model can't be written.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The layers do not fit together.
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
    /// Tensors that are not those of the graph.
    #[error("model: expected the values of {expected}, found {found}")]
    Tensors {
        /// The parameter with its shape, or how many there are.
        expected: String,
        /// What there is instead.
        found: String,
    },
    /// The format has no such layer.
    #[error("layer '{layer}': {format} has no {what}")]
    Layer {
        /// The layer.
        layer: String,
        /// The format.
        format: &'static str,
        /// What the layer asks for.
        what: String,
    },
    /// The system refuses a file.
    #[error("cannot write '{}': {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ExportError {
    /// For a file that can't be written.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

impl Hint for ExportError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "make its folder first",
                io::ErrorKind::StorageFull => "free some space, or choose another place",
                _ => "choose a place that you may write to",
            },
            Self::Layer { .. } => "choose another format",
            Self::Graph(_) | Self::Tensors { .. } => return None,
        };
        Some(text.to_owned())
    }
}
