//! A row does not depend on the batch it came in. On a GPU that rests on every forward pass being of one size: seen here
//! on the CPU, and on a GPU where this build and this machine have one.

use super::*;
use weights::{NoProgress, Options};

/// Height and width, different on purpose.
const SIZE: [usize; 2] = [32, 40];
const IMAGE: usize = SIZE[0] * SIZE[1] * 3;

fn engine(device: Device, precision: Precision) -> CandleEngine {
    let base = Base::named("vgg16").unwrap().up_to("block2_pool").unwrap();
    let options =
        Options::from_lookup(std::path::Path::new("unused"), true, &NoProgress, &|_| None);
    let weights = weights::resolve("random:5", &base.architecture().unwrap(), &options).unwrap();
    CandleEngine::new(&base, weights, SIZE, device, Some(precision)).unwrap()
}

/// An engine on the CPU that takes as many images at once as if it were a GPU.
fn of_batch(batch: usize) -> CandleEngine {
    CandleEngine { batch, ..engine(Device::CandleCpu, Precision::Highest) }
}

/// Pixels between -2 and 2: a multiplicative hash of the index.
fn images(count: usize) -> Vec<f32> {
    let hash = |i: usize| (i as u32).wrapping_mul(2_654_435_761) >> 8;
    (0..count * IMAGE).map(|i| hash(i) as f32 / (1 << 22) as f32 - 2.0).collect()
}

/// The bits of the rows of these images, given to the engine `at_once` at a time.
fn rows(engine: &CandleEngine, images: &[f32], at_once: usize) -> Vec<Vec<u32>> {
    let mut all = Vec::new();
    for part in images.chunks(at_once * IMAGE) {
        let count = part.len() / IMAGE;
        let mut output = vec![f32::NAN; count * engine.row];
        engine.run(count, part, &mut output).unwrap();
        all.extend(output.chunks(engine.row).map(|row| row.iter().map(|v| v.to_bits()).collect()));
    }
    all
}

/// Whole batches, tails of every length, one by one, and the other way round: the same rows.
#[track_caller]
fn assert_rows_are_their_images(engine: &CandleEngine, count: usize, at_once: &[usize]) {
    let images = images(count);
    let expected = rows(engine, &images, count);
    assert!(expected.iter().flatten().any(|bits| f32::from_bits(*bits) > 0.0), "all zero");
    assert!(expected[0] != expected[1]);
    for &at_once in at_once {
        assert!(rows(engine, &images, at_once) == expected, "{at_once} at once");
    }
    let turned: Vec<f32> = images.chunks(IMAGE).rev().flatten().copied().collect();
    let mut found = rows(engine, &turned, count);
    found.reverse();
    assert!(found == expected, "in another order");
    // An image that spoils all it touches.
    let mut spoilt = images.clone();
    spoilt[IMAGE..2 * IMAGE].fill(f32::NAN);
    let found = rows(engine, &spoilt, count);
    assert!(found[0] == expected[0] && found[2..] == expected[2..], "beside a NaN");
}

#[test]
fn rows_do_not_depend_on_batch_order_or_tail() {
    assert_rows_are_their_images(&of_batch(4), 11, &[1, 2, 3, 4, 5, 7, 8]);
}

#[test]
fn the_cpu_takes_one_image_at_a_time() {
    let engine = engine(Device::CandleCpu, Precision::Highest);
    assert_eq!(engine.batch, 1);
    assert_rows_are_their_images(&engine, 5, &[1, 2, 3]);
}

/// A pass of another size than the engine's is an error of candle's, so that none can slip through.
#[test]
fn a_pass_is_of_the_one_size_or_fails() {
    let engine = of_batch(4);
    assert_eq!(engine.forward(&images(4)).unwrap().len(), 4 * engine.row);
    for count in [1, 3, 5, 8] {
        assert!(engine.forward(&images(count)).is_err(), "{count} images");
    }
}

#[test]
fn rows_on_a_gpu_do_not_depend_on_batch_order_or_tail() {
    let Some(device) = best_gpu(None) else {
        println!("skipped: no GPU in this build or on this machine");
        return;
    };
    for kind in Precision::ALL {
        if device::precision(device, Some(*kind)).is_err() {
            println!("{device} has no {kind}");
            continue;
        }
        let engine = engine(device, *kind);
        let pass = engine.batch;
        let at_once = [1, 5.min(pass), (pass - 1).max(1), pass, pass + 1];
        assert_rows_are_their_images(&engine, 2 * pass + 6, &at_once);
    }
}
