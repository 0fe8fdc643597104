//! What `fit-head` says while and after it trains.

use pipeline::fit::Calibrated;
use train::EpochStats;
use train::calibration::{Choice, SplitCalibration};
use train::metrics::Metrics;

use crate::text;

/// `Epoch  1/30 - 0.06s - loss: 0.5212 - accuracy: 0.7420 - val_loss: 0.3011 - val_accuracy: 0.9014`, Keras's words.
pub(crate) fn epoch(stats: &EpochStats, epochs: usize) -> String {
    let width = epochs.to_string().len();
    let mut line = format!(
        "Epoch {:>width$}/{epochs} - {:.2}s - loss: {:.4} - accuracy: {:.4}",
        stats.epoch, stats.seconds, stats.loss, stats.accuracy
    );
    if let (Some(loss), Some(accuracy)) = (stats.val_loss, stats.val_accuracy) {
        line.push_str(&format!(" - val_loss: {loss:.4} - val_accuracy: {accuracy:.4}"));
    }
    line
}

/// `cats, dogs`; of many the first, and how many more there are.
pub(super) fn some(classes: &[String]) -> String {
    const SHOWN: usize = 20;
    match classes.len().checked_sub(SHOWN) {
        Some(more @ 1..) => {
            format!("{}, … and {} more", classes[..SHOWN].join(", "), text::thousands(more))
        }
        _ => classes.join(", "),
    }
}

/// The metrics of a split in one line.
pub(crate) fn metrics(split: &str, m: &Metrics) -> String {
    let named = m.named(&[]).into_iter().map(|one| match one.value {
        Some(value) => format!("{} {value:.4}", one.label),
        None => format!("{} not defined", one.label),
    });
    format!("{split}: {}", named.collect::<Vec<_>>().join(", "))
}

/// What the validation split chose, and what that does on each split.
pub(crate) fn calibration(calibrated: &Calibrated) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(Choice { calibration, no_temperature }) = &calibrated.choice {
        let temperature = match (calibration.temperature, no_temperature) {
            (Some(t), _) => format!("temperature {t:.4}"),
            (None, Some(why)) => format!("no temperature: {why}"),
            (None, None) => "no temperature".to_owned(),
        };
        let threshold = calibration.threshold.map(|t| format!("threshold {t:.4}, "));
        let rows = text::thousands(usize::try_from(calibration.rows).unwrap_or(usize::MAX));
        let threshold = threshold.unwrap_or_default();
        lines.push(format!("calibration on {rows} validation rows: {threshold}{temperature}"));
    }
    for (name, SplitCalibration { before, after, at_threshold }) in &calibrated.splits {
        let change = |label: &str, before: f64, after: Option<f64>| match after {
            Some(after) => format!("{label} {before:.4} → {after:.4}"),
            None => format!("{label} {before:.4}"),
        };
        let mut line = change("ECE", before.ece, after.as_ref().map(|a| a.ece));
        if let Some(after) = after {
            line = format!("{line}, {}", change("log loss", before.log_loss, Some(after.log_loss)));
        }
        if let Some(at) = at_threshold {
            line = format!("{line}, accuracy at the threshold {:.4}", at.accuracy);
        }
        lines.push(format!("{name}: {line}"));
    }
    lines
}

/// Counts, a row a true class, a column a predicted one; the lines of a table.
pub(super) fn confusion(m: &Metrics, classes: &[String]) -> Vec<String> {
    const LONGEST: usize = 16;
    let names: Vec<String> =
        classes.iter().map(|name| util::visible(name).chars().take(LONGEST).collect()).collect();
    let name_width =
        names.iter().map(|n| n.chars().count()).max().unwrap_or(0).max("true \\ predicted".len());
    let cell = |text: &str, width: usize| {
        format!("  {}{text}", " ".repeat(width.saturating_sub(text.chars().count())))
    };
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let counts = m.confusion.iter().map(|row| row[i].to_string().len());
            counts.chain([name.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let mut lines = vec![format!("{:name_width$}", "true \\ predicted")];
    for (name, width) in names.iter().zip(&widths) {
        lines[0].push_str(&cell(name, *width));
    }
    for (name, row) in names.iter().zip(&m.confusion) {
        let mut line = format!("{name}{}", " ".repeat(name_width - name.chars().count()));
        for (n, width) in row.iter().zip(&widths) {
            line.push_str(&cell(&n.to_string(), *width));
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_reads_like_keras() {
        let stats = EpochStats {
            epoch: 3,
            loss: 0.25,
            accuracy: 0.9,
            val_loss: Some(0.3),
            val_accuracy: Some(0.875),
            seconds: 0.061,
        };
        let line = "Epoch  3/30 - 0.06s - loss: 0.2500 - accuracy: 0.9000 - val_loss: 0.3000 - val_accuracy: 0.8750";
        assert_eq!(epoch(&stats, 30), line);
        let without = EpochStats { val_loss: None, val_accuracy: None, ..stats };
        assert_eq!(epoch(&without, 5), "Epoch 3/5 - 0.06s - loss: 0.2500 - accuracy: 0.9000");
    }

    #[test]
    fn of_many_classes_the_first_are_named() {
        let classes: Vec<String> = (0..1234).map(|i| i.to_string()).collect();
        assert_eq!(some(&classes[..3]), "0, 1, 2");
        assert!(some(&classes).ends_with(", 18, 19, … and 1,214 more"));
    }

    #[test]
    fn a_metric_without_a_value_is_not_defined() {
        let none = train::metrics::evaluate(&[0.9, 0.1, 0.8, 0.2], &[0, 1], 2).unwrap();
        let line = "test: accuracy 0.5000, precision not defined, recall 0.0000, F1 0.0000, ROC AUC 1.0000, log loss 0.8574";
        assert_eq!(metrics("test", &none), line);
    }

    #[test]
    fn the_confusion_matrix_lines_up() {
        let metrics =
            train::metrics::evaluate(&[0.9, 0.1, 0.2, 0.8, 0.6, 0.4], &[0, 1, 1], 2).unwrap();
        let table = confusion(&metrics, &["cats".to_owned(), "dogs".to_owned()]);
        let expected = [
            "true \\ predicted  cats  dogs",
            "cats                 1     0",
            "dogs                 1     1",
        ];
        assert_eq!(table, expected);
    }
}
