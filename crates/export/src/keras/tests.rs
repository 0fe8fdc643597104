//! What is written, read again: the layers as JSON, the tensors by the reader of weights.

use super::{config, convert, write};
use crate::{BaseOrigin, ExportError, Model};
use graph::{
    Activation, Builder, Conv, Dense, Depthwise, Graph, NodeId, Norm, Op, Pad, Padding, Pool,
    PoolKind, Separable, Shape, Window,
};
use images::{ImageSize, Interpolation, LoadSpec, Preprocess};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::{Cursor, Read as _};

/// A model of these layers on maps of 8×10 pixels, behind them a sigmoid. Its tensors hold different numbers.
fn model(layers: impl FnOnce(&mut Builder, NodeId) -> NodeId) -> Model {
    let mut builder = Builder::new();
    let input = builder.input("input_1", 3);
    let last = layers(&mut builder, input);
    let flat = builder.add("flat", Op::Flatten, &[last]);
    let dense = Dense { units: 1, bias: true, activation: Some(Activation::Sigmoid) };
    let top = builder.add("top", Op::Dense(dense), &[flat]);
    of_graph(builder.finish(top).unwrap(), [8, 10, 3])
}

fn of_graph(graph: Graph, input: [usize; 3]) -> Model {
    let mut number = 0.0;
    let mut next = || {
        number += 0.25;
        number
    };
    let specs = graph.params([input[0], input[1]]).unwrap();
    let tensors = specs.into_iter().map(|spec| {
        let values = (0..spec.values()).map(|_| next()).collect();
        (spec, values)
    });
    Model {
        name: "cats/dogs".to_owned(),
        tensors: tensors.collect(),
        graph,
        input,
        input_axes: input.to_vec(),
        pixels: None,
        classes: vec!["cats".to_owned(), "dogs".to_owned()],
        temperature: None,
        threshold: None,
        base: None,
        trained_with: "0.1.0".to_owned(),
        remarks: Vec::new(),
    }
}

fn on_pixels(model: Model, preprocess: Preprocess) -> Model {
    let size = ImageSize { width: 10, height: 8 };
    let pixels = Some(LoadSpec { size, interpolation: Interpolation::Bilinear, preprocess });
    Model { pixels, ..model }
}

/// The layers as `config.json` has them.
fn layers(model: &Model) -> Vec<Value> {
    model.check().unwrap();
    let layers = convert::layers(model).unwrap();
    let json = config::functional(&model.name, &layers);
    json["config"]["layers"].as_array().unwrap().clone()
}

/// The layers but for the head's two: class, name, and those of the given arguments that the layer has.
#[track_caller]
fn are(model: &Model, arguments: &[&str], expected: &[Value]) {
    let layers = layers(model);
    let found: Vec<Value> = layers[1..layers.len() - 2]
        .iter()
        .map(|layer| {
            let config = &layer["config"];
            let own = arguments.iter().filter(|argument| config.get(argument).is_some());
            let own = own.map(|argument| config[*argument].clone());
            [layer["class_name"].clone(), layer["name"].clone()].into_iter().chain(own).collect()
        })
        .collect();
    assert_eq!(found, expected);
}

const WINDOWS: [&str; 5] = ["kernel_size", "pool_size", "strides", "padding", "activation"];

#[test]
fn a_model_names_its_ends_and_a_layer_its_inputs() {
    let model = model(|b, x| {
        let a = b.add("a", Op::Act(Activation::Relu), &[x]);
        b.add("sum", Op::Add { scale: None }, &[x, a])
    });
    let made = convert::layers(&model).unwrap();
    let json = config::functional(&model.name, &made);
    assert_eq!(json["class_name"], "Functional");
    assert_eq!(json["config"]["name"], "cats_dogs");
    assert_eq!(json["config"]["input_layers"], json!([["features", 0, 0]]));
    assert_eq!(json["config"]["output_layers"], json!([["top", 0, 0]]));
    let layers = layers(&model);
    let input = json!({
        "module": "keras.layers", "class_name": "InputLayer", "registered_name": null, "name": "features",
        "config": {"name": "features", "dtype": "float32", "batch_shape": [null, 8, 10, 3], "sparse": false},
        "inbound_nodes": [],
    });
    assert_eq!(layers[0], input);
    let tensor = |name: &str| {
        json!({"class_name": "__keras_tensor__", "config": {
            "shape": [null, 8, 10, 3], "dtype": "float32", "keras_history": [name, 0, 0]}})
    };
    assert_eq!(layers[1]["inbound_nodes"], json!([{"args": [tensor("features")], "kwargs": {}}]));
    let both = json!([{"args": [[tensor("features"), tensor("a")]], "kwargs": {}}]);
    assert_eq!(layers[2]["inbound_nodes"], both);
}

#[test]
fn convolutions_pad_by_themselves_where_keras_can() {
    let conv = Conv::new(4, [3, 3]).stride(2);
    let of = |padding| model(|b, x| b.add("c", Op::Conv(conv.padding(padding)), &[x]));
    let one = |padding: &str| json!(["Conv2D", "c", [3, 3], [2, 2], padding, "linear"]);
    are(&of(Padding::Valid), &WINDOWS, &[one("valid")]);
    are(&of(Padding::Same), &WINDOWS, &[one("same")]);
    // TensorFlow's rule for even sizes.
    are(&of(Padding::Explicit([0, 0, 1, 1])), &WINDOWS, &[one("same")]);
    let pad = |sides| json!(["ZeroPadding2D", "c_pad", sides]);
    let symmetric = pad(json!([[1, 1], [1, 1]]));
    are(&of(Padding::symmetric(1)), &WINDOWS, &[symmetric, one("valid")]);
    let uneven = pad(json!([[1, 3], [2, 4]]));
    are(&of(Padding::Explicit([1, 2, 3, 4])), &WINDOWS, &[uneven, one("valid")]);
}

#[test]
fn convolutions_have_all_their_arguments() {
    let conv = Conv {
        groups: 3,
        dilation: [2, 3],
        ..Conv::new(6, [2, 1]).bias(false).activation(Activation::Relu6)
    };
    let arguments =
        ["filters", "groups", "dilation_rate", "use_bias", "activation", "depth_multiplier"];
    let grouped = model(|b, x| b.add("c", Op::Conv(conv), &[x]));
    are(&grouped, &arguments, &[json!(["Conv2D", "c", 6, 3, [2, 3], false, "relu6"])]);
    let depthwise = Depthwise { multiplier: 2, ..Depthwise::new([3, 3], 1, Padding::Same) };
    let both = model(|b, x| {
        let x = b.add("d", Op::Depthwise(depthwise), &[x]);
        b.add("s", Op::Separable(Separable { filters: 5, depthwise, bias: true }), &[x])
    });
    let expected = [
        json!(["DepthwiseConv2D", "d", [1, 1], false, "linear", 2]),
        json!(["SeparableConv2D", "s", 5, [1, 1], true, "linear", 2]),
    ];
    are(&both, &arguments, &expected);
    let stride = Conv { stride: [2, 2], ..conv };
    refused(|b, x| b.add("c", Op::Conv(stride), &[x]), "'c': Keras has no convolution with both");
    let unequal = Depthwise { stride: [1, 2], ..depthwise };
    refused(|b, x| b.add("d", Op::Depthwise(unequal), &[x]), "'d': Keras has no depthwise");
}

#[track_caller]
fn refused(layers: impl FnOnce(&mut Builder, NodeId) -> NodeId, words: &str) {
    let error = convert::layers(&model(layers)).unwrap_err();
    assert!(matches!(error, ExportError::Layer { .. }));
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn padding_is_never_the_largest_value() {
    let window = Pool::max([3, 3], [2, 2]);
    let before = |op: Op, padding| {
        model(|b, x| {
            let x = b.add("before", op, &[x]);
            b.add("p", Op::Pool(window.padding(padding)), &[x])
        })
    };
    let norm = Op::Norm(Norm::default());
    let max = |name: &str, size, stride, padding: &str| {
        json!(["MaxPooling2D", name, [size, size], [stride, stride], padding])
    };
    let only = ["pool_size", "strides", "padding"];
    let of_norm = json!(["BatchNormalization", "before"]);
    are(&before(norm, Padding::Same), &only, &[of_norm.clone(), max("p", 3, 2, "same")]);
    let all = [of_norm, max("p_every", 3, 1, "same"), max("p", 1, 2, "valid")];
    are(&before(norm, Padding::symmetric(1)), &only, &all);
    let relu = Op::Act(Activation::Relu);
    let zeros = json!(["ZeroPadding2D", "p_pad", [[1, 1], [1, 1]]]);
    let all = [json!(["Activation", "before"]), zeros, max("p", 3, 2, "valid")];
    are(&before(relu, Padding::symmetric(1)), &only, &all);
    let uneven = Op::Pool(window.padding(Padding::Explicit([2, 0, 0, 1])));
    refused(|b, x| b.add("p", uneven, &[x]), "'p': Keras has no max pooling with such padding");
}

#[test]
fn averages_count_padding_or_not() {
    let same = Pool::avg([3, 3], [1, 1]).padding(Padding::Same);
    let one = |padding: &str| json!(["AveragePooling2D", "p", [3, 3], [1, 1], padding]);
    let of = |pool: Pool| model(|b, x| b.add("p", Op::Pool(pool), &[x]));
    are(&of(same), &WINDOWS, &[one("same")]);
    let zeros = json!(["ZeroPadding2D", "p_pad", [[1, 1], [1, 1]]]);
    are(&of(same.count_padding(true)), &WINDOWS, &[zeros, one("valid")]);
    let uneven = same.padding(Padding::Explicit([2, 0, 0, 0]));
    refused(|b, x| b.add("p", Op::Pool(uneven), &[x]), "no average pooling with such padding");
}

#[test]
fn every_other_operation_has_its_class() {
    let arguments = [
        "epsilon",
        "momentum",
        "center",
        "scale",
        "activation",
        "max_value",
        "keepdims",
        "axis",
        "padding",
        "target_shape",
        "rate",
        "units",
        "use_bias",
    ];
    let all = model(|b, x| {
        let norm = Op::Norm(Norm { epsilon: 1.001e-5, momentum: 0.9, center: true, scale: false });
        let x = b.add("norm", norm, &[x]);
        let x = b.add("relu6", Op::Act(Activation::Relu6), &[x]);
        let x = b.add("swish", Op::Act(Activation::Swish), &[x]);
        let y = b.add("gelu", Op::Act(Activation::Gelu), &[x]);
        let x = b.add("scaled", Op::Add { scale: Some(0.17) }, &[x, y]);
        let window = Window::new([3, 3], [2, 2]);
        let x = b.add("pad", Op::Pad(Pad::SameFor(window)), &[x]);
        let keep = Op::GlobalPool { kind: PoolKind::Avg, keep_dims: true };
        let y = b.add("mean", keep, &[x]);
        let x = b.add("product", Op::Multiply, &[x, y]);
        let x = b.add("joined", Op::Concat, &[x, x]);
        let tokens = Op::Reshape(Shape::Tokens { count: 99, width: 6 });
        let x = b.add("tokens", tokens, &[x]);
        let max = Op::GlobalPool { kind: PoolKind::Max, keep_dims: false };
        let x = b.add("max", max, &[x]);
        let dense = Dense { units: 4, bias: false, activation: Some(Activation::Softmax) };
        let x = b.add("dense", Op::Dense(dense), &[x]);
        b.add("dropout", Op::Dropout { rate: 0.5 }, &[x])
    });
    let expected = [
        json!(["BatchNormalization", "norm", 1.001e-5, 0.9, true, false, -1]),
        json!(["ReLU", "relu6", 6.0]),
        json!(["Activation", "swish", "silu"]),
        json!(["Activation", "gelu", "gelu"]),
        json!(["Rescaling", "scaled_scale", 0.17]),
        json!(["Add", "scaled"]),
        json!(["ZeroPadding2D", "pad", [[0, 1], [0, 1]]]),
        json!(["GlobalAveragePooling2D", "mean", true]),
        json!(["Multiply", "product"]),
        json!(["Concatenate", "joined", -1]),
        json!(["Reshape", "tokens", [99, 6]]),
        json!(["GlobalMaxPooling1D", "max", false]),
        json!(["Dense", "dense", "softmax", 4, false]),
        json!(["Dropout", "dropout", 0.5]),
    ];
    are(&all, &arguments, &expected);
}

#[test]
fn pixels_become_numbers_in_the_model() {
    let arguments = ["scale", "offset", "mean", "variance", "trainable", "units"];
    let plain = || model(|b, x| b.add("pixels", Op::Act(Activation::Relu), &[x]));
    let of = |preprocess| on_pixels(plain(), preprocess);
    // The input is `pixels`, so a layer of that name is another.
    let relu = json!(["Activation", "pixels_1", true]);
    let divided =
        |by: f64| json!(["Normalization", "rescaling", vec![0.0; 3], vec![by * by; 3], false]);
    are(&of(Preprocess::Rescale), &arguments, &[divided(255.0), relu.clone()]);
    let centering = json!(["Rescaling", "centering", 1.0, -1.0, false]);
    are(&of(Preprocess::Tf), &arguments, &[divided(127.5), centering, relu.clone()]);
    let torch = layers(&of(Preprocess::Torch));
    let normalization = &torch[2]["config"];
    let f32s = |value: &Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
    };
    assert_eq!(f32s(&normalization["mean"]), images::TORCH_MEAN);
    // As Keras takes the root.
    let roots: Vec<f32> = f32s(&normalization["variance"]).iter().map(|v| v.sqrt()).collect();
    assert_eq!(roots, images::TORCH_STD);
    let caffe = of(Preprocess::Caffe);
    let made = convert::layers(&caffe).unwrap();
    let names: Vec<&str> = made.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names[..4], ["pixels", "rgb_to_bgr", "normalization", "pixels_1"]);
    let permutation = &made[1].weights[0];
    assert_eq!(permutation.shape, [3, 3]);
    let [r, g, b] = [50.0, 60.0, 70.0];
    let turned: Vec<f32> = (0..3)
        .map(|o| [r, g, b].iter().zip(0..).map(|(v, i)| v * permutation.values[i * 3 + o]).sum())
        .collect();
    assert_eq!(turned, [b, g, r]);
}

#[test]
fn features_of_one_axis_become_a_map_where_a_layer_needs_one() {
    let of = |layers: fn(&mut Builder, NodeId) -> NodeId| {
        let mut builder = Builder::new();
        let input = builder.input("input_1", 6);
        let last = layers(&mut builder, input);
        let dense = Dense { units: 1, bias: true, activation: Some(Activation::Sigmoid) };
        let top = builder.add("top", Op::Dense(dense), &[last]);
        let model = of_graph(builder.finish(top).unwrap(), [1, 1, 6]);
        let made = self::layers(&Model { input_axes: vec![6], ..model });
        let batch = made[0]["config"]["batch_shape"].clone();
        (batch, made.iter().skip(1).map(|l| l["class_name"].clone()).collect::<Vec<_>>())
    };
    let (batch, classes) = of(|b, x| b.add("flatten", Op::Flatten, &[x]));
    assert_eq!((batch, classes), (json!([null, 6]), vec![json!("Flatten"), json!("Dense")]));
    let (batch, classes) = of(|b, x| {
        let x = b.add("relu", Op::Act(Activation::Relu), &[x]);
        b.add("flatten", Op::Flatten, &[x])
    });
    assert_eq!(batch, json!([null, 6]));
    assert_eq!(classes, ["Reshape", "Activation", "Flatten", "Dense"]);
}

/// Two branches, whose convolutions come in another order than they were written, with batch normalisation.
fn branches() -> Model {
    let mut model = model(|b, x| {
        let short = b.add("short", Op::Conv(Conv::new(4, [1, 1])), &[x]);
        let long = b.add("long_1", Op::Conv(Conv::new(2, [1, 1])), &[x]);
        let norm = Op::Norm(Norm::default());
        let long = b.add("long_2", norm, &[long]);
        let depthwise = Depthwise { multiplier: 2, ..Depthwise::new([3, 3], 1, Padding::Same) };
        let long = b.add("long_3", Op::Depthwise(depthwise), &[long]);
        b.add("sum", Op::Add { scale: Some(0.5) }, &[short, long])
    });
    model.base = Some(BaseOrigin {
        name: "base".to_owned(),
        layer: "sum".to_owned(),
        weights: "random:1".to_owned(),
        weights_sha256: "00".to_owned(),
    });
    on_pixels(model, Preprocess::Caffe)
}

#[test]
fn the_base_is_frozen_and_what_was_trained_is_not() {
    let frozen: HashMap<String, bool> = layers(&branches())
        .iter()
        .skip(1)
        .map(|layer| {
            let name = layer["name"].as_str().unwrap().to_owned();
            (name, !layer["config"]["trainable"].as_bool().unwrap())
        })
        .collect();
    for name in ["rgb_to_bgr", "normalization", "short", "long_2", "sum_scale", "sum"] {
        assert!(frozen[name], "{name}");
    }
    assert!(!frozen["flat"] && !frozen["top"]);
    // A head alone was trained whole.
    let head = Model { pixels: None, ..branches() };
    assert!(layers(&head).iter().skip(1).all(|layer| layer["config"]["trainable"] == true));
}

#[test]
fn a_file_has_every_tensor_in_the_place_where_keras_looks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.keras");
    let model = branches();
    write(&model, &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    write(&model, &path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes, "the same model, other bytes");

    let mut file = weights::format::open(Box::new(Cursor::new(bytes.clone()))).unwrap();
    let entries = file.entries().to_vec();
    let mut read = |name: &str| {
        let name = format!("layers/{name}");
        let at = entries.iter().position(|entry| entry.name == name);
        let at = at.unwrap_or_else(|| panic!("{name} is not there: {entries:?}"));
        (entries[at].shape.clone(), file.read(at).unwrap())
    };
    let places = [
        ("dense_1/vars/0", "top/kernel"),
        ("dense_1/vars/1", "top/bias"),
        ("conv2d/vars/0", "long_1/kernel"),
        ("conv2d/vars/1", "long_1/bias"),
        ("conv2d_1/vars/0", "short/kernel"),
        ("conv2d_1/vars/1", "short/bias"),
        ("batch_normalization/vars/0", "long_2/gamma"),
        ("batch_normalization/vars/1", "long_2/beta"),
        ("batch_normalization/vars/2", "long_2/moving_mean"),
        ("batch_normalization/vars/3", "long_2/moving_variance"),
        ("depthwise_conv2d/vars/0", "long_3/depthwise_kernel"),
    ];
    assert_eq!(places.len(), model.tensors.len());
    for (place, path) in places {
        let (spec, values) = model.tensors.iter().find(|(spec, _)| spec.path() == path).unwrap();
        assert_eq!(read(place), (spec.shape.clone(), values.clone()), "{place} is {path}");
    }
    // Of what no layer of the model has, only what turns the channels around.
    assert_eq!(entries.len(), places.len() + 1);

    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut metadata = String::new();
    zip.by_name("metadata.json").unwrap().read_to_string(&mut metadata).unwrap();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["feature_cache"]["classes"], json!(["cats", "dogs"]));
    assert_eq!(metadata["feature_cache"]["images"]["size"], json!([10, 8]));
}

#[test]
fn every_layer_and_the_model_have_a_group_though_it_holds_nothing() {
    let made = convert::layers(&branches()).map(|layers| {
        let names: Vec<&str> = layers.iter().map(|layer| layer.class).collect();
        assert!(names.contains(&"Add"));
        super::weights::hdf5(&layers).finish().unwrap()
    });
    let file = hdf5_pure::File::from_bytes(made.unwrap()).unwrap();
    for group in ["vars", "layers/add/vars", "layers/input_layer/vars", "layers/flatten/vars"] {
        assert!(file.group(group).is_ok(), "{group}");
    }
}

#[test]
fn a_file_that_cannot_be_written_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone").join("model.keras");
    let error = write(&branches(), &gone).unwrap_err();
    assert!(matches!(error, ExportError::Io { .. }), "{error}");
    let kept = dir.path().join("model.keras");
    fs::write(&kept, b"mine").unwrap();
    let mut wrong = branches();
    wrong.tensors.pop();
    assert!(matches!(write(&wrong, &kept), Err(ExportError::Tensors { .. })));
    assert_eq!(fs::read(&kept).unwrap(), b"mine");
}
