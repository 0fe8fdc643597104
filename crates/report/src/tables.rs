//! Tables for other programs: comma-separated, quoted where needed, full precision. No cell begins a spreadsheet's formula.

use crate::model::{Epoch, SplitResult};
use crate::numbers::exact;

/// `history.csv`: a value that does not exist is an empty field; one that is not a number is `NaN`.
pub(crate) fn history(epochs: &[Epoch]) -> Vec<u8> {
    let optional = |value: Option<f64>| value.map(exact).unwrap_or_default();
    let header = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"].map(String::from);
    table(
        header.into(),
        epochs.iter().map(|epoch| {
            vec![
                epoch.epoch.to_string(),
                exact(epoch.loss),
                exact(epoch.accuracy),
                optional(epoch.val_loss),
                optional(epoch.val_accuracy),
            ]
        }),
    )
}

/// `predictions_<split>.csv`: `row,file,class,predicted,correct`, then a column `p_<class>` for each class, then `sha256` of the
/// file, in hex.
///
/// Names that a spreadsheet would take for formulas are escaped as [`util::csv_cell`] says; those of `extract` are already.
/// `class` and `correct` are empty where the true class is not known.
pub(crate) fn predictions(split: &SplitResult, classes: &[String]) -> Vec<u8> {
    let mut header = ["row", "file", "class", "predicted", "correct"].map(String::from).to_vec();
    header.extend(classes.iter().map(|class| format!("p_{class}")));
    header.push("sha256".to_owned());
    table(
        header,
        split.predictions.iter().map(|prediction| {
            let truth = prediction.truth;
            let mut fields = vec![
                prediction.row.to_string(),
                cell(&prediction.file),
                truth.map(|t| cell(&classes[t])).unwrap_or_default(),
                cell(&classes[prediction.predicted]),
                truth.map(|t| (t == prediction.predicted).to_string()).unwrap_or_default(),
            ];
            fields.extend(prediction.probabilities.iter().map(|p| format!("{p:?}")));
            fields.push(prediction.sha256.iter().flatten().map(|b| format!("{b:02x}")).collect());
            fields
        }),
    )
}

/// The one way of text from elsewhere into a table.
fn cell(text: &str) -> String {
    util::csv_cell(text).into_owned()
}

fn table(header: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for fields in std::iter::once(header).chain(rows) {
        // Writing to memory fails only when rows differ in length, and here they cannot.
        let _ = writer.write_record(&fields);
    }
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Prediction;

    #[test]
    fn no_cell_begins_a_formula_and_every_name_is_read_back() {
        let files = ["=1+1.png", "+a", "@b", "-c,\"d\"\n", "-1", "\t=2"];
        let split = SplitResult {
            name: "test".into(),
            predictions: files
                .iter()
                .map(|file| Prediction {
                    file: (*file).to_owned(),
                    truth: Some(1),
                    probabilities: vec![0.5, 0.5],
                    ..Prediction::default()
                })
                .collect(),
            ..SplitResult::default()
        };
        let bytes = predictions(&split, &["cats".to_owned(), "=cmd".to_owned()]);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&bytes[..]);
        let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
        for cell in rows.iter().flatten() {
            let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
            assert!(!formula || cell.parse::<i64>().is_ok(), "{cell}");
        }
        let read: Vec<&str> = rows.iter().skip(1).map(|row| &row[1]).collect();
        let expected = ["\\x3d1+1.png", "\\x2ba", "\\x40b", "\\x2dc,\"d\"\n", "-1", "\\x09=2"];
        assert_eq!(read, expected);
        assert_eq!(&rows[1][2], "\\x3dcmd");
    }

    #[test]
    fn history_reads_back_exactly() {
        let epochs = [
            Epoch {
                epoch: 1,
                loss: 0.1 + 0.2,
                accuracy: 2.0 / 3.0,
                val_loss: Some(f64::NAN),
                val_accuracy: None,
            },
            Epoch {
                epoch: 2,
                loss: 1e-300,
                accuracy: 1.0,
                val_loss: Some(0.5),
                val_accuracy: Some(0.972),
            },
        ];
        let bytes = history(&epochs);
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0][1].parse::<f64>().expect("a number"), 0.1 + 0.2);
        assert!(rows[0][3].parse::<f64>().expect("a number").is_nan());
        assert_eq!(&rows[0][4], "");
        assert_eq!(rows[1][1].parse::<f64>().expect("a number"), 1e-300);
    }

    #[test]
    fn no_name_becomes_a_formula() {
        let row = |truth| Prediction {
            row: 0,
            file: "@a.jpg".into(),
            truth,
            predicted: 1,
            probabilities: vec![0.1, 0.9],
            sha256: None,
        };
        let predictions = vec![row(Some(0)), row(None)];
        let split = SplitResult { name: "test".into(), predictions, ..SplitResult::default() };
        let bytes = super::predictions(&split, &["-1".to_owned(), "=1+1".to_owned()]);
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let first = reader.records().next().expect("a row").expect("a row");
        assert_eq!([&first[1], &first[2], &first[3]], [r"\x40a.jpg", "-1", r"\x3d1+1"]);
    }

    #[test]
    fn hostile_names_survive_quoting() {
        let file = "dogs/a \"b\", c\n<script>.jpg";
        let split = SplitResult {
            name: "test".into(),
            predictions: vec![
                Prediction {
                    row: 0,
                    file: file.into(),
                    truth: Some(0),
                    predicted: 1,
                    probabilities: vec![0.1, 0.9],
                    sha256: Some([0x0a; 32]),
                },
                Prediction {
                    row: 1,
                    file: "x".into(),
                    truth: None,
                    predicted: 0,
                    probabilities: vec![f32::NAN, f32::MIN_POSITIVE],
                    sha256: None,
                },
            ],
            ..SplitResult::default()
        };
        let classes = ["cats, big".to_owned(), "dogs".to_owned()];
        let bytes = predictions(&split, &classes);
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        assert_eq!(&reader.headers().expect("a header")[5], "p_cats, big");
        let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
        assert_eq!((&rows[0][1], &rows[0][2], &rows[0][4]), (file, "cats, big", "false"));
        assert_eq!(rows[0][5].parse::<f32>().expect("a number"), 0.1f32);
        assert_eq!((&rows[1][2], &rows[1][4], &rows[1][5]), ("", "", "NaN"));
        assert_eq!(rows[1][6].parse::<f32>().expect("a number"), f32::MIN_POSITIVE);
        assert_eq!((rows[0][7].to_owned(), &rows[1][7]), ("0a".repeat(32), ""));
    }
}
