//! Keras's layers, before they are written.

use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashSet;

/// A layer of a functional model.
#[derive(Debug)]
pub(super) struct Layer<'a> {
    /// Keras's class.
    pub(super) class: &'static str,
    /// No two layers of a model share one.
    pub(super) name: String,
    /// The class's arguments, but for the name.
    pub(super) config: Map<String, Value>,
    /// Positions of its inputs.
    pub(super) inputs: Vec<usize>,
    /// Whether the class takes a list of inputs, rather than one.
    pub(super) is_merge: bool,
    /// Extents of its output, without the batch.
    pub(super) shape: Vec<usize>,
    /// What it stores, in Keras's order.
    pub(super) weights: Vec<Weight<'a>>,
    /// Whether `fit` changes its weights.
    pub(super) trainable: bool,
}

/// A tensor of a layer.
#[derive(Debug)]
pub(super) struct Weight<'a> {
    pub(super) shape: Vec<usize>,
    pub(super) values: Cow<'a, [f32]>,
}

/// Layers in a topological order, the input first and the output last.
#[derive(Debug, Default)]
pub(super) struct Layers<'a> {
    layers: Vec<Layer<'a>>,
    names: HashSet<String>,
}

/// What a layer computes: its class and the class's arguments, an object.
pub(super) struct Kind(pub(super) &'static str, pub(super) Value);

impl<'a> Layers<'a> {
    /// Adds a layer and gives its position.
    pub(super) fn add(
        &mut self,
        name: &str,
        Kind(class, config): Kind,
        inputs: &[usize],
        shape: Vec<usize>,
    ) -> usize {
        let config = match config {
            Value::Object(config) => config,
            _ => Map::new(),
        };
        let name = self.free_name(name);
        let is_merge = matches!(class, "Add" | "Multiply" | "Concatenate");
        let (inputs, weights) = (inputs.to_vec(), Vec::new());
        let layer =
            Layer { class, name, config, inputs, is_merge, shape, weights, trainable: true };
        self.layers.push(layer);
        self.layers.len() - 1
    }

    /// Gives the last layer a tensor.
    pub(super) fn weight(&mut self, shape: Vec<usize>, values: impl Into<Cow<'a, [f32]>>) {
        if let Some(layer) = self.layers.last_mut() {
            layer.weights.push(Weight { shape, values: values.into() });
        }
    }

    /// Freezes the layers from a position on.
    pub(super) fn freeze_from(&mut self, first: usize) {
        self.layers.iter_mut().skip(first).for_each(|layer| layer.trainable = false);
    }

    /// Number of layers.
    pub(super) fn len(&self) -> usize {
        self.layers.len()
    }

    /// Extents of a layer's output.
    pub(super) fn shape(&self, position: usize) -> Vec<usize> {
        self.layers[position].shape.clone()
    }

    /// The layers in Keras's order, by which it counts those of a class.
    pub(super) fn finish(self) -> Vec<Layer<'a>> {
        let Some(output) = self.layers.len().checked_sub(1) else { return self.layers };
        let inputs = |position: usize| self.layers[position].inputs.as_slice();
        let order = graph::layer_order(inputs, output);
        let mut position = vec![0; self.layers.len()];
        for (new, &old) in order.iter().enumerate() {
            position[old] = new;
        }
        let mut layers: Vec<Option<Layer<'a>>> = self.layers.into_iter().map(Some).collect();
        let ordered = order.into_iter().filter_map(|old| layers[old].take());
        ordered
            .map(|mut layer| {
                layer.inputs.iter_mut().for_each(|input| *input = position[*input]);
                layer
            })
            .collect()
    }

    /// A name that no layer has yet, as Keras allows them: it splits names at slashes, and takes none that is empty.
    fn free_name(&mut self, wanted: &str) -> String {
        let wanted = if wanted.is_empty() { "layer" } else { wanted };
        let wanted = wanted.replace('/', "_");
        let numbered = (1..).map(|number| format!("{wanted}_{number}"));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        // There always is one: the names are endless.
        let name = names.find(|name| !self.names.contains(name)).unwrap_or(wanted);
        self.names.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_made_unique_and_allowed() {
        let mut layers = Layers::default();
        let mut name = |wanted: &str| {
            let at = layers.add(wanted, Kind("Flatten", json!({})), &[], vec![1]);
            layers.layers[at].name.clone()
        };
        assert_eq!(name("a/b"), "a_b");
        assert_eq!(name("a_b"), "a_b_1");
        assert_eq!(name("a/b"), "a_b_2");
        assert_eq!([name(""), name("")], ["layer", "layer_1"]);
    }

    #[test]
    fn layers_come_in_the_order_of_keras() {
        let mut layers = Layers::default();
        let relu = || Kind("Activation", json!({}));
        let input = layers.add("in", Kind("InputLayer", json!({})), &[], vec![2]);
        let short = layers.add("short", relu(), &[input], vec![2]);
        let long = layers.add("long_1", relu(), &[input], vec![2]);
        let long = layers.add("long_2", relu(), &[long], vec![2]);
        layers.add("sum", Kind("Add", json!({})), &[short, long], vec![2]);
        let layers = layers.finish();
        let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names, ["in", "long_1", "short", "long_2", "sum"]);
        assert_eq!(layers[4].inputs, [2, 3]);
        assert!(layers[4].is_merge && !layers[3].is_merge);
    }
}
