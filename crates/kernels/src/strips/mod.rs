//! A depthwise convolution with the 1×1 convolution after it, and perhaps the one before it, a few rows of output at a time: what is
//! between them, the widest activations of such networks, stays in the second-level cache and never goes to memory.

use std::ops::Range;

use crate::Algorithm;
use crate::depthwise::Depthwise;
use crate::direct::Direct;
use crate::parallel::{chunk_range, for_each};
use crate::place::Place;
use crate::workspace::{Scratch, Space, Workspace, WorkspaceBytes};

/// Pixels of output at a time, if that fits: weights are read once for so many.
const PIXELS: usize = 96;
/// What is between the convolutions may take so much: less than second-level caches have, with room for weights.
const STRIP_BYTES: usize = 256 << 10;

/// Two or three convolutions packed for one instruction set. Their sums are those of each by itself.
#[derive(Debug)]
pub(crate) struct Strips {
    expand: Option<Direct>,
    depthwise: Depthwise,
    project: Direct,
    /// Rows of output at a time.
    rows: usize,
}

/// Some rows of one image's output.
struct Task<'a> {
    /// The image that is read.
    input: &'a [f32],
    /// What is added to the image's output.
    residual: Option<&'a [f32]>,
    output: Place,
    /// Of all images' pixels of output the first of this image.
    first_pixel: usize,
    rows: Range<usize>,
}

impl Strips {
    /// Joins packed layers, each of which reads what the one before it makes; the 1×1 convolutions are of stride 1.
    pub(crate) fn new(expand: Option<Direct>, depthwise: Depthwise, project: Direct) -> Self {
        let [height, width, _] = depthwise.output();
        let mut strips = Self { expand, depthwise, project, rows: 1 };
        strips.rows = PIXELS.div_ceil(width.max(1)).clamp(1, height.max(1));
        while strips.rows > 1 && 4 * (strips.expanded_len() + strips.made_len()) > STRIP_BYTES {
            strips.rows -= 1;
        }
        strips
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        Algorithm::Strips { expand: self.expand.is_some() }
    }

    /// Bytes of packed weights.
    pub(crate) fn packed_bytes(&self) -> usize {
        let expand = self.expand.as_ref().map_or(0, Direct::packed_bytes);
        expand + self.depthwise.packed_bytes() + self.project.packed_bytes()
    }

    /// f32 of what the first 1×1 convolution makes of a strip.
    fn expanded_len(&self) -> usize {
        let [height, width, channels] = self.depthwise.input();
        let rows = self.depthwise.rows_read(self.rows).min(height);
        if self.expand.is_some() { rows * width * channels } else { 0 }
    }

    /// f32 of what the depthwise convolution makes of a strip.
    fn made_len(&self) -> usize {
        let [_, width, channels] = self.depthwise.output();
        self.rows * width * channels
    }

    /// Bytes of what [`run`](Self::run) takes of the workspace for so many images.
    pub(crate) fn scratch(&self, threads: usize) -> WorkspaceBytes {
        let direct = [self.expand.as_ref(), Some(&self.project)].into_iter().flatten();
        WorkspaceBytes {
            per_thread_inputs: size_of::<f32>() * threads * self.expanded_len(),
            per_thread_products: size_of::<f32>() * threads * self.made_len(),
            direct: direct.map(|direct| threads * direct.table_bytes()).max().unwrap_or(0),
            ..WorkspaceBytes::default()
        }
    }

    /// Convolves `images` images; lengths were checked by the network. `residual` is added before the last activation.
    pub(crate) fn run(
        &self,
        images: usize,
        input: &[f32],
        residual: Option<&[f32]>,
        output: Place,
        workspace: &Workspace,
    ) {
        let [height, width, channels] = self.project.output();
        let expand_input = self.expand.as_ref().map(Direct::input);
        let image_in: usize = expand_input.unwrap_or(self.depthwise.input()).iter().product();
        let (pixels, image_out) = (height * width, height * width * channels);
        let threads = rayon::current_num_threads();
        // Few images would leave threads idle; parts make some rows that others make too.
        let wanted = if threads > 1 { (2 * threads).div_ceil(images.max(1)) } else { 1 };
        let parts = wanted.min(height.div_ceil(self.rows)).max(1);
        for_each(images * parts, |index| {
            let image = index / parts;
            let task = Task {
                input: &input[image * image_in..][..image_in],
                residual: residual.map(|values| &values[image * image_out..][..image_out]),
                output,
                first_pixel: image * pixels,
                rows: chunk_range(height, parts, index % parts),
            };
            workspace.per_thread_spaces.with(|space| {
                workspace.scratch.with(|scratch| self.run_rows(&task, space, scratch));
            });
        });
    }

    fn run_rows(&self, task: &Task<'_>, space: &mut Space, scratch: &mut Scratch) {
        let Task { input, residual, output, first_pixel, rows } = task;
        let [_, width, wide] = self.depthwise.input();
        let [_, out_width, channels] = self.project.output();
        space.inputs.reserve(self.expanded_len());
        space.products.reserve(self.made_len());
        // Rows that the first convolution has made and that are still there.
        let mut made = 0..0;
        for first in rows.clone().step_by(self.rows) {
            let strip = first..(first + self.rows).min(rows.end);
            let mut source: (&[f32], usize) = (input, 0);
            if let Some(expand) = &self.expand {
                let needed = self.depthwise.rows_of(&strip);
                let line = width * wide;
                let expanded = space.inputs.as_mut_slice();
                let kept = needed.start.clamp(made.start, made.end)..made.end.min(needed.end);
                if !kept.is_empty() {
                    expanded.copy_within(
                        (kept.start - made.start) * line..(kept.end - made.start) * line,
                        0,
                    );
                }
                let start = if kept.is_empty() { needed.start } else { kept.end };
                let new = start..needed.end;
                let from = &input[start * width * expand.input()[2]..];
                let to = &mut expanded[(start - needed.start) * line..][..new.len() * line];
                let (count, to) = (new.len() * width, Place::of(to, wide));
                // SAFETY: `to` has room for the new rows, and is this task's.
                unsafe { expand.run_pixels(count, from, None, to, 0, scratch) };
                made = needed;
                source = (space.inputs.as_slice(), made.start);
            }
            let products = &mut space.products.as_mut_slice()[..strip.len() * out_width * wide];
            for (y, row) in strip.clone().zip(products.chunks_exact_mut(out_width * wide)) {
                self.depthwise.run_row(source, y, row);
            }
            let residual = residual.map(|values| &values[first * out_width * channels..]);
            let first = first_pixel + first * out_width;
            let pixels = strip.len() * out_width;
            // SAFETY: the output has room for all images, and the strip's rows of it are this task's.
            unsafe { self.project.run_pixels(pixels, products, residual, *output, first, scratch) };
        }
    }
}
