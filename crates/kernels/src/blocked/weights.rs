//! Weights in the order in which the matrix tiles take them.

use rayon::prelude::*;

use super::layout::BLOCK;
use crate::bf16::{round, word};
use crate::layer::Conv2d;
use crate::memory::Buffer;

/// Pairs of depth of a step.
const PAIRS: usize = BLOCK / 2;
/// Output channels of a panel.
pub(super) const COLUMNS: usize = 32;
/// Output channels of a matrix tile.
const TILE: usize = 16;

/// Steps of 32 products for panels of 32 output channels: panel, step (block of channels, then tap), part (lower ones last), tile of 16
/// channels, pair of depth, channel, one of the pair.
#[derive(Debug)]
pub(super) struct Weights {
    /// Two bf16 in the place of each f32.
    values: Buffer,
    panels: usize,
}

impl Weights {
    /// Packs a layer of `steps` steps; `product(step, depth)` says which input channel and tap a product is with, if any.
    pub(super) fn pack(
        conv: &Conv2d,
        steps: usize,
        is_split: bool,
        product: impl Fn(usize, usize) -> Option<(usize, usize)> + Sync,
    ) -> Self {
        let panels = conv.out_channels.div_ceil(COLUMNS);
        let parts = if is_split { 2 } else { 1 };
        let step_len = parts * COLUMNS * PAIRS;
        let taps = conv.kernel[0] * conv.kernel[1];
        let value = |output: usize, step: usize, depth: usize| {
            let (channel, tap) = product(step, depth).filter(|_| output < conv.out_channels)?;
            Some(conv.weight[(output * conv.in_channels + channel) * taps + tap])
        };
        let mut values = Buffer::zeroed(panels * steps * step_len);
        let lines = values.as_mut_slice().par_chunks_mut(step_len.max(1));
        lines.enumerate().for_each(|(index, to)| {
            let (panel, step) = (index / steps, index % steps);
            let (high, low) = to.split_at_mut(COLUMNS * PAIRS);
            for (place, high) in high.iter_mut().enumerate() {
                let (tile, pair, column) =
                    (place / (PAIRS * TILE), place / TILE % PAIRS, place % TILE);
                let output = panel * COLUMNS + tile * TILE + column;
                let two = [0, 1].map(|i| value(output, step, 2 * pair + i).unwrap_or_default());
                *high = word(two);
                if let Some(low) = low.get_mut(place) {
                    *low = word(two.map(|x| x - round(x)));
                }
            }
        });
        Self { values, panels }
    }

    /// The steps of a panel.
    pub(super) fn panel(&self, panel: usize) -> *const u16 {
        self.values.as_slice()[panel * (self.panel_bytes() / size_of::<f32>())..].as_ptr().cast()
    }

    /// Panels of output channels; the last may be narrower.
    pub(super) fn panels(&self) -> usize {
        self.panels
    }

    /// Bytes of a panel.
    pub(super) fn panel_bytes(&self) -> usize {
        self.bytes() / self.panels.max(1)
    }

    /// Bytes of all.
    pub(super) fn bytes(&self) -> usize {
        self.values.bytes()
    }
}
