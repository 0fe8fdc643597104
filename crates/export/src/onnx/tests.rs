//! What is written, read back field by field.

use graph::{
    Activation, Builder, Conv, Dense, Depthwise, Graph, Norm, Op, Padding, PoolKind, Shape,
};
use images::{ImageSize, Interpolation, LoadSpec, Preprocess};
use std::fs;
use std::path::Path;

use super::{Options, write};
use crate::{BaseOrigin, ExportError, Model};

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Field<'a> {
    Int(u64),
    Bytes(&'a [u8]),
    Fixed(u32),
}

/// The fields of a message, in order.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        panic!("a number of more than ten bytes");
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let field = match tag & 7 {
            0 => Field::Int(varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(value)
            }
            5 => {
                let (value, rest) = bytes.split_at(4);
                bytes = rest;
                Field::Fixed(u32::from_le_bytes(value.try_into().unwrap()))
            }
            other => panic!("type {other}"),
        };
        all.push((tag >> 3, field));
    }
    all
}

fn messages(bytes: &[u8], number: u64) -> Vec<&[u8]> {
    let found = fields(bytes).into_iter().filter(|(n, _)| *n == number);
    let bytes = found.map(|(_, field)| match field {
        Field::Bytes(bytes) => bytes,
        other => panic!("{other:?}"),
    });
    bytes.collect()
}

fn texts(bytes: &[u8], number: u64) -> Vec<String> {
    messages(bytes, number).iter().map(|b| String::from_utf8(b.to_vec()).unwrap()).collect()
}

fn ints(bytes: &[u8], number: u64) -> Vec<i64> {
    let found = fields(bytes).into_iter().filter(|(n, _)| *n == number);
    let ints = found.map(|(_, field)| match field {
        Field::Int(value) => value as i64,
        other => panic!("{other:?}"),
    });
    ints.collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Operator, name, inputs and output of a node.
fn nodes(graph: &[u8]) -> Vec<(String, String, Vec<String>, String)> {
    let nodes = messages(graph, 1).into_iter().map(|node| {
        let one = |number| texts(node, number).concat();
        (one(4), one(3), texts(node, 1), one(2))
    });
    nodes.collect()
}

/// The attribute of a node by the node's name: its message.
fn attribute<'a>(graph: &'a [u8], node: &str, name: &str) -> &'a [u8] {
    let mut nodes = messages(graph, 1).into_iter();
    let node = nodes.find(|n| texts(n, 3) == [node]).unwrap();
    messages(node, 5).into_iter().find(|a| texts(a, 1) == [name]).unwrap()
}

fn constant<'a>(graph: &'a [u8], name: &str) -> &'a [u8] {
    messages(graph, 5).into_iter().find(|c| texts(c, 8) == [name]).unwrap()
}

fn model(graph: Graph, size: [usize; 2], classes: usize) -> Model {
    let channels = match graph.nodes()[0].op {
        Op::Input { channels } => channels,
        _ => 0,
    };
    let specs = graph.params(size).unwrap();
    let mut next = 0.0;
    let tensors = specs.into_iter().map(|spec| {
        let values = (0..spec.values()).map(|_| {
            next += 1.0;
            next
        });
        let values = values.collect();
        (spec, values)
    });
    let tensors = tensors.collect();
    let input = [size[0], size[1], channels];
    Model {
        name: "tiny".to_owned(),
        graph,
        tensors,
        input,
        input_axes: input.to_vec(),
        pixels: None,
        classes: (0..classes).map(|i| format!("class {i}")).collect(),
        temperature: None,
        threshold: None,
        base: None,
        trained_with: "0.1.0".to_owned(),
        remarks: Vec::new(),
    }
}

/// As many kinds of layers as fit, from pixels of 8×6.
pub(crate) fn pixels() -> Model {
    let mut builder = Builder::new();
    // A name that the input has as well, and one of the output.
    let x = builder.input("pixels", 3);
    let conv = Conv::new(4, [3, 3]).stride(2).padding(Padding::Same).bias(false);
    let x = builder.add("probabilities", Op::Conv(conv), &[x]);
    let norm = Norm { scale: false, ..Norm::default() };
    let x = builder.add("norm", Op::Norm(norm), &[x]);
    let x = builder.add("relu6", Op::Act(Activation::Relu6), &[x]);
    let depthwise = Depthwise { multiplier: 2, ..Depthwise::new([3, 3], 1, Padding::Same) };
    let x = builder.add("depthwise", Op::Depthwise(depthwise), &[x]);
    let x = builder.add("flatten", Op::Flatten, &[x]);
    let x = builder.add("dropout", Op::Dropout { rate: 0.5 }, &[x]);
    let dense = Dense { units: 3, bias: true, activation: Some(Activation::Softmax) };
    let x = builder.add("top", Op::Dense(dense), &[x]);
    let spec = LoadSpec {
        size: ImageSize { width: 6, height: 8 },
        interpolation: Interpolation::Bicubic,
        preprocess: Preprocess::Caffe,
    };
    let base = BaseOrigin {
        name: "tiny-net".to_owned(),
        layer: "depthwise".to_owned(),
        weights: "random:1".to_owned(),
        weights_sha256: "0123".to_owned(),
    };
    Model {
        pixels: Some(spec),
        base: Some(base),
        temperature: Some(1.5),
        ..model(builder.finish(x).unwrap(), [8, 6], 3)
    }
}

/// Features of these axes, pooled or not, and two classes.
pub(crate) fn features(axes: &[usize]) -> Model {
    let mut builder = Builder::new();
    let x = builder.input("features", axes[axes.len() - 1]);
    let x = builder.add("flatten", Op::Flatten, &[x]);
    let dense = Dense { units: 1, bias: true, activation: Some(Activation::Sigmoid) };
    let x = builder.add("dense", Op::Dense(dense), &[x]);
    let size = if axes.len() == 1 { [1, 1] } else { [axes[0], axes[1]] };
    Model { input_axes: axes.to_vec(), ..model(builder.finish(x).unwrap(), size, 2) }
}

fn written(model: &Model, dir: &Path, limit: u64) -> Vec<u8> {
    let path = dir.join("model.onnx");
    let files = write(model, &path, &Options { largest_file: limit, with_resize: false }).unwrap();
    assert_eq!(files[0], path);
    fs::read(path).unwrap()
}

fn graph_of(bytes: &[u8]) -> &[u8] {
    messages(bytes, 7)[0]
}

#[test]
fn layers_become_nodes_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = written(&pixels(), dir.path(), u64::MAX);
    assert_eq!(ints(&bytes, 1), [7]);
    assert_eq!(ints(messages(&bytes, 8)[0], 2), [13]);
    let graph = graph_of(&bytes);
    let nodes = nodes(graph);
    let operators: Vec<(&str, &str)> =
        nodes.iter().map(|(operator, name, ..)| (&operator[..], &name[..])).collect();
    assert_eq!(
        operators,
        [
            ("Cast", "preprocessing/float"),
            ("Gather", "preprocessing/bgr"),
            ("Sub", "preprocessing"),
            ("Transpose", "pixels/channels_first"),
            ("Conv", "probabilities"),
            ("BatchNormalization", "norm"),
            ("Clip", "relu6"),
            ("Conv", "depthwise"),
            ("Transpose", "depthwise/channels_last"),
            ("Flatten", "flatten"),
            ("Gemm", "top"),
            ("Softmax", "top/activation"),
        ]
    );
    // Each input is made before it is read, and nothing is made twice.
    let mut made: Vec<String> = vec!["pixels".to_owned()];
    made.extend(messages(graph, 5).iter().map(|c| texts(c, 8).concat()));
    for (_, name, inputs, output) in &nodes {
        assert!(inputs.iter().all(|input| made.contains(input)), "{name}: {inputs:?}");
        assert!(!made.contains(output), "{output}");
        made.push(output.clone());
    }
    assert_eq!(nodes[nodes.len() - 1].3, "probabilities");
    let shape = |value: &[u8]| {
        let tensor = messages(messages(value, 2)[0], 1)[0].to_vec();
        let dims = messages(messages(&tensor, 2)[0], 1).iter().map(|dim| ints(dim, 1)).collect();
        (texts(value, 1).concat(), ints(&tensor, 1)[0], dims)
    };
    let dims = |all: &[i64]| -> Vec<Vec<i64>> {
        std::iter::once(vec![]).chain(all.iter().map(|&n| vec![n])).collect()
    };
    assert_eq!(shape(messages(graph, 11)[0]), ("pixels".to_owned(), 2, dims(&[8, 6, 3])));
    assert_eq!(shape(messages(graph, 12)[0]), ("probabilities".to_owned(), 1, dims(&[3])));
}

#[test]
fn attributes_and_kernels_are_in_onnx_order() {
    let dir = tempfile::tempdir().unwrap();
    let model = pixels();
    let bytes = written(&model, dir.path(), u64::MAX);
    let graph = graph_of(&bytes);
    // Same padding of 8×6 by a stride of 2: one row below, one column to the right.
    assert_eq!(ints(attribute(graph, "probabilities", "pads"), 8), [0, 0, 1, 1]);
    assert_eq!(ints(attribute(graph, "probabilities", "strides"), 8), [2, 2]);
    assert_eq!(ints(attribute(graph, "depthwise", "group"), 3), [4]);
    let epsilon = fields(attribute(graph, "norm", "epsilon"));
    assert!(epsilon.contains(&(2, Field::Fixed(1e-3f32.to_bits()))), "{epsilon:?}");

    let kernel = constant(graph, "probabilities/kernel");
    assert_eq!(ints(kernel, 1), [4, 3, 3, 3]);
    let values = floats(messages(kernel, 9)[0]);
    let keras = &model.tensors[0].1;
    let of_keras = |y: usize, x: usize, i: usize, o: usize| keras[((y * 3 + x) * 3 + i) * 4 + o];
    assert_eq!(values[((3 * 3 + 2) * 3 + 1) * 3], of_keras(1, 0, 2, 3));
    let depthwise = constant(graph, "depthwise/depthwise_kernel");
    assert_eq!(ints(depthwise, 1), [8, 1, 3, 3]);
    let stored = model.values("depthwise", graph::Role::DepthwiseKernel).unwrap();
    // Output 5 is input 2's second.
    let values = floats(messages(depthwise, 9)[0]);
    assert_eq!(values[5 * 9 + 3 + 2], stored[((3 + 2) * 4 + 2) * 2 + 1]);
    // A norm without gamma has ones.
    assert_eq!(floats(messages(constant(graph, "norm/gamma"), 9)[0]), [1.0; 4]);
    let dense = constant(graph, "top/kernel");
    assert_eq!(ints(dense, 1), [4 * 3 * 8, 3]);
    assert_eq!(floats(messages(dense, 9)[0]), model.values("top", graph::Role::Kernel).unwrap());
}

#[test]
fn the_file_says_how_to_use_it() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = written(&pixels(), dir.path(), u64::MAX);
    let metadata: Vec<(String, String)> = messages(&bytes, 14)
        .iter()
        .map(|entry| (texts(entry, 1).concat(), texts(entry, 2).concat()))
        .collect();
    let get = |key: &str| &metadata.iter().find(|(k, _)| k == key).unwrap().1[..];
    assert_eq!(get("classes"), r#"["class 0","class 1","class 2"]"#);
    let resize: serde_json::Value = serde_json::from_str(get("resize")).unwrap();
    assert_eq!((&resize["width"], &resize["height"]), (&6.into(), &8.into()));
    assert_eq!(resize["filter"], "bicubic");
    assert_eq!(get("preprocessing"), "caffe (in the graph)");
    assert_eq!(
        (get("base"), get("weights_sha256"), get("temperature")),
        ("tiny-net", "0123", "1.5")
    );
    assert!(metadata.iter().all(|(key, _)| key != "threshold"));
}

#[test]
fn two_classes_have_a_probability_each() {
    let dir = tempfile::tempdir().unwrap();
    for axes in [&[2, 1, 3][..], &[6]] {
        let bytes = written(&features(axes), dir.path(), u64::MAX);
        let nodes = nodes(graph_of(&bytes));
        let all: Vec<&str> = nodes.iter().map(|(operator, ..)| &operator[..]).collect();
        // Features are stored as they are flattened: nothing is transposed.
        let flatten = if axes.len() == 3 { vec!["Flatten"] } else { vec![] };
        assert_eq!(all, [flatten, vec!["Gemm", "Sigmoid", "Sub", "Concat"]].concat());
        let last = &nodes[nodes.len() - 1];
        assert_eq!(last.2, ["classes/first", "dense"]);
    }
}

#[test]
fn large_constants_go_to_a_second_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = features(&[4, 4, 32]);
    model.classes = vec!["a".to_owned(), "b".to_owned()];
    let whole = written(&model, dir.path(), 512 * 4 + 4 + 4);
    assert!(!dir.path().join("model.onnx.data").exists());
    let bytes = written(&model, dir.path(), 512 * 4);
    assert!(bytes.len() + 1500 < whole.len());
    let data = fs::read(dir.path().join("model.onnx.data")).unwrap();
    let kernel = constant(graph_of(&bytes), "dense/kernel");
    assert!(messages(kernel, 9).is_empty());
    assert_eq!(ints(kernel, 14), [1]);
    let entries: Vec<[String; 2]> = messages(kernel, 13)
        .iter()
        .map(|entry| [texts(entry, 1).concat(), texts(entry, 2).concat()])
        .collect();
    let expected = [["location", "model.onnx.data"], ["offset", "0"], ["length", "2048"]];
    assert_eq!(entries, expected.map(|entry| entry.map(str::to_owned)));
    assert_eq!(floats(&data), model.values("dense", graph::Role::Kernel).unwrap());
    // The bias is small and stays.
    assert_eq!(messages(constant(graph_of(&bytes), "dense/bias"), 9)[0].len(), 4);
}

#[test]
fn resizing_has_both_orders_of_the_passes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.onnx");
    let options = Options { with_resize: true, ..Options::default() };
    let mut model = pixels();
    let filters = [Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Lanczos];
    for interpolation in filters {
        model.pixels = model.pixels.map(|spec| LoadSpec { interpolation, ..spec });
        write(&model, &path, &options).unwrap();
        let bytes = fs::read(&path).unwrap();
        let graph = graph_of(&bytes);
        let mut made: Vec<String> = vec!["pixels".to_owned()];
        made.extend(messages(graph, 5).iter().map(|c| texts(c, 8).concat()));
        for (operator, name, inputs, output) in nodes(graph) {
            assert!(inputs.iter().all(|input| made.contains(input)), "{name}: {inputs:?}");
            assert!(!made.contains(&output), "{output}");
            made.push(output);
            if operator != "If" {
                continue;
            }
            // In each branch both passes, in its order, on what is made outside.
            for (branch, first) in [("then_branch", "vertical"), ("else_branch", "horizontal")] {
                let inner = messages(attribute(graph, "resize", branch), 6)[0];
                let mut known = made.clone();
                for (_, name, inputs, output) in nodes(inner) {
                    assert!(inputs.iter().all(|input| known.contains(input)), "{name}");
                    known.push(output);
                }
                let products = nodes(inner).into_iter().filter(|(o, ..)| o == "MatMul");
                let products: Vec<String> = products.map(|(_, name, ..)| name).collect();
                assert_eq!(products.len(), 6);
                assert!(products[0].contains(first), "{products:?}");
                assert_eq!(known.last(), Some(&texts(messages(inner, 12)[0], 1).concat()));
            }
        }
    }
    for interpolation in [Interpolation::Nearest, Interpolation::TfBilinear] {
        model.pixels = model.pixels.map(|spec| LoadSpec { interpolation, ..spec });
        let error = write(&model, &path, &options).unwrap_err();
        assert!(matches!(error, ExportError::Resize { .. }), "{error}");
    }
    // Features are not resized.
    write(&features(&[6]), &path, &options).unwrap();
}

#[test]
fn what_onnx_does_not_have_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = Builder::new();
    let x = builder.input("features", 4);
    let tokens = Shape::Tokens { count: 6, width: 4 };
    let x = builder.add("tokens", Op::Reshape(tokens), &[x]);
    let pool = Op::GlobalPool { kind: PoolKind::Avg, keep_dims: false };
    let x = builder.add("pool", pool, &[x]);
    let dense = Dense { units: 3, bias: true, activation: Some(Activation::Softmax) };
    let x = builder.add("top", Op::Dense(dense), &[x]);
    let model = model(builder.finish(x).unwrap(), [2, 3], 3);
    let path = dir.path().join("model.onnx");
    let error = write(&model, &path, &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "layer 'tokens': ONNX has no tokens");
    assert!(!path.exists());
}

#[test]
fn tensors_of_another_graph_and_lost_folders_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.onnx");
    let mut short = features(&[6]);
    short.tensors[0].1.pop();
    let mut other = features(&[6]);
    other.classes.push("third".to_owned());
    let mut linear = features(&[6]);
    let last = Dense { units: 1, bias: true, activation: None };
    let mut builder = Builder::new();
    let x = builder.input("features", 6);
    let x = builder.add("flatten", Op::Flatten, &[x]);
    let x = builder.add("dense", Op::Dense(last), &[x]);
    linear.graph = builder.finish(x).unwrap();
    for model in [short, other, linear] {
        let error = write(&model, &path, &Options::default()).unwrap_err();
        assert!(matches!(error, ExportError::Tensors { .. }), "{error}");
        assert!(!path.exists());
    }
    let gone = dir.path().join("gone/model.onnx");
    let error = write(&features(&[6]), &gone, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("gone/model.onnx"), "{error}");
}
