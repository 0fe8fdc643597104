//! Implicit GEMM: any kernel size, stride, padding and groups. The matrix of patches exists only as a table of
//! pointers into the image, to a line of zeros where a tap lies outside.

mod task;

use crate::gemm::Panels;
use crate::layer::Conv2d;
use crate::memory::{Buffer, Shared};
use crate::parallel::{for_each, part};
use crate::simd::{self, Shape};
use crate::workspace::{Workspace, WorkspaceBytes};
use crate::{Isa, simd::dispatch};
pub(crate) use task::Scratch;
use task::Task;

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
    padding: [usize; 2],
    groups: usize,
    relu: bool,
    pool: bool,
    /// Whether a tap is a line of the kernel's window rather than one pixel.
    lines: bool,
    /// One a group; rows are taps, then channels.
    weights: Vec<Panels>,
    /// Groups of whole panels.
    bias: Buffer,
    zeros: Buffer,
    /// Rows of the convolution's output that one task makes.
    rows: usize,
}

impl Direct {
    /// Packs a checked layer; `pool` fuses a 2×2 max-pool of stride 2.
    pub(crate) fn new(
        conv: &Conv2d,
        input: [usize; 3],
        output: [usize; 3],
        pool: bool,
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
        let mut rows = PIXELS.div_ceil(output[1]).min(output[0]);
        if pool {
            rows = rows.next_multiple_of(2);
        }
        Self {
            isa,
            shape,
            input,
            output,
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
            groups: conv.groups,
            relu: conv.relu,
            pool,
            lines,
            weights,
            bias,
            zeros: Buffer::zeroed(if lines { conv.kernel[1] * ic } else { ic }),
            rows,
        }
    }

    /// Bytes of packed weights.
    pub(crate) fn packed_bytes(&self) -> usize {
        self.weights.iter().map(Panels::bytes).sum()
    }

    /// Bytes of what [`run`](Self::run) takes of the workspace for so many images.
    pub(crate) fn scratch(&self, threads: usize, images: usize) -> WorkspaceBytes {
        let [_, ow, oc] = self.output;
        let pixels = (self.rows * ow).min(PIXELS).next_multiple_of(self.shape.mr);
        let table = pixels * self.taps() * size_of::<*const f32>();
        let patches = if self.lines { 4 * pixels * self.taps() * self.tap_depth() } else { 0 };
        let rows = if self.pool { 4 * self.rows * ow * oc } else { 0 };
        let (blocks, cuts) = self.tasks(images, threads);
        WorkspaceBytes {
            direct: threads.min(images * blocks * cuts) * (table + patches + rows),
            ..WorkspaceBytes::default()
        }
    }

    /// Into how many blocks of rows an image is cut, and into how many parts of output channels.
    fn tasks(&self, images: usize, threads: usize) -> (usize, usize) {
        let blocks = self.used_rows().div_ceil(self.rows.max(1));
        let panels = self.weights.first().map_or(0, Panels::count);
        // Few large tasks would leave threads idle: cut the output channels too.
        let cuts = (4 * threads).div_ceil((images * blocks).max(1)).min(panels).max(1);
        (blocks, cuts)
    }

    /// Rows of the convolution's output that count: whole windows where the pool is fused.
    fn used_rows(&self) -> usize {
        if self.pool { self.output[0] / 2 * 2 } else { self.output[0] }
    }

    /// Taps of the kernel.
    fn taps(&self) -> usize {
        if self.lines { self.kernel[0] } else { self.kernel[0] * self.kernel[1] }
    }

    /// Products summed for one output and tap.
    fn tap_depth(&self) -> usize {
        if self.lines { self.kernel[1] * self.input[2] } else { self.input[2] / self.groups }
    }

    /// What runs.
    pub(crate) fn describe(&self) -> String {
        "direct (implicit GEMM)".to_owned()
    }

    /// Convolves `images` images; lengths were checked by the network.
    pub(crate) fn run(
        &self,
        images: usize,
        input: &[f32],
        output: &mut [f32],
        workspace: &Workspace,
    ) {
        let [oh, ow, oc] = self.output;
        let used = self.used_rows();
        let (blocks, cuts) = self.tasks(images, rayon::current_num_threads());
        let panels = self.weights.first().map_or(0, Panels::count);
        let image_out = if self.pool { (oh / 2) * (ow / 2) * oc } else { oh * ow * oc };
        let image_in: usize = self.input.iter().product();
        debug_assert!(input.len() >= images * image_in && output.len() >= images * image_out);
        let out = Shared(output.as_mut_ptr());
        for_each(images * blocks * cuts, |index| {
            let (image, rest) = (index / (blocks * cuts), index % (blocks * cuts));
            let first = rest / cuts * self.rows;
            workspace.scratch.with(|scratch| {
                let task = Task {
                    plan: self,
                    image: &input[image * image_in..][..image_in],
                    // SAFETY: `Network::run` checked that `output` has room for all images, and `image` is one of
                    // them: `index` is below images · blocks · cuts.
                    out: unsafe { out.get().add(image * image_out) },
                    rows: first..(first + self.rows).min(used),
                    panels: part(panels, cuts, rest % cuts),
                    scratch,
                };
                // SAFETY: `out` is the image's own output, and tasks differ in image, rows or panels, so no two write
                // the same element. `Network::new` makes plans only for an `isa` that was detected.
                unsafe { dispatch(self.isa, task) }
            });
        });
    }
}
