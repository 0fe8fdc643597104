//! Convolutions of any kernel size, stride and padding as products of bf16 matrices: the patches of a block of output pixels
//! are gathered and rounded (each a row: taps, then channels), multiplied by the packed weights, panel by panel, and each
//! panel's sums are scattered into the output with bias, residual and activation. Only a block's patches exist at a time,
//! in the second-level cache; a panel's sums stay in the first.

mod gather;
mod scatter;

use std::ops::Range;

use crate::bf16::{Bf16, Bf16Pair, Bf16Product, Operand};
use crate::gemm::{PackedWeights, Product};
use crate::layer::{Activation, Conv2d, Padding};
use crate::memory::Buffer;
use crate::parallel::{Workers, chunk_range};
use crate::place::Place;
use crate::simd::{Element, Form};
use crate::workspace::{Space, Workspace, WorkspaceBytes};
use crate::{Algorithm, Isa, Products};
use gather::GatherTask;
use scatter::ScatterTask;

/// Rows of a block at most: a panel's sums and the weights of a pass, 28 kB, stay in the first-level cache.
const MAX_ROWS: usize = 96;
/// Bytes of a block's patches, which stay in the second-level cache.
const PATCH_BYTES: usize = 3 << 18;
/// Fewer input channels are those of the images themselves, whose rounding to bf16 would cost the most precision.
const MIN_CHANNELS: usize = 16;
/// What a run of channels must be a multiple of for vectors of every instruction set.
const LANES: usize = 16;

/// A convolution packed for one instruction set.
#[derive(Debug)]
pub(crate) struct Im2col {
    isa: Isa,
    geometry: Geometry,
    /// What it reads.
    from: Form,
    activation: Activation,
    /// Rows are taps, then channels.
    weights: PackedWeights,
    /// Whole panels.
    bias: Buffer,
    /// Rows of a block at most.
    rows: usize,
}

/// Sizes of the layer.
#[derive(Debug)]
struct Geometry {
    /// Height, width, channels of the input.
    input: [usize; 3],
    /// The same of the output.
    output: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
}

impl Geometry {
    /// Whether each output reads the one pixel in its own place, so that patches are the image itself.
    fn is_identity(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == Padding::default()
    }

    /// Values of a patch.
    fn depth(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.input[2]
    }
}

/// How the output pixels of all images are divided into tasks.
#[derive(Debug, Clone, Copy)]
struct Blocks {
    pixels: usize,
    /// Rows of all blocks but the last, in whole register tiles.
    rows: usize,
    count: usize,
    /// Parts that the panels of each block are divided into.
    parts: usize,
}

/// What is convolved, what is added, and where it goes.
#[derive(Debug, Clone, Copy)]
struct Images<'a> {
    input: &'a [f32],
    residual: Option<&'a [f32]>,
    output: Place,
}

impl Im2col {
    /// Whether such a layer runs so where bf16 is multiplied: one group, enough channels and products. A 3×3 convolution of
    /// stride 1 is left to Winograd's algorithm. (In f32 the direct algorithm, which copies nothing, is as fast or faster.)
    pub(crate) fn fits(conv: &Conv2d) -> bool {
        conv.groups == 1
            && conv.in_channels >= MIN_CHANNELS
            && !(conv.kernel == [3, 3] && conv.stride == [1, 1])
    }

    /// Packs a layer that [`fits`](Self::fits).
    pub(crate) fn new(
        conv: &Conv2d,
        input: [usize; 3],
        output: [usize; 3],
        from: Form,
        isa: Isa,
        bf16: Bf16Product,
    ) -> Self {
        let (ic, oc) = (conv.in_channels, conv.out_channels);
        let taps = conv.kernel[0] * conv.kernel[1];
        let weights = PackedWeights::pack(isa, Some(bf16), [taps * ic, oc], |row, column| {
            conv.weight[(column * ic + row % ic) * taps + row / ic]
        });
        let mut bias = Buffer::zeroed(weights.panels() * weights.tile_columns());
        bias.as_mut_slice()[..oc].copy_from_slice(&conv.bias);
        let geometry = Geometry {
            input,
            output,
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
        };
        let tile = weights.tile_rows();
        let operand = weights.operand();
        let row_bytes = weights.operand_len(1) * operand.size() * operand.planes();
        // Two register tiles at least, or else weights would be read too often.
        let tiles = (PATCH_BYTES / (row_bytes * tile)).clamp(2, MAX_ROWS / tile);
        let (activation, rows) = (conv.activation, tiles * tile);
        Self { isa, geometry, from, activation, weights, bias, rows }
    }

    /// Bytes of packed weights.
    pub(crate) fn packed_bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// What is multiplied.
    pub(crate) fn products(&self) -> Products {
        self.weights.operand()
    }

    /// What runs.
    pub(crate) fn algorithm(&self) -> Algorithm {
        let products = self.weights.operand();
        match self.geometry.is_identity() {
            true => Algorithm::Gemm(products),
            false => Algorithm::Im2col(products),
        }
    }

    /// Bytes of what [`run`](Self::run) takes of the workspace for so many images.
    pub(crate) fn scratch(&self, threads: usize, images: usize) -> WorkspaceBytes {
        let blocks = self.blocks(images, threads);
        // Of all threads, even if few tasks are large: spaces are lent to other steps, and each may have had the largest.
        WorkspaceBytes {
            per_thread_inputs: 4 * threads * self.patches_len(blocks.rows),
            per_thread_products: 4 * threads * self.sums_len(blocks.rows),
            patches: 4 * threads * self.line_len(),
            ..WorkspaceBytes::default()
        }
    }

    /// How so many images' pixels are divided for so many threads.
    fn blocks(&self, images: usize, threads: usize) -> Blocks {
        let [height, width, _] = self.geometry.output;
        let pixels = images * height * width;
        // As few blocks as may be, and those of equal size.
        let count = pixels.div_ceil(self.rows).max(1);
        let rows = pixels.div_ceil(count).next_multiple_of(self.weights.tile_rows());
        let count = pixels.div_ceil(rows.max(1));
        // Few large tasks would leave threads idle. Each part gathers the patches by itself.
        let wanted = if threads > 1 { (2 * threads).div_ceil(count.max(1)) } else { 1 };
        Blocks { pixels, rows, count, parts: wanted.min(self.weights.panels()) }
    }

    /// f32 of so many rows of patches.
    fn patches_len(&self, rows: usize) -> usize {
        let operand = self.weights.operand();
        let bytes = operand.planes() * operand.size() * self.weights.operand_len(rows);
        bytes.div_ceil(size_of::<f32>())
    }

    /// f32 of the sums of one panel.
    fn sums_len(&self, rows: usize) -> usize {
        rows * self.weights.tile_columns()
    }

    /// f32 of a patch that is put together before it is stored: where runs of channels are not whole vectors.
    fn line_len(&self) -> usize {
        match self.geometry.input[2].is_multiple_of(LANES) {
            true => 0,
            false => self.weights.depth().next_multiple_of(LANES),
        }
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
        let blocks = self.blocks(images, workers.count());
        let images = Images { input, residual, output };
        workers.each(blocks.count * blocks.parts, |index| {
            let first = index / blocks.parts * blocks.rows;
            let pixels = first..(first + blocks.rows).min(blocks.pixels);
            let panels = chunk_range(self.weights.panels(), blocks.parts, index % blocks.parts);
            workspace.per_thread_spaces.with(|space| {
                workspace.patches.with(|line| self.block(images, pixels, panels, space, line));
            });
        });
    }

    /// Height, width and channels of what it reads.
    pub(crate) fn input(&self) -> [usize; 3] {
        self.geometry.input
    }

    /// The same of what it makes.
    pub(crate) fn output(&self) -> [usize; 3] {
        self.geometry.output
    }

    /// Bytes of what [`run_pixels`](Self::run_pixels) takes of the workspace for so many pixels.
    pub(crate) fn pixels_scratch(&self, threads: usize, count: usize) -> WorkspaceBytes {
        let rows = self.rows.min(count).next_multiple_of(self.weights.tile_rows());
        WorkspaceBytes {
            per_thread_inputs: size_of::<f32>() * threads * self.patches_len(rows),
            per_thread_products: size_of::<f32>() * threads * self.sums_len(rows),
            patches: size_of::<f32>() * threads * self.line_len(),
            ..WorkspaceBytes::default()
        }
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
        assert!(self.geometry.is_identity(), "each output reads one pixel");
        let images = Images { input, residual, output: to };
        workspace.per_thread_spaces.with(|space| {
            workspace.patches.with(|line| {
                for first in (0..count).step_by(self.rows) {
                    let pixels = first..(first + self.rows).min(count);
                    self.block(images, pixels, 0..self.weights.panels(), space, line);
                }
            });
        });
    }

    /// Some panels of a block of pixels.
    fn block(
        &self,
        images: Images<'_>,
        pixels: Range<usize>,
        panels: Range<usize>,
        space: &mut Space,
        line: &mut Buffer,
    ) {
        line.reserve(self.line_len());
        let rows = pixels.len().next_multiple_of(self.weights.tile_rows());
        space.inputs.reserve(self.patches_len(rows));
        space.products.reserve(self.sums_len(rows));
        match (self.weights.operand(), self.from) {
            (Products::Bf16Pair, _) => {
                self.gather::<Bf16Pair, f32>(images, pixels.clone(), rows, space, line);
            }
            (_, Form::F32) => self.gather::<Bf16, f32>(images, pixels.clone(), rows, space, line),
            (_, Form::Bf16) => self.gather::<Bf16, u16>(images, pixels.clone(), rows, space, line),
        }
        match images.output.form {
            Form::F32 => self.multiply::<f32>(images, pixels, panels, rows, space),
            Form::Bf16 => self.multiply::<u16>(images, pixels, panels, rows, space),
        }
    }

    /// The patches of a block of pixels, as the weights want them.
    fn gather<O: Operand, I: Element>(
        &self,
        images: Images<'_>,
        pixels: Range<usize>,
        rows: usize,
        space: &mut Space,
        line: &mut Buffer,
    ) {
        let task = GatherTask::<O, I> {
            geometry: &self.geometry,
            depth: self.weights.depth(),
            blocks: self.weights.blocks(),
            images: I::of(images.input),
            pixels,
            stored_rows: rows,
            to: space.inputs.as_mut_ptr().cast(),
            low_offset: self.low_offset(rows),
            line,
        };
        // SAFETY: `block` made room for `patches_len` of these rows, for elements as wide as the weights want them.
        // `isa` was detected: `Network::compile` makes plans for no other.
        unsafe { I::dispatch(self.isa, task) };
    }

    /// Lower parts of split operands are behind all others.
    fn low_offset(&self, rows: usize) -> usize {
        self.weights.operand_len(rows)
    }

    /// Some panels of a block of pixels whose patches are gathered: products and what becomes of them, panel by panel.
    fn multiply<E: Element>(
        &self,
        images: Images<'_>,
        pixels: Range<usize>,
        panels: Range<usize>,
        rows: usize,
        space: &mut Space,
    ) {
        let sums = space.products.as_mut_ptr();
        let columns = self.weights.tile_columns();
        for panel in panels {
            let product = Product {
                panels: panel..panel + 1,
                rows: pixels.len(),
                stored_rows: rows,
                from: space.inputs.as_slice().as_ptr(),
                low_offset: self.low_offset(rows),
                to: sums,
                row_stride: columns,
                panel_stride: 0,
            };
            let task = ScatterTask::<E> {
                sums,
                row_stride: columns,
                first_channel: panel * columns,
                channels: self.geometry.output[2],
                bias: &self.bias.as_slice()[panel * columns..][..columns],
                residual: images.residual.map(E::of),
                activation: self.activation,
                pixels: pixels.clone(),
                out: images.output,
            };
            // SAFETY: all rows that count were gathered, with zeros up to the weights' depth; `sums_len` of whole register tiles sized
            // the sums. The planner gave `output` room for all images, of such elements, and no two tasks have the same pixels and
            // panels. `isa` was detected.
            unsafe {
                self.weights.multiply(0, product);
                E::dispatch(self.isa, task);
            }
        }
    }
}
