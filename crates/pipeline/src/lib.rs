//! What the programs do, as a library: extract features, fit a head on them, predict with it.
//!
//! [`extract::Extraction`] computes a split's rows into a cache, [`fit::Fit`] trains a head on the rows of a folder,
//! [`fit_report::FitReport`] is the report on that, [`predict::Predictor`] applies the head to new images, and
//! [`RowMaker`] gives rows without a cache, and
//! [`compare::compare`] puts trained models side by side. [`Recipe`] is everything that decides a row's bits: the cache stores
//! it, a head keeps it, and [`FeatureSource`] makes the same extractor of it again. [`shared_pictures()`] finds what two
//! splits share; [`folder`] checks and joins what was extracted; [`export::model`] makes a head ready for other programs. A caller follows a command through [`Progress`].
//!
//! It is not a program: it knows no flags and prints nothing.
#![forbid(unsafe_code)]

mod batches;
pub mod compare;
mod error;
pub mod export;
pub mod extract;
mod extract_options;
mod feature_source;
pub mod fit;
pub mod fit_report;
pub mod folder;
mod memory;
mod picture;
pub mod predict;
mod progress;
pub mod recipe;
mod row_maker;
mod shared_pictures;
pub mod train;

pub use error::{BoxError, Error, MemoryUse};
pub use feature_source::{FeatureSource, WeightsSearch};
pub use picture::Picture;
pub use progress::{Event, Progress, Silent};
pub use recipe::{Augmented, NUMERICS, Recipe, RecipeError, WeightsId};
pub use row_maker::RowMaker;
pub use shared_pictures::shared_pictures;

/// Now, as `2026-05-04 17:20:03 UTC`.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
