//! The gradient by the kernel of a convolution of few channels: lines of windows need no patches.
//!
//! In a line of the image, the values under a line of the kernel are neighbours, and those of the next window begin
//! `stride · channels` further on. So such a line is the left operand of a product as it is.

use std::ops::Range;

use super::ConvShape;
use crate::memory::{Buffer, Pool, Shared};
use crate::parallel::{chunk_range, for_each};
use crate::simd::tile::{Source, Start, TileArgs};
use crate::simd::{Job, Simd, dispatch};
use crate::{Activation, Isa};

/// Channels up to which lines are read as they are: windows overlap in the first-level cache.
const MAX_CHANNELS: usize = 8;
/// Lines of output a part, at least, and parts at most. Both don't depend on threads, so that no bit does.
const PART_LINES: usize = 16;
const MAX_PARTS: usize = 16;

#[derive(Debug)]
pub(super) struct LineGradient {
    isa: Isa,
    shape: ConvShape,
    input: [usize; 3],
    output: [usize; 3],
    /// Sums of all parts.
    sums: Pool<Buffer>,
    /// A line of the image with its border, and a line of gradients, one a task.
    spaces: Pool<[Buffer; 2]>,
}

impl LineGradient {
    pub(super) fn fits(shape: &ConvShape) -> bool {
        shape.groups == 1 && shape.in_channels <= MAX_CHANNELS
    }

    pub(super) fn new(shape: ConvShape, input: [usize; 3], output: [usize; 3], isa: Isa) -> Self {
        Self { isa, shape, input, output, sums: Pool::default(), spaces: Pool::default() }
    }

    /// Writes the gradient, (height, width, inputs, outputs).
    pub(super) fn run(&self, images: usize, input: &[f32], gradient: &[f32], to: &mut [f32]) {
        let lines = images * self.output[0];
        let parts = (lines / PART_LINES).clamp(1, MAX_PARTS);
        let length = to.len();
        self.sums.with(|sums| {
            sums.reserve(parts * length);
            let all = Shared(sums.as_mut_ptr());
            for_each(parts, |part| {
                self.spaces.with(|space| {
                    let task = PartTask {
                        plan: self,
                        lines: chunk_range(lines, parts, part),
                        input,
                        gradient,
                        space,
                        // SAFETY: each part has as many sums as the kernel has values.
                        to: unsafe { all.get().add(part * length) },
                    };
                    // SAFETY: lengths were checked by `Conv`; the part's sums are this task's; `isa` was detected there.
                    unsafe { dispatch(self.isa, task) }
                });
            });
            let sums = &sums.as_slice()[..parts * length];
            to.copy_from_slice(&sums[..length]);
            for part in sums.chunks_exact(length).skip(1) {
                to.iter_mut().zip(part).for_each(|(to, x)| *to += x);
            }
        });
    }
}

/// Some lines of output of all images.
///
/// The caller promises: `to` has room for the kernel's values, and nobody else writes there.
struct PartTask<'a> {
    plan: &'a LineGradient,
    lines: Range<usize>,
    input: &'a [f32],
    gradient: &'a [f32],
    space: &'a mut [Buffer; 2],
    to: *mut f32,
}

impl Job for PartTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let LineGradient { shape, input: [h, w, channels], output: [oh, ow, outputs], .. } =
            self.plan;
        let (h, w, channels) = (*h, *w, *channels);
        let (oh, ow, outputs) = (*oh, *ow, *outputs);
        let [kh, kw] = shape.kernel;
        let [sy, sx] = shape.stride;
        let rows = kw * channels;
        let step = sx * channels;
        let panels = outputs.div_ceil(S::NR);
        let [line, packed] = self.space;
        // A register tile reads so much beyond a line's last window at most.
        line.reserve(((ow - 1) * sx + kw) * channels + S::BLOCK_MR + w * channels);
        packed.reserve(panels * ow * S::NR);
        // SAFETY: the part has a sum for each of the kernel's values.
        unsafe { std::slice::from_raw_parts_mut(self.to, kh * rows * outputs) }.fill(0.0);
        for index in self.lines {
            let (image, oy) = (index / oh, index % oh);
            let gradient = &self.gradient[index * ow * outputs..][..ow * outputs];
            for (x, from) in gradient.chunks_exact(outputs).enumerate() {
                for (panel, from) in from.chunks(S::NR).enumerate() {
                    let at = (panel * ow + x) * S::NR;
                    packed.as_mut_slice()[at..at + from.len()].copy_from_slice(from);
                }
            }
            for ky in 0..kh {
                let y = (oy * sy + ky).wrapping_sub(shape.padding.top);
                if y >= h {
                    continue;
                }
                let left = shape.padding.left * channels;
                let width = w * channels;
                let padded = line.as_mut_slice();
                padded[..left].fill(0.0);
                padded[left..left + width]
                    .copy_from_slice(&self.input[(image * h + y) * width..][..width]);
                padded[left + width..].fill(0.0);
                for panel in 0..panels {
                    for row in (0..rows).step_by(S::BLOCK_MR) {
                        let args = TileArgs {
                            source: Source::Depth {
                                first: line.as_slice()[row..].as_ptr(),
                                stride: step,
                            },
                            depth: ow,
                            weights: packed.as_slice()[panel * ow * S::NR..].as_ptr(),
                            start: Start::Out,
                            residual: None,
                            activation: Activation::None,
                            // SAFETY: the kernel's line `ky` and this panel are in the sums.
                            out: unsafe {
                                self.to.add((ky * rows + row) * outputs + panel * S::NR)
                            },
                            out_stride: outputs,
                            rows: S::BLOCK_MR.min(rows - row),
                            cols: S::NR.min(outputs - panel * S::NR),
                        };
                        // SAFETY: the buffer holds all windows of the line and a register tile's rows beyond; the panel has `ow`
                        // rows; sums are the task's.
                        unsafe { S::tile(&args) }
                    }
                }
            }
        }
    }
}
