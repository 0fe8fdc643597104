//! `tf.image.resize(images, size, "bilinear", antialias=False)`: half-pixel centres, float result.

use super::CHANNELS;
use crate::{ImageSize, Rgb8Image};

/// One output coordinate: the two neighbours and how far it is from the lower to the upper.
struct Between {
    lower: usize,
    upper: usize,
    fraction: f32,
}

/// TensorFlow computes the coordinates in f32, so they are here too.
fn positions(from: u32, to: u32) -> Vec<Between> {
    let scale = from as f32 / to as f32;
    let last = from as usize - 1;
    (0..to)
        .map(|out| {
            let position = (out as f32 + 0.5) * scale - 0.5;
            let floor = position.floor();
            // Casts take negative numbers to 0.
            Between {
                lower: (floor as usize).min(last),
                upper: (position.ceil() as usize).min(last),
                fraction: position - floor,
            }
        })
        .collect()
}

pub(super) fn resize(image: &Rgb8Image, size: ImageSize) -> Vec<f32> {
    let columns = positions(image.width, size.width);
    let rows = positions(image.height, size.height);
    let stride = image.width as usize * CHANNELS;
    let mut out = Vec::with_capacity(size.values());
    for row in rows {
        let above = &image.data[row.lower * stride..][..stride];
        let below = &image.data[row.upper * stride..][..stride];
        for column in &columns {
            for channel in 0..CHANNELS {
                let along = |line: &[u8]| {
                    let left = f32::from(line[column.lower * CHANNELS + channel]);
                    let right = f32::from(line[column.upper * CHANNELS + channel]);
                    left + (right - left) * column.fraction
                };
                let (top, bottom) = (along(above), along(below));
                out.push(top + (bottom - top) * row.fraction);
            }
        }
    }
    out
}
