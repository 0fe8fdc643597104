//! What becomes one operation, and that the values stay those of one operation a layer.

use super::exact::{TOLERANCE, run};
use super::parameters::{image, parameter};
use crate::bases::{Source, find};
use crate::lower::lower;
use graph::Separable;
use graph::{
    Activation, Builder, Conv, Depthwise, Graph, Node, Norm, Op, Pad, Padding, Pool, Shape,
};
use kernels::{Isa, Layer, Network, Precision, Program};
use proptest::prelude::*;

fn base(name: &str) -> Graph {
    let definition = find(name).unwrap();
    definition.graph(definition.variant(Source::Keras).unwrap(), false).unwrap()
}

fn program(graph: &Graph, size: [usize; 2]) -> Program {
    let specs = graph.params(size).unwrap();
    let spec = |node: &str, role| specs.iter().find(|s| s.node == node && s.role == role);
    lower(graph, size, &|node, role| Some(vec![0.5; spec(node, role)?.values()])).unwrap().program
}

/// Every kind of operation with how often the program has it.
fn counts(program: &Program) -> Vec<(&'static str, usize)> {
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    for operation in &program.operations {
        let kind = match &operation.layer {
            Layer::Conv(_) if operation.inputs.len() == 2 => "conv and sum",
            Layer::Conv(_) => "conv",
            Layer::MaxPool { .. } => "max",
            Layer::AvgPool { .. } => "average",
            Layer::Add { .. } => "sum",
            Layer::Affine { .. } => "affine",
            Layer::Activate(_) => "activation",
            Layer::Pad(_) => "pad",
            Layer::Concat => "concat",
            other => panic!("{other:?}"),
        };
        match counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((kind, 1)),
        }
    }
    counts.sort_unstable();
    counts
}

/// Convolutions of a graph; a separable one is two.
fn convolutions(graph: &Graph) -> usize {
    let of = |node: &Node| match node.op {
        Op::Conv(_) | Op::Depthwise(_) => 1,
        Op::Separable(_) => 2,
        _ => 0,
    };
    graph.nodes().iter().map(of).sum()
}

#[test]
fn normalisation_padding_sums_and_activations_become_a_part_of_convolutions() {
    let expected: [(&str, &[(&str, usize)]); 7] = [
        ("vgg16", &[("conv", 13), ("max", 5)]),
        ("resnet50", &[("conv", 37), ("conv and sum", 16), ("max", 1)]),
        ("inception-v3", &[("average", 9), ("concat", 15), ("conv", 94), ("max", 4)]),
        // A block adds a share of its convolution, but for the last one.
        (
            "inception-resnet-v2",
            &[
                ("average", 1),
                ("concat", 43),
                ("conv", 243),
                ("conv and sum", 1),
                ("max", 4),
                ("sum", 39),
            ],
        ),
        // A sum is read with and without its activation, which so stays by itself.
        ("xception", &[("activation", 11), ("conv", 62), ("conv and sum", 12), ("max", 4)]),
        ("mobilenet", &[("conv", 27)]),
        ("mobilenet-v2", &[("conv", 42), ("conv and sum", 10)]),
    ];
    for (name, expected) in expected {
        let graph = base(name);
        let counts = counts(&program(&graph, [96, 107]));
        assert_eq!(counts, expected, "{name}");
        let convs = counts.iter().filter(|(kind, _)| kind.starts_with("conv"));
        assert_eq!(convs.map(|(_, n)| n).sum::<usize>(), convolutions(&graph), "{name}");
    }
}

/// The graph's output, each layer run by itself.
fn unfused(graph: &Graph, size: [usize; 2]) -> Vec<f32> {
    let shapes = graph.shapes(size).unwrap();
    let mut values: Vec<Vec<f32>> = Vec::new();
    for node in graph.nodes() {
        let inputs: Vec<&[f32]> =
            node.inputs.iter().map(|input| values[*input].as_slice()).collect();
        let made = match &node.op {
            Op::Input { .. } => image(size),
            Op::Dropout { .. } => inputs[0].to_vec(),
            Op::Add { scale } => {
                let scale = scale.unwrap_or(1.0) as f32;
                inputs[0].iter().zip(inputs[1]).map(|(a, b)| a + scale * b).collect()
            }
            _ => {
                let Shape::Map { height, width, channels } = shapes[node.inputs[0]] else {
                    panic!("{}: not a map", node.name)
                };
                alone(node, inputs[0], [height, width, channels])
            }
        };
        values.push(made);
    }
    values.pop().unwrap()
}

/// One layer that reads one map.
fn alone(node: &Node, input: &[f32], shape: [usize; 3]) -> Vec<f32> {
    let mut builder = Builder::new();
    let map = builder.input("a map", shape[2]);
    let output = builder.add(node.name.as_str(), node.op, &[map]);
    let graph = builder.finish(output).unwrap();
    let size = [shape[0], shape[1]];
    let specs = graph.params(size).unwrap();
    let find = |role| specs.iter().find(|spec| spec.role == role);
    let program = lower(&graph, size, &|_, role| find(role).map(parameter)).unwrap().program;
    let network = Network::compile(program, shape, Isa::best(), Precision::Highest).unwrap();
    let mut output = vec![f32::NAN; network.output_shape().iter().product()];
    network.run(1, input, &mut output).unwrap();
    output
}

/// Whether the fused graph computes what its layers compute one by one.
fn same(graph: &Graph, size: [usize; 2]) -> Result<(), String> {
    let (fused, unfused) =
        (run(graph, size, Isa::best(), Precision::Highest), unfused(graph, size));
    let largest = unfused.iter().fold(0.0, |most: f64, value| most.max(f64::from(value.abs())));
    if fused.len() != unfused.len() {
        return Err(format!("{}: {} of {}", graph.output().name, fused.len(), unfused.len()));
    }
    for (position, (a, b)) in fused.iter().zip(&unfused).enumerate() {
        let difference = (f64::from(*a) - f64::from(*b)).abs();
        // Anything that is not a number is not within the bound.
        if difference.is_nan() || difference > TOLERANCE * largest {
            return Err(format!("{} at {position}: {a} is not {b}", graph.output().name));
        }
    }
    Ok(())
}

#[test]
fn a_cut_at_any_layer_is_that_layers_value() {
    let parts = [
        ("resnet50", "conv2_block2_out"),
        ("mobilenet-v2-0.35", "block_3_depthwise"),
        ("xception", "block4_sepconv1_act"),
    ];
    for (name, last) in parts {
        let part = base(name).cut(last).unwrap();
        for node in part.nodes() {
            same(&part.cut(&node.name).unwrap(), [39, 46]).unwrap();
        }
    }
}

#[test]
fn a_cut_ends_with_the_layer_that_was_asked_for() {
    let graph = base("resnet50");
    let last = |layer: &str| {
        let program = program(&graph.cut(layer).unwrap(), [39, 46]);
        let operation = program.operations.last().unwrap().clone();
        (operation.layer, operation.inputs.len())
    };
    for layer in ["conv2_block1_1_conv", "conv2_block1_1_bn", "conv2_block1_3_bn"] {
        let (Layer::Conv(conv), 1) = last(layer) else { panic!("{layer}") };
        assert_eq!(conv.activation, kernels::Activation::None, "{layer}");
    }
    let (Layer::Conv(sum), 2) = last("conv2_block1_add") else { panic!("no sum") };
    assert_eq!(sum.activation, kernels::Activation::None);
    let (Layer::Conv(relu), 2) = last("conv2_block1_out") else { panic!("no sum") };
    assert_eq!(relu.activation, kernels::Activation::Relu);
    assert!(matches!(last("pool1_pad"), (Layer::Pad(_), 1)));
}

/// A network whose layers read any earlier ones; every map has the image's size and 3 channels, but for padded ones.
fn random_graph(choices: &[(usize, usize, usize)]) -> Graph {
    let mut builder = Builder::new();
    let mut ids = vec![builder.input("input_1", 3)];
    let conv = Conv::new(3, [3, 3]);
    let same = conv.padding(Padding::Same);
    let depthwise = Depthwise { bias: true, ..Depthwise::new([3, 3], 1, Padding::Same) };
    let norm = Op::Norm(Norm::default());
    let max = Op::Pool(Pool::max([3, 3], [1, 1]));
    let average = Op::Pool(Pool::avg([3, 3], [1, 1]));
    for (number, (kind, a, b)) in choices.iter().enumerate() {
        let (a, b) = (ids[a % ids.len()], ids[b % ids.len()]);
        let name = |part: &str| format!("node{number}{part}");
        let one = |builder: &mut Builder, op| builder.add(name(""), op, &[a]);
        let next = match kind % 13 {
            0 => one(&mut builder, Op::Conv(same)),
            1 => one(&mut builder, Op::Conv(same.activation(Activation::Relu))),
            2 => one(&mut builder, Op::Depthwise(depthwise)),
            3 => {
                let separable = Separable { depthwise, filters: 3, bias: true };
                one(&mut builder, Op::Separable(separable))
            }
            4 | 5 => one(&mut builder, norm),
            6 => one(&mut builder, Op::Act(Activation::Relu)),
            7 => one(&mut builder, Op::Act(Activation::Relu6)),
            8 => one(&mut builder, Op::Dropout { rate: 0.5 }),
            9 => builder.add(name(""), Op::Add { scale: Some(0.3) }, &[a, b]),
            10 => builder.add(name(""), Op::Add { scale: None }, &[a, b]),
            11 => {
                let pad = builder.add(name("pad"), Op::Pad(Pad::Fixed([0, 1, 2, 1])), &[a]);
                let op = [Op::Conv(conv), max, average][number % 3];
                builder.add(name(""), op, &[pad])
            }
            _ => {
                let pad = builder.add(name("pad"), Op::Pad(Pad::Fixed([1; 4])), &[a]);
                let left = builder.add(name("left"), Op::Conv(conv), &[pad]);
                let right = builder.add(name("right"), max, &[pad]);
                builder.add(name(""), Op::Add { scale: None }, &[left, right])
            }
        };
        ids.push(next);
    }
    builder.finish(ids[ids.len() - 1]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_graph_computes_what_its_layers_do(
        // Mostly what was made last, so that there are chains to fuse.
        choices in prop::collection::vec((0usize..13, any::<bool>(), 0usize..99, 0usize..99), 1..14),
    ) {
        let choices: Vec<_> = choices
            .into_iter()
            .enumerate()
            .map(|(made, (kind, last, a, b))| (kind, if last { made } else { a }, b))
            .collect();
        prop_assert_eq!(same(&random_graph(&choices), [7, 9]), Ok(()));
    }
}

/// Also those that come where another layer was, or are two operations.
#[test]
fn operations_are_named_by_the_layer_that_they_are() {
    let layers = |name: &str| {
        let (graph, size) = (base(name), [75, 75]);
        let specs = graph.params(size).unwrap();
        let spec = |node: &str, role| specs.iter().find(|s| s.node == node && s.role == role);
        let values = |node: &str, role| Some(vec![0.5; spec(node, role)?.values()]);
        let lowered = lower(&graph, size, &values).unwrap();
        assert_eq!(lowered.layers.len(), lowered.program.operations.len());
        lowered.layers
    };
    assert_eq!(
        layers("resnet50")[..6],
        [
            "conv1_conv",
            "pool1_pool",
            "conv2_block1_1_conv",
            "conv2_block1_2_conv",
            "conv2_block1_0_conv",
            "conv2_block1_3_conv"
        ]
    );
    let separable = layers("xception");
    let times = |layer: &str| separable.iter().filter(|name| *name == layer).count();
    assert_eq!((times("block1_conv1"), times("block2_sepconv1")), (1, 2));
}
