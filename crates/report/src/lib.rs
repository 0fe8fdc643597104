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
//! | `predictions_<split>.csv` | one line a row: file, true class, predicted class, probabilities, sha256 of the file |
//!
//! [`Saved`] reads tables again, [`write_comparison`] puts several models on one page.
//!
//! It draws what it is given: it reads no features, trains nothing, and computes no metric: those are [`train::metrics`]'.
//!
//! A cell of a table that a spreadsheet would take for a formula begins with `\xNN` in place of its first character.
#![forbid(unsafe_code)]

mod check;
mod comparison;
mod confusion;
mod curves;
mod earlier;
mod error;
mod json;
mod mistakes;
mod model;
mod numbers;
mod page;
mod plot;
mod reliability;
mod saved;
mod tables;
mod text;
mod theme;
mod ticks;

use std::fs;
use std::path::{Path, PathBuf};

pub use comparison::{ComparedModel, Comparison, Pair, PairTest};
pub use error::ReportError;
pub use mistakes::most_confident_mistakes;
pub use model::{
    Chosen, Epoch, Mistake, ModelFacts, Prediction, RepeatedMetric, Repeats, Run, Section, Skipped,
    SplitResult,
};
pub use saved::Saved;

/// What [`write()`] left in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page to open.
    pub page: PathBuf,
    /// Every file, the page included.
    pub files: Vec<PathBuf>,
}

/// Writes the report of a run into `dir`, which is made if it is missing, and removes the predictions that an earlier report
/// wrote there and this one doesn't: those alone that its `metrics.json` lists.
///
/// Each file is written under a temporary name, flushed to disk and renamed, so none is ever seen half-written. A link in
/// the place of a file is replaced, not followed.
///
/// # Errors
/// [`ReportError::Inconsistent`] when the values do not fit together (nothing is written then), [`ReportError::Io`] when
/// the file system refuses.
pub fn write(run: &Run, dir: &Path) -> Result<Written, ReportError> {
    check::check(run)?;
    fs::create_dir_all(dir).map_err(failed("create the folder", dir))?;
    let earlier = earlier::predictions(dir);
    let mut contents: Vec<(String, Vec<u8>)> =
        vec![("history.csv".into(), tables::history(&run.history))];
    for split in &run.splits {
        let table = tables::predictions(split, &run.classes);
        contents.push((earlier::name_of_predictions(&split.name), table));
    }
    contents.push(("curves.svg".into(), curves::standalone(&run.history)));
    let matrix = confusion::standalone(run.headline(), &run.classes);
    contents.push(("confusion.svg".into(), matrix));
    let put = |(name, bytes): &(String, Vec<u8>)| {
        let path = dir.join(name);
        util::atomic::write(&path, |out| out.write_all(bytes)).map_err(failed("write", &path))?;
        Ok(path)
    };
    let mut files = contents.iter().map(put).collect::<Result<Vec<_>, ReportError>>()?;
    // While the old list is there: one that a new list doesn't know would stay for ever.
    earlier::remove(dir, earlier.iter().filter(|name| !is_among(name, &files)))?;
    contents.insert(1, ("metrics.json".into(), json::metrics(run)));
    let names: Vec<String> = contents.iter().map(|(name, _)| name.clone()).collect();
    files.push(put(&contents[1])?);
    // Last, so that a page is never seen before the files that it names.
    let page = put(&("report.html".into(), page::page(run, &names)))?;
    files.push(page.clone());
    Ok(Written { page, files })
}

/// Writes the page of a comparison, as [`write()`] does with its files.
///
/// # Errors
/// The file system refuses.
pub fn write_comparison(comparison: &Comparison, path: &Path) -> Result<(), ReportError> {
    let folder = util::atomic::folder_of(path);
    fs::create_dir_all(folder).map_err(failed("create the folder", folder))?;
    let bytes = page::compare::page(comparison);
    util::atomic::write(path, |out| out.write_all(&bytes)).map_err(failed("write", path))
}

/// Some file systems don't tell upper case from lower.
fn is_among(name: &str, files: &[PathBuf]) -> bool {
    let same = |file: &PathBuf| file.file_name().is_some_and(|f| f.eq_ignore_ascii_case(name));
    files.iter().any(same)
}

fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> ReportError + 'a {
    move |source| ReportError::Io { action, path: path.to_owned(), source }
}
