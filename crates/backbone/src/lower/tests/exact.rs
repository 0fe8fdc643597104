//! Lowered bases against what Keras, timm and torchvision compute in f64 with the same parameters.

use super::parameters::{image, parameter, torch_parameter};
use crate::bases::{Definition, Source, Variant, find};
use crate::lower::{Parameters, lower};
use graph::{Graph, Shape};
use kernels::{Isa, Network, Precision, Program};

/// Largest difference from Keras's f64, as a part of the largest value: the bound of [`Precision::Highest`].
pub(super) const TOLERANCE: f64 = 5e-6;

/// The same at each precision: the bounds that [`Precision`] names.
fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::Highest => TOLERANCE,
        Precision::High => 5e-5,
        Precision::Tf32 | Precision::Medium => 2e-2,
    }
}

/// Largest difference of a probability from Keras's f64. Probabilities are at most 1, so f32 itself rounds at 6e-8.
const PROBABILITY: f64 = 1e-6;

/// A line of a golden file.
struct Cut<'a> {
    image: [usize; 2],
    include_top: bool,
    layer: &'a str,
    shape: Vec<usize>,
    stride: usize,
    largest: f64,
    mean: f64,
    values: Vec<f64>,
}

impl<'a> Cut<'a> {
    fn read(line: &'a str) -> Self {
        let cells: Vec<&str> = line.split('\t').collect();
        let [image, part, layer, shape, stride, largest, mean, values] = cells[..] else {
            panic!("{} cells: {line}", cells.len());
        };
        let dims =
            |text: &str| -> Vec<usize> { text.split('x').map(|n| n.parse().unwrap()).collect() };
        Self {
            image: dims(image).try_into().unwrap(),
            include_top: part == "top",
            layer,
            shape: dims(shape),
            stride: stride.parse().unwrap(),
            largest: largest.parse().unwrap(),
            mean: mean.parse().unwrap(),
            values: values.split(' ').map(|value| value.parse().unwrap()).collect(),
        }
    }
}

/// One image through the graph, with Keras's parameters.
pub(super) fn run(graph: &Graph, size: [usize; 2], isa: Isa, precision: Precision) -> Vec<f32> {
    on_kernels(program_of(graph, size), size, (isa, precision))
}

/// A graph with Keras's parameters.
fn program_of(graph: &Graph, size: [usize; 2]) -> Program {
    let specs = graph.params(size).unwrap();
    let parameters = |node: &str, role| {
        specs.iter().find(|spec| spec.node == node && spec.role == role).map(parameter)
    };
    lower(graph, size, &parameters).unwrap().program
}

fn run_with(
    graph: &Graph,
    size: [usize; 2],
    (isa, precision): (Isa, Precision),
    parameters: &Parameters<'_>,
) -> Vec<f32> {
    on_kernels(lower(graph, size, parameters).unwrap().program, size, (isa, precision))
}

fn on_kernels(program: Program, size: [usize; 2], (isa, precision): (Isa, Precision)) -> Vec<f32> {
    let [height, width] = size;
    let network = Network::compile(program, [height, width, 3], isa, precision).unwrap();
    let mut output = vec![f32::NAN; network.output_shape().iter().product()];
    network.run(1, &image(size), &mut output).unwrap();
    output
}

/// Compares every cut of the base's golden file of Keras.
fn check(base: &str, isa: Isa, precision: Precision) {
    let definition = find(base).unwrap();
    let variant = definition.variant(Source::Keras).unwrap();
    let file = format!("features/{base}.tsv");
    check_file(&file, definition, variant, (isa, precision), &|graph, size| {
        run(graph, size, isa, precision)
    });
}

/// Compares every cut of the base's golden file of timm or torchvision. `last` is the factor of the last layer's kernel.
fn check_torch(source: Source, base: &str, last: f32) {
    let definition = find(base).unwrap();
    let variant = definition.variant(source).unwrap();
    let architecture = definition.architecture(true).unwrap();
    let is_it = |variant: &&weights::Variant| variant.name == source.name();
    let of_it = &architecture.variants.iter().find(is_it).unwrap().parameters;
    let parameters = |node: &str, role| {
        let is_it = |p: &&weights::Parameter| p.spec.node == node && p.spec.role == role;
        of_it.iter().find(is_it).map(|parameter| torch_parameter(parameter, last))
    };
    let on = (Isa::best(), Precision::Highest);
    let file = format!("torch_features/{}_{base}.tsv", source.name());
    check_file(&file, definition, variant, on, &|graph, size| {
        run_with(graph, size, on, &parameters)
    });
}

/// Compares every cut of a golden file with what `run` makes of it.
fn check_file(
    file: &str,
    definition: &Definition,
    variant: &'static Variant,
    (isa, precision): (Isa, Precision),
    run: &dyn Fn(&Graph, [usize; 2]) -> Vec<f32>,
) {
    let base = definition.name;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bases");
    let golden = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
    assert!(golden.lines().count() >= 5, "{base}: a golden file of few cuts");
    let mut wrong = Vec::new();
    for line in golden.lines() {
        let cut = Cut::read(line);
        let graph = definition.graph(variant, cut.include_top).unwrap().cut(cut.layer).unwrap();
        let shape = graph.output_shape(cut.image).unwrap();
        assert_eq!(shape.dims(), cut.shape, "{base} {}", cut.layer);
        let found: Vec<f64> = run(&graph, cut.image).into_iter().map(f64::from).collect();
        assert_eq!(found.len(), cut.shape.iter().product::<usize>(), "{base} {}", cut.layer);
        assert_eq!(found.len().div_ceil(cut.stride), cut.values.len(), "{base} {}", cut.layer);
        assert!(cut.largest > 0.0);
        let allowed = match shape {
            Shape::Vector { .. }
                if cut.layer == "predictions" && precision == Precision::Highest =>
            {
                PROBABILITY
            }
            _ => tolerance(precision) * cut.largest,
        };
        // Samples, and what depends on all values. Anything that is not a number is not within the bound.
        let largest = found.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let mean = found.iter().map(|value| value.abs()).sum::<f64>() / found.len() as f64;
        let samples = found.iter().step_by(cut.stride).zip(&cut.values);
        let whole = [(&largest, &cut.largest), (&mean, &cut.mean)];
        let differences = samples.chain(whole).map(|(found, expected)| (found - expected).abs());
        let worst = differences.fold(
            0.0,
            |worst: f64, difference| {
                if difference <= worst { worst } else { difference }
            },
        );
        let part = worst / cut.largest;
        println!(
            "{base} {:?} {} {isa} {precision}: {part:.1e} of the largest",
            cut.image, cut.layer
        );
        if !(worst <= allowed && found.iter().all(|value| value.is_finite())) {
            wrong.push(format!("{:?} {}: {worst:e} > {allowed:e}", cut.image, cut.layer));
        }
    }
    assert!(wrong.is_empty(), "{base} on {isa:?}: {wrong:#?}");
}

macro_rules! bases {
    ($($test:ident: $base:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            check($base, Isa::best(), Precision::Highest);
        })+
    };
}

bases! {
    vgg16: "vgg16",
    vgg19: "vgg19",
    resnet50: "resnet50",
    inception_v3: "inception-v3",
    inception_resnet_v2: "inception-resnet-v2",
    xception: "xception",
    mobilenet: "mobilenet",
    mobilenet_of_a_quarter: "mobilenet-0.25",
    mobilenet_v2: "mobilenet-v2",
    mobilenet_v2_of_a_third: "mobilenet-v2-0.35",
}

macro_rules! torch {
    ($($test:ident: $source:ident $base:literal * $last:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            check_torch(Source::$source, $base, $last);
        })+
    };
}

torch! {
    resnet50_of_torchvision: Torchvision "resnet50" * 2e-4,
    resnet50_of_timm: Timm "resnet50" * 2e-4,
    inception_v3_of_torchvision: Torchvision "inception-v3" * 0.2,
    inception_v3_of_timm: Timm "inception-v3" * 0.2,
    inception_resnet_v2_of_timm: Timm "inception-resnet-v2" * 0.05,
    xception_of_timm: Timm "xception" * 1e-3,
    mobilenet_of_timm: Timm "mobilenet" * 1.0,
    mobilenet_v2_of_timm: Timm "mobilenet-v2" * 1.0,
    mobilenet_v2_of_torchvision: Torchvision "mobilenet-v2" * 1.0,
    vgg19_of_torchvision: Torchvision "vgg19" * 1.0,
}

#[test]
fn portable_code_is_as_exact() {
    for base in ["mobilenet-0.25", "mobilenet-v2-0.35"] {
        check(base, Isa::Portable, Precision::Highest);
    }
}

/// On instruction sets with units for bf16 these have other algorithms, nearly all layers of them.
#[test]
fn less_precise_products_keep_their_bounds() {
    for base in [
        "resnet50",
        "inception-v3",
        "inception-resnet-v2",
        "xception",
        "mobilenet-0.25",
        "mobilenet-v2",
    ] {
        for precision in [Precision::High, Precision::Medium] {
            check(base, Isa::best(), precision);
        }
    }
}

/// candle runs every operation that a base becomes, in both ways that a GPU runs them: a second implementation, with the
/// same bound.
#[cfg(feature = "candle")]
#[test]
fn candle_is_as_exact() {
    for base in [
        "vgg16",
        "resnet50",
        "inception-v3",
        "inception-resnet-v2",
        "xception",
        "mobilenet-0.25",
        "mobilenet-v2-0.35",
    ] {
        let definition = find(base).unwrap();
        let variant = definition.variant(Source::Keras).unwrap();
        let file = format!("features/{base}.tsv");
        for columns in [false, true] {
            let on = (Isa::Portable, Precision::Highest);
            check_file(&file, definition, variant, on, &|graph, size| {
                let program = program_of(graph, size);
                crate::engine::candle::compute(program, size, &image(size), columns)
            });
        }
    }
}
