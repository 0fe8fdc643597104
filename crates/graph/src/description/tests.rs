//! What people write, what comes back, and what is refused.

use super::op::OPS;
use super::{Description, DescriptionError, MAX_LAYERS};
use crate::{
    Activation, Builder, Conv, Dense, Depthwise, Graph, Norm, Op, Pad, Padding, Pool, PoolKind,
    Separable, Shape, Window,
};
use proptest::prelude::*;

fn build(text: &str) -> Result<Graph, DescriptionError> {
    Description::from_toml(text)?.build(3)
}

fn refusal(text: &str) -> String {
    let message = build(text).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// One layer on the pixels.
fn op(fields: &str) -> Op {
    build(&format!("[[layer]]\n{fields}")).unwrap().output().op
}

#[test]
fn defaults_are_those_of_keras() {
    let window = ([3, 3], [1, 1]);
    assert_eq!(op("op = 'conv'\nfilters = 8\nkernel = 3"), Op::Conv(Conv::new(8, window.0)));
    let depthwise = Depthwise::new([3, 3], 1, Padding::Valid);
    let expected = Op::Depthwise(Depthwise { bias: true, ..depthwise });
    assert_eq!(op("op = 'depthwise-conv'\nkernel = 3"), expected);
    let expected = Op::Separable(Separable { filters: 8, depthwise, bias: true });
    assert_eq!(op("op = 'separable-conv'\nfilters = 8\nkernel = 3"), expected);
    let expected = Op::Norm(Norm { epsilon: 1e-3, momentum: 0.99, center: true, scale: true });
    assert_eq!(op("op = 'batch-norm'"), expected);
    let expected = Op::Norm(Norm { momentum: 0.9, ..Norm::default() });
    assert_eq!(op("op = 'batch-norm'\nmomentum = 0.9"), expected);
    assert_eq!(op("op = 'max-pool'"), Op::Pool(Pool::max([2, 2], [2, 2])));
    assert_eq!(op("op = 'average-pool'\nsize = 3"), Op::Pool(Pool::avg([3, 3], [3, 3])));
    assert_eq!(op("op = 'pad'"), Op::Pad(Pad::Fixed([1; 4])));
    let expected = Op::GlobalPool { kind: PoolKind::Max, keep_dims: false };
    assert_eq!(op("op = 'global-max-pool'"), expected);
    let expected = Op::Dense(Dense { units: 7, bias: true, activation: None });
    assert_eq!(op("op = 'dense'\nunits = 7"), expected);
    assert_eq!(op("op = 'dropout'\nrate = 0"), Op::Dropout { rate: 0.0 });
}

#[test]
fn every_field_arrives() {
    let text = "op = 'conv'\nfilters = 8\nkernel = [1, 7]\nstride = [2, 1]\npadding = [1, 2, 3, 4]\n\
        dilation = 2\ngroups = 2\nbias = false\nactivation = 'swish'";
    let expected = Conv {
        filters: 8,
        kernel: [1, 7],
        stride: [2, 1],
        padding: Padding::Explicit([1, 2, 3, 4]),
        groups: 2,
        dilation: [2, 2],
        bias: false,
        activation: Some(Activation::Swish),
    };
    assert_eq!(op(text), Op::Conv(expected));
    let expected = Window { size: [3, 3], stride: [2, 2], dilation: [1, 1] };
    assert_eq!(
        op("op = 'pad'\nsame-for = { size = 3, stride = 2 }"),
        Op::Pad(Pad::SameFor(expected))
    );
    let expected = Op::Reshape(Shape::Map { height: 1, width: 2, channels: 6 });
    assert_eq!(op("op = 'reshape'\nshape = [1, 2, 6]"), expected);
}

#[test]
fn branches_are_written_with_names() {
    let graph = build(
        "input = 'pixels'\n\
        [[layer]]\nop = 'conv'\nname = 'a'\nfilters = 4\nkernel = 1\ntensors = 'features.0'\n\
        [[layer]]\nop = 'conv'\ninputs = ['pixels']\nfilters = 4\nkernel = 1\n\
        [[layer]]\nop = 'add'\ninputs = ['a', 'conv2d']\n\
        [[layer]]\nop = 'activation'\nactivation = 'relu6'\n",
    )
    .unwrap();
    let names: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["pixels", "a", "conv2d", "add", "re_lu"]);
    assert_eq!(graph.nodes()[3].inputs, [1, 2]);
    assert_eq!(graph.nodes()[1].tensors.as_deref(), Some("features.0"));
}

#[test]
fn mistakes_are_told_with_the_layer_and_what_is_accepted() {
    let cases = [
        ("op = 'convv'", "layer 1 (convv): unknown op 'convv'; expected one of conv, depthwise-"),
        ("name = 'a'", "layer 1 (a): it has no op: expected one of conv, "),
        ("op = 'flatten'\nunits = 3", "unknown field 'units'; flatten takes op, name, inputs, te"),
        (
            "op = 'dense'\nunit = 3",
            "unknown field 'unit'; dense takes op, name, inputs, tensors, u",
        ),
        ("op = 'dense'", "it has no units: expected a whole number from 1"),
        ("op = 'dense'\nunits = 0", "units: expected a whole number from 1 to 16777216, found 0"),
        ("op = 'dense'\nunits = 2.5", "found 2.5"),
        ("op = 'dense'\nunits = -1", "found -1"),
        ("op = 'dense'\nunits = 16777217", "found 16777217"),
        ("op = 'conv'\nfilters = 1\nkernel = 0", "kernel: expected a whole number from 1"),
        ("op = 'conv'\nfilters = 1\nkernel = [3]", "found [3]"),
        ("op = 'conv'\nfilters = 1\nkernel = [3, 3, 3]", "found [3,3,3]"),
        ("op = 'conv'\nfilters = 1\nkernel = 1\nstride = 0", "stride: expected"),
        ("op = 'conv'\nfilters = 1\nkernel = 1\ndilation = 0", "dilation: expected"),
        ("op = 'conv'\nfilters = 1\nkernel = 1\ngroups = 0", "groups: expected"),
        ("op = 'conv'\nfilters = 1\nkernel = 1\npadding = 'full'", "padding: expected \"valid\""),
        ("op = 'activation'\nactivation = 'tanh'", "activation: expected \"relu\""),
        ("op = 'pad'\nsame-for = { size = 3, steps = 2 }", "same-for: expected a window"),
        ("op = 'pad'\nsame-for = { size = 3 }\npadding = 2", "found both"),
        ("op = 'reshape'\nshape = [1, 1, 1, 1]", "shape: expected one to three"),
        ("op = 'dropout'\nrate = 1.0", "rate: expected a number from 0 to below 1, found 1"),
        ("op = 'dropout'\nrate = nan", "rate: expected a number, found null"),
        ("op = 'batch-norm'\nepsilon = -0.1", "epsilon: expected a number from 0"),
        (
            "op = 'batch-norm'\nmomentum = 1.0",
            "momentum: expected a number from 0 to below 1, found 1",
        ),
        ("op = 'flatten'\nname = ''", "expected 1 to 200 characters in a name, found 0"),
        ("op = 'flatten'\nname = \"a\\u001b\"", "has characters that no name may have"),
        ("op = 'flatten'\nname = 'input_1'", "the input or a layer before it is named 'input_1'"),
        ("op = 'flatten'\ninputs = ['later']", "no layer before it is named 'later'"),
        ("op = 'flatten'\ninputs = []", "expected 1 inputs, found 0"),
        ("op = 'add'", "layer 1 (Add): expected 2 inputs, found 1"),
        (
            "op = 'flatten'\n[[layer]]\nop = 'flatten'\ninputs = ['input_1']",
            "layer 1 (Flatten): the",
        ),
    ];
    for (layer, expected) in cases {
        let message = refusal(&format!("[[layer]]\n{layer}"));
        assert!(message.contains(expected), "{layer}: {message}");
    }
    assert!(refusal("[[layers]]\nop = 'flatten'").starts_with("line 1: unknown field `layers`"));
    assert!(refusal("[[layer]]\nop = 'flatten'\nop = 3\n").starts_with("line 3: duplicate key"));
    assert!(refusal("input = ''\nlayer = []").starts_with("the input's name: "));
}

#[test]
fn the_number_of_layers_is_bounded() {
    let text = |n: usize| "[[layer]]\nop = 'flatten'\n".repeat(n);
    assert_eq!(build(&text(MAX_LAYERS)).unwrap().nodes().len(), MAX_LAYERS + 1);
    let error = build(&text(MAX_LAYERS + 1)).unwrap_err();
    assert_eq!(error, DescriptionError::TooManyLayers(MAX_LAYERS + 1));
    let deep = format!("layer = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(build(&deep), Err(DescriptionError::Toml { line: 1, .. })));
}

#[test]
fn sizes_that_no_memory_holds_are_refused_without_overflow() {
    let huge = "[[layer]]\nop = 'depthwise-conv'\nkernel = 16777216\nmultiplier = 16777216\n\
        padding = 16777216\nstride = 1\n";
    let graph = build(huge).unwrap();
    assert!(graph.shapes([4, 4]).unwrap_err().to_string().contains("fits into no memory"));
    // Outputs are small here, and weights are not.
    let weights = "[[layer]]\nop = 'separable-conv'\nfilters = 1\nkernel = 16777216\n\
        multiplier = 16777216\npadding = 8388608\n";
    let graph = build(weights).unwrap();
    let image = [4, 4];
    assert_eq!(graph.output_shape(image).unwrap().dims(), [5, 5, 1]);
    assert_eq!(graph.parameters(image).unwrap(), usize::MAX);
    assert_eq!(graph.multiplications(image).unwrap(), u64::MAX);
    assert!(crate::summary(&graph, image).unwrap().contains("18,446,744,073,709,551,615"));
}

#[test]
fn the_table_names_the_fields_that_are_read() {
    for (op, fields) in OPS {
        for field in *fields {
            // No field takes such a value, so each that is read is refused.
            let text = format!("[[layer]]\nop = '{op}'\n{field} = 'no such value'");
            let message = refusal(&text);
            let required = message.contains("it has no");
            assert!(required || message.contains(&format!(": {field}: expected ")), "{message}");
        }
    }
}

fn windows() -> impl Strategy<Value = ([usize; 2], [usize; 2], [usize; 2], Padding)> {
    let pair = || prop_oneof![(1usize..4).prop_map(|n| [n; 2]), [1usize..4, 1usize..4]];
    let sides = [0usize..3, 0usize..3, 0usize..3, 0usize..3];
    let padding = prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        (0usize..3).prop_map(Padding::symmetric),
        sides.prop_map(Padding::Explicit)
    ];
    (pair(), pair(), pair(), padding)
}

/// Any operation of one input, whether or not shapes go together.
fn ops() -> impl Strategy<Value = Op> {
    use Activation::{Gelu, Relu, Relu6, Sigmoid, Softmax, Swish};
    let act = prop::sample::select(vec![Relu, Relu6, Sigmoid, Softmax, Swish, Gelu]);
    let values = (1usize..5, any::<bool>(), any::<bool>(), prop::option::of(act), 0.0..1.0);
    (0..12, windows(), values).prop_map(|(which, window, values)| {
        let (kernel, stride, dilation, padding) = window;
        let (n, bias, other, activation, number) = values;
        let depthwise = Depthwise { multiplier: n, kernel, stride, padding, dilation, bias: false };
        let kind = if other { PoolKind::Max } else { PoolKind::Avg };
        match which {
            0 => Op::Conv(Conv {
                filters: n,
                groups: n,
                kernel,
                stride,
                padding,
                dilation,
                bias,
                activation,
            }),
            1 => Op::Depthwise(Depthwise { bias, ..depthwise }),
            2 => Op::Separable(Separable { filters: n, depthwise, bias }),
            3 => Op::Norm(Norm {
                epsilon: number,
                momentum: 1.0 - number,
                center: bias,
                scale: other,
            }),
            4 => Op::Act(activation.unwrap_or(Relu)),
            5 => Op::Pool(Pool {
                kind,
                size: kernel,
                stride,
                padding,
                count_padding: bias && !other,
            }),
            6 => Op::GlobalPool { kind, keep_dims: bias },
            7 => Op::Pad(match padding {
                Padding::Explicit(sides) => Pad::Fixed(sides),
                _ => Pad::SameFor(Window { size: kernel, stride, dilation }),
            }),
            8 => Op::Flatten,
            9 => Op::Reshape(match n {
                1 => Shape::Vector { len: n },
                2 => Shape::Tokens { count: n, width: 3 },
                _ => Shape::Map { height: n, width: 2, channels: 5 },
            }),
            10 => Op::Dense(Dense { units: n, bias, activation }),
            _ => Op::Dropout { rate: number },
        }
    })
}

proptest! {
    #[test]
    fn any_graph_comes_back_from_json(
        nodes in prop::collection::vec((ops(), 0usize..9, prop::option::of(-2.0..2.0), any::<bool>()), 0..12),
    ) {
        let mut builder = Builder::new();
        let mut ids = vec![builder.input(if nodes.len() % 2 == 0 { "input_1" } else { "pixels" }, 3)];
        for (op, back, scale, joins) in nodes {
            let last = ids[ids.len() - 1];
            let other = ids[ids.len() - 1 - back.min(ids.len() - 1)];
            let id = builder.add_unnamed(op, &[last]);
            if joins {
                builder.name_tensors(id, "features.3");
                let joint = if scale.is_none() { Op::Concat } else { Op::Add { scale } };
                ids.push(builder.add_unnamed(joint, &[other, id]));
            } else {
                ids.push(id);
            }
        }
        let graph = builder.finish(ids[ids.len() - 1]).unwrap();
        let described = Description::of(&graph);
        prop_assert_eq!(&described.build(3).unwrap(), &graph);
        let json = serde_json::to_string(&described).unwrap();
        let read: Description = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read, &described);
        prop_assert_eq!(read.build(3).unwrap(), graph);
    }

    #[test]
    fn no_text_panics(text in "(\\[\\[layer\\]\\]\n|op = '(conv|add|max-pool|pad)'\n|(kernel|stride|size|filters|padding|name|inputs) = (0|1|-3|99999999999|'same'|\\['conv2d'\\]|\\[1, 2\\]|nan)\n|input = 'x'\n){0,12}") {
        if let Ok(graph) = build(&text) {
            let _ = (graph.shapes([9, 7]), graph.params([9, 7]), graph.multiplications([9, 7]));
        }
    }
}
