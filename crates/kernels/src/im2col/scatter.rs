use std::ops::Range;

use crate::Activation;
use crate::place::Place;
use crate::simd::{Element, Job, Simd};

/// A panel's sums with bias, residual and activation, to their channels of the output.
///
/// The caller promises: `sums` holds a row of a whole panel for each pixel; `out` has room for the pixels, and nobody else
/// writes the panel's channels of them.
#[derive(Debug)]
pub(super) struct ScatterTask<'a, E> {
    pub(super) sums: *const f32,
    /// f32 from row to row, and columns of the panel.
    pub(super) row_stride: usize,
    pub(super) first_channel: usize,
    /// Of the whole output.
    pub(super) channels: usize,
    /// One value a column of the panel.
    pub(super) bias: &'a [f32],
    /// What is added to all images' outputs.
    pub(super) residual: Option<&'a [E]>,
    pub(super) activation: Activation,
    /// Of the output, counted over all images.
    pub(super) pixels: Range<usize>,
    pub(super) out: Place,
}

impl<E: Element> Job for ScatterTask<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let columns = self.row_stride.min(self.channels - self.first_channel);
        for (row, pixel) in self.pixels.clone().enumerate() {
            let first = pixel * self.channels + self.first_channel;
            let residual = self.residual.map(|residual| &residual[first..first + columns]);
            // SAFETY: the panel is whole vectors of sums and biases; of the output only `columns` values are touched.
            unsafe {
                let from = self.sums.add(row * self.row_stride);
                let to = self.out.pixel::<E>(pixel).add(self.first_channel);
                for c in (0..columns).step_by(S::LANES) {
                    let lanes = S::LANES.min(columns - c);
                    let mut v = S::add(S::load(from.add(c)), S::load(self.bias[c..].as_ptr()));
                    if let Some(residual) = residual {
                        v = S::add(v, E::load::<S>(residual[c..c + lanes].as_ptr(), lanes));
                    }
                    E::store::<S>(to.add(c), S::activate(v, self.activation), lanes);
                }
            }
        }
    }
}
