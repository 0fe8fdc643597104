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
    /// As one program; what is added, if anything, is the image. `apart`: what the depthwise convolution makes is read by another
    /// convolution too, so that no layers run together. (It is not joined to the output itself, which is f32: it stays bf16 where it
    /// is.)
    fn program(&self, apart: bool) -> Program {
        let mut program = Program::default();
        let mut value = Value::Input;
        if let Some(expand) = &self.expand {
            value = program.push(Layer::Conv(expand.clone()), vec![value]);
        }
        let wide = program.push(Layer::Conv(self.depthwise.clone()), vec![value]);
        let residual = self.residual.then_some(Value::Input);
        let inputs = [wide].into_iter().chain(residual).collect();
        let narrow = program.push(Layer::Conv(self.project.clone()), inputs);
        if apart {
            let channels = self.depthwise.out_channels;
            let reader = Random(3).conv([channels, 3], [1, 1], [1, 1], [0, 0], 1, true);
            let other = program.push(Layer::Conv(reader), vec![wide]);
            program.push(Layer::Concat, vec![narrow, other]);
        }
        program
    }

    fn check(&self, batch: usize, seed: u64) {
        let input = Random(seed).values(batch * self.shape.iter().product::<usize>());
        for isa in Isa::available() {
            for precision in [Precision::Highest, Precision::High, Precision::Medium] {
                self.check_on(isa, precision, batch, &input);
            }
        }
    }

    fn check_on(&self, isa: Isa, precision: Precision, batch: usize, input: &[f32]) {
        let compile = |apart: bool| {
            let network = Network::compile(self.program(apart), self.shape, isa, precision);
            network.expect("sound layers")
        };
        let run = |network: &Network, threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let mut found =
                vec![f32::NAN; batch * network.output_shape().iter().product::<usize>()];
            pool.expect("a pool")
                .install(|| network.run(batch, input, &mut found))
                .expect("right lengths");
            found
        };
        let (together, apart) = (compile(false), compile(true));
        let is_strips = |(_, algorithm): &(usize, Algorithm)| matches!(algorithm, Algorithm::Strips { expand, .. } if *expand == self.expand.is_some());
        assert!(together.algorithms().len() == 1 && together.algorithms().iter().all(is_strips));
        assert!(!apart.algorithms().iter().any(is_strips));
        let (narrow, both) = (together.output_shape()[2], apart.output_shape()[2]);
        let expected: Vec<u32> = (run(&apart, 1).chunks_exact(both))
            .flat_map(|pixel| &pixel[..narrow])
            .map(|value| value.to_bits())
            .collect();
        for threads in [1, 2, 5] {
            let found = run(&together, threads);
            assert_eq!(found.len(), expected.len());
            for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(
                    found.to_bits(),
                    *expected,
                    "{isa} {precision}, {threads} threads: value {at} of {batch} images is {found}; {self:?}"
                );
            }
        }
    }
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
            Algorithm::Strips { expand, .. } => Some(*expand),
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
