//! The Python module `feature_cache._native`: what `python/feature_cache` puts its words around.
//!
//! Commands go through `cli`, with the words, defaults and checks of the shell; rows and predictions of single pictures through
//! `pipeline`. Nothing is computed here. Work runs on a thread of its own, so that Ctrl-C is heard and progress is shown.

mod commands;
mod extractor;
mod failure;
mod head;
mod listener;
mod pictures;
mod split;
mod words;
mod worker;

/// What the package's Python part is built on. Its types are in `_native.pyi`.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::commands::{panic_for_tests, run, shell};
    #[pymodule_export]
    use crate::extractor::Extractor;
    #[pymodule_export]
    use crate::head::Head;
    #[pymodule_export]
    use crate::split::{files, open_split, splits};

    /// The version of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name of it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
