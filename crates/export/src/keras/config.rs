//! `config.json` and `metadata.json`.

use super::layers::Layer;
use crate::Model;
use serde_json::{Map, Value, json};

/// The oldest version that reads the file. What is written of a layer are arguments that it and all later ones know.
const KERAS_VERSION: &str = "3.0.5";
/// The file says no time, so that the same model gives the same bytes.
const DATE_SAVED: &str = "1980-01-01@00:00:00";

/// What Keras does not need to load the model, and people may want to know.
pub(super) fn metadata(model: &Model) -> Value {
    let base = model.base.as_ref().map(|base| {
        json!({
            "name": base.name,
            "layer": base.layer,
            "weights": base.weights,
            "weights_sha256": base.weights_sha256,
        })
    });
    let pixels = model.pixels.map(|spec| {
        json!({
            "size": [spec.size.width, spec.size.height],
            "interpolation": spec.interpolation.name(),
            "preprocess": spec.preprocess.name(),
        })
    });
    let remarks: Vec<String> = model.remarks.iter().map(ToString::to_string).collect();
    json!({
        "keras_version": KERAS_VERSION,
        "date_saved": DATE_SAVED,
        "feature_cache": {
            "classes": model.classes,
            "images": pixels,
            "base": base,
            "temperature": model.temperature,
            "threshold": model.threshold,
            "trained_with": model.trained_with,
            "remarks": remarks,
        },
    })
}

/// The layers as a functional model.
pub(super) fn functional(name: &str, layers: &[Layer<'_>]) -> Value {
    // Keras 3.0 takes lists of ends only; later versions take them too.
    let ends = |layer: Option<&Layer<'_>>| {
        layer.map_or_else(|| json!([]), |layer| json!([[layer.name, 0, 0]]))
    };
    let described: Vec<Value> = layers.iter().map(|one| layer(layers, one)).collect();
    json!({
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": name.replace('/', "_"),
            "trainable": true,
            "layers": described,
            "input_layers": ends(layers.first()),
            "output_layers": ends(layers.last()),
        },
        "registered_name": "Functional",
    })
}

fn layer(layers: &[Layer<'_>], layer: &Layer<'_>) -> Value {
    let mut config = Map::new();
    config.insert("name".to_owned(), json!(layer.name));
    config.insert("dtype".to_owned(), json!("float32"));
    if layer.class != "InputLayer" {
        config.insert("trainable".to_owned(), json!(layer.trainable));
    }
    config.extend(layer.config.clone());
    let mut inputs: Vec<Value> = layer.inputs.iter().map(|&input| tensor(&layers[input])).collect();
    if layer.is_merge {
        inputs = vec![Value::Array(inputs)];
    }
    let nodes = if inputs.is_empty() { json!([]) } else { json!([{"args": inputs, "kwargs": {}}]) };
    json!({
        "module": "keras.layers",
        "class_name": layer.class,
        "config": config,
        "registered_name": null,
        "name": layer.name,
        "inbound_nodes": nodes,
    })
}

/// A layer's output, as an argument of the next.
fn tensor(from: &Layer<'_>) -> Value {
    json!({
        "class_name": "__keras_tensor__",
        "config": {
            "shape": with_batch(&from.shape),
            "dtype": "float32",
            "keras_history": [from.name, 0, 0],
        },
    })
}

/// Extents with any number of rows before them.
pub(super) fn with_batch(shape: &[usize]) -> Value {
    let extents = shape.iter().map(|&extent| json!(extent));
    std::iter::once(Value::Null).chain(extents).collect()
}
