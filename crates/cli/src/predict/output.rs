//! The forms of a prediction.

use anyhow::Result;
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use tables::{Predicted, PredictionTable};

use crate::console::{error_line, out, out_json};

/// Which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `photo.jpg: cats 0.9987` a file.
    Text,
    /// A table with a header.
    Csv,
    /// One array at the end.
    Json,
    /// The table as a file, at the end.
    Parquet(PathBuf),
}

/// Writes predictions as they come (JSON: at the end).
pub(super) struct Output {
    form: Form,
    csv: csv::Writer<std::io::Stdout>,
    array: Vec<Value>,
    table: PredictionTable,
    /// Whether people see the output at once.
    seen: bool,
}

impl Output {
    pub(super) fn new(form: Form) -> Result<Self> {
        let mut csv = csv::Writer::from_writer(std::io::stdout());
        if form == Form::Csv {
            csv.write_record(["file", "rank", "class", "probability", "error"])?;
        }
        if let Form::Parquet(path) = &form {
            PredictionTable::check(path)?;
        }
        let seen = std::io::stdout().is_terminal();
        Ok(Self { form, csv, array: Vec::new(), table: PredictionTable::new()?, seen })
    }

    /// The most probable classes of one file, best first.
    pub(super) fn prediction(&mut self, path: &Path, best: &[(&str, f32)]) -> Result<()> {
        let file = images::display_name(path);
        match self.form {
            Form::Text => {
                let best: Vec<String> =
                    best.iter().map(|(class, p)| format!("{class} {p:.4}")).collect();
                out(&format!("{file}: {}", best.join(", ")))?;
            }
            Form::Csv => {
                for (rank, (class, p)) in best.iter().enumerate() {
                    let (rank, p) = ((rank + 1).to_string(), p.to_string());
                    self.record([&file, &rank, class, &p, ""])?;
                }
                self.csv.flush()?;
            }
            Form::Json => {
                let best: Vec<Value> = best
                    .iter()
                    .map(|(class, p)| json!({ "class": class, "probability": p }))
                    .collect();
                self.array.push(json!({ "file": file, "predictions": best }));
            }
            Form::Parquet(_) => {
                for (rank, (class, probability)) in (1..).zip(best) {
                    let (class, probability) = ((*class).to_owned(), *probability);
                    let class = Predicted::Class { rank, class, probability };
                    self.table.push(file.to_string(), class)?;
                }
            }
        }
        Ok(())
    }

    /// A file that can't be classified.
    pub(super) fn error(&mut self, path: &Path, reason: &str) -> Result<()> {
        let file = images::display_name(path);
        match self.form {
            Form::Text => {}
            Form::Csv => {
                self.record([&file, "", "", "", reason])?;
                self.csv.flush()?;
            }
            Form::Json => self.array.push(json!({ "file": file, "error": reason })),
            Form::Parquet(_) => {
                self.table.push(file.to_string(), Predicted::Error(reason.to_owned()))?;
            }
        }
        error_line(&format!("warning: {file}: {reason}"));
        Ok(())
    }

    /// Cells that no spreadsheet takes for formulas and, on a terminal, that don't steer it.
    fn record(&mut self, cells: [&str; 5]) -> Result<()> {
        let cells = cells.map(|cell| match self.seen {
            true => util::csv_cell(&util::visible(cell)).into_owned(),
            false => util::csv_cell(cell).into_owned(),
        });
        Ok(self.csv.write_record(cells)?)
    }

    /// Ends the output. A file is written only where nothing is missing, `whole`.
    pub(super) fn finish(mut self, whole: bool) -> Result<()> {
        match &self.form {
            Form::Json => out_json(&Value::Array(std::mem::take(&mut self.array)))?,
            Form::Parquet(path) if whole => self.table.save(path)?,
            Form::Parquet(path) => {
                error_line(&format!("warning: stopped; '{}' was not written", path.display()));
            }
            Form::Text | Form::Csv => {}
        }
        self.csv.flush()?;
        Ok(())
    }
}
