//! Pillow's `NEAREST`.

use super::CHANNELS;
use crate::{ImageSize, Rgb8Image};

/// For each output pixel, the input pixel under its centre.
pub(super) fn resize(image: &Rgb8Image, size: ImageSize) -> Vec<u8> {
    let columns = centres(image.width, size.width);
    let rows = centres(image.height, size.height);
    let stride = image.width as usize * CHANNELS;
    let mut out = Vec::with_capacity(size.values());
    for row in rows {
        let line = &image.data[row * stride..][..stride];
        for &column in &columns {
            out.extend_from_slice(&line[column * CHANNELS..][..CHANNELS]);
        }
    }
    out
}

/// Pillow adds the step up in f64 from half a step on and cuts off the fraction; adding up rather than
/// multiplying decides which pixel wins where a centre falls on an edge.
fn centres(from: u32, to: u32) -> Vec<usize> {
    let step = f64::from(from) / f64::from(to);
    let mut centre = step * 0.5;
    (0..to)
        .map(|_| {
            let index = (centre as usize).min(from as usize - 1);
            centre += step;
            index
        })
        .collect()
}
