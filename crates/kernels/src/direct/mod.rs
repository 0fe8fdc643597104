//! Implicit GEMM: any kernel size, stride, padding and groups. The matrix of patches exists only as a table of
//! pointers into the image, to a line of zeros where a tap is outside.

mod task;

use crate::Isa;
use crate::gemm::Panels;
use crate::layer::{Activation, Conv2d, Padding};
use crate::memory::Buffer;
use crate::parallel::{Workers, chunk_range};
use crate::place::Place;
use crate::pool::MaxPool;
use crate::simd::{self, Element, Form, Shape, dispatch};
use crate::workspace::{Row, Scratch, Workspace, WorkspaceBytes};
use task::{SumTask, Task};

/// Pixels whose rows stay in cache while panels of weights pass over them.
const PIXELS: usize = 96;
/// Below so many channels, a tap is a whole line of the kernel, since runs of a few products drown in overhead.
const LINES_BELOW: usize = 16;

/// A convolution packed for one instruction set.
#[derive(Debug)]
pub(crate) struct Direct {
    isa: Isa,
    shape: Shape,
    /// Height, width, channels of the input.
    input: [usize; 3],
    /// The same of the convolution's output, before the pool.
    output: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    groups: usize,
    activation: Activation,
    pool: bool,
    /// What it makes. It reads f32.
    to: Form,
    /// Whether a tap is a line of the kernel's window rather than one pixel.
    lines: bool,
    /// Whether each output reads the one pixel in its own place, so that all images count as one row of pixels.
    flat: bool,
    /// One a group; rows are taps, then channels.
    weights: Vec<Panels>,
    /// Groups of whole panels.
    bias: Buffer,
    bias_last: bool,
    zeros: Buffer,
    /// Pixels of the convolution's output that one task makes; whole pairs of rows where the pool is fused.
    pixels: usize,
}

impl Direct {
    /// Packs a checked layer; `pool` fuses a 2×2 max-pool of stride 2.
    pub(crate) fn new(
        conv: &Conv2d,
        input: [usize; 3],
        output: [usize; 3],
        pool: bool,
        to: Form,
        isa: Isa,
    ) -> Self {
        let shape = simd::shape(isa);
        let (ic, oc) = (conv.in_channels / conv.groups, conv.out_channels / conv.groups);
        let taps = conv.kernel[0] * conv.kernel[1];
        let weights = (0..conv.groups)
            .map(|group| {
                Panels::pack(taps * ic, oc, shape.nr, |row, column| {
                    conv.weight[((group * oc + column) * ic + row % ic) * taps + row / ic]
                })
            })
            .collect::<Vec<_>>();
        let width = oc.next_multiple_of(shape.nr);
        let mut bias = Buffer::zeroed(conv.groups * width);
        for (line, values) in
            bias.as_mut_slice().chunks_exact_mut(width).zip(conv.bias.chunks_exact(oc))
        {
            line[..oc].copy_from_slice(values);
        }
        let lines = conv.groups == 1 && ic < LINES_BELOW;
        let mut rows = PIXELS.div_ceil(output[1].max(1)).min(output[0]);
        if pool {
            rows = rows.next_multiple_of(2);
        }
        let flat = is_flat(conv) && !pool;
        Self {
            isa,
            shape,
            input,
            output,
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
            groups: conv.groups,
            activation: conv.activation,
            pool,
            to,
            lines,
            weights,
            bias,
            bias_last: conv.bias_last,
            zeros: Buffer::zeroed(if lines { conv.kernel[1] * ic } else { ic }),
            pixels: if flat { PIXELS.next_multiple_of(shape.mr) } else { rows * output[1] },
            flat,
        }
    }

    /// Bytes of packed weights.
    pub(crate) fn packed_bytes(&self) -> usize {
        self.weights.iter().map(Panels::bytes).sum()
    }

    /// Bytes of what [`run`](Self::run) takes of the workspace.
    pub(crate) fn scratch(&self, threads: usize) -> WorkspaceBytes {
        let oc = self.output[2];
        let pixels = self.pixels.min(PIXELS).next_multiple_of(self.shape.mr);
        let table = pixels * self.taps() * size_of::<*const f32>();
        let patches = if self.lines { 4 * pixels * self.taps() * self.tap_depth() } else { 0 };
        let rows = if self.is_apart() { 4 * self.pixels * oc } else { 0 };
        // Of all threads, even if tasks are few: what one step has used is lent to other steps.
        WorkspaceBytes { direct: threads * (table + patches + rows), ..WorkspaceBytes::default() }
    }

    /// The images that are convolved one by one, and their sizes.
    fn geometry(&self, images: usize) -> (usize, Geometry) {
        let (input, output) = (self.input, self.output);
        if !self.flat {
            return (images, Geometry { input, output });
        }
        let pixels = images * output[0] * output[1];
        (1, Geometry { input: [1, pixels, input[2]], output: [1, pixels, output[2]] })
    }

    /// Into how many blocks of pixels an image is cut, and into how many parts of output channels.
    fn tasks(&self, images: usize, geometry: Geometry, threads: usize) -> (usize, usize) {
        let blocks = self.used_pixels(geometry).div_ceil(self.pixels.max(1));
        let panels = self.weights.first().map_or(0, Panels::count);
        // Few large tasks would leave threads idle: cut the output channels too.
        let cuts = (4 * threads).div_ceil((images * blocks).max(1)).min(panels).max(1);
        (blocks, cuts)
    }

    /// Pixels of the convolution's output that count: of whole windows where the pool is fused.
    fn used_pixels(&self, geometry: Geometry) -> usize {
        let [oh, ow, _] = geometry.output;
        if self.pool { oh / 2 * 2 * ow } else { oh * ow }
    }

    /// Taps of the kernel.
    fn taps(&self) -> usize {
        if self.lines { self.kernel[0] } else { self.kernel[0] * self.kernel[1] }
    }

    /// Products summed for one output and tap.
    fn tap_depth(&self) -> usize {
        if self.lines { self.kernel[1] * self.input[2] } else { self.input[2] / self.groups }
    }

    /// Whether its f32 are not yet the output.
    fn is_apart(&self) -> bool {
        self.pool || self.to != Form::F32
    }

    /// Height, width and channels of what it reads.
    pub(crate) fn input(&self) -> [usize; 3] {
        self.input
    }

    /// The same of what it makes.
    pub(crate) fn output(&self) -> [usize; 3] {
        self.output
    }

    /// Bytes of what [`run_pixels`](Self::run_pixels) takes of the workspace for so many pixels.
    pub(crate) fn pixels_scratch(&self, threads: usize, count: usize) -> WorkspaceBytes {
        let rows = PIXELS.min(count).next_multiple_of(self.shape.mr);
        let sums = if self.is_apart() { 4 * PIXELS.min(count) * self.output[2] } else { 0 };
        let bytes = rows * size_of::<Row>() + sums;
        WorkspaceBytes { direct: threads * bytes, ..WorkspaceBytes::default() }
    }

    /// Convolves `count` pixels on this thread: of a 1×1 convolution of stride 1, where each output reads the pixel in its place.
    /// `input`, `residual` and `to` begin with the first of them.
    ///
    /// # Safety
    /// `to` has room for them, and nobody else uses their channels meanwhile.
    pub(crate) unsafe fn run_pixels(
        &self,
        count: usize,
        input: &[f32],
        residual: Option<&[f32]>,
        to: Place,
        workspace: &Workspace,
    ) {
        assert!(self.flat, "each output reads one pixel");
        let geometry =
            Geometry { input: [1, count, self.input[2]], output: [1, count, self.output[2]] };
        workspace.scratch.with(|scratch| {
            for first in (0..count).step_by(PIXELS) {
                let task = Task {
                    plan: self,
                    geometry,
                    image: &input[..count * self.input[2]],
                    residual: residual.map(|values| &values[..count * self.output[2]]),
                    out: to,
                    pixel_out: 0,
                    pixels: first..count.min(first + PIXELS),
                    panels: 0..self.weights.first().map_or(0, Panels::count),
                };
                // SAFETY: the caller promises the room; rows are read through slices that were just cut to size.
                unsafe { self.run_task(&task, scratch) }
            }
        });
    }

    /// Convolves `images` images; lengths were checked by the network. `residual` is added before the activation.
    pub(crate) fn run(
        &self,
        images: usize,
        input: &[f32],
        residual: Option<&[f32]>,
        output: Place,
        (workers, workspace): (Workers, &Workspace),
    ) {
        let (images, geometry) = self.geometry(images);
        let [oh, ow, oc] = geometry.output;
        let used = self.used_pixels(geometry);
        let (blocks, cuts) = self.tasks(images, geometry, workers.count());
        let panels = self.weights.first().map_or(0, Panels::count);
        let image_in: usize = geometry.input.iter().product();
        let pixels_out = if self.pool { (oh / 2) * (ow / 2) } else { oh * ow };
        debug_assert!(input.len() >= images * image_in);
        workers.each(images * blocks * cuts, |index| {
            let (image, rest) = (index / (blocks * cuts), index % (blocks * cuts));
            let first = rest / cuts * self.pixels;
            workspace.scratch.with(|scratch| {
                let task = Task {
                    plan: self,
                    geometry,
                    image: &input[image * image_in..][..image_in],
                    residual: residual.map(|r| &r[image * oh * ow * oc..][..oh * ow * oc]),
                    out: output,
                    pixel_out: image * pixels_out,
                    pixels: first..(first + self.pixels).min(used),
                    panels: chunk_range(panels, cuts, rest % cuts),
                };
                // SAFETY: the planner gave `output` room for all images; tasks differ in image, pixels or panels, so no two
                // write the same element.
                unsafe { self.run_task(&task, scratch) }
            });
        });
    }

    /// Convolves, and pools and rounds what is not yet the output.
    ///
    /// # Safety
    /// What the task demands.
    unsafe fn run_task(&self, task: &Task<'_>, scratch: &mut Scratch) {
        // SAFETY: the caller's promise. `Network::compile` makes plans only for an `isa` that was detected.
        unsafe {
            if !self.is_apart() {
                let (to, stride) = (task.out.pixel(task.first_out()), task.out.stride);
                return dispatch(self.isa, SumTask { task, to, stride, scratch });
            }
            let stride = task.geometry.output[2];
            scratch.rows.reserve(task.pixels.len() * stride);
            let to = scratch.rows.as_mut_ptr();
            dispatch(self.isa, SumTask { task, to, stride, scratch });
            match self.to {
                Form::F32 => self.finish::<f32>(task, to),
                Form::Bf16 => self.finish::<u16>(task, to),
            }
        }
    }

    /// The output of a task whose f32 are at `source`: their largest of each 2×2, or themselves.
    ///
    /// # Safety
    /// What the task demands; its columns are set in all of its pixels.
    unsafe fn finish<E: Element>(&self, task: &Task<'_>, source: *const f32) {
        let Task { geometry, out, pixels, .. } = task;
        let [_, ow, channels] = geometry.output;
        let (size, rows, columns) = match self.pool {
            true => ([2, 2], pixels.len() / ow / 2, ow / 2),
            // All of them as one row.
            false => ([1, 1], 1, pixels.len()),
        };
        for columns_of_group in task.columns() {
            // SAFETY: the caller's promise.
            unsafe {
                let job = MaxPool::<E> {
                    source,
                    width: ow,
                    channels,
                    size,
                    stride: size,
                    out: out.pixel(task.first_out()),
                    out_stride: out.stride,
                    rows,
                    columns,
                    first: columns_of_group.start,
                    last: columns_of_group.end,
                };
                E::dispatch(self.isa, job);
            }
        }
    }
}

/// Sizes of the image that is convolved, and of what comes out before the pool.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    input: [usize; 3],
    output: [usize; 3],
}

/// Whether outputs read one pixel each, in the same order as they are written.
pub(crate) fn is_flat(conv: &Conv2d) -> bool {
    conv.kernel == [1, 1]
        && conv.stride == [1, 1]
        && conv.padding == Padding::default()
        && conv.groups == 1
}
