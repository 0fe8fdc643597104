//! The three forms of a prediction.

use anyhow::Result;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;

use crate::console::{error_line, out};

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
}

impl Output {
    pub(super) fn new(form: Form) -> Result<Self> {
        let mut csv = csv::Writer::from_writer(std::io::stdout());
        if form == Form::Csv {
            csv.write_record(["file", "rank", "class", "probability", "error"])?;
        }
        Ok(Self { form, csv, array: Vec::new() })
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
                    self.csv.write_record([
                        &file,
                        &(rank + 1).to_string(),
                        &(*class).to_owned(),
                        &p.to_string(),
                        &String::new(),
                    ])?;
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
                self.csv.write_record([&file, "", "", "", reason])?;
                self.csv.flush()?;
            }
            Form::Json => self.array.push(json!({ "file": file, "error": reason })),
        }
        error_line(&format!("warning: {file}: {reason}"));
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        if self.form == Form::Json {
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "{:#}", Value::Array(std::mem::take(&mut self.array)))?;
        }
        self.csv.flush()?;
        Ok(())
    }
}
