//! What is done to pixels before the first layer, as layers.

use super::layers::{Kind, Layers};
use images::Preprocess;
use images::{CAFFE_MEAN_BGR, TORCH_MEAN, TORCH_STD};
use serde_json::{Value, json};

/// Adds the layers after the pixels and gives the position of the last.
pub(super) fn add(layers: &mut Layers<'_>, pixels: usize, preprocess: Preprocess) -> usize {
    let first = layers.len();
    let shape = layers.shape(pixels);
    let mut add =
        |name: &str, kind: Kind, input: usize| layers.add(name, kind, &[input], shape.clone());
    let last = match preprocess {
        Preprocess::Rescale => add("rescaling", divided(255.0), pixels),
        Preprocess::Tf => {
            let divided = add("rescaling", divided(127.5), pixels);
            add("centering", rescaling(1.0, -1.0), divided)
        }
        Preprocess::Torch => {
            let rescaled = add("rescaling", divided(255.0), pixels);
            add("normalization", normalization(TORCH_MEAN, TORCH_STD), rescaled)
        }
        Preprocess::Caffe => {
            // Of Keras's layers without weights none turns channels around. Products with 0 and 1 are exact, and a dense
            // layer leaves the count of convolutions alone, by which their weights are found.
            let config = json!({"units": 3, "activation": "linear", "use_bias": false});
            let turned = add("rgb_to_bgr", Kind("Dense", config), pixels);
            layers.weight(vec![3, 3], vec![0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
            let kind = normalization(CAFFE_MEAN_BGR, [1.0; 3]);
            layers.add("normalization", kind, &[turned], shape)
        }
    };
    layers.freeze_from(first);
    last
}

/// `x * scale + offset`.
pub(super) fn rescaling(scale: f64, offset: f64) -> Kind {
    Kind("Rescaling", json!({"scale": scale, "offset": offset}))
}

/// `x / by`, to the last bit: `Rescaling` would multiply by the reciprocal, which rounds otherwise.
fn divided(by: f32) -> Kind {
    normalization([0.0; 3], [by; 3])
}

/// `(x - mean) / std`. Keras takes the root of the variance in f32; that of a square is the number itself.
fn normalization(mean: [f32; 3], std: [f32; 3]) -> Kind {
    let variance: Vec<Value> = std.iter().map(|&std| json!(f64::from(std).powi(2))).collect();
    let config = json!({
        "axis": [-1],
        "mean": mean.map(f64::from),
        "variance": variance,
        "invert": false,
    });
    Kind("Normalization", config)
}
