//! Sums over pixels, one a channel.

use std::ops::Range;

use rayon::prelude::*;

use crate::Isa;
use crate::simd::{Loops, vectorise};

/// Pixels whose sum is taken in f32; sums of those are in f64.
const RUN: usize = 64;
/// Pixels a task. A constant, so that the order of the sums does not depend on threads.
const TASK: usize = 16 * 1024;

/// What is summed over pixels.
pub(super) trait Terms: Sync {
    /// Adds a pixel's terms to the sums. Implementations are `#[inline(always)]`.
    fn add(&self, pixel: usize, sums: &mut [f32]);
}

/// So many sums over pixels.
pub(super) fn over_pixels(isa: Isa, pixels: usize, sums: usize, terms: &impl Terms) -> Vec<f64> {
    let mut parts = vec![0.0f64; pixels.div_ceil(TASK) * sums];
    parts.par_chunks_mut(sums.max(1)).enumerate().for_each(|(task, total)| {
        let pixels = task * TASK..((task + 1) * TASK).min(pixels);
        vectorise(isa, Part { terms, pixels, run: &mut vec![0.0; sums], total });
    });
    let mut total = vec![0.0; sums];
    for part in parts.chunks_exact(sums.max(1)) {
        total.iter_mut().zip(part).for_each(|(total, x)| *total += x);
    }
    total
}

/// The sums of one task.
struct Part<'a, T> {
    terms: &'a T,
    pixels: Range<usize>,
    /// Sums of a few pixels.
    run: &'a mut [f32],
    total: &'a mut [f64],
}

impl<T: Terms> Loops for Part<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { terms, pixels, run, total } = self;
        for first in pixels.clone().step_by(RUN) {
            run.fill(0.0);
            for pixel in first..(first + RUN).min(pixels.end) {
                terms.add(pixel, run);
            }
            total.iter_mut().zip(&*run).for_each(|(total, x)| *total += f64::from(*x));
        }
    }
}

/// The values of each channel.
pub(super) struct Values<'a> {
    pub(super) values: &'a [f32],
    pub(super) channels: usize,
}

impl Terms for Values<'_> {
    #[inline(always)]
    fn add(&self, pixel: usize, sums: &mut [f32]) {
        let values = &self.values[pixel * self.channels..][..self.channels];
        sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
    }
}

/// Σ over pixels of each channel.
pub(super) fn channels(isa: Isa, values: &[f32], channels: usize, to: &mut [f32]) {
    let pixels = values.len() / channels.max(1);
    let sums = over_pixels(isa, pixels, channels, &Values { values, channels });
    to.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum as f32);
}
