//! Whether the parts of a run fit together. Everything behind this check may index without fear.

use std::collections::HashSet;

use util::visible;

use crate::ReportError;
use crate::model::{Prediction, Run, SplitResult};

/// Checks every index and every length.
pub(crate) fn check(run: &Run) -> Result<(), ReportError> {
    let mut names = HashSet::new();
    for split in &run.splits {
        if !is_file_name_part(&split.name) {
            return Err(inconsistent(
                format!("split '{}'", visible(&split.name)),
                "a name of letters, digits, '-', '_' and '.'",
                "other characters, or none",
            ));
        }
        // Some file systems do not tell upper case from lower.
        if !names.insert(split.name.to_lowercase()) {
            return Err(inconsistent(
                format!("split '{}'", split.name),
                "each split once",
                "it twice",
            ));
        }
        check_split(split, run.classes.len())?;
    }
    for mistake in &run.mistakes {
        check_class(
            || format!("mistake on '{}'", visible(&mistake.file)),
            mistake.truth.max(mistake.predicted),
            run.classes.len(),
        )?;
    }
    if let Some(repeats) = &run.repeats {
        for metric in &repeats.metrics {
            if metric.values.len() != repeats.seeds.len() {
                return Err(inconsistent(
                    format!("repeated metric '{}'", visible(&metric.key)),
                    format!("{} values, one a seed", repeats.seeds.len()),
                    metric.values.len().to_string(),
                ));
            }
        }
    }
    Ok(())
}

fn check_split(split: &SplitResult, classes: usize) -> Result<(), ReportError> {
    if let Some(metrics) = &split.metrics {
        let confusion = &metrics.confusion;
        let is_square =
            confusion.len() == classes && confusion.iter().all(|row| row.len() == classes);
        if !is_square {
            return Err(inconsistent(
                format!("split '{}', confusion matrix", split.name),
                format!("{classes} rows of {classes} counts"),
                format!(
                    "{} rows of {} counts",
                    confusion.len(),
                    confusion.first().map_or(0, Vec::len)
                ),
            ));
        }
        if metrics.per_class.len() != classes {
            return Err(inconsistent(
                format!("split '{}', metrics of classes", split.name),
                format!("{classes}, one a class"),
                metrics.per_class.len().to_string(),
            ));
        }
    }
    for prediction in &split.predictions {
        let what = || format!("split '{}', row {}", split.name, prediction.row);
        let Prediction { truth, predicted, probabilities, .. } = prediction;
        check_class(what, truth.map_or(*predicted, |t| t.max(*predicted)), classes)?;
        if probabilities.len() != classes {
            return Err(inconsistent(
                what(),
                format!("{classes} probabilities, one a class"),
                probabilities.len().to_string(),
            ));
        }
    }
    Ok(())
}

fn check_class(what: impl Fn() -> String, class: usize, classes: usize) -> Result<(), ReportError> {
    if class < classes {
        return Ok(());
    }
    Err(inconsistent(what(), format!("a class index below {classes}"), class.to_string()))
}

/// Whether a name can be part of a file's name everywhere, and of nothing but that.
pub(crate) fn is_file_name_part(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn inconsistent(
    what: String,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> ReportError {
    ReportError::Inconsistent { what, expected: expected.into(), found: found.into() }
}
