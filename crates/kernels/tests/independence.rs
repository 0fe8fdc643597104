//! An image's output is the same bits whatever the batch, its place in it, or the number of threads.

mod reference;

use kernels::{Isa, Layer, Network, Precision};
use reference::Random;

/// A small base in which every algorithm has its place.
fn base() -> Vec<Layer> {
    let mut random = Random(3);
    let pool = Layer::max_pool([2, 2], [2, 2]);
    vec![
        Layer::Conv(random.conv([3, 32], [3, 3], [1, 1], [1, 1], 1, true)),
        Layer::Conv(random.conv([32, 48], [3, 3], [1, 1], [1, 1], 1, true)),
        pool.clone(),
        Layer::Conv(random.conv([48, 48], [5, 3], [1, 2], [2, 1], 48, true)),
        Layer::Conv(random.conv([48, 64], [1, 1], [1, 1], [0, 0], 1, false)),
        Layer::Conv(random.conv([64, 33], [5, 1], [1, 1], [2, 0], 1, true)),
        Layer::Conv(random.conv([33, 64], [1, 3], [1, 1], [0, 1], 1, true)),
        Layer::Conv(random.conv([64, 160], [3, 3], [1, 1], [1, 1], 1, true)),
        Layer::Conv(random.conv([160, 40], [3, 3], [1, 1], [1, 1], 4, true)),
        pool,
    ]
}

const SHAPE: [usize; 3] = [21, 38, 3];

fn run(network: &Network, threads: usize, batch: usize, input: &[f32]) -> Vec<u32> {
    let mut output = vec![0.0; batch * network.output_shape().iter().product::<usize>()];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    pool.install(|| network.run(batch, input, &mut output)).expect("right lengths");
    output.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn batch_place_and_threads_change_nothing() {
    let length: usize = SHAPE.iter().product();
    for isa in Isa::available() {
        // Each of tens of thousands of instructions an image is trapped: fewer images show the same.
        let is_emulated = isa == Isa::Amx && cfg!(feature = "emulate-amx");
        let count = reference::share(if is_emulated { 9 } else { 33 });
        let images = Random(4).values(count * length);
        for precision in Precision::ON_CPU {
            let network = Network::new(&base(), SHAPE, isa, *precision).expect("a sound network");
            let alone: Vec<u32> =
                images.chunks(length).flat_map(|image| run(&network, 1, 1, image)).collect();
            for threads in [1, 2, 3, 5] {
                for batch in [1, 2, 7, count] {
                    let found: Vec<u32> = images
                        .chunks(batch * length)
                        .flat_map(|part| run(&network, threads, part.len() / length, part))
                        .collect();
                    assert!(
                        found == alone,
                        "{isa} {precision}: {threads} threads, batches of {batch}"
                    );
                }
            }
        }
    }
}

/// Threads have images of their own in some steps, and share those of the layers with many weights between them. What is handed from one
/// kind to the other takes the place of larger arrays.
#[test]
fn images_of_ones_own_and_shared_ones_are_the_same() {
    const SHAPE: [usize; 3] = [9, 10, 16];
    const HEAVY: [usize; 2] = [288, 304];
    let mut random = Random(6);
    let mut conv = |channels: [usize; 2], kernel: usize| {
        let around = kernel / 2;
        Layer::Conv(random.conv(channels, [kernel, kernel], [1, 1], [around, around], 1, true))
    };
    let layers = [
        conv([16, 384], 1),
        conv([384, 32], 1),
        conv([32, HEAVY[0]], 1),
        conv([HEAVY[0], HEAVY[0]], 3),
        conv([HEAVY[0], 32], 1),
        conv([32, HEAVY[1]], 1),
        conv([HEAVY[1], HEAVY[1]], 3),
        conv([HEAVY[1], 32], 1),
    ];
    let length: usize = SHAPE.iter().product();
    for isa in Isa::available() {
        let is_emulated = isa == Isa::Amx && cfg!(feature = "emulate-amx");
        let count = if is_emulated { 3 } else { 7 };
        let images = Random(7).values(count * length);
        for precision in Precision::ON_CPU {
            let network = Network::new(&layers, SHAPE, isa, *precision).expect("a sound network");
            let alone: Vec<u32> =
                images.chunks(length).flat_map(|image| run(&network, 1, 1, image)).collect();
            // As many threads as leave images over.
            for threads in [3, 5] {
                let found = run(&network, threads, count, &images);
                assert!(found == alone, "{isa} {precision}: {threads} threads");
            }
        }
    }
}

/// A NaN reaches every output that has it in its window, and no other image.
#[test]
fn nan_stays_in_its_image_and_is_not_lost() {
    let length: usize = SHAPE.iter().product();
    let clean = Random(5).values(3 * length);
    for isa in Isa::available() {
        for precision in Precision::ON_CPU {
            let network = Network::new(&base(), SHAPE, isa, *precision).expect("a sound network");
            let before = run(&network, 2, 3, &clean);
            let spoilt = |value: f32| {
                let mut images = clean.clone();
                images[length..2 * length].fill(value);
                run(&network, 2, 3, &images)
            };
            let others = before.len() / 3;
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-40] {
                let found = spoilt(value);
                let same = found[..others] == before[..others]
                    && found[2 * others..] == before[2 * others..];
                assert!(same, "{isa} {precision}: an image of {value:e} changed another");
            }
            let mut dirty = clean.clone();
            dirty[length + (10 * SHAPE[1] + 20) * 3 + 1] = f32::NAN;
            let after = run(&network, 2, 3, &dirty);
            let out = before.len() / 3;
            assert!(before[..out] == after[..out] && before[2 * out..] == after[2 * out..]);
            let nans =
                after[out..2 * out].iter().filter(|bits| f32::from_bits(**bits).is_nan()).count();
            assert!(nans > 0, "{isa} {precision}: the NaN was lost");
            let (expected, shape) = reference::network(&base(), SHAPE, &dirty[length..2 * length]);
            assert_eq!(shape, network.output_shape());
            for (e, bits) in expected.iter().zip(&after[out..2 * out]) {
                assert!(
                    !e.is_nan() || f32::from_bits(*bits).is_nan(),
                    "{isa} {precision}: a NaN was lost"
                );
            }
        }
    }
}
