//! Views against Keras, draws against Python (`tests/golden/augment/make_augment.py`), and both against a naive reference.
#![allow(clippy::unwrap_used)] // also in the helpers of tests

mod support;

use images::augment::{Augmentation, Fill, Sampling, Transform};
use images::{ImageError, ImageSize};
use proptest::prelude::*;
use serde_json::Value;
use support::{assert_close, golden, npy_f32, picture};

/// Levels of 0..255. scipy weighs in f64 and rounds once, here weights are f32: some units in the last place of 255.
const KERAS_TOLERANCE: f32 = 1e-3;
/// The same, where only this file's f64 reference differs.
const REFERENCE_TOLERANCE: f32 = 1e-3;

fn golden_json(name: &str) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(golden(&format!("augment/{name}"))).unwrap()).unwrap()
}

fn levels(size: ImageSize) -> Vec<f32> {
    picture(size.width, size.height).data.into_iter().map(f32::from).collect()
}

fn apply(
    transform: &Transform,
    size: ImageSize,
    fill: Fill,
    sampling: Sampling,
    pixels: &[f32],
) -> Vec<f32> {
    let mut out = vec![f32::NAN; size.values()];
    transform.apply(size, fill, sampling, pixels, &mut out).unwrap();
    out
}

#[test]
fn views_equal_those_of_keras() {
    let expected = npy_f32(&golden("augment/views.npy"));
    let mut rest = expected.as_slice();
    for case in golden_json("cases.json") {
        let number = |name: &str, otherwise: f64| case[name].as_f64().unwrap_or(otherwise);
        let flag = |name: &str| case[name].as_bool().unwrap_or(false);
        let size =
            ImageSize { width: number("width", 0.0) as u32, height: number("height", 0.0) as u32 };
        let transform = Transform {
            rotation: number("theta", 0.0),
            shift_x: number("tx", 0.0),
            shift_y: number("ty", 0.0),
            shear: number("shear", 0.0),
            zoom_x: number("zx", 1.0),
            zoom_y: number("zy", 1.0),
            channel_shift: number("channel_shift_intensity", 0.0),
            flip_horizontal: flag("flip_horizontal"),
            flip_vertical: flag("flip_vertical"),
            brightness: case["brightness"].as_f64(),
        };
        let fill = match case["fill"].as_str().unwrap() {
            "constant" => Fill::Constant(number("cval", 0.0) as f32),
            other => other.parse().unwrap(),
        };
        let sampling = if case["order"] == 0 { Sampling::Nearest } else { Sampling::Bilinear };
        let found = apply(&transform, size, fill, sampling, &levels(size));
        let (expected, after) = rest.split_at(size.values());
        rest = after;
        assert_close(&case.to_string(), &found, expected, KERAS_TOLERANCE);
    }
    assert!(rest.is_empty());
}

#[test]
fn draws_are_those_of_python() {
    let all: Augmentation = "rotation=40,height-shift=0.2,width-shift=12,shear=10,zoom=0.25,\
        horizontal-flip,vertical-flip,channel-shift=30,brightness=0.5..1.5"
        .parse()
        .unwrap();
    let size = ImageSize { width: 150, height: 100 };
    for draw in golden_json("draws.json") {
        let hex = draw["sha256"].as_str().unwrap();
        let sha256: [u8; 32] =
            std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap());
        let whole = |name: &str| draw[name].as_u64().unwrap();
        let number = |name: &str| draw[name].as_f64().unwrap();
        let flag = |name: &str| draw[name].as_bool().unwrap();
        let expected = Transform {
            rotation: number("rotation"),
            shift_y: number("shift_y"),
            shift_x: number("shift_x"),
            shear: number("shear"),
            zoom_x: number("zoom_x"),
            zoom_y: number("zoom_y"),
            channel_shift: number("channel_shift"),
            flip_horizontal: flag("flip_horizontal"),
            flip_vertical: flag("flip_vertical"),
            brightness: Some(number("brightness")),
        };
        assert_eq!(all.draw(size, whole("seed"), &sha256, whole("view")), expected);
    }
}

#[test]
fn nothing_changed_keeps_the_bits() {
    let size = ImageSize { width: 5, height: 4 };
    let mut pixels: Vec<f32> = (0..60).map(|i| i as f32 * 4.2 + 0.123).collect();
    pixels[7] = -0.0;
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for sampling in Sampling::ALL {
        let found = apply(&Transform::default(), size, Fill::Reflect, *sampling, &pixels);
        assert_eq!(bits(&found), bits(&pixels));
        let twice =
            Transform { flip_horizontal: true, flip_vertical: true, ..Transform::default() };
        let once = apply(&twice, size, Fill::Wrap, *sampling, &pixels);
        assert_eq!(once[..3], pixels[57..]);
        assert_eq!(bits(&apply(&twice, size, Fill::Wrap, *sampling, &once)), bits(&pixels));
    }
}

#[test]
fn buffers_of_another_size_are_refused() {
    let size = ImageSize::square(2);
    for (pixels, out) in [(12, 11), (11, 12), (0, 12)] {
        let refused = Transform::default().apply(
            size,
            Fill::Nearest,
            Sampling::Bilinear,
            &vec![0.0; pixels],
            &mut vec![0.0; out],
        );
        assert!(matches!(refused, Err(ImageError::BufferLength { expected: 12, .. })));
    }
}

#[test]
fn numbers_that_no_draw_gives_cause_no_panic() {
    let size = ImageSize { width: 3, height: 2 };
    for odd in [f64::NAN, f64::INFINITY, -1e300, 1e18] {
        for fill in [Fill::Nearest, Fill::Constant(1.0), Fill::Reflect, Fill::Wrap] {
            for &sampling in Sampling::ALL {
                let all = Transform {
                    rotation: odd,
                    shift_x: odd,
                    shift_y: -odd,
                    shear: odd,
                    zoom_x: odd,
                    zoom_y: odd,
                    channel_shift: odd,
                    brightness: Some(odd),
                    ..Transform::default()
                };
                let shift = Transform { shift_x: odd, ..Transform::default() };
                for transform in [all, shift] {
                    apply(&transform, size, fill, sampling, &levels(size));
                }
            }
        }
    }
    let nothing = ImageSize { width: 0, height: 3 };
    let turned = Transform { rotation: 3.0, flip_vertical: true, ..Transform::default() };
    assert_eq!(apply(&turned, nothing, Fill::Wrap, Sampling::Bilinear, &[]), [0f32; 0]);
}

/// Pixel `at` of an axis that goes on for ever.
fn seen(at: i64, length: i64, fill: Fill) -> Option<i64> {
    match fill {
        _ if (0..length).contains(&at) => Some(at),
        Fill::Nearest => Some(at.clamp(0, length - 1)),
        Fill::Constant(_) => None,
        Fill::Reflect => {
            let at = at.rem_euclid(2 * length);
            Some(if at < length { at } else { 2 * length - 1 - at })
        }
        // The reference has wrapped its coordinates already.
        Fill::Wrap => Some(at.clamp(0, length - 1)),
    }
}

/// A coordinate in `0..length - 1`, after which an axis repeats.
fn wrapped(at: f64, length: i64) -> f64 {
    if length == 1 { 0.0 } else { at.rem_euclid((length - 1) as f64) }
}

/// Rotation, shift, shear and zoom one after the other on the point, and the mean of the extended picture's four pixels.
fn reference(t: &Transform, size: ImageSize, fill: Fill, pixels: &[f32]) -> Vec<f64> {
    let (w, h) = (i64::from(size.width), i64::from(size.height));
    let (cx, cy) = ((w - 1) as f64 / 2.0, (h - 1) as f64 / 2.0);
    let (theta, shear) = (t.rotation.to_radians(), t.shear.to_radians());
    let mut out = Vec::new();
    for i in 0..h {
        for j in 0..w {
            let (x, y) = (t.zoom_x * (j as f64 - cx), t.zoom_y * (i as f64 - cy));
            let (x, y) = (x - shear.sin() * y, shear.cos() * y);
            let (x, y) = (x + t.shift_x, y + t.shift_y);
            let (x, y) = (theta.cos() * x - theta.sin() * y, theta.sin() * x + theta.cos() * y);
            let (x, y) = (x + cx, y + cy);
            let (x, y) = match fill {
                // The last pixel is in the first one's place.
                Fill::Wrap => (wrapped(x, w), wrapped(y, h)),
                _ => (x, y),
            };
            for c in 0..3 {
                let level = |dy: i64, dx: i64| {
                    let (row, column) = (y.floor() as i64 + dy, x.floor() as i64 + dx);
                    let at = seen(row, h, fill).zip(seen(column, w, fill));
                    at.map(|(row, column)| f64::from(pixels[((row * w + column) * 3 + c) as usize]))
                };
                let (down, right) = (y - y.floor(), x - x.floor());
                let outside = x < 0.0 || y < 0.0 || x > (w - 1) as f64 || y > (h - 1) as f64;
                out.push(match fill {
                    // Nothing is blended with the constant.
                    Fill::Constant(level) if outside => f64::from(level),
                    _ => {
                        let row = |dy| {
                            // Beyond the last pixel only with weight 0.
                            let left = level(dy, 0).unwrap_or(0.0);
                            left * (1.0 - right) + level(dy, 1).unwrap_or(0.0) * right
                        };
                        row(0) * (1.0 - down) + row(1) * down
                    }
                });
            }
        }
    }
    out
}

proptest! {
    #[test]
    fn any_view_equals_the_reference(
        (width, height) in (1u32..9, 1u32..9),
        angles in (-180.0..180.0f64, -60.0..60.0f64),
        shift in (-20.0..20.0f64, -20.0..20.0f64),
        zoom in (0.1..3.0f64, 0.1..3.0f64),
        kind in 0..4usize,
    ) {
        let size = ImageSize { width, height };
        let transform = Transform {
            rotation: angles.0, shear: angles.1, shift_x: shift.0, shift_y: shift.1, zoom_x: zoom.0, zoom_y: zoom.1,
            ..Transform::default()
        };
        let fill = [Fill::Nearest, Fill::Constant(17.5), Fill::Reflect, Fill::Wrap][kind];
        let pixels = levels(size);
        let found = apply(&transform, size, fill, Sampling::Bilinear, &pixels);
        let expected = reference(&transform, size, fill, &pixels);
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let close = (f64::from(*found) - expected).abs() <= f64::from(REFERENCE_TOLERANCE);
            prop_assert!(close, "{transform:?} {fill}: value {i}: expected {expected}, found {found}");
        }
    }
}
