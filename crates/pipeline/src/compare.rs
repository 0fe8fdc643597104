//! Several trained models side by side: metrics with intervals, curves, and McNemar's test of every two.
//!
//! A model is a folder with `history.csv` and `predictions_<split>.csv`, of whatever kind it is. All numbers are computed from
//! these again, in one way for all.

use report::{ComparedModel, Comparison, Pair, PairTest, Prediction, ReportError, Saved};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use train::calibration::reliability;
use train::metrics::{evaluate, mcnemar};
use util::visible;

use crate::error::Error;

/// More can't be told from one another in a picture.
pub const MOST_MODELS: usize = 8;

/// Reads the models' folders and compares what they say of one split.
///
/// # Errors
/// Fewer than two models or more than [`MOST_MODELS`], one of them twice, a folder without a model or without that split,
/// other classes, files that are something else.
pub fn compare(
    folders: &[PathBuf],
    split: &str,
    command_line: String,
) -> Result<Comparison, Error> {
    if !(2..=MOST_MODELS).contains(&folders.len()) {
        return Err(Error::ModelCount { most: MOST_MODELS, found: folders.len() });
    }
    let names = names(folders)?;
    let mut all = Vec::new();
    for folder in folders {
        let saved = Saved::read(folder, split)?;
        all.push(saved);
        check_classes(folders, &all)?;
    }
    let classes = all.first().map(|saved| saved.classes.clone()).unwrap_or_default();
    let by_file: Vec<HashMap<&str, &Prediction>> =
        all.iter().map(|saved| by_file(&saved.predictions)).collect();
    let mut pairs = Vec::new();
    for second in 0..all.len() {
        for first in 0..second {
            let test = pair([&names[first], &names[second]], &by_file[first], &by_file[second]);
            pairs.push(Pair { first, second, test });
        }
    }
    pairs.sort_by_key(|pair| (pair.first, pair.second));
    let models = folders.iter().zip(names).zip(&all).map(|((folder, name), saved)| {
        model(folder, name, saved)
            .map_err(|source| Error::Model { path: folder.to_owned(), source: Box::new(source) })
    });
    Ok(Comparison {
        created: crate::now(),
        command_line,
        tool_version: format!("feature-cache {}", env!("CARGO_PKG_VERSION")),
        split: split.to_owned(),
        classes,
        models: models.collect::<Result<_, _>>()?,
        pairs,
    })
}

/// Each folder's own name, or the whole path where two have the same.
fn names(folders: &[PathBuf]) -> Result<Vec<String>, Error> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let missing = |_| Error::Report(ReportError::NoModel { path: folder.clone() });
        let path = folder.canonicalize().map_err(missing)?;
        if paths.contains(&path) {
            return Err(Error::SameModel { path: folder.clone() });
        }
        paths.push(path);
    }
    let own = |path: &PathBuf| {
        path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
    };
    let names: Vec<String> = paths.iter().map(own).collect();
    let twice = (1..names.len()).any(|i| names[..i].contains(&names[i]));
    Ok(match twice {
        true => folders.iter().map(|folder| folder.display().to_string()).collect(),
        false => names,
    })
}

/// The last model's classes must be those of the first.
fn check_classes(folders: &[PathBuf], all: &[Saved]) -> Result<(), Error> {
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return Ok(()) };
    if first.classes == last.classes {
        return Ok(());
    }
    let list = |classes: &[String]| {
        const SHOWN: usize = 5;
        let more = if classes.len() > SHOWN { ", …" } else { "" };
        let shown = classes.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("{}: {shown}{more}", classes.len())
    };
    Err(Error::OtherClasses {
        path: folders[all.len() - 1].clone(),
        first: folders[0].clone(),
        expected: list(&first.classes),
        found: list(&last.classes),
    })
}

fn by_file(predictions: &[Prediction]) -> HashMap<&str, &Prediction> {
    predictions.iter().map(|prediction| (prediction.file.as_str(), prediction)).collect()
}

fn model(folder: &Path, name: String, saved: &Saved) -> Result<ComparedModel, train::HeadError> {
    let labelled = || saved.predictions.iter().filter(|prediction| prediction.truth.is_some());
    let probabilities: Vec<f32> =
        labelled().flat_map(|prediction| prediction.probabilities.iter().copied()).collect();
    let labels: Vec<i64> = labelled().filter_map(|p| i64::try_from(p.truth?).ok()).collect();
    let classes = saved.classes.len();
    Ok(ComparedModel {
        name,
        folder: folder.display().to_string(),
        history: saved.history.clone(),
        facts: saved.facts,
        weight_bytes: saved.weight_bytes,
        metrics: evaluate(&probabilities, &labels, classes)?,
        reliability: reliability(&probabilities, &labels, classes)?,
    })
}

/// McNemar's test, if both were evaluated on the very same pictures; else the reason why not.
fn pair(
    [first, second]: [&str; 2],
    a: &HashMap<&str, &Prediction>,
    b: &HashMap<&str, &Prediction>,
) -> Result<PairTest, String> {
    let no_digest = |name: &str| {
        format!(
            "No test of {first} and {second}: the predictions of {name} have no sha256 of the pictures, so nobody can tell whether they are the same."
        )
    };
    let others = |detail: String| {
        Err(format!("No test of {first} and {second}, which saw other pictures: {detail}."))
    };
    let (mut only_first, mut only_second) = (0, 0);
    // The first difference in the order of names, so that it is always the same.
    let mut files: Vec<&&str> =
        a.keys().chain(b.keys().filter(|file| !a.contains_key(**file))).collect();
    files.sort_unstable();
    for file in files {
        let shown = visible(file);
        let (p, q) = match (a.get(*file), b.get(*file)) {
            (Some(p), Some(q)) => (p, q),
            (Some(_), None) => return others(format!("'{shown}' was not shown to {second}")),
            (None, _) => return others(format!("'{shown}' was not shown to {first}")),
        };
        match (p.sha256, q.sha256) {
            (None, _) => return Err(no_digest(first)),
            (_, None) => return Err(no_digest(second)),
            (Some(p), Some(q)) if p != q => {
                return others(format!("the content of '{shown}' is not the same"));
            }
            _ => {}
        }
        if p.truth != q.truth {
            return others(format!("'{shown}' has another class"));
        }
        match (p.truth == Some(p.predicted), q.truth == Some(q.predicted)) {
            (true, false) => only_first += 1,
            (false, true) => only_second += 1,
            _ => {}
        }
    }
    Ok(PairTest { only_first, only_second, p_value: mcnemar(only_first, only_second) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(file: &str, truth: usize, predicted: usize) -> Prediction {
        Prediction {
            file: file.to_owned(),
            sha256: Some([7; 32]),
            truth: Some(truth),
            predicted,
            ..Prediction::default()
        }
    }

    fn test(a: &[Prediction], b: &[Prediction]) -> Result<PairTest, String> {
        pair(["a", "b"], &by_file(a), &by_file(b))
    }

    #[test]
    fn rows_are_matched_by_file_whatever_their_order() {
        let a = [row("1", 0, 0), row("2", 0, 0), row("3", 1, 1), row("4", 1, 0)];
        let b = [row("4", 1, 1), row("3", 1, 0), row("2", 0, 1), row("1", 0, 0)];
        let found = test(&a, &b).unwrap();
        assert_eq!((found.only_first, found.only_second), (2, 1));
        assert!((found.p_value - 1.0).abs() <= 1e-12, "2 of 3");
    }

    #[test]
    fn other_pictures_are_told_by_name() {
        let a = [row("1", 0, 0), row("2", 0, 0)];
        let says = |b: &[Prediction], words: &str| {
            let reason = test(&a, b).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        };
        says(&a[..1], "'2' was not shown to b");
        says(&[row("1", 0, 0), row("2", 0, 0), row("3", 0, 0)], "'3' was not shown to a");
        says(&[row("1", 0, 0), Prediction { sha256: Some([8; 32]), ..row("2", 0, 0) }], "content");
        says(
            &[row("1", 0, 0), Prediction { sha256: None, ..row("2", 0, 0) }],
            "of b have no sha256",
        );
        says(&[row("1", 1, 0), row("2", 0, 0)], "another class");
    }
}
