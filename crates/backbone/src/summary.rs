//! The table that Keras's `model.summary()` prints.

use crate::{Base, BaseError, Pooling};
use std::fmt::Write as _;

/// Column ends of Keras 2.0.8's table: .45, .85 and 1 of 65 characters.
const COLUMNS: [usize; 3] = [29, 55, 65];

/// The base as a table in the layout of Keras 2.0.8, which the lesson shows: a row a layer with output shape and
/// number of parameters, then the totals. `None` stands for the batch axis.
///
/// # Errors
/// [`BaseError::TooSmall`].
pub fn summary(
    base: &Base,
    pooling: Pooling,
    height: usize,
    width: usize,
) -> Result<String, BaseError> {
    let (thin, thick) = ("_".repeat(COLUMNS[2]), "=".repeat(COLUMNS[2]));
    let shapes = base.shapes(height, width)?;
    let mut rows: Vec<[String; 3]> = base
        .layers()
        .iter()
        .zip(&shapes)
        .map(|(layer, [h, w, c])| {
            [
                format!("{} ({})", layer.name, layer.class_name()),
                format!("(None, {h}, {w}, {c})"),
                layer.parameters().to_string(),
            ]
        })
        .collect();
    if let (Some(class_name), Some([_, _, c])) = (pooling.class_name(), shapes.last()) {
        rows.push([
            format!("{} ({class_name})", pooling.layer_name()),
            format!("(None, {c})"),
            "0".to_owned(),
        ]);
    }
    let mut table = format!(
        "{thin}\n{}\n{thick}\n",
        line(&["Layer (type)", "Output Shape", "Param #"].map(str::to_owned))
    );
    let last = rows.len().saturating_sub(1);
    for (i, row) in rows.iter().enumerate() {
        let rule = if i == last { &thick } else { &thin };
        let _ = writeln!(table, "{}\n{rule}", line(row));
    }
    let total = thousands(base.parameters());
    let _ = writeln!(
        table,
        "Total params: {total}\nTrainable params: {total}\nNon-trainable params: 0\n{thin}"
    );
    Ok(table)
}

/// One row, each field cut and padded to the end of its column, as Keras's `print_row` does.
fn line(fields: &[String; 3]) -> String {
    let mut line = String::new();
    for (field, end) in fields.iter().zip(COLUMNS) {
        if !line.is_empty() {
            line.pop();
            line.push(' ');
        }
        line.push_str(field);
        line = line.chars().take(end).collect();
        let missing = end.saturating_sub(line.chars().count());
        line.extend(std::iter::repeat_n(' ', missing));
    }
    line
}

/// A number with commas between groups of three digits.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lesson_s_table() {
        let table = summary(&Base::named("vgg16").unwrap(), Pooling::None, 150, 150).unwrap();
        let expected = include_str!("../../../tests/golden/summary/vgg16_150.txt");
        assert_eq!(table, expected);
    }

    #[test]
    fn pooling_adds_a_row() {
        let base = Base::named("vgg16").unwrap().up_to("block3_pool").unwrap();
        let table = summary(&base, Pooling::Avg, 64, 96).unwrap();
        assert!(
            table.contains("block3_pool (MaxPooling2D)   (None, 8, 12, 256)        0         \n"),
            "{table}"
        );
        assert!(
            table.contains("global_average_pooling2d_1 ( (None, 256)               0         \n"),
            "{table}"
        );
    }

    #[test]
    fn commas_stand_between_groups_of_three() {
        assert_eq!([0, 999, 1000, 14_714_688].map(thousands), ["0", "999", "1,000", "14,714,688"]);
    }
}
