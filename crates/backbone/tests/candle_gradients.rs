//! Why training has gradients of its own on the CPU: candle's of a max pooling are wrong.
//!
//! Each test holds what candle 0.11 does. Where one fails, candle has changed: then read "Why gradients are our own" in
//! docs/architecture.md again, and correct it.

#![allow(clippy::unwrap_used)] // a test that fails should panic

use candle_core::{DType, Device, Tensor, Var};

const FIXED: &str =
    "candle's gradient has changed: update \"Why gradients are our own\" in docs/architecture.md";

/// Half the distance of two evaluations. Values differ by 1 and more, so that no maximum changes, and everything is a small
/// integer or a power of two: differences are exact.
const STEP: f64 = 0.25;

/// A map of `[height, width]` whose values are all different.
fn map([height, width]: [usize; 2]) -> Vec<f64> {
    let count = height * width;
    (0..count).map(|i| ((i * 7 + 3) % count) as f64).collect()
}

fn pooled(values: &[f64], [height, width]: [usize; 2]) -> Tensor {
    let input = Tensor::from_slice(values, (1, 1, height, width), &Device::Cpu).unwrap();
    input.max_pool2d(2).unwrap()
}

/// The sum of the outputs times 1, 2, 3, …
fn loss(pooled: &Tensor) -> Tensor {
    let count = pooled.elem_count() as f64;
    let factors = Tensor::arange(1.0, count + 1.0, &Device::Cpu).unwrap();
    (pooled.flatten_all().unwrap() * factors).unwrap().sum_all().unwrap()
}

fn by_differences(values: &[f64], size: [usize; 2]) -> Vec<f64> {
    let at = |i: usize, step: f64| {
        let mut moved = values.to_vec();
        moved[i] += step;
        loss(&pooled(&moved, size)).to_scalar::<f64>().unwrap()
    };
    (0..values.len()).map(|i| (at(i, STEP) - at(i, -STEP)) / (2.0 * STEP)).collect()
}

fn by_candle(values: &[f64], [height, width]: [usize; 2]) -> Vec<f64> {
    let input = Tensor::from_slice(values, (1, 1, height, width), &Device::Cpu).unwrap();
    let input = Var::from_tensor(&input).unwrap();
    let gradients = loss(&input.max_pool2d(2).unwrap()).backward().unwrap();
    gradients.get(&input).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_maximum_gets_a_quarter_of_its_gradient() {
    let size = [4, 6];
    let expected = by_differences(&map(size), size);
    let mut sorted: Vec<f64> = expected.iter().copied().filter(|g| *g != 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    assert_eq!(sorted, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let quarter: Vec<f64> = expected.iter().map(|gradient| gradient / 4.0).collect();
    assert_eq!(by_candle(&map(size), size), quarter, "{FIXED}");
}

#[test]
fn where_windows_leave_pixels_out_gradients_go_astray() {
    let size = [5, 7];
    let expected = by_differences(&map(size), size);
    let total: f64 = expected.iter().sum();
    assert_eq!(total, 21.0);
    let found = by_candle(&map(size), size);
    // Not only a quarter: whole windows get nothing.
    let reached = |gradients: &[f64]| gradients.iter().filter(|g| **g != 0.0).count();
    assert!(reached(&found) < reached(&expected), "{FIXED}: {found:?}, {expected:?}");
}

#[test]
fn windows_that_overlap_have_no_gradient() {
    let input = Var::zeros((1, 1, 7, 7), DType::F64, &Device::Cpu).unwrap();
    let pooled = input.max_pool2d_with_stride(3, 2).unwrap();
    let refusal = pooled.sum_all().unwrap().backward().expect_err(FIXED);
    assert!(refusal.to_string().contains("backward not supported"), "{FIXED}: {refusal}");
}
