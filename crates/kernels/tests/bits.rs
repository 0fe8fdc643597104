//! The bits of every algorithm on every instruction set and at every precision, as this version computes them.
//!
//! They depend on precision and instruction set alone, in `highest` not even on that (`Isa::bits`): not on the machine, its
//! caches or its threads. bf16 units are
//! compared with a model of theirs in `src/bf16/avx512.rs`; tiles in software are that model (`src/bf16/emulator.rs`).
//! What other bits mean for caches says `NUMERICS` in crates/pipeline/src/recipe.rs.

mod reference;

use std::fmt::Write as _;

use kernels::{Isa, Layer, Network, Precision};
use reference::Random;
use sha2::{Digest as _, Sha256};

/// `bits precision case digest`, a line each; bits are an instruction set, or `f32-fma` for all that are equal in `highest`.
const PINS: &str = include_str!("bits.txt");

/// Images of each case.
const IMAGES: usize = 3;

/// A name, layers and the shape of an image; each algorithm has its case.
fn cases() -> Vec<(&'static str, Vec<Layer>, [usize; 3])> {
    let mut random = Random(11);
    let pool = || Layer::max_pool([2, 2], [2, 2]);
    let mut conv = |channels, kernel, stride, padding, groups| {
        Layer::Conv(random.conv(channels, kernel, stride, padding, groups, true))
    };
    let same = |conv: &mut dyn FnMut([usize; 2]) -> Layer, side: usize, from: usize, to: usize| {
        (vec![conv([from, to])], [side, side, from])
    };
    let lines = vec![conv([3, 40], [3, 3], [1, 1], [1, 1], 1), pool()];
    let table = vec![conv([40, 24], [5, 3], [1, 2], [2, 1], 4)];
    let gemm = vec![conv([300, 20], [1, 1], [1, 1], [0, 0], 1)];
    let depthwise = vec![conv([19, 19], [3, 3], [2, 1], [1, 1], 19)];
    let mut three = |channels| conv(channels, [3, 3], [1, 1], [1, 1], 1);
    let (two, two_shape) = same(&mut three, 2, 160, 48);
    let (odd, odd_shape) = same(&mut three, 3, 160, 48);
    let (four, four_shape) = same(&mut three, 8, 64, 80);
    let (six, six_shape) = same(&mut three, 6, 64, 48);
    let (deep, deep_shape) = same(&mut three, 4, 544, 32);
    let pooled = vec![three([32, 64]), pool(), three([64, 32]), pool()];
    let deep_table = vec![conv([300, 20], [3, 3], [1, 1], [1, 1], 1)];
    let im2col = vec![conv([40, 24], [5, 3], [1, 2], [2, 1], 1)];
    let deep_im2col = vec![conv([96, 40], [1, 7], [1, 1], [0, 3], 1)];
    let blocked = vec![
        conv([3, 32], [3, 3], [1, 1], [1, 1], 1),
        conv([32, 64], [3, 3], [1, 1], [1, 1], 1),
        pool(),
        conv([64, 40], [3, 3], [1, 1], [1, 1], 1),
        pool(),
    ];
    let mut valid = |channels| conv(channels, [3, 3], [1, 1], [0, 0], 1);
    let (valid_two, valid_two_shape) = same(&mut valid, 4, 160, 48);
    let (valid_odd, valid_odd_shape) = same(&mut valid, 5, 160, 48);
    let (valid_four, valid_four_shape) = same(&mut valid, 10, 64, 80);
    // Drawn last: each case takes what those before it left.
    let strips = vec![
        conv([16, 40], [1, 1], [1, 1], [0, 0], 1),
        conv([40, 40], [3, 3], [2, 1], [1, 1], 40),
        conv([40, 24], [1, 1], [1, 1], [0, 0], 1),
    ];
    let mut long =
        |kernel: [usize; 2]| vec![conv([160, 48], kernel, [1, 1], kernel.map(|taps| taps / 2), 1)];
    let long = [[5, 5], [1, 3], [3, 1], [1, 7], [7, 1]].map(&mut long);
    let [five, three_across, three_down, seven_across, seven_down] = long;
    vec![
        ("lines", lines, [13, 11, 3]),
        ("table", table, [9, 10, 40]),
        ("gemm", gemm, [5, 4, 300]),
        ("depthwise", depthwise, [9, 7, 19]),
        ("strips", strips, [9, 7, 16]),
        ("winograd-5x5", five, [7, 5, 160]),
        ("winograd-1x3", three_across, [3, 9, 160]),
        ("winograd-3x1", three_down, [9, 3, 160]),
        ("winograd-1x7", seven_across, [3, 11, 160]),
        ("winograd-7x1", seven_down, [11, 3, 160]),
        ("winograd-2", two, two_shape),
        ("winograd-3", odd, odd_shape),
        ("winograd-4", four, four_shape),
        ("winograd-6", six, six_shape),
        ("winograd-deep", deep, deep_shape),
        ("winograd-pooled", pooled, [14, 13, 32]),
        ("blocked", blocked, [14, 13, 3]),
        ("winograd-2-valid", valid_two, valid_two_shape),
        ("winograd-3-valid", valid_odd, valid_odd_shape),
        ("winograd-4-valid", valid_four, valid_four_shape),
        ("deep-table", deep_table, [5, 4, 300]),
        ("im2col", im2col, [9, 10, 40]),
        ("im2col-deep", deep_im2col, [6, 9, 96]),
        ("pool", vec![Layer::max_pool([3, 2], [2, 1])], [9, 8, 21]),
    ]
}

/// The first 8 bytes of the SHA-256 of what comes out, as little-endian f32.
fn digest(network: &Network, input: &[f32]) -> String {
    let mut output = vec![0.0f32; IMAGES * network.output_shape().iter().product::<usize>()];
    network.run(IMAGES, input, &mut output).expect("right lengths");
    let bytes: Vec<u8> = output.iter().flat_map(|value| value.to_le_bytes()).collect();
    Sha256::digest(&bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_algorithm_gives_the_bits_of_this_version() {
    for isa in Isa::ALL.iter().filter(|isa| !isa.is_available()) {
        println!("skipped: this machine has no {isa}");
    }
    let mut others = String::new();
    for isa in Isa::available() {
        // Fused portable kernels are for `highest`.
        let only_highest = isa == Isa::Portable && cfg!(feature = "fused-portable");
        for precision in Precision::ON_CPU {
            if only_highest && *precision != Precision::Highest {
                continue;
            }
            for (name, layers, shape) in cases() {
                let input = Random(12).values(IMAGES * shape.iter().product::<usize>());
                let network = Network::new(&layers, shape, isa, *precision).expect("sound");
                let bits = isa.bits(*precision);
                let line = format!("{bits} {precision} {name} {}", digest(&network, &input));
                if !PINS.lines().any(|pin| pin == line) {
                    writeln!(others, "{line}").expect("a string takes all");
                }
            }
        }
    }
    assert!(others.is_empty(), "bits that are not those of tests/bits.txt:\n{others}");
}

/// Else a case could lose its algorithm, and its pin with it.
#[test]
fn the_cases_reach_every_algorithm() {
    let says = |isa: Isa, precision: Precision| -> Vec<String> {
        let network = |(_, layers, shape): &(_, Vec<Layer>, _)| {
            Network::new(layers, *shape, isa, precision).expect("sound").describe()
        };
        cases().iter().flat_map(network).collect()
    };
    let has = |lines: &[String], what: &str| {
        assert!(lines.iter().any(|line| line.ends_with(what)), "{what}: {lines:#?}");
    };
    let f32 = says(Isa::Portable, Precision::High);
    for algorithm in [
        "direct (implicit GEMM)",
        "depthwise",
        "1x1, depthwise and 1x1 in strips",
        "max-pool",
        "F(2x2, 3x3)",
        "F(3x3, 3x3)",
        "F(4x4, 3x3)",
        "F(6x6, 3x3)",
        "F(2x2, 5x5)",
        "F(1x4, 1x3)",
        "F(4x1, 3x1)",
        "F(1x3, 1x7)",
        "F(3x1, 7x1)",
    ] {
        has(&f32, algorithm);
    }
    // With drawn weights it is off by more than `highest` promises, at early cuts of bases.
    for isa in Isa::available() {
        let lines = says(isa, Precision::Highest);
        assert!(!lines.iter().any(|line| line.contains("F(6x6")), "{isa}: {lines:#?}");
    }
    for (isa, precision, products) in [
        (Isa::Avx512Bf16, Precision::Medium, "bf16"),
        (Isa::Amx, Precision::Medium, "bf16"),
        (Isa::Amx, Precision::High, "3 x bf16"),
    ] {
        if isa.is_available() {
            let lines = says(isa, precision);
            for tile in ["2x2", "3x3", "4x4"] {
                has(&lines, &format!("F({tile}, 3x3), {products}"));
            }
            if isa == Isa::Amx {
                has(&lines, &format!(": direct, {products}"));
            }
            has(&lines, &format!(": GEMM, {products}"));
            has(&lines, &format!(": im2col GEMM, {products}"));
        }
    }
}
