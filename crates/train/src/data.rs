//! Feature rows and labels as training and prediction see them.

use crate::HeadError;
use std::collections::HashSet;

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
    /// Views of each row. Training takes another each epoch; [`FeatureRows::read_row`], view 0, is what is predicted.
    fn views(&self) -> usize {
        1
    }
    /// Writes view `view` (`< views()`) of row `i` (`< len()`) to `out`, which has `width()` elements.
    fn read_view(&self, i: usize, view: usize, out: &mut [f32]) {
        debug_assert_eq!(view, 0, "rows of several views have their own `read_view`");
        self.read_row(i, out);
    }
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

/// Bytes of a class name at most: four times those of the longest folder name, as odd bytes are escaped.
const LONGEST_NAME: usize = 4096;
/// Bytes of all class names at most, so that `head.json` can hold them and a history.
const LONGEST_NAMES: usize = 4 << 20;

/// Why a head can't have classes of these names, if it can't.
pub(crate) fn class_names_problem(names: &[String]) -> Option<String> {
    const SHOWN: usize = 40;
    let shown = |name: &str| name.chars().take(SHOWN).collect::<String>();
    let all: usize = names.iter().map(|name| name.len() + 1).sum();
    if let Some((class, name)) = names.iter().enumerate().find(|(_, n)| n.len() > LONGEST_NAME) {
        let found = name.len();
        return Some(format!(
            "name of class {class}: expected at most {LONGEST_NAME} bytes, found {found}"
        ));
    }
    if all > LONGEST_NAMES {
        return Some(format!(
            "names of {} classes: expected at most {LONGEST_NAMES} bytes in all, found {all}",
            names.len()
        ));
    }
    let mut seen = HashSet::with_capacity(names.len());
    let twice = names.iter().find(|name| !seen.insert(name.as_str()))?;
    Some(format!("class '{}': expected each name once, found it twice", shown(twice)))
}

/// Refuses a split that cannot be trained on or evaluated: no rows, no features, labels of another number or out of
/// range, a class without rows; and names of classes that no head can have. `split` names it in messages; `class_names`
/// may be empty. Features are not read.
///
/// # Errors
/// What is refused, by its own variant of [`HeadError`].
pub fn check_split(
    split: &str,
    data: &Split<'_>,
    classes: usize,
    class_names: &[String],
) -> Result<(), HeadError> {
    let rows = data.features.len();
    if rows > 0 && data.features.width() == 0 {
        return Err(HeadError::NoFeatures { split: split.to_owned() });
    }
    check_labels(split, rows, data.labels, classes, class_names)
}

/// The same, but for the width of the rows.
pub(crate) fn check_labels(
    split: &str,
    rows: usize,
    labels: &[i64],
    classes: usize,
    class_names: &[String],
) -> Result<(), HeadError> {
    if classes < 2 {
        return Err(HeadError::TooFewClasses { found: classes });
    }
    if let Some(detail) = class_names_problem(class_names) {
        return Err(HeadError::ClassNames { detail });
    }
    if rows == 0 {
        return Err(HeadError::NoRows { split: split.to_owned() });
    }
    if labels.len() != rows {
        let (split, labels) = (split.to_owned(), labels.len());
        return Err(HeadError::LabelCount { split, rows, labels });
    }
    let mut counts = vec![0_usize; classes];
    for (row, &label) in labels.iter().enumerate() {
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
