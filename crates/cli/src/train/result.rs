//! What a network's training gave: for people and as JSON.

use pipeline::fit::Calibrated;
use pipeline::train::{Network, TrainOutcome};
use serde_json::{Map, Value, json};

use crate::console::Console;
use crate::fit_head::{calibration_lines, metrics_line};

/// Metrics of every split, and what the validation split chose.
pub(crate) fn say(
    outcome: &TrainOutcome,
    calibrated: &Calibrated,
    console: Console<'_>,
) -> std::io::Result<()> {
    for (name, result) in &outcome.evaluated {
        console.say(metrics_line(name, &result.metrics))?;
    }
    calibration_lines(calibrated).into_iter().try_for_each(|line| console.say(line))
}

/// The same as a JSON object, with `more` fields.
pub(crate) fn to_json(
    network: &Network,
    outcome: &TrainOutcome,
    calibrated: &Calibrated,
    more: impl IntoIterator<Item = (&'static str, Value)>,
) -> Value {
    let fitted = &outcome.fitted;
    let metrics =
        outcome.evaluated.iter().map(|(name, result)| (name.clone(), json!(result.metrics)));
    let choice = calibrated.choice.as_ref().map(|choice| &choice.calibration);
    let mut object = Map::from_iter(more.into_iter().map(|(key, value)| (key.to_owned(), value)));
    let fields = [
        ("parameters", json!(network.whole.parameters)),
        ("tensors", json!(network.whole.tensors)),
        ("trainable_tensors", json!(outcome.counts.trainable)),
        ("training_seconds", json!(outcome.seconds)),
        ("history", json!(fitted.history)),
        ("best_epoch", json!(fitted.best_epoch)),
        ("stopped_early", json!(fitted.stopped_early)),
        ("restored_best", json!(fitted.restored_best)),
        ("metrics", Value::Object(metrics.collect())),
        (
            "calibration",
            json!({
                "temperature": choice.and_then(|c| c.temperature),
                "threshold": choice.and_then(|c| c.threshold),
            }),
        ),
    ];
    object.extend(fields.map(|(key, value)| (key.to_owned(), value)));
    Value::Object(object)
}
