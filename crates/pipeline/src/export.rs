//! A trained model made ready for other programs.

use ::export::{BaseOrigin, Model, Part, Remark};
use backbone::{Pooling, Precision};
use cache::Dtype;
use graph::{Activation, Builder, Dense, Graph, NodeId, Op, ParamSpec, PoolKind};
use images::{ImageSize, Interpolation};
use std::collections::HashMap;
use std::path::Path;
use train::{Head, HeadManifest, SavedModel};
use weights::Weights;

use crate::error::Error;
use crate::feature_source::{FeatureSource, WeightsSearch};
use crate::memory;
use crate::recipe::Recipe;
use crate::train::keras_values;

/// Values by `layer/role`.
type Values = HashMap<String, Vec<f32>>;

/// The model of a folder, whole or only what was trained. Weights of the base, which the head alone does not need, are those
/// of `weights_spec`, or those that the head names if they are known ones.
///
/// # Errors
/// Files that are no head, features that this version does not know or that don't fit the head, weights that can't be had or
/// are others, and [`Error::NoFeatures`] for the head of a network that takes pixels.
pub fn model(
    dir: &Path,
    part: Part,
    weights_spec: Option<&str>,
    find: &WeightsSearch<'_>,
) -> Result<Model, Error> {
    let available = memory::available().unwrap_or(u64::MAX);
    let (saved, manifest) = SavedModel::load_within(available, dir)?;
    let features =
        |error: Error| Error::HeadFeatures { path: dir.to_owned(), source: Box::new(error) };
    let source: FeatureSource =
        serde_json::from_value(manifest.features.clone()).map_err(|e| features(e.into()))?;
    source.check(saved.inputs(), 1).map_err(features)?;
    let recipe = &source.recipe;
    let is_head = part == Part::Head;
    if !recipe.has_backbone() {
        if is_head {
            return Err(Error::NoFeatures { path: dir.to_owned() });
        }
        if matches!(saved, SavedModel::Head(_)) {
            let (inputs, shape) = (0, source.row_shape.clone());
            return Err(features(Error::RowShape { inputs, shape }));
        }
    }
    let (trained, mut values) = trained_part(saved, &manifest, &source, is_head)?;

    let ImageSize { width, height } = recipe.image_size;
    let pixels = [height as usize, width as usize, 3];
    let (graph, input, input_axes) = match (part, recipe.has_backbone()) {
        (Part::Head, _) => {
            let input = as_map(&source.row_shape).map_err(features)?;
            (trained, input, source.row_shape.clone())
        }
        (Part::Whole, false) => (trained, pixels, pixels.to_vec()),
        (Part::Whole, true) => {
            let (base, weights) = source.base(weights_spec, find)?;
            let mut graph = base.graph().clone();
            if let Some((name, pool)) = pool(recipe.pooling) {
                graph = graph.then(name, pool)?;
            }
            let trained = with_free_names(&trained, &graph, &mut values)?;
            base_values(&graph, &weights, [pixels[0], pixels[1]], &mut values)?;
            (graph.append(&trained)?, pixels, pixels.to_vec())
        }
    };
    let tensors = in_order(&graph, [input[0], input[1]], values)?;
    let calibration = manifest.calibration.as_ref();
    let model = Model {
        name: name_of(dir),
        graph,
        tensors,
        input,
        input_axes,
        pixels: (!is_head).then(|| recipe.load_spec()),
        classes: manifest.classes.clone(),
        temperature: calibration.and_then(|c| c.temperature),
        threshold: calibration.and_then(|c| c.threshold),
        base: recipe.has_backbone().then(|| origin(recipe)),
        trained_with: manifest.tool_version.clone(),
        remarks: if is_head { Vec::new() } else { remarks(recipe) },
    };
    model.check().map_err(Error::from)?;
    Ok(model)
}

/// What was trained, as a graph on features or pixels, and its values.
fn trained_part(
    saved: SavedModel,
    manifest: &HeadManifest,
    source: &FeatureSource,
    is_head: bool,
) -> Result<(Graph, Values), Error> {
    let graph = match &saved {
        SavedModel::Network(network) => network.layers().0.clone(),
        SavedModel::Head(head) => {
            // Alone it takes a map of 1×1 where the features are a vector.
            let flatten = is_head || source.row_shape.len() > 1;
            head_graph(head, &source.row_shape, flatten, manifest.training.config.dropout)?
        }
    };
    Ok((graph, saved.into_tensors().into_iter().collect()))
}

/// Dense layers behind features, with the dropout of the training.
fn head_graph(
    head: &Head,
    row_shape: &[usize],
    flatten: bool,
    dropout: f32,
) -> Result<Graph, Error> {
    let mut builder = Builder::new();
    let mut value = builder.input("features", row_shape.last().copied().unwrap_or(0));
    if flatten {
        value = builder.add("flatten", Op::Flatten, &[value]);
    }
    // The decimal number that was given, not its nearest f32.
    let rate = dropout.to_string().parse().unwrap_or_else(|_| f64::from(dropout));
    let last = head.layers().len().saturating_sub(1);
    for (i, layer) in head.layers().iter().enumerate() {
        let activation = match layer.activation {
            train::Activation::Relu => Activation::Relu,
            train::Activation::Sigmoid => Activation::Sigmoid,
            train::Activation::Softmax => Activation::Softmax,
        };
        let dense = Dense { units: layer.outputs, bias: true, activation: Some(activation) };
        value = builder.add(&layer.name, Op::Dense(dense), &[value]);
        if i < last && dropout > 0.0 {
            let name = if i == 0 { "dropout".to_owned() } else { format!("dropout_{i}") };
            value = builder.add(name, Op::Dropout { rate }, &[value]);
        }
    }
    Ok(builder.finish(value)?)
}

/// The layer between a base and a head that pools, by Keras's name.
fn pool(pooling: Pooling) -> Option<(&'static str, Op)> {
    let global = |kind| Op::GlobalPool { kind, keep_dims: false };
    match pooling {
        Pooling::None => None,
        Pooling::Avg => Some(("global_average_pooling2d", global(PoolKind::Avg))),
        Pooling::Max => Some(("global_max_pooling2d", global(PoolKind::Max))),
    }
}

/// Height, width and channels of features of these axes.
fn as_map(axes: &[usize]) -> Result<[usize; 3], Error> {
    match *axes {
        [channels] => Ok([1, 1, channels]),
        [height, width, channels] => Ok([height, width, channels]),
        _ => Err(Error::RowShape { inputs: 0, shape: axes.to_vec() }),
    }
}

/// A graph whose layers have no names of `before`: a number is added to those that do. Values move along.
fn with_free_names(graph: &Graph, before: &Graph, values: &mut Values) -> Result<Graph, Error> {
    let taken = |name: &str| before.position(name).is_ok();
    let mut builder = Builder::new();
    let mut ids: Vec<NodeId> = Vec::with_capacity(graph.nodes().len());
    for (at, node) in graph.nodes().iter().enumerate() {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| ids[*input]).collect();
        let mut name = node.name.clone();
        // The input goes when the two are joined.
        if at > 0 && taken(&name) {
            let free = (1..).map(|i| format!("{}_{i}", node.name));
            let mut free = free.filter(|n| !taken(n) && graph.position(n).is_err());
            name = free.next().unwrap_or_default();
            let old = format!("{}/", node.name);
            let own: Vec<String> =
                values.keys().filter(|path| path.starts_with(&old)).cloned().collect();
            for path in own {
                if let Some(moved) = values.remove(&path) {
                    values.insert(format!("{name}/{}", &path[old.len()..]), moved);
                }
            }
        }
        ids.push(builder.add(name, node.op, &inputs));
    }
    let output = ids.last().copied().ok_or(graph::GraphError::Inputs(0))?;
    Ok(builder.finish(output)?)
}

/// The base's values in Keras's layouts.
fn base_values(
    graph: &Graph,
    weights: &Weights,
    image: [usize; 2],
    values: &mut Values,
) -> Result<(), Error> {
    for spec in graph.params(image)? {
        let stored = keras_values(weights, &spec.node, spec.role);
        let stored = stored.filter(|stored| stored.len() == spec.values());
        let stored = stored.ok_or_else(|| Error::NoLayerWeights { layer: spec.node.clone() })?;
        values.insert(spec.path(), stored);
    }
    Ok(())
}

fn in_order(
    graph: &Graph,
    input: [usize; 2],
    mut values: Values,
) -> Result<Vec<(ParamSpec, Vec<f32>)>, Error> {
    let specs = graph.params(input)?;
    let found = specs.into_iter().map(|spec| {
        let own = values.remove(&spec.path());
        let own = own.ok_or_else(|| Error::NoLayerWeights { layer: spec.node.clone() })?;
        Ok((spec, own))
    });
    found.collect()
}

fn origin(recipe: &Recipe) -> BaseOrigin {
    BaseOrigin {
        name: recipe.backbone.clone(),
        layer: recipe.layer.clone(),
        weights: recipe.weights.name.clone(),
        weights_sha256: recipe.weights.sha256.clone(),
    }
}

fn remarks(recipe: &Recipe) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if recipe.dtype == Dtype::F16 {
        remarks.push(Remark::HalfFeatures);
    }
    if recipe.interpolation == Interpolation::TfBilinear {
        remarks.push(Remark::Fractions);
    }
    if recipe.precision != Precision::Highest {
        remarks.push(Remark::Precision(recipe.precision.to_string()));
    }
    remarks
}

/// The name of the model's folder, as far as there is one.
fn name_of(dir: &Path) -> String {
    let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = full.file_name().unwrap_or("model".as_ref());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::{Conv, Shape};

    fn base() -> Graph {
        let mut builder = Builder::new();
        let pixels = builder.input("input_1", 3);
        let conv = builder.add("conv1", Op::Conv(Conv::new(4, [3, 3])), &[pixels]);
        let flat = builder.add("flatten", Op::Flatten, &[conv]);
        builder.finish(flat).unwrap()
    }

    #[test]
    fn layers_of_a_head_get_names_that_the_base_does_not_have() {
        let mut builder = Builder::new();
        let input = builder.input("flatten_values", 16);
        let flat = builder.add("flatten", Op::Flatten, &[input]);
        let dense = Dense { units: 1, bias: true, activation: Some(Activation::Sigmoid) };
        let first = builder.add("conv1", Op::Dense(dense), &[flat]);
        let head = builder.finish(first).unwrap();
        let mut values: Values = [("conv1/kernel", 1.0), ("conv1/bias", 2.0)]
            .map(|(path, value)| (path.to_owned(), vec![value]))
            .into();
        let renamed = with_free_names(&head, &base(), &mut values).unwrap();
        let names: Vec<&str> = renamed.nodes().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["flatten_values", "flatten_1", "conv1_1"]);
        assert_eq!(values["conv1_1/kernel"], [1.0]);
        assert_eq!(values.len(), 2);
        let whole = base().append(&renamed).unwrap();
        assert_eq!(whole.output_shape([4, 4]).unwrap(), Shape::Vector { len: 1 });
    }

    #[test]
    fn pooled_features_are_a_map_of_one_pixel() {
        assert_eq!(as_map(&[512]).unwrap(), [1, 1, 512]);
        assert_eq!(as_map(&[4, 5, 6]).unwrap(), [4, 5, 6]);
        assert!(as_map(&[4, 5]).is_err());
    }
}
