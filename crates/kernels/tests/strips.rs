//! Depthwise convolutions in strips with the 1×1 convolutions around them: each output is, to the last bit, that of the layers one by
//! one, and so whatever the strips, the images of a batch and the threads.

mod reference;

use kernels::{
    Activation, Algorithm, Conv2d, Isa, Layer, Network, Padding, Precision, Program, Value,
};
use proptest::prelude::*;
use reference::Random;

#[derive(Debug)]
struct Case {
    shape: [usize; 3],
    expand: Option<Conv2d>,
    depthwise: Conv2d,
    project: Conv2d,
    residual: bool,
}

impl Case {
    /// The layers in order.
    fn layers(&self) -> Vec<Layer> {
        let all = [self.expand.as_ref(), Some(&self.depthwise), Some(&self.project)];
        all.into_iter().flatten().cloned().map(Layer::Conv).collect()
    }

    /// As one program; what is added, if anything, is the image.
    fn program(&self) -> Program {
        let mut program = Program::default();
        let mut value = Value::Input;
        for (index, layer) in self.layers().into_iter().enumerate() {
            let mut inputs = vec![value];
            if self.residual && index + 1 == self.layers().len() {
                inputs.push(Value::Input);
            }
            value = program.push(layer, inputs);
        }
        program
    }

    /// What the layers make one by one, each a network of its own.
    fn one_by_one(&self, isa: Isa, image: &[f32]) -> Vec<f32> {
        let layers = self.layers();
        let (mut shape, mut values) = (self.shape, image.to_vec());
        for (index, layer) in layers.iter().enumerate() {
            let mut program = Program::default();
            let residual = self.residual && index + 1 == layers.len();
            // The image goes along, behind what is convolved, where it is still to be added.
            let mut input = values.clone();
            let mut of = shape;
            let mut inputs = vec![Value::Input];
            if residual {
                let [h, w, c] = shape;
                let pixels = values.chunks_exact(c).zip(image.chunks_exact(self.shape[2]));
                input = pixels.flat_map(|(a, b)| a.iter().chain(b)).copied().collect();
                of = [h, w, c + self.shape[2]];
                let pick = |program: &mut Program, from: usize, count: usize| {
                    program.push(Layer::Conv(pick(of[2], from, count)), vec![Value::Input])
                };
                inputs = vec![pick(&mut program, 0, c), pick(&mut program, c, self.shape[2])];
            }
            program.push(layer.clone(), inputs);
            let network =
                Network::compile(program, of, isa, Precision::Highest).expect("sound layers");
            shape = network.output_shape();
            values = vec![f32::NAN; shape.iter().product()];
            network.run(1, &input, &mut values).expect("right lengths");
        }
        values
    }

    fn check(&self, batch: usize, seed: u64) {
        let length: usize = self.shape.iter().product();
        let input = Random(seed).values(batch * length);
        for isa in Isa::available() {
            let network = Network::compile(self.program(), self.shape, isa, Precision::Highest)
                .expect("sound layers");
            let expand = self.expand.is_some();
            assert_eq!(network.algorithms(), [(0, Algorithm::Strips { expand })], "{self:?}");
            let out: usize = network.output_shape().iter().product();
            let expected: Vec<u32> = (input.chunks(length))
                .flat_map(|image| self.one_by_one(isa, image))
                .map(f32::to_bits)
                .collect();
            for threads in [1, 2, 5] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let mut found = vec![f32::NAN; batch * out];
                pool.expect("a pool")
                    .install(|| network.run(batch, &input, &mut found))
                    .expect("right lengths");
                for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    assert_eq!(
                        found.to_bits(),
                        *expected,
                        "{isa}, {threads} threads: value {at} of {out} an image is {found}; {self:?}"
                    );
                }
            }
        }
    }
}

/// A 1×1 convolution that copies some channels.
fn pick(channels: usize, from: usize, count: usize) -> Conv2d {
    let mut weight = vec![0.0; count * channels];
    for (index, line) in weight.chunks_exact_mut(channels).enumerate() {
        line[from + index] = 1.0;
    }
    let mut conv = Random(0).conv([channels, count], [1, 1], [1, 1], [0, 0], 1, true);
    (conv.weight, conv.bias, conv.activation) = (weight, vec![0.0; count], Activation::None);
    conv
}

prop_compose! {
    fn any_case()(
        seed: u64,
        [h, w] in [1usize..24, 1usize..24],
        from in prop::sample::select(vec![1usize, 3, 8, 16, 21]),
        wide in prop::sample::select(vec![2usize, 7, 8, 15, 16, 17, 33, 48, 200]),
        to in prop::sample::select(vec![1usize, 8, 16, 24, 33, 40]),
        kernel in [1usize..6, 1usize..6],
        stride in [1usize..4, 1usize..4],
        [top, left, bottom, right] in [0usize..4, 0usize..4, 0usize..4, 0usize..4],
        activations in [0usize..3, 0usize..3, 0usize..3],
        bias_last: [bool; 3],
        expands: bool,
        residual: bool,
    ) -> Case {
        let mut random = Random(seed);
        let from = if expands { from } else { wide };
        let activation = |n| [Activation::None, Activation::Relu, Activation::Relu6][n];
        let mut expand = random.conv([from, wide], [1, 1], [1, 1], [0, 0], 1, true);
        let mut depthwise = random.conv([wide, wide], kernel, stride, [0, 0], wide, true);
        // The kernel fits into the padded image.
        let bottom = bottom.max(kernel[0].saturating_sub(h + top));
        let right = right.max(kernel[1].saturating_sub(w + left));
        depthwise.padding = Padding { top, left, bottom, right };
        let side = |length: usize, kernel: usize, stride: usize, before: usize, after: usize| {
            (length + before + after - kernel) / stride + 1
        };
        let made = [
            side(h, kernel[0], stride[0], top, bottom),
            side(w, kernel[1], stride[1], left, right),
        ];
        let residual = residual && made == [h, w];
        let to = if residual { from } else { to };
        let mut project = random.conv([wide, to], [1, 1], [1, 1], [0, 0], 1, true);
        let all = [&mut expand, &mut depthwise, &mut project];
        for ((conv, n), bias_last) in all.into_iter().zip(activations).zip(bias_last) {
            (conv.activation, conv.bias_last) = (activation(n), bias_last);
        }
        Case { shape: [h, w, from], expand: expands.then_some(expand), depthwise, project, residual }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(reference::share(120) as u32))]

    #[test]
    fn the_bits_are_those_of_the_layers_one_by_one(case in any_case(), batch in 1usize..4, seed: u64) {
        case.check(batch, seed);
    }
}

/// Rows that don't fit into a strip together, in more parts than images.
#[test]
fn large_images_have_many_strips() {
    let mut random = Random(5);
    let mut conv = |channels, kernel, stride, groups| {
        random.conv(channels, kernel, stride, [kernel[0] / 2, kernel[1] / 2], groups, true)
    };
    for (stride, residual) in [([1, 1], true), ([2, 2], false)] {
        let case = Case {
            shape: [61, 47, 24],
            expand: Some(conv([24, 144], [1, 1], [1, 1], 1)),
            depthwise: conv([144, 144], [3, 3], stride, 144),
            project: conv([144, 24], [1, 1], [1, 1], 1),
            residual,
        };
        case.check(2, 8);
    }
}

/// What others read too, or what is added only later, keeps the layers apart.
#[test]
fn only_what_nobody_else_reads_is_left_out() {
    let mut random = Random(6);
    let mut conv = |channels, groups, kernel: usize| {
        let padding = [kernel / 2; 2];
        Layer::Conv(random.conv(channels, [kernel; 2], [1, 1], padding, groups, true))
    };
    let (expand, depthwise) = (conv([8, 24], 1, 1), conv([24, 24], 24, 3));
    let (project, again) = (conv([24, 8], 1, 1), conv([24, 8], 1, 1));
    let strips = |program: Program| {
        let network = Network::compile(program, [6, 6, 8], Isa::best(), Precision::Highest);
        let algorithms = network.expect("sound").algorithms();
        algorithms.iter().find_map(|(_, algorithm)| match algorithm {
            Algorithm::Strips { expand } => Some(*expand),
            _ => None,
        })
    };
    let start = || {
        let mut program = Program::default();
        let wide = program.push(expand.clone(), vec![Value::Input]);
        let middle = program.push(depthwise.clone(), vec![wide]);
        (program, wide, middle)
    };
    let (mut program, _, middle) = start();
    program.push(project.clone(), vec![middle]);
    assert_eq!(strips(program), Some(true));
    // The first one's output is wanted too.
    let (mut program, wide, middle) = start();
    let narrow = program.push(project.clone(), vec![middle]);
    program.push(Layer::Concat, vec![narrow, wide]);
    assert_eq!(strips(program), Some(false));
    // So is the depthwise one's.
    let (mut program, _, middle) = start();
    let narrow = program.push(project.clone(), vec![middle]);
    program.push(again.clone(), vec![middle, narrow]);
    assert_eq!(strips(program), None);
    // What is added comes later than the layers would run: than all, than the first.
    let late = || Layer::Activate(Activation::Relu);
    let (mut program, _, middle) = start();
    let added = program.push(late(), vec![Value::Input]);
    program.push(project.clone(), vec![middle, added]);
    assert_eq!(strips(program), None);
    let mut program = Program::default();
    let wide = program.push(expand.clone(), vec![Value::Input]);
    let added = program.push(late(), vec![Value::Input]);
    let middle = program.push(depthwise.clone(), vec![wide]);
    program.push(project.clone(), vec![middle, added]);
    assert_eq!(strips(program), Some(false));
}
