//! Sums over pixels, one a channel.

use rayon::prelude::*;

use crate::Isa;
use crate::simd::vectorise;

/// Pixels whose sum is taken in f32; sums of those are in f64.
const RUN: usize = 64;
/// Pixels a task. A constant, so that the order of the sums does not depend on threads.
const TASK: usize = 16 * 1024;

/// Sums over pixels: `add(pixel, sums)` adds a pixel's terms to `sums` sums.
pub(super) fn over_pixels(
    isa: Isa,
    pixels: usize,
    sums: usize,
    add: impl Fn(usize, &mut [f32]) + Sync + Send,
) -> Vec<f64> {
    let mut parts = vec![0.0f64; pixels.div_ceil(TASK) * sums];
    parts.par_chunks_mut(sums.max(1)).enumerate().for_each(|(task, total)| {
        let mut run = vec![0.0f32; sums];
        let last = ((task + 1) * TASK).min(pixels);
        vectorise(isa, || {
            for first in (task * TASK..last).step_by(RUN) {
                run.fill(0.0);
                for pixel in first..(first + RUN).min(last) {
                    add(pixel, &mut run);
                }
                total.iter_mut().zip(&run).for_each(|(total, x)| *total += f64::from(*x));
            }
        });
    });
    let mut total = vec![0.0; sums];
    for part in parts.chunks_exact(sums.max(1)) {
        total.iter_mut().zip(part).for_each(|(total, x)| *total += x);
    }
    total
}

/// Σ over pixels of each channel.
pub(super) fn channels(isa: Isa, values: &[f32], channels: usize, to: &mut [f32]) {
    let pixels = values.len() / channels.max(1);
    let sums = over_pixels(isa, pixels, channels, |pixel, sums| {
        let values = &values[pixel * channels..][..channels];
        sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
    });
    to.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum as f32);
}
