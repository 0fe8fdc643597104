//! Resizing and preprocessing against Pillow, TensorFlow and Keras (`tests/golden/resize/make_resize.py`).
#![allow(clippy::unwrap_used)] // also in the helpers of tests

mod support;

use images::{
    Format, ImageSize, Interpolation, LoadSpec, Preprocess, Rgb8Image, resize, resize_rgb8,
};
use proptest::prelude::*;
use support::{assert_close, golden, npy, npy_f32, picture};

/// Pillow's results are whole levels computed in integers: equal, not close.
const PILLOW_TOLERANCE: f32 = 0.0;
/// Both compute in f32 by the same formula; a fused multiply-add may round once less. Levels of 0..255.
const TF_TOLERANCE: f32 = 1e-4;
/// Keras computes in f32, but Caffe's values are near 100: some units in the last place.
const PREPROCESS_TOLERANCE: f32 = 1e-5;

fn cases() -> Vec<(Rgb8Image, ImageSize)> {
    let text = std::fs::read_to_string(golden("resize/cases.txt")).unwrap();
    text.lines()
        .map(|line| {
            let sides: Vec<u32> = line.split(' ').map(|side| side.parse().unwrap()).collect();
            (picture(sides[0], sides[1]), ImageSize { width: sides[2], height: sides[3] })
        })
        .collect()
}

#[test]
fn resizing_equals_pillow() {
    for interpolation in [
        Interpolation::Nearest,
        Interpolation::Bilinear,
        Interpolation::Bicubic,
        Interpolation::Lanczos,
    ] {
        let expected = npy(&golden(&format!("resize/{interpolation}.npy")), "|u1");
        let mut rest = expected.as_slice();
        for (image, size) in cases() {
            let (expected, after) = rest.split_at(size.values());
            rest = after;
            let expected: Vec<f32> = expected.iter().map(|&level| f32::from(level)).collect();
            let found = resize(&image, size, interpolation).unwrap();
            let what = format!("{interpolation} {}x{} to {size}", image.width, image.height);
            assert_close(&what, &found, &expected, PILLOW_TOLERANCE);
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn tf_bilinear_equals_tensorflow() {
    let expected = npy_f32(&golden("resize/tf-bilinear.npy"));
    let mut rest = expected.as_slice();
    for (image, size) in cases() {
        let (expected, after) = rest.split_at(size.values());
        rest = after;
        let found = resize(&image, size, Interpolation::TfBilinear).unwrap();
        assert_close(
            &format!("{}x{} to {size}", image.width, image.height),
            &found,
            expected,
            TF_TOLERANCE,
        );
    }
    assert!(rest.is_empty());
}

#[test]
fn preprocessing_equals_keras() {
    let levels: Vec<f32> =
        (0..256).flat_map(|i| [i, 255 - i, 7 * i % 256]).map(|level| level as f32).collect();
    for mode in [Preprocess::Torch, Preprocess::Caffe, Preprocess::Tf] {
        let expected = npy_f32(&golden(&format!("resize/preprocess-{mode}.npy")));
        let mut found = levels.clone();
        mode.apply(&mut found);
        assert_close(mode.name(), &found, &expected, PREPROCESS_TOLERANCE);
    }
}

fn any_image() -> impl Strategy<Value = Rgb8Image> {
    (1u32..40, 1u32..40).prop_flat_map(|(width, height)| {
        let values = (width * height * 3) as usize;
        proptest::collection::vec(any::<u8>(), values).prop_map(move |data| Rgb8Image {
            width,
            height,
            data,
            format: Format::Png,
        })
    })
}

fn any_size() -> impl Strategy<Value = ImageSize> {
    (1u32..60, 1u32..60).prop_map(|(width, height)| ImageSize { width, height })
}

fn turned(image: &Rgb8Image) -> Rgb8Image {
    let pixels = image.data.as_chunks::<3>().0;
    Rgb8Image { data: pixels.iter().rev().flatten().copied().collect(), ..image.clone() }
}

proptest! {
    /// The plain definition in f64: a weighted mean with the filter at each pixel's distance, both axes at once.
    /// Pillow rounds twice to levels (and its weights to 22 bits).
    #[test]
    fn bilinear_is_the_triangle_mean(image in any_image(), size in any_size()) {
        const TWO_ROUNDINGS: f64 = 1.01;
        let weights = |from: u32, to: u32| -> Vec<Vec<f64>> {
            let scale = f64::from(from) / f64::from(to);
            (0..to).map(|out| {
                let centre = (f64::from(out) + 0.5) * scale;
                let raw: Vec<f64> = (0..from)
                    .map(|x| (1.0 - ((f64::from(x) + 0.5 - centre) / scale.max(1.0)).abs()).max(0.0))
                    .collect();
                let sum: f64 = raw.iter().sum();
                raw.iter().map(|weight| weight / sum).collect()
            }).collect()
        };
        let (columns, rows) = (weights(image.width, size.width), weights(image.height, size.height));
        let found = resize_rgb8(&image, size, Interpolation::Bilinear).unwrap();
        for (y, row) in rows.iter().enumerate() {
            for (x, column) in columns.iter().enumerate() {
                for c in 0..3 {
                    let mut mean = 0.0;
                    for (j, wy) in row.iter().enumerate() {
                        for (i, wx) in column.iter().enumerate() {
                            mean += wy * wx * f64::from(image.data[(j * image.width as usize + i) * 3 + c]);
                        }
                    }
                    let level = f64::from(found[(y * size.width as usize + x) * 3 + c]);
                    prop_assert!((level - mean).abs() <= TWO_ROUNDINGS, "{} {} {}: {} {}", x, y, c, level, mean);
                }
            }
        }
    }

    #[test]
    fn tf_bilinear_mixes_four_neighbours(image in any_image(), size in any_size()) {
        let found = resize(&image, size, Interpolation::TfBilinear).unwrap();
        let at = |x: i64, y: i64, c: usize| {
            let x = x.clamp(0, i64::from(image.width) - 1) as usize;
            let y = y.clamp(0, i64::from(image.height) - 1) as usize;
            f64::from(image.data[(y * image.width as usize + x) * 3 + c])
        };
        let place = |out: u32, from: u32, to: u32| {
            let exact = (f64::from(out) + 0.5) * f64::from(from) / f64::from(to) - 0.5;
            (exact.floor() as i64, exact - exact.floor())
        };
        for y in 0..size.height {
            for x in 0..size.width {
                for c in 0..3 {
                    let ((x0, fx), (y0, fy)) = (place(x, image.width, size.width), place(y, image.height, size.height));
                    let top = at(x0, y0, c) * (1.0 - fx) + at(x0 + 1, y0, c) * fx;
                    let bottom = at(x0, y0 + 1, c) * (1.0 - fx) + at(x0 + 1, y0 + 1, c) * fx;
                    let expected = top * (1.0 - fy) + bottom * fy;
                    let value = f64::from(found[((y * size.width + x) * 3) as usize + c]);
                    // f32 coordinates up to 40 times a slope of 255 levels a pixel.
                    prop_assert!((value - expected).abs() <= 3e-3, "{} {} {}: {} {}", x, y, c, value, expected);
                }
            }
        }
    }

    /// A symmetric filter has no favourite side (nearest has: it cuts towards 0; rounding of halves: one level).
    #[test]
    fn a_turned_image_gives_the_turned_result(image in any_image(), size in any_size()) {
        for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Lanczos] {
            let straight = resize_rgb8(&image, size, interpolation).unwrap();
            let back = resize_rgb8(&turned(&image), size, interpolation).unwrap();
            let back = turned(&Rgb8Image { width: size.width, height: size.height, data: back, format: Format::Png });
            for (a, b) in straight.iter().zip(&back.data) {
                prop_assert!(a.abs_diff(*b) <= 1, "{}", interpolation);
            }
        }
    }

    #[test]
    fn preprocessing_follows_its_formula(r in 0.0f32..=255.0, g in 0.0f32..=255.0, b in 0.0f32..=255.0) {
        let close = |found: [f32; 3], expected: [f64; 3]| {
            found.iter().zip(expected).all(|(&found, expected)| (f64::from(found) - expected).abs() <= 2e-5)
        };
        let [x, y, z] = [r, g, b].map(f64::from);
        prop_assert!(close(Preprocess::Rescale.pixel([r, g, b]), [x / 255.0, y / 255.0, z / 255.0]));
        prop_assert!(close(Preprocess::Tf.pixel([r, g, b]), [x / 127.5 - 1.0, y / 127.5 - 1.0, z / 127.5 - 1.0]));
        prop_assert!(close(Preprocess::Caffe.pixel([r, g, b]), [z - 103.939, y - 116.779, x - 123.68]));
        let torch = [(x / 255.0 - 0.485) / 0.229, (y / 255.0 - 0.456) / 0.224, (z / 255.0 - 0.406) / 0.225];
        prop_assert!(close(Preprocess::Torch.pixel([r, g, b]), torch));
    }

    /// Loading is decoding, resizing and preprocessing, nothing else.
    #[test]
    fn filling_is_resizing_then_preprocessing(image in any_image(), size in any_size()) {
        for &interpolation in Interpolation::ALL {
            for &preprocess in Preprocess::ALL {
                let spec = LoadSpec { size, interpolation, preprocess };
                let mut found = vec![f32::NAN; spec.values()];
                spec.fill(&image, &mut found).unwrap();
                let mut expected = resize(&image, size, interpolation).unwrap();
                preprocess.apply(&mut expected);
                prop_assert_eq!(found, expected);
            }
        }
    }
}

#[test]
fn a_buffer_of_another_length_is_refused() {
    let spec = LoadSpec {
        size: ImageSize { width: 4, height: 3 },
        interpolation: Interpolation::Bilinear,
        preprocess: Preprocess::Rescale,
    };
    assert_eq!(spec.values(), 36);
    let error = spec.fill(&picture(2, 2), &mut [0.0; 35]).unwrap_err();
    assert_eq!(error.reason(), "output buffer: expected 36 values, found 35");
    assert!(spec.load_bytes(b"", &mut [0.0; 37]).is_err());
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(
        json,
        r#"{"size":{"width":4,"height":3},"interpolation":"bilinear","preprocess":"rescale"}"#
    );
    assert_eq!(serde_json::from_str::<LoadSpec>(&json).unwrap(), spec);
}
