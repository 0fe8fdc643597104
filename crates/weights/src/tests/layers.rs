//! Every kind of layer in every form in which Keras writes a model: `tests/golden/weights/make_layers.py`.

use std::io::{Cursor, Read};

use graph::{Activation, Conv, Dense, Depthwise, NodeId, Norm, Op, Padding, Role, Separable};

use super::*;
use crate::format::FormatError;
use crate::source::{local, random};

/// The golden model, with its classifier or without, under the names of `framework`.
fn graph(framework: Framework, classifier: bool) -> Graph {
    let mut builder = Builder::new();
    let mut add = |name: Option<&str>, tensors: &str, op: Op, inputs: &[NodeId]| {
        let node = match name {
            Some(name) => builder.add(name, op, inputs),
            None => builder.add_unnamed(op, inputs),
        };
        if framework == Framework::PyTorch && !tensors.is_empty() {
            builder.name_tensors(node, tensors);
        }
        node
    };
    let conv = |filters, kernel| Conv::new(filters, kernel).padding(Padding::Same);
    let norm = |scale| Op::Norm(Norm { scale, ..Norm::default() });
    let relu = Op::Act(Activation::Relu);
    let depthwise = Depthwise::new([3, 3], 1, Padding::Same);
    let input = add(Some("input_1"), "", Op::Input { channels: 3 }, &[]);
    let stem = Conv::new(4, [3, 3]).stride(2).bias(false);
    let mut x = add(None, "base.stem", Op::Conv(stem), &[input]);
    x = add(None, "base.norm", norm(true), &[x]);
    x = add(None, "", relu, &[x]);
    let short = add(None, "base.short", Op::Conv(conv(3, [1, 1]).bias(false)), &[x]);
    let mut long = add(None, "base.long", Op::Conv(conv(3, [1, 1]).bias(false)), &[x]);
    long = add(None, "base.long_norm", norm(false), &[long]);
    let doubled = Op::Depthwise(Depthwise { multiplier: 2, ..depthwise });
    long = add(None, "base.depthwise", doubled, &[long]);
    x = add(None, "", Op::Concat, &[long, short]);
    let separable = Op::Separable(Separable { filters: 5, depthwise, bias: false });
    x = add(None, "base.separable", separable, &[x]);
    x = add(None, "base.wide", Op::Conv(conv(4, [1, 3])), &[x]);
    x = add(Some("out"), "", relu, &[x]);
    if classifier {
        let dense = |units| Op::Dense(Dense { units, bias: true, activation: None });
        x = add(None, "", Op::Flatten, &[x]);
        x = add(None, "top.hidden", dense(6), &[x]);
        x = add(Some("predictions"), "top.predictions", dense(5), &[x]);
    }
    builder.finish(x).expect("the golden model")
}

pub(super) fn small(classifier: bool) -> Architecture {
    let variant = |name, framework, preprocess| {
        Variant::new(name, framework, preprocess, &graph(framework, classifier), [8, 10])
            .expect("the golden model")
    };
    Architecture {
        base: "small".to_owned(),
        with_classifier: classifier,
        variants: vec![
            variant("timm", Framework::PyTorch, PreprocessHint::Torch),
            variant("keras", Framework::Keras, PreprocessHint::Tf),
        ],
        published: Vec::new(),
    }
}

pub(super) fn unpacked(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&*golden_bytes(&format!("{name}.gz")))
        .read_to_end(&mut bytes)
        .expect("a golden file");
    bytes
}

fn read_bytes(bytes: Vec<u8>, architecture: &Architecture) -> Result<Weights, FormatError> {
    local::read(Box::new(Cursor::new(bytes)), "", String::new(), architecture)
}

fn read(name: &str, classifier: bool) -> Result<Weights, FormatError> {
    read_bytes(unpacked(name), &small(classifier))
}

#[track_caller]
fn refused(name: &str) -> String {
    match read(name, false) {
        Err(FormatError::Architecture(text)) => text,
        other => panic!("{name}: {other:?}"),
    }
}

/// The expected tensors, which PyTorch's names find.
fn expected(classifier: bool) -> Weights {
    let weights = read_bytes(golden_bytes("layers_torch.safetensors"), &small(classifier));
    let weights = weights.expect("golden");
    assert_eq!(weights.variant, "timm");
    weights
}

#[track_caller]
fn assert_equals_expected(name: &str, classifier: bool) {
    let found = read(name, classifier).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!((found.variant, found.preprocess), ("keras", PreprocessHint::Tf), "{name}");
    let expected = expected(classifier);
    assert_eq!(found.iter().count(), expected.iter().count(), "{name}");
    for (parameter, tensor) in expected.iter() {
        let role = parameter.spec.role;
        let found = found.get(&parameter.spec.node, role).expect("the same parameters");
        assert!(found == tensor, "{name}: {} {role:?}: other values", parameter.spec.node);
    }
}

/// All forms of the base alone.
const WITHOUT_CLASSIFIER: &[&str] = &[
    "layers_names.h5",
    "layers_keras_2.h5",
    "layers.weights.h5",
    "layers_nested_trained.h5",
    "layers_nested_frozen.h5",
    "layers_nested.weights.h5",
];
/// All forms of the whole model.
const WITH_CLASSIFIER: &[&str] = &["layers_shifted.h5", "layers_shifted_model.h5", "layers.keras"];

#[test]
fn every_form_gives_the_tensors_that_pytorch_has() {
    WITHOUT_CLASSIFIER.iter().for_each(|name| assert_equals_expected(name, false));
    WITH_CLASSIFIER.iter().for_each(|name| assert_equals_expected(name, true));
}

#[test]
fn a_classifier_at_the_end_of_a_file_is_left_alone() {
    WITH_CLASSIFIER.iter().for_each(|name| assert_equals_expected(name, false));
    assert_eq!(expected(false).iter().count() + 4, expected(true).iter().count());
}

#[test]
fn a_file_without_the_classifier_says_what_of_it_is_missing() {
    for name in &WITHOUT_CLASSIFIER[..3] {
        let error = read(name, true).map(drop).expect_err(name).to_string();
        let problems: Vec<&str> = error.split("; ").collect();
        assert_eq!(problems.len(), 4, "{name}: {error}");
        let is_of_it =
            |problem: &&str| problem.contains("dense") || problem.contains("predictions");
        assert!(problems.iter().all(is_of_it), "{name}: {error}");
    }
    // Those of models in other models, which have a classifier of their own.
    for name in &WITHOUT_CLASSIFIER[3..] {
        let error = read(name, true).map(drop).expect_err(name);
        assert!(matches!(error, FormatError::Architecture(_)), "{name}: {error}");
    }
}

#[test]
fn layers_in_each_other_s_place_are_named() {
    let error = refused("layers_swapped.h5");
    let problems: Vec<&str> = error.split("; ").collect();
    assert_eq!(problems.len(), 2, "{error}");
    assert!(problems[0].ends_with("expected shape [1, 1, 4, 3], found [3, 3, 3, 2]"), "{error}");
    assert!(problems[0].contains("depthwise_conv2d_1/"), "{error}");
    assert!(problems[1].ends_with("expected shape [3, 3, 3, 2], found [1, 1, 4, 3]"), "{error}");
}

#[test]
fn a_layer_that_is_not_there_is_named() {
    assert_eq!(refused("layers_missing.h5"), "depthwise_conv2d/depthwise_kernel is missing");
}

#[test]
fn a_dense_layer_after_a_map_is_handed_out_in_both_orders() {
    let mut weights = expected(true);
    let tensor = weights.get("dense", Role::Kernel).expect("the classifier").clone();
    let pixels = weights.nhwc_values("dense", Role::Kernel).expect("the classifier");
    assert_eq!((tensor.shape.as_slice(), pixels.len()), (&[6, 48][..], 6 * 48));
    for (unit, y, x, c) in [(0, 0, 0, 1), (3, 1, 2, 3), (5, 2, 3, 0)] {
        let by_channel = tensor.data[unit * 48 + (c * 3 + y) * 4 + x];
        assert_eq!(pixels[unit * 48 + (y * 4 + x) * 4 + c], by_channel);
    }
    assert_ne!(pixels, tensor.data);
    // Each can be taken once, and the others stay.
    let others = weights.iter().count() - 1;
    assert_eq!(weights.take_nhwc_values("dense", Role::Kernel), Some(pixels));
    assert_eq!(weights.take_nhwc_values("dense", Role::Kernel), None);
    assert_eq!(weights.iter().count(), others);
    let bias = weights.nhwc_values("dense", Role::Bias);
    assert!(bias.is_some() && weights.take_nhwc_values("dense", Role::Bias) == bias);
}

#[test]
fn random_weights_of_every_role_are_those_of_the_python_in_the_documentation() {
    let architecture = small(true);
    let python = read_bytes(golden_bytes("layers_random_7.safetensors"), &architecture);
    let python = python.expect("golden");
    let tensors = random::tensors(7, &architecture.variants[0]);
    assert_eq!(tensors.len(), python.iter().count());
    for ((parameter, tensor), (_, expected)) in tensors.iter().zip(python.iter()) {
        assert!(tensor == expected, "{}", parameter.tensor);
    }
}
