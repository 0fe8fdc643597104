//! Which files there are, and in which order.

mod inputs;
mod names;
mod scan;
#[cfg(test)]
mod tests;
pub(crate) mod walk;

use std::path::PathBuf;

pub use inputs::expand_inputs;
pub use names::{ParseNameError, display_name, parse_name};
pub use scan::{InputFile, ScanError, SplitScan, find_splits, scan_split};
pub use walk::{IMAGE_SUFFIXES, has_image_suffix};

/// Something on disk that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Where it is.
    pub path: PathBuf,
    /// One short line, such as `hidden` or `not an image suffix`.
    pub reason: String,
}
