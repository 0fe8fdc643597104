//! Pictures and pages of a trained head.
//!
//! The caller fills a [`Run`]; [`write()`] puts beside each other, in one folder:
//!
//! | file | what it holds |
//! |---|---|
//! | `report.html` | one self-contained page: what was run, metrics, curves, confusion matrix, mistakes with thumbnails |
//! | `curves.svg` | training and validation accuracy, and training and validation loss, over the epochs |
//! | `confusion.svg` | confusion matrix of the split that the page puts first |
//! | `history.csv` | `epoch,loss,accuracy,val_loss,val_accuracy`, full precision |
//! | `metrics.json` | everything with a number, under stable keys |
//! | `predictions_<split>.csv` | one line a row: file, true class, predicted class, probabilities |
#![forbid(unsafe_code)]

mod check;
mod confusion;
mod curves;
mod error;
mod files;
mod json;
mod mistakes;
mod model;
mod numbers;
mod page;
mod plot;
mod stats;
mod tables;
mod text;
mod theme;
mod ticks;

use std::path::{Path, PathBuf};

pub use error::ReportError;
pub use mistakes::most_confident_mistakes;
pub use model::{
    Epoch, Metric, Mistake, Prediction, RepeatedMetric, Repeats, Run, Section, Skipped, SplitResult,
};

/// What [`write()`] left in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page to open.
    pub page: PathBuf,
    /// Every file, the page included.
    pub files: Vec<PathBuf>,
}

/// Writes the report of a run into `dir`, which is made if it is missing.
///
/// Each file is written under a temporary name, flushed to disk and renamed, so none is ever seen half-written.
///
/// # Errors
/// [`ReportError::Inconsistent`] when the values do not fit together (nothing is written then), [`ReportError::Io`] when
/// the file system refuses.
pub fn write(run: &Run, dir: &Path) -> Result<Written, ReportError> {
    check::check(run)?;
    files::make_dir(dir)?;
    let mut contents: Vec<(String, Vec<u8>)> = vec![
        ("history.csv".into(), tables::history(&run.history)),
        ("metrics.json".into(), json::metrics(run)),
    ];
    for split in &run.splits {
        let name = format!("predictions_{}.csv", split.name);
        contents.push((name, tables::predictions(split, &run.classes)));
    }
    contents.push(("curves.svg".into(), curves::standalone(&run.history)));
    let matrix = confusion::standalone(run.headline(), &run.classes);
    contents.push(("confusion.svg".into(), matrix));
    let names: Vec<String> = contents.iter().map(|(name, _)| name.clone()).collect();
    // Last, so that a page is never seen before the files that it names.
    contents.push(("report.html".into(), page::page(run, &names)));
    let files = contents
        .iter()
        .map(|(name, bytes)| files::put(dir, name, bytes))
        .collect::<Result<Vec<_>, _>>()?;
    files::settle(dir);
    Ok(Written { page: dir.join("report.html"), files })
}
