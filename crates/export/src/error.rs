//! Why a model can't be written.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use util::Hint;

use crate::web::{PACKAGE, VERSION};

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
    /// The head alone, where pixels are needed.
    #[error("a page takes pictures: expected the whole model, found its head alone")]
    NoPixels,
    /// A filter that no graph has here.
    #[error("resizing in the graph: expected bilinear, bicubic or lanczos, found {filter}")]
    Resize {
        /// Its name.
        filter: &'static str,
    },
    /// More than a browser can load.
    #[error("a page's model: expected at most {} of weights, found {}", util::gib(*.limit), util::gib(*.bytes))]
    TooLarge {
        /// Bytes of the weights.
        bytes: u64,
        /// How many at most.
        limit: u64,
    },
    /// The program that runs models in the browser is not the one that is known here.
    #[error("'{}': expected {expected}, found {found}", .path.display())]
    Runtime {
        /// Its file.
        path: PathBuf,
        /// Version and digest.
        expected: String,
        /// What there is.
        found: String,
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
            Self::Resize { .. } => "resize pictures before they go in: the file says how",
            Self::NoPixels => "export the whole model",
            Self::TooLarge { .. } => "choose a smaller base, or pool its features",
            Self::Runtime { .. } => {
                return Some(format!(
                    "get it with `npm pack {PACKAGE}@{VERSION}` and `tar -xzf {PACKAGE}-{VERSION}.tgz`, which makes the folder 'package'"
                ));
            }
            Self::Graph(_) | Self::Tensors { .. } => return None,
        };
        Some(text.to_owned())
    }
}
