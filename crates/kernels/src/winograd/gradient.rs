//! The gradient of the loss by a 3×3 kernel, in the transformed space.
//!
//! From the bilinear form Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A of a tile follows its transpose: the gradient by g is
//! Gᵀ[Σ (Bᵀ d B) ⊙ (A y A ᵀ)]G, with y the gradient of the tile's outputs and the sum over all tiles. So inputs are
//! transformed as in the forward pass, the sum is one matrix product a place of the tile, over all tiles of all images, and
//! the way back is done once (Lavin and Gray 2015, section 4; the transposition is Winograd's own).

use std::marker::PhantomData;
use std::ops::Range;

use super::cover::Grid;
use super::input::InputTask;
use super::scheme::{F2, F3, F4, F6, MAX_M, MAX_N, Scheme};
use super::{Geometry, Tile, matrix_stride, weights};
use crate::bf16::{Blocks, F32};
use crate::gemm::{TransposedProduct, row_block};
use crate::layer::Padding;
use crate::memory::{Buffer, Pool, Shared};
use crate::parallel::{chunk_range, for_each};
use crate::simd::{Job, Simd, dispatch, shape};
use crate::{Activation, Isa};

/// Sizes of a 3×3 convolution of stride 1, and how its kernel's gradient is computed.
#[derive(Debug)]
pub(crate) struct KernelGradient {
    isa: Isa,
    tile: Tile,
    geometry: Geometry,
    grid: Grid,
    /// Input channels, output channels, and those filled up to whole panels.
    channels: [usize; 3],
    space: Pool<Space>,
    patches: Pool<Buffer>,
}

/// Transformed inputs, transformed gradients, and their products.
#[derive(Debug, Default)]
struct Space {
    inputs: Buffer,
    gradients: Buffer,
    sums: Buffer,
}

/// Transformed inputs and gradients of a group of tiles take at most so much, or as much as the sums: it is in the last-level
/// cache.
const SPACE_BYTES: usize = 12 << 20;

impl KernelGradient {
    /// For a layer that Winograd's algorithm fits.
    pub(crate) fn new(
        input: [usize; 3],
        output: [usize; 3],
        padding: Padding,
        tile: Tile,
        isa: Isa,
    ) -> Self {
        let activation = Activation::None;
        let geometry = Geometry { input, output, padding, activation, pool: false };
        let grid = Grid::uniform([output[0], output[1]], tile);
        let channels = [input[2], output[2], output[2].next_multiple_of(shape(isa).nr)];
        let (space, patches) = (Pool::default(), Pool::default());
        Self { isa, tile, geometry, grid, channels, space, patches }
    }

    /// Writes the gradient, (3, 3, inputs, outputs). `input` and `gradient` are those of `images` whole images.
    pub(crate) fn run(&self, images: usize, input: &[f32], gradient: &[f32], to: &mut [f32]) {
        match self.tile {
            Tile::Two => self.run_scheme::<F2>(images, input, gradient, to),
            Tile::Three => self.run_scheme::<F3>(images, input, gradient, to),
            Tile::Four => self.run_scheme::<F4>(images, input, gradient, to),
            Tile::Six => self.run_scheme::<F6>(images, input, gradient, to),
            _ => unreachable!("a tile of 3x3 kernels"),
        }
    }

    fn run_scheme<F: Scheme>(
        &self,
        images: usize,
        input: &[f32],
        gradient: &[f32],
        to: &mut [f32],
    ) {
        let [inputs, outputs, width] = self.channels;
        let matrices = F::N * F::N;
        let (block, nr) = (row_block(self.isa), shape(self.isa).nr);
        let input_blocks = Blocks { depth: block, stride: block };
        let gradient_blocks = Blocks { depth: nr, stride: nr };
        let bytes = 4 * matrices * (inputs.next_multiple_of(block) + width);
        let tiles = images * self.grid.count();
        // Sums are read and written again for each group: of many channels, they are what costs.
        let most = (SPACE_BYTES.max(4 * matrices * inputs * width) / bytes).max(64);
        let groups = tiles.div_ceil(most).max(1);
        let size = tiles.div_ceil(groups);
        let strides = [
            matrix_stride(input_blocks.len(size, inputs), size_of::<f32>()),
            matrix_stride(gradient_blocks.len(size, outputs), size_of::<f32>()),
            matrix_stride(inputs * width, size_of::<f32>()),
        ];
        let tasks = 4 * rayon::current_num_threads();
        self.space.with(|space| {
            space.inputs.reserve(matrices * strides[0]);
            space.gradients.reserve(matrices * strides[1]);
            space.sums.reserve(matrices * strides[2]);
            let [x, y, sums] = [&mut space.inputs, &mut space.gradients, &mut space.sums]
                .map(|buffer| Shared(buffer.as_mut_ptr()));
            for group in 0..groups {
                let range = group * size..((group + 1) * size).min(tiles);
                let parts = tasks.min(range.len());
                let part = |index: usize| {
                    let chunk = chunk_range(range.len(), parts, index);
                    range.start + chunk.start..range.start + chunk.end
                };
                for_each(2 * parts, |index| {
                    self.patches.with(|patch| {
                        if index < parts {
                            let tiles = part(index);
                            let task = InputTask::<F, F, F32, f32> {
                                geometry: &self.geometry,
                                grid: &self.grid,
                                images: input,
                                row: tiles.start - range.start,
                                tiles,
                                rows: range.len(),
                                blocks: input_blocks,
                                to: x.get(),
                                matrix_stride: strides[0],
                                low_offset: 0,
                                patch,
                                schemes: PhantomData,
                            };
                            // SAFETY: the space was sized for the group's tiles in these blocks; tasks have tiles, and so
                            // rows, of their own; `isa` was detected, as `train::Conv::new` checks.
                            unsafe { dispatch(self.isa, task) }
                        } else {
                            let task = GradientTask::<F> {
                                geometry: &self.geometry,
                                grid: &self.grid,
                                images: gradient,
                                tiles: part(index - parts),
                                base: range.start,
                                rows: range.len(),
                                blocks: gradient_blocks,
                                to: y.get(),
                                matrix_stride: strides[1],
                                scheme: PhantomData,
                            };
                            // SAFETY: as above.
                            unsafe { dispatch(self.isa, task) }
                        }
                    });
                });
                let row_blocks = inputs.div_ceil(block);
                for_each(matrices * row_blocks, |index| {
                    let (matrix, row_block) = (index / row_blocks, index % row_blocks);
                    let rows = range.len();
                    // SAFETY: the transforms' tasks have ended, so all of the group's rows are set, in blocks of `block`
                    // and panels of `nr`; sums have `inputs` rows of `width` a matrix; tasks have rows of their own.
                    unsafe {
                        let task = TransposedProduct {
                            left: x.get().add(matrix * strides[0] + row_block * rows * block),
                            rows: block.min(inputs - row_block * block),
                            right: y.get().add(matrix * strides[1]),
                            columns: outputs,
                            depth: rows,
                            add: group > 0,
                            to: sums.get().add(matrix * strides[2] + row_block * block * width),
                            row_stride: width,
                        };
                        dispatch(self.isa, task);
                    }
                });
            }
            let g = weights::g_f32::<F>();
            let to = Shared(to.as_mut_ptr());
            let parts = tasks.min(inputs);
            for_each(parts, |index| {
                let task = KernelTask::<F> {
                    sums: sums.get(),
                    matrix_stride: strides[2],
                    width,
                    rows: chunk_range(inputs, parts, index),
                    inputs,
                    outputs,
                    g: &g,
                    to: to.get(),
                    scheme: PhantomData,
                };
                // SAFETY: all sums are set; the gradient has room for nine planes of inputs by outputs, as the caller
                // checked; tasks have input channels of their own.
                unsafe { dispatch(self.isa, task) }
            });
        });
    }
}

/// A y Aᵀ of some tiles: `n²` matrices of tiles by channels, `matrix_stride` apart, in blocks of channels.
///
/// The caller promises: `to` has room for rows `tiles − base` of each matrix, and nobody else writes those rows; channels are
/// whole vectors.
#[derive(Debug)]
struct GradientTask<'a, F> {
    geometry: &'a Geometry,
    grid: &'a Grid,
    images: &'a [f32],
    tiles: Range<usize>,
    base: usize,
    rows: usize,
    blocks: Blocks,
    to: *mut f32,
    matrix_stride: usize,
    scheme: PhantomData<F>,
}

impl<F: Scheme> Job for GradientTask<'_, F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let g = self.geometry;
        let [h, w, channels] = g.output;
        for tile in self.tiles {
            let (image, y, x) = self.grid.place(tile);
            let (rows, columns) = (F::M.min(h - y), F::M.min(w - x));
            let first = (image * h + y) * w + x;
            let mut c = 0;
            while c < channels {
                let at = self.blocks.at(self.rows, tile - self.base, c);
                // SAFETY: channels are whole vectors; only pixels of the image are read; the tile's row is this task's.
                unsafe {
                    let zero = S::splat(0.0);
                    let mut half = [[zero; MAX_M]; MAX_N];
                    for j in 0..columns {
                        let mut column = [zero; MAX_N];
                        for (i, v) in column.iter_mut().enumerate().take(rows) {
                            let pixel = (first + i * w + j) * channels + c;
                            *v = S::load(self.images[pixel..pixel + S::LANES].as_ptr());
                        }
                        let column = F::output_transposed::<S>(column);
                        for (half, v) in half.iter_mut().zip(column).take(F::N) {
                            half[j] = v;
                        }
                    }
                    for (i, half) in half.iter().enumerate().take(F::N) {
                        let mut row = [zero; MAX_N];
                        row[..F::M].copy_from_slice(&half[..F::M]);
                        let row = F::output_transposed::<S>(row);
                        for (j, v) in row.iter().enumerate().take(F::N) {
                            S::store(self.to.add((i * F::N + j) * self.matrix_stride + at), *v);
                        }
                    }
                }
                c += S::LANES;
            }
        }
    }
}

/// Gᵀ M G of some input channels.
///
/// The caller promises: `sums` holds n² matrices, `matrix_stride` apart, of `width` a row; `to` has room for (3, 3, inputs,
/// outputs), and nobody else writes these input channels; outputs are whole vectors.
#[derive(Debug)]
struct KernelTask<'a, F> {
    sums: *const f32,
    matrix_stride: usize,
    width: usize,
    rows: Range<usize>,
    inputs: usize,
    outputs: usize,
    g: &'a [[f32; 3]; MAX_N],
    to: *mut f32,
    scheme: PhantomData<F>,
}

impl<F: Scheme> Job for KernelTask<'_, F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for row in self.rows {
            let mut c = 0;
            while c < self.outputs {
                // SAFETY: the task's fields; outputs are whole vectors.
                unsafe {
                    let from = self.sums.add(row * self.width + c);
                    let mut half = [[S::splat(0.0); MAX_N]; 3];
                    for x in 0..F::N {
                        let mut sum = [S::splat(0.0); 3];
                        for (y, g) in self.g.iter().enumerate().take(F::N) {
                            let v = S::load(from.add((y * F::N + x) * self.matrix_stride));
                            for (sum, g) in sum.iter_mut().zip(g) {
                                *sum = S::mul_add(S::splat(*g), v, *sum);
                            }
                        }
                        for (half, sum) in half.iter_mut().zip(sum) {
                            half[x] = sum;
                        }
                    }
                    for (y, half) in half.iter().enumerate() {
                        let mut sum = [S::splat(0.0); 3];
                        for (v, g) in half.iter().zip(self.g).take(F::N) {
                            for (sum, g) in sum.iter_mut().zip(g) {
                                *sum = S::mul_add(S::splat(*g), *v, *sum);
                            }
                        }
                        for (x, sum) in sum.into_iter().enumerate() {
                            let at = ((y * 3 + x) * self.inputs + row) * self.outputs + c;
                            S::store(self.to.add(at), sum);
                        }
                    }
                }
                c += S::LANES;
            }
        }
    }
}
