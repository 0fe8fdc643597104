//! Feature rows and labels as training and prediction see them.

use crate::HeadError;

/// N rows of `width` features each, read one at a time, so that N may exceed memory.
pub trait FeatureRows: Sync {
    /// Number of rows.
    fn len(&self) -> usize;
    /// True when there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Features a row: the product of the stored shape after the first axis.
    fn width(&self) -> usize;
    /// Writes row `i` (`< len()`) to `out`, which has `width()` elements.
    fn read_row(&self, i: usize, out: &mut [f32]);
}

/// Rows in memory, C order.
#[derive(Clone, Debug)]
pub struct DenseRows {
    values: Vec<f32>,
    width: usize,
}

impl DenseRows {
    /// Rows of `width` values each; `values` is cut to whole rows.
    pub fn new(mut values: Vec<f32>, width: usize) -> Self {
        let rows = values.len().checked_div(width).unwrap_or(0);
        values.truncate(rows * width);
        Self { values, width }
    }
}

impl FeatureRows for DenseRows {
    fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }
    fn width(&self) -> usize {
        self.width
    }
    fn read_row(&self, i: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.values[i * self.width..(i + 1) * self.width]);
    }
}

/// Features and the class index of each row.
#[derive(Clone, Copy)]
pub struct Split<'a> {
    /// (N, width).
    pub features: &'a dyn FeatureRows,
    /// (N,), each in `0..classes`.
    pub labels: &'a [i64],
}

/// Refuses a split that cannot be trained on or evaluated: no rows, no features, labels of another number or out of
/// range, a class without rows. `split` names it in messages; `class_names` may be empty. Features are not read.
pub fn check_split(
    split: &str,
    data: &Split<'_>,
    classes: usize,
    class_names: &[String],
) -> Result<(), HeadError> {
    let (rows, width) = (data.features.len(), data.features.width());
    if classes < 2 {
        return Err(HeadError::TooFewClasses { found: classes });
    }
    if rows == 0 {
        return Err(HeadError::NoRows { split: split.to_owned() });
    }
    if width == 0 {
        return Err(HeadError::NoFeatures { split: split.to_owned() });
    }
    if data.labels.len() != rows {
        return Err(HeadError::LabelCount {
            split: split.to_owned(),
            rows,
            labels: data.labels.len(),
        });
    }
    let mut counts = vec![0_usize; classes];
    for (row, &label) in data.labels.iter().enumerate() {
        match usize::try_from(label).ok().and_then(|l| counts.get_mut(l)) {
            Some(count) => *count += 1,
            None => {
                return Err(HeadError::LabelRange { split: split.to_owned(), row, label, classes });
            }
        }
    }
    match counts.iter().position(|&c| c == 0) {
        Some(class) => Err(HeadError::MissingClass {
            split: split.to_owned(),
            class,
            name: class_names.get(class).cloned().unwrap_or_else(|| format!("index {class}")),
        }),
        None => Ok(()),
    }
}
