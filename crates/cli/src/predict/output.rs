//! The three forms of a prediction.

use anyhow::Result;
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::path::Path;

use crate::console::{error_line, out, out_json};

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `photo.jpg: cats 0.9987` a file.
    Text,
    /// A table with a header.
    Csv,
    /// One array at the end.
    Json,
}

/// Writes predictions as they come (JSON: at the end).
pub(super) struct Output {
    form: Form,
    csv: csv::Writer<std::io::Stdout>,
    array: Vec<Value>,
    /// Whether people see the output at once.
    seen: bool,
}

impl Output {
    pub(super) fn new(form: Form) -> Result<Self> {
        let mut csv = csv::Writer::from_writer(std::io::stdout());
        if form == Form::Csv {
            csv.write_record(["file", "rank", "class", "probability", "error"])?;
        }
        Ok(Self { form, csv, array: Vec::new(), seen: std::io::stdout().is_terminal() })
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

    pub(super) fn finish(mut self) -> Result<()> {
        if self.form == Form::Json {
            out_json(&Value::Array(std::mem::take(&mut self.array)))?;
        }
        self.csv.flush()?;
        Ok(())
    }
}
