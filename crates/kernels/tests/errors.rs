//! Wrong input is refused with a line that says what is wrong.

mod reference;

use kernels::{Isa, KernelError, Layer, Network, Precision};
use reference::Random;
use util::Hint as _;

fn build(layers: &[Layer], shape: [usize; 3]) -> Result<Network, KernelError> {
    Network::new(layers, shape, Isa::Portable, Precision::Highest)
}

fn message(layers: &[Layer], shape: [usize; 3]) -> String {
    build(layers, shape).expect_err("a broken network").to_string()
}

#[test]
fn layers_that_do_not_fit_are_named() {
    let conv = Random(1).conv([4, 6], [3, 3], [1, 1], [1, 1], 2, true);
    assert!(build(&[Layer::Conv(conv.clone())], [5, 5, 4]).is_ok());
    let mut short = conv.clone();
    short.weight.pop();
    let mut bias = conv.clone();
    bias.bias.push(0.0);
    let mut groups = conv.clone();
    groups.groups = 3;
    let mut stride = conv.clone();
    stride.stride = [1, 0];
    let mut wide = conv.clone();
    wide.padding = [0, usize::MAX / 2 + 1].into();
    let cases = [
        (conv.clone(), [5, 5, 3], "layer 0 of the network: input channels: expected 3, found 4"),
        (short, [5, 5, 4], "number of weights: expected 108, found 107"),
        (bias, [5, 5, 4], "number of biases: expected 6, found 7"),
        (groups, [5, 5, 4], "groups: expected a divisor of 4 and 6, found 3"),
        (stride, [5, 5, 4], "stride: expected at least 1, found 0"),
        (wide, [5, 5, 4], "overflow"),
        (conv, [5, 0, 4], "width of the kernel: expected 1 to 2, found 3"),
    ];
    for (conv, shape, part) in cases {
        let found = message(&[Layer::Conv(conv)], shape);
        assert!(found.contains(part), "{found} should contain {part}");
    }
    let pool = Layer::max_pool([2, 2], [2, 2]);
    assert!(message(&[pool], [1, 4, 4]).contains("height of the pool: expected 1 to 1, found 2"));
}

#[test]
fn lengths_are_checked_and_an_empty_batch_is_fine() {
    let conv = Random(1).conv([4, 6], [3, 3], [1, 1], [1, 1], 1, true);
    let network = build(&[Layer::Conv(conv)], [5, 5, 4]).expect("a sound network");
    assert_eq!(network.run(0, &[], &mut []), Ok(()));
    let error = network.run(1, &[0.0; 99], &mut [0.0; 150]).expect_err("too short");
    assert_eq!(error.to_string(), "input of the network: expected 100 f32 values, found 99");
    let error = network.run(1, &[0.0; 100], &mut [0.0; 151]).expect_err("too long");
    assert_eq!(error.to_string(), "output of the network: expected 150 f32 values, found 151");
    assert!(network.run(usize::MAX, &[], &mut []).is_err());
}

#[test]
fn a_missing_instruction_set_comes_with_a_hint() {
    for isa in Isa::ALL.iter().filter(|isa| !isa.is_available()) {
        let error = Network::new(&[], [1, 1, 1], *isa, Precision::Highest).expect_err("not here");
        assert!(error.to_string().contains("portable"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("portable")));
    }
}

#[test]
fn no_layers_copy_the_input() {
    let network = build(&[], [1, 2, 3]).expect("nothing to do");
    let mut output = [0.0; 6];
    network.run(1, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut output).expect("right lengths");
    assert_eq!(output, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

/// Sizes whose products leave the address space are refused before anything is counted or allocated with them.
#[test]
fn absurd_sizes_are_refused() {
    const HUGE: usize = 1 << 40;
    let mut random = Random(1);
    let mut conv = |channels: usize, side: usize, stride: usize, padding: usize| {
        let kernel = [side, side];
        Layer::Conv(random.conv([channels, 16], kernel, [stride; 2], [padding; 2], 1, true))
    };
    let pool = Layer::max_pool([2, 2], [2, 2]);
    let cases = [
        (vec![], [HUGE, HUGE, 3]),
        (vec![], [usize::MAX, 1, 1]),
        (vec![conv(16, 3, 1, 1)], [HUGE, HUGE, 16]),
        (vec![conv(16, 3, 1, 1), pool.clone()], [HUGE, HUGE, 16]),
        (vec![conv(3, 3, 1, 1)], [HUGE, HUGE, 3]),
        (vec![conv(3, 1, 1, usize::MAX / 4)], [5, 5, 3]),
        (vec![conv(3, 5, 1, usize::MAX / 4)], [0, 0, 3]),
        (vec![pool.clone()], [HUGE, HUGE, 16]),
        (vec![pool.clone()], [HUGE, HUGE, 0]),
        (vec![Layer::max_pool([1, 1], [HUGE, HUGE])], [HUGE, HUGE, 16]),
    ];
    for (layers, shape) in cases {
        for isa in Isa::available() {
            for precision in Precision::ON_CPU {
                match Network::new(&layers, shape, isa, *precision) {
                    Err(KernelError::TooLarge { .. }) => {}
                    other => panic!("{shape:?}: {other:?}"),
                }
            }
        }
    }
    let network = build(&[conv(3, 3, 1, 1)], [5, 5, 3]).expect("a sound network");
    assert!(network.workspace_bytes(usize::MAX) > 0);
    assert!(network.run(usize::MAX / 8, &[0.0; 75], &mut [0.0; 400]).is_err());
}

/// A kernel may see nothing but padding, and then gives its bias.
#[test]
fn extents_of_zero_are_padding_or_nothing() {
    let mut random = Random(2);
    for shape in [[0, 0, 16], [0, 5, 16], [5, 0, 16]] {
        for (kernel, groups) in [([3, 3], 1), ([1, 1], 1), ([3, 3], 4), ([3, 3], 16)] {
            let conv = random.conv([16, 16], kernel, [1, 1], [2, 2], groups, false);
            let bias = conv.bias.clone();
            for isa in Isa::available() {
                let layers = [Layer::Conv(conv.clone())];
                let network =
                    Network::new(&layers, shape, isa, Precision::Highest).expect("only padding");
                let count: usize = network.output_shape().iter().product();
                let mut output = vec![f32::NAN; 2 * count];
                assert!(count > 0);
                network.run(2, &[], &mut output).expect("right lengths");
                for pixel in output.chunks_exact(16) {
                    assert_eq!(pixel, bias, "{isa} {shape:?}");
                }
            }
        }
    }
    let network = build(&[Layer::max_pool([2, 2], [2, 2])], [4, 4, 0]);
    assert_eq!(network.expect("no channels").run(3, &[], &mut []), Ok(()));
}
