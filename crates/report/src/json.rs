//! `metrics.json`: everything with a number, for other programs.

use serde_json::{Map, Value, json};

use crate::model::{Chosen, Repeats, Run, SplitResult};

/// Goes up when a key changes its meaning or goes away; new keys do not raise it.
const FORMAT_VERSION: u32 = 2;

/// The file's bytes. Numbers that are none (NaN, infinite) are `null`.
pub(crate) fn metrics(run: &Run) -> Vec<u8> {
    let sections = run.sections.iter().map(|section| {
        let rows = section.rows.iter().map(|(name, value)| (name, json!(value)));
        (&section.title, object(rows))
    });
    let history = run.history.iter().map(|epoch| {
        json!({
            "epoch": epoch.epoch, "loss": epoch.loss, "accuracy": epoch.accuracy,
            "val_loss": epoch.val_loss, "val_accuracy": epoch.val_accuracy,
        })
    });
    let splits = run.splits.iter().map(|split| (&split.name, of_split(split, &run.classes)));
    let skipped = run.skipped.iter().map(
        |skipped| json!({"split": skipped.split, "file": skipped.file, "reason": skipped.reason}),
    );
    let all = json!({
        "format_version": FORMAT_VERSION,
        "title": run.title,
        "created": run.created,
        "tool_version": run.tool_version,
        "command_line": run.command_line,
        "run": object(sections),
        "model": run.model,
        "classes": run.classes,
        "calibration": run.calibration.as_ref().map(of_chosen),
        "history": history.collect::<Vec<_>>(),
        "splits": object(splits),
        "repeats": run.repeats.as_ref().map(of_repeats),
        "skipped": skipped.collect::<Vec<_>>(),
        "notes": run.notes,
    });
    format!("{all:#}\n").into_bytes()
}

fn of_split(split: &SplitResult, classes: &[String]) -> Value {
    let named = split.metrics.iter().flat_map(|metrics| metrics.named(classes));
    let definitions: Map<_, _> = named.map(|m| (m.key.to_owned(), json!(m.definition))).collect();
    json!({
        "rows": split.predictions.len(),
        "labelled": split.metrics.as_ref().map_or(0, |metrics| metrics.rows),
        "metrics": split.metrics,
        "definitions": definitions,
        "calibration": split.calibration,
    })
}

fn of_chosen(Chosen { split, choice }: &Chosen) -> Value {
    json!({
        "split": split,
        "rows": choice.calibration.rows,
        "temperature": choice.calibration.temperature,
        "no_temperature": choice.no_temperature.map(|why| why.to_string()),
        "threshold": choice.calibration.threshold,
    })
}

fn of_repeats(repeats: &Repeats) -> Value {
    let metrics = repeats.metrics.iter().map(|metric| {
        let numbers =
            json!({"values": metric.values, "mean": metric.mean, "half_width_95": metric.half_width});
        (&metric.key, numbers)
    });
    json!({"seeds": repeats.seeds, "metrics": object(metrics)})
}

fn object<'a>(entries: impl Iterator<Item = (&'a String, Value)>) -> Value {
    Value::Object(entries.map(|(key, value)| (key.clone(), value)).collect::<Map<_, _>>())
}
