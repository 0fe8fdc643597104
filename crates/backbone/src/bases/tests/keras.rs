//! Names, classes, connections, options, weights, shapes and counts against `keras.applications`.

use super::{TABLES, by, keras_3_name, keras_graph};
use crate::bases::{ALL, Source, Variant, find};
use graph::{Activation, Graph, Node, Op, Padding, ParamSpec, Role, Shape};

/// The size of the tables' last column.
const ODD: [usize; 2] = [97, 131];

fn activation(activation: Option<Activation>) -> &'static str {
    match activation {
        None => "linear",
        Some(Activation::Relu) => "relu",
        Some(Activation::Softmax) => "softmax",
        Some(_) => "another",
    }
}

fn padding(padding: Padding) -> &'static str {
    match padding {
        Padding::Same => "same",
        Padding::Valid => "valid",
        Padding::Explicit(_) => "explicit",
    }
}

fn bias(bias: bool) -> &'static str {
    if bias { "bias" } else { "no-bias" }
}

fn python(truth: bool) -> &'static str {
    if truth { "True" } else { "False" }
}

/// The options column, for an input of this shape.
fn options(op: &Op, input: Option<&Shape>) -> String {
    match op {
        Op::Conv(c) => {
            assert_eq!((c.groups, c.dilation), (1, [1, 1]));
            let (kernel, stride) = (by(&c.kernel), by(&c.stride));
            let tail = format!("{} {}", bias(c.bias), activation(c.activation));
            format!("{kernel} /{stride} {} {tail}", padding(c.padding))
        }
        Op::Depthwise(d) => {
            assert_eq!((d.multiplier, d.dilation), (1, [1, 1]));
            let (kernel, stride) = (by(&d.kernel), by(&d.stride));
            format!("{kernel} /{stride} {} {} linear", padding(d.padding), bias(d.bias))
        }
        Op::Separable(s) => {
            assert!(!s.depthwise.bias);
            let depthwise = options(&Op::Depthwise(s.depthwise), input);
            depthwise.replace("no-bias", bias(s.bias))
        }
        Op::Dense(d) => format!("{} {}", bias(d.bias), activation(d.activation)),
        Op::Norm(n) => {
            let (center, scale) = (python(n.center), python(n.scale));
            format!("{:?} center={center} scale={scale}", n.epsilon)
        }
        Op::Act(Activation::Relu6) => "max=6.0".to_owned(),
        Op::Act(a) => activation(Some(*a)).to_owned(),
        Op::Pool(p) => {
            assert!(!p.count_padding, "Keras never counts padding");
            format!("{} /{} {}", by(&p.size), by(&p.stride), padding(p.padding))
        }
        Op::Pad(pad) => match input {
            Some(&Shape::Map { height, width, .. }) => {
                let [top, left, bottom, right] = pad.resolve([height, width]);
                format!("{top},{left},{bottom},{right}")
            }
            _ => "not a map".to_owned(),
        },
        Op::Add { scale: Some(scale) } => format!("scale={scale:?}"),
        Op::Dropout { rate } => format!("rate={rate:?}"),
        Op::GlobalPool { keep_dims, .. } => format!("keepdims={}", python(*keep_dims)),
        Op::Input { .. }
        | Op::Add { scale: None }
        | Op::Concat
        | Op::Multiply
        | Op::Flatten
        | Op::Reshape(_) => String::new(),
    }
}

/// The weights column.
fn weights(node: &Node, params: &[ParamSpec]) -> String {
    let own = params.iter().filter(|spec| spec.node == node.name).map(|spec| {
        let name = match (&node.op, spec.role) {
            (Op::Depthwise(_), Role::DepthwiseKernel) => "kernel",
            (_, role) => role.keras_name(),
        };
        format!("{name} {}", by(&spec.shape))
    });
    own.collect::<Vec<_>>().join(";")
}

/// The first columns of the table, a row a node.
fn rows(graph: &Graph, image: [usize; 2]) -> Vec<Vec<String>> {
    let (shapes, params) = (graph.shapes(image).unwrap(), graph.params(image).unwrap());
    let row = |(node, shape): (&Node, &Shape)| {
        let inputs: Vec<_> =
            node.inputs.iter().map(|&i| keras_3_name(&graph.nodes()[i].name)).collect();
        vec![
            keras_3_name(&node.name).to_owned(),
            node.op.class_name().to_owned(),
            inputs.join(","),
            options(&node.op, node.inputs.first().map(|&i| &shapes[i])),
            weights(node, &params),
            by(&shape.dims()),
        ]
    };
    graph.nodes().iter().zip(&shapes).map(row).collect()
}

#[test]
fn every_base_has_a_table() {
    let tables: Vec<_> = TABLES.iter().map(|(name, _)| *name).collect();
    for definition in ALL {
        assert!(tables.contains(&definition.name), "{}", definition.name);
        assert!(definition.variant(Source::Keras).is_some(), "{}", definition.name);
    }
    assert_eq!(tables.len(), ALL.len());
}

#[test]
fn layers_are_keras_s_with_the_classifier_at_the_size_it_was_trained_at() {
    for (name, table) in TABLES {
        let (definition, graph) = keras_graph(name, true);
        let found = rows(&graph, [definition.top_size; 2]);
        let expected: Vec<Vec<&str>> =
            table.lines().map(|line| line.split('\t').take(6).collect()).collect();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(found.len(), expected.len(), "{name}");
    }
}

#[test]
fn layers_are_keras_s_without_the_classifier_at_an_odd_size() {
    for (name, table) in TABLES {
        let (_, graph) = keras_graph(name, false);
        // Name, class, inputs, weights and shape; options are checked above, and padding in them depends on the size.
        let found: Vec<Vec<String>> = rows(&graph, ODD)
            .into_iter()
            .map(|row| [0, 1, 2, 4, 5].map(|i| row[i].clone()).to_vec())
            .collect();
        let expected: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .filter(|row| row[6] != "-")
            .map(|row| [0, 1, 2, 4, 6].map(|i| row[i]).to_vec())
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn counts_of_parameters_are_the_published_ones() {
    for (name, top, no_top) in [
        ("vgg16", 138_357_544, 14_714_688),
        ("vgg19", 143_667_240, 20_024_384),
        ("resnet50", 25_636_712, 23_587_712),
        ("inception-v3", 23_851_784, 21_802_784),
        ("inception-resnet-v2", 55_873_736, 54_336_736),
        ("xception", 22_910_480, 20_861_480),
        ("mobilenet", 4_253_864, 3_228_864),
        ("mobilenet-0.25", 475_544, 218_544),
        ("mobilenet-v2", 3_538_984, 2_257_984),
        ("mobilenet-v2-0.35", 1_691_208, 410_208),
    ] {
        let count = |include_top| {
            let (definition, graph) = keras_graph(name, include_top);
            graph.parameters([definition.top_size; 2]).unwrap()
        };
        assert_eq!((count(true), count(false)), (top, no_top), "{name}");
    }
}

#[test]
fn every_base_has_shapes_at_its_least_size() {
    for definition in ALL {
        let least = definition.least_size;
        for variant in definition.variants {
            let graph = definition.graph(variant, false).unwrap();
            for image in [[least; 2], [least, least + 1], [least + 17, least]] {
                let shape = graph.output_shape(image).unwrap();
                assert!(shape.values() > 0, "{} {image:?}", definition.name);
            }
        }
    }
}

/// What PyTorch's form of a base changes, and nothing else.
#[test]
fn variants_differ_in_what_the_frameworks_do_differently() {
    let differences = |name: &str, source: Source| {
        let definition = find(name).unwrap();
        let graph = |variant: &'static Variant| definition.graph(variant, true).unwrap();
        let keras = graph(definition.variant(Source::Keras).unwrap());
        let torch = graph(definition.variant(source).unwrap());
        let names = |graph: &Graph| -> Vec<String> {
            graph.nodes().iter().map(|node| node.name.clone()).collect()
        };
        assert_eq!(names(&keras), names(&torch));
        let pairs = keras.nodes().iter().zip(torch.nodes());
        let changed = pairs.filter(|(k, t)| (&k.op, &k.inputs) != (&t.op, &t.inputs));
        let mut classes: Vec<_> =
            changed.map(|(k, t)| (k.op.class_name(), t.op, k.name.clone())).collect();
        classes.dedup_by_key(|(class, ..)| *class);
        classes
    };
    assert!(differences("vgg19", Source::Torchvision).is_empty());
    let has = |name, source, wanted: fn(&Op) -> bool| {
        differences(name, source).iter().any(|(_, op, _)| wanted(op))
    };
    let epsilon = |op: &Op| matches!(op, Op::Norm(norm) if norm.epsilon == 1e-5);
    for (name, source) in [
        ("resnet50", Source::Timm),
        ("xception", Source::Timm),
        ("mobilenet", Source::Timm),
        ("mobilenet-v2", Source::Torchvision),
    ] {
        assert!(has(name, source, epsilon), "{name}");
    }
    for name in ["inception-v3", "inception-resnet-v2"] {
        let gamma = |op: &Op| matches!(op, Op::Norm(norm) if norm.scale && norm.epsilon == 1e-3);
        assert!(has(name, Source::Timm, gamma), "{name}");
    }
    assert!(has("inception-v3", Source::Torchvision, |op| {
        matches!(op, Op::Pool(pool) if pool.count_padding)
    }));
    assert!(!has("inception-resnet-v2", Source::Timm, |op| matches!(op, Op::Pool(_))));
    let symmetric = |op: &Op| match op {
        Op::Conv(conv) => conv.padding == Padding::symmetric(1) && conv.stride == [2, 2],
        Op::Pool(pool) => pool.padding == Padding::symmetric(1),
        _ => false,
    };
    for (name, source) in
        [("xception", Source::Timm), ("mobilenet", Source::Timm), ("mobilenet-v2", Source::Timm)]
    {
        assert!(has(name, source, symmetric), "{name}");
    }
}

#[test]
fn resnet_s_stride_is_on_the_first_convolution_in_keras_and_on_the_second_in_pytorch() {
    let definition = find("resnet50").unwrap();
    for (source, expected) in [(Source::Keras, [2, 1]), (Source::Torchvision, [1, 2])] {
        let graph = definition.graph(definition.variant(source).unwrap(), false).unwrap();
        let stride = |name: &str| match graph.nodes()[graph.position(name).unwrap()].op {
            Op::Conv(conv) => conv.stride[0],
            _ => 0,
        };
        for stage in 3..=5 {
            let name = |n: usize| format!("conv{stage}_block1_{n}_conv");
            assert_eq!([stride(&name(1)), stride(&name(2))], expected, "{source:?}");
            assert_eq!(stride(&name(0)), 2);
        }
        assert_eq!(graph.output_shape([224, 150]).unwrap().dims(), [7, 5, 2048]);
    }
}
