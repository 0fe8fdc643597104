//! The bases against what Keras, timm and torchvision say about theirs. `tests/golden/bases` has the files and the scripts
//! that made them.

mod cuts;
mod keras;
mod splits;
mod state_dicts;
mod summaries;

use super::{Definition, Source, find};
use graph::Graph;

/// `$dir/<name>.tsv` of each name, as (name, text).
macro_rules! golden {
    ($dir:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bases/", $dir, $name, ".tsv"
        )))),+]
    };
}
use golden;

/// Keras's layers of every base.
const TABLES: &[(&str, &str)] = golden!("":
    "vgg16", "vgg19", "resnet50", "inception-v3", "inception-resnet-v2", "xception",
    "mobilenet", "mobilenet-0.75", "mobilenet-0.5", "mobilenet-0.25",
    "mobilenet-v2", "mobilenet-v2-1.4", "mobilenet-v2-1.3", "mobilenet-v2-0.75", "mobilenet-v2-0.5",
    "mobilenet-v2-0.35",
);

fn keras_graph(name: &str, include_top: bool) -> (&'static Definition, Graph) {
    let definition = find(name).unwrap();
    let variant = definition.variant(Source::Keras).unwrap();
    (definition, definition.graph(variant, include_top).unwrap())
}

/// `input_1` is the lesson's name of what Keras 3 calls `input_layer`.
fn keras_3_name(name: &str) -> &str {
    if name == super::definition::INPUT { "input_layer" } else { name }
}

fn by(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}
