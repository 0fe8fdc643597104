//! A depthwise convolution with the 1×1 convolution after it, and perhaps the one before it, a few rows of output at a time: what is
//! between them, the widest activations of such networks, stays in the second-level cache and never goes to memory.

use std::ops::Range;

use crate::depthwise::Depthwise;
use crate::direct::Direct;
use crate::im2col::Im2col;
use crate::parallel::{Workers, chunk_range};
use crate::place::Place;
use crate::simd::Form;
use crate::workspace::{Strip, Workspace, WorkspaceBytes};
use crate::{Algorithm, Products};

/// Pixels of output at a time, if that fits: weights are read once for so many.
const PIXELS: usize = 96;
/// What is between the convolutions may take so much: less than second-level caches have, with room for weights.
const STRIP_BYTES: usize = 256 << 10;

/// A 1×1 convolution of stride 1, packed.
#[derive(Debug)]
pub(crate) enum Pointwise {
    Direct(Direct),
    Im2col(Im2col),
}

impl Pointwise {
    fn input(&self) -> [usize; 3] {
        match self {
            Self::Direct(direct) => direct.input(),
            Self::Im2col(im2col) => im2col.input(),
        }
    }

    fn output(&self) -> [usize; 3] {
        match self {
            Self::Direct(direct) => direct.output(),
            Self::Im2col(im2col) => im2col.output(),
        }
    }

    fn products(&self) -> Products {
        match self {
            Self::Direct(_) => Products::F32,
            Self::Im2col(im2col) => im2col.products(),
        }
    }

    fn packed_bytes(&self) -> usize {
        match self {
            Self::Direct(direct) => direct.packed_bytes(),
            Self::Im2col(im2col) => im2col.packed_bytes(),
        }
    }

    fn scratch(&self, threads: usize, count: usize) -> WorkspaceBytes {
        match self {
            Self::Direct(direct) => direct.pixels_scratch(threads, count),
            Self::Im2col(im2col) => im2col.pixels_scratch(threads, count),
        }
    }

    /// Convolves `count` pixels on this thread. `input`, `residual` and `to` begin with the first of them.
    ///
    /// # Safety
    /// `to` has room for them, and nobody else uses their channels meanwhile.
    unsafe fn run(
        &self,
        count: usize,
        input: &[f32],
        residual: Option<&[f32]>,
        to: Place,
        workspace: &Workspace,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::Direct(direct) => direct.run_pixels(count, input, residual, to, workspace),
                Self::Im2col(im2col) => im2col.run_pixels(count, input, residual, to, workspace),
            }
        }
    }
}

/// Two or three convolutions packed for one instruction set. Their sums are those of each by itself.
#[derive(Debug)]
pub(crate) struct Strips {
    /// What is read.
    from: Form,
    expand: Option<Pointwise>,
    depthwise: Depthwise,
    project: Pointwise,
    /// Rows of output at a time.
    rows: usize,
}

/// Some rows of one image's output.
struct Task<'a> {
    /// The image that is read.
    input: &'a [f32],
    /// What is added to the image's output.
    residual: Option<&'a [f32]>,
    /// The image's output.
    output: Place,
    rows: Range<usize>,
}

impl Strips {
    /// Joins packed layers, each of which reads what the one before it makes.
    pub(crate) fn new(
        from: Form,
        expand: Option<Pointwise>,
        depthwise: Depthwise,
        project: Pointwise,
    ) -> Self {
        let [height, width, _] = depthwise.output();
        let mut strips = Self { from, expand, depthwise, project, rows: 1 };
        strips.rows = PIXELS.div_ceil(width.max(1)).clamp(1, height.max(1));
        let bytes = |s: &Self| size_of::<f32>() * s.words(s.expanded_pixels() + s.made_pixels());
        while strips.rows > 1 && bytes(&strips) > STRIP_BYTES {
            strips.rows -= 1;
        }
        strips
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        Algorithm::Strips { expand: self.expand.is_some(), products: self.project.products() }
    }

    /// Bytes of packed weights.
    pub(crate) fn packed_bytes(&self) -> usize {
        let expand = self.expand.as_ref().map_or(0, Pointwise::packed_bytes);
        expand + self.depthwise.packed_bytes() + self.project.packed_bytes()
    }

    /// f32 of so many pixels between the convolutions.
    fn words(&self, pixels: usize) -> usize {
        self.depthwise.form().words(pixels * self.depthwise.input()[2])
    }

    /// Pixels that the first 1×1 convolution makes for a strip, at most.
    fn expanded_pixels(&self) -> usize {
        let [height, width, _] = self.depthwise.input();
        let rows = self.depthwise.rows_read(self.rows).min(height);
        if self.expand.is_some() { rows * width } else { 0 }
    }

    /// Pixels that the depthwise convolution makes of a strip, at most.
    fn made_pixels(&self) -> usize {
        self.rows * self.depthwise.output()[1]
    }

    /// Bytes of what [`run`](Self::run) takes of the workspace.
    pub(crate) fn scratch(&self, threads: usize) -> WorkspaceBytes {
        let own = WorkspaceBytes {
            expanded: size_of::<f32>() * threads * self.words(self.expanded_pixels()),
            made: size_of::<f32>() * threads * self.words(self.made_pixels()),
            ..WorkspaceBytes::default()
        };
        let expand = self.expand.as_ref().map(|it| it.scratch(threads, self.expanded_pixels()));
        let project = self.project.scratch(threads, self.made_pixels());
        own.max(project).max(expand.unwrap_or_default())
    }

    /// Convolves `images` images; lengths were checked by the network. `residual` is added before the last activation.
    pub(crate) fn run(
        &self,
        images: usize,
        input: &[f32],
        residual: Option<&[f32]>,
        output: Place,
        (workers, workspace): (Workers, &Workspace),
    ) {
        let [height, width, channels] = self.project.output();
        let first = self.expand.as_ref().map_or(self.depthwise.input(), Pointwise::input);
        let image_in = self.from.words(first.iter().product());
        let image_out = output.form.words(height * width * channels);
        let threads = workers.count();
        // Few images would leave threads idle; parts make some rows that others make too.
        let wanted = if threads > 1 { (2 * threads).div_ceil(images.max(1)) } else { 1 };
        let parts = wanted.min(height.div_ceil(self.rows)).max(1);
        workers.each(images * parts, |index| {
            let image = index / parts;
            let task = Task {
                input: &input[image * image_in..][..image_in],
                residual: residual.map(|values| &values[image * image_out..][..image_out]),
                output: output.skip(image * height * width),
                rows: chunk_range(height, parts, index % parts),
            };
            workspace.strips.with(|strip| self.run_rows(&task, strip, workspace));
        });
    }

    fn run_rows(&self, task: &Task<'_>, strip: &mut Strip, workspace: &Workspace) {
        let Task { input, residual, output, rows } = task;
        let ([_, width, wide], [_, out_width, channels]) =
            (self.depthwise.input(), self.project.output());
        let form = self.depthwise.form();
        strip.expanded.reserve(self.words(self.expanded_pixels()));
        strip.made.reserve(self.words(self.made_pixels()));
        // Rows that the first convolution has made and that are still there.
        let mut there = 0..0;
        for first in rows.clone().step_by(self.rows) {
            let ys = first..(first + self.rows).min(rows.end);
            let mut source: (&[f32], usize) = (input, 0);
            if let Some(expand) = &self.expand {
                let (needed, line) = (self.depthwise.rows_of(&ys), self.words(width));
                let expanded = strip.expanded.as_mut_slice();
                // What the strip before it has left moves to the front; the rest is made.
                let kept = needed.start.clamp(there.start, there.end)..there.end.min(needed.end);
                let mut new = needed.clone();
                if !kept.is_empty() {
                    let from = (kept.start - there.start) * line..(kept.end - there.start) * line;
                    expanded.copy_within(from, 0);
                    new.start = kept.end;
                }
                let from = &input[self.from.words(new.start * width * expand.input()[2])..];
                let to = &mut expanded[(new.start - needed.start) * line..][..new.len() * line];
                let (count, to) = (new.len() * width, Place::of(to, form, wide));
                // SAFETY: `to` has room for the new rows, and is this task's.
                unsafe { expand.run(count, from, None, to, workspace) };
                there = needed;
                source = (strip.expanded.as_slice(), there.start);
            }
            let line = self.words(out_width);
            let made = &mut strip.made.as_mut_slice()[..ys.len() * line];
            for (y, row) in ys.clone().zip(made.chunks_exact_mut(line)) {
                self.depthwise.run_row(source, y, row);
            }
            let skipped = output.form.words(first * out_width * channels);
            let residual = residual.map(|values| &values[skipped..]);
            let (pixels, to) = (ys.len() * out_width, output.skip(first * out_width));
            // SAFETY: the output has room for all images, and the strip's rows of it are this task's.
            unsafe { self.project.run(pixels, made, residual, to, workspace) };
        }
    }
}
