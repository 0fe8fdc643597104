//! What a report left in a model's folder, read again: by whoever compares models, of whatever kind they are.
//!
//! `history.csv` and `predictions_<split>.csv` are the contract; `metrics.json` adds size and time where it can be read. They are
//! data like any other: sizes are bounded, and whatever doesn't fit is refused with its line.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use csv::StringRecord;
use serde::Deserialize;
use util::{csv_cell, visible};

use crate::ReportError;
use crate::check::is_file_name_part;
use crate::earlier::name_of_predictions;
use crate::model::{Epoch, ModelFacts, Prediction};

/// Bytes of a `history.csv`: some 500,000 epochs.
const LARGEST_HISTORY: u64 = 64 << 20;
/// Bytes of a table of predictions: 5 million rows of two classes.
const LARGEST_PREDICTIONS: u64 = 1 << 30;
/// Bytes of a `metrics.json`, which is not kept.
const LARGEST_METRICS: u64 = 128 << 20;
/// The columns before those of the classes.
const COLUMNS: [&str; 5] = ["row", "file", "class", "predicted", "correct"];

/// A model's folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// One entry an epoch.
    pub history: Vec<Epoch>,
    /// Class names in label order, as cells of a table have them ([`util::csv_cell`]).
    pub classes: Vec<String>,
    /// One entry a row of the split.
    pub predictions: Vec<Prediction>,
    /// Size and time; none from before they were written.
    pub facts: Option<ModelFacts>,
    /// Bytes of all files of weights (`*.safetensors`).
    pub weight_bytes: u64,
}

impl Saved {
    /// Reads what there is of one split.
    ///
    /// # Errors
    /// [`ReportError::NoModel`] without a history, [`ReportError::NoPredictions`] without that split, [`ReportError::Format`] for
    /// files that are something else, and those of the system.
    pub fn read(dir: &Path, split: &str) -> Result<Self, ReportError> {
        let history = dir.join("history.csv");
        if !history.exists() {
            return Err(ReportError::NoModel { path: dir.to_owned() });
        }
        let table = dir.join(name_of_predictions(split));
        if !is_file_name_part(split) || !table.exists() {
            return Err(ReportError::NoPredictions {
                path: dir.to_owned(),
                split: split.to_owned(),
            });
        }
        let history = read_history(&history)?;
        let (classes, predictions) = read_predictions(&table)?;
        let facts = facts(&dir.join("metrics.json"));
        Ok(Self { history, classes, predictions, facts, weight_bytes: weight_bytes(dir)? })
    }
}

fn read_history(path: &Path) -> Result<Vec<Epoch>, ReportError> {
    let mut reader = open(path, LARGEST_HISTORY)?;
    let header = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"];
    let found = reader.headers().map_err(|e| bad_csv(path, &e))?;
    if !found.iter().take(header.len()).eq(header) {
        return Err(bad(path, format!("expected the columns {}", header.join(","))));
    }
    let mut epochs = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| bad_csv(path, &e))?;
        let number = |i: usize| -> Result<f64, ReportError> { parse(path, &record, i) };
        let optional = |i: usize| match record.get(i) {
            Some("") | None => Ok(None),
            Some(_) => number(i).map(Some),
        };
        epochs.push(Epoch {
            epoch: parse(path, &record, 0)?,
            loss: number(1)?,
            accuracy: number(2)?,
            val_loss: optional(3)?,
            val_accuracy: optional(4)?,
        });
    }
    Ok(epochs)
}

fn read_predictions(path: &Path) -> Result<(Vec<String>, Vec<Prediction>), ReportError> {
    let mut reader = open(path, LARGEST_PREDICTIONS)?;
    let header = reader.headers().map_err(|e| bad_csv(path, &e))?.clone();
    let classes: Vec<String> = (header.iter().skip(COLUMNS.len()))
        .map_while(|column| column.strip_prefix("p_"))
        .map(|class| csv_cell(class).into_owned())
        .collect();
    if !header.iter().take(COLUMNS.len()).eq(COLUMNS) || classes.len() < 2 {
        let expected = COLUMNS.join(",");
        return Err(bad(path, format!("expected the columns {expected} and p_ of each class")));
    }
    // Columns of later versions may stand around it.
    let behind = COLUMNS.len() + classes.len();
    let digest = header.iter().skip(behind).position(|column| column == "sha256");
    let digest = digest.map(|at| behind + at);
    let class = |record: &StringRecord, i: usize| {
        let name = record.get(i).unwrap_or_default();
        let found = classes.iter().position(|class| class == name);
        found.ok_or_else(|| bad_line(path, record, format!("no class '{}'", visible(name))))
    };
    let mut predictions = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| bad_csv(path, &e))?;
        let probabilities = (0..classes.len()).map(|i| parse(path, &record, COLUMNS.len() + i));
        let sha256 = match digest.and_then(|at| record.get(at)) {
            None | Some("") => None,
            Some(text) => {
                Some(sha256(text).ok_or_else(|| bad_line(path, &record, "no sha256".to_owned()))?)
            }
        };
        predictions.push(Prediction {
            row: parse(path, &record, 0)?,
            file: record.get(1).unwrap_or_default().to_owned(),
            sha256,
            truth: match record.get(2) {
                Some("") => None,
                _ => Some(class(&record, 2)?),
            },
            predicted: class(&record, 3)?,
            probabilities: probabilities.collect::<Result<_, _>>()?,
        });
    }
    Ok((classes, predictions))
}

/// From 64 hex digits.
fn sha256(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

fn open(path: &Path, limit: u64) -> Result<csv::Reader<File>, ReportError> {
    let file = util::regular::open(path).map_err(crate::failed("read", path))?;
    let found = file.metadata().map_err(crate::failed("read", path))?.len();
    if found > limit {
        return Err(bad(path, format!("expected at most {limit} bytes, found {found}")));
    }
    Ok(csv::Reader::from_reader(file))
}

fn parse<T: std::str::FromStr>(
    path: &Path,
    record: &StringRecord,
    i: usize,
) -> Result<T, ReportError> {
    let text = record.get(i).unwrap_or_default();
    text.parse().map_err(|_| {
        bad_line(
            path,
            record,
            format!("expected a number in column {}, found '{}'", i + 1, visible(text)),
        )
    })
}

fn bad_line(path: &Path, record: &StringRecord, detail: String) -> ReportError {
    let line = record.position().map_or(0, csv::Position::line);
    bad(path, format!("line {line}: {detail}"))
}

fn bad_csv(path: &Path, error: &csv::Error) -> ReportError {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            bad(path, format!("line {line}: expected {expected_len} fields, found {len}"))
        }
        _ => bad(path, error),
    }
}

fn bad(path: &Path, detail: impl ToString) -> ReportError {
    let detail: String = detail.to_string().chars().take(400).collect();
    ReportError::Format { path: path.to_owned(), detail }
}

/// None where the file can't be read or doesn't say.
fn facts(path: &Path) -> Option<ModelFacts> {
    #[derive(Deserialize)]
    struct Metrics {
        model: Option<ModelFacts>,
    }
    let file = util::regular::open(path).ok()?;
    let read = BufReader::new(file.take(LARGEST_METRICS));
    serde_json::from_reader::<_, Metrics>(read).ok()?.model
}

fn weight_bytes(dir: &Path) -> Result<u64, ReportError> {
    let failed = |e| crate::failed("read", dir)(e);
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_weights = entry.path().extension().is_some_and(|end| end == "safetensors");
        if let (true, Ok(meta)) = (is_weights, entry.metadata())
            && meta.is_file()
        {
            bytes += meta.len();
        }
    }
    Ok(bytes)
}
