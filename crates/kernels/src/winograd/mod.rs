//! Convolutions of stride 1 by Winograd's minimal filtering: tiles of the image are transformed, multiplied
//! channel by channel in the transformed space (n² ordinary matrix products), and transformed back, with bias, ReLU
//! and pool. Tiles go through in groups, so that what is between the three steps stays in cache.

mod cover;
pub(crate) mod gradient;
mod input;
mod output;
mod run;
pub(crate) mod scheme;
mod weights;

use crate::bf16::Bf16Product;
use crate::gemm::PackedWeights;
use crate::layer::{Activation, Conv2d, Padding};
use crate::memory::{Buffer, Shared};
use crate::parallel::{Workers, chunk_range, for_each};
use crate::simd::{Form, dispatch};
use crate::workspace::WorkspaceBytes;
use crate::{Algorithm, Isa};
use cover::Cover;
use scheme::{F2, F2Of5, F3, F3Of7, F4, F6, One, Scheme};
use std::marker::PhantomData;

/// Which schemes down and across. F(6×6, 3×3) fills up what its tiles leave at an image's edges with tiles of F(4×4, 3×3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tile {
    /// F(2×2, 3×3), and so on.
    Two,
    Three,
    Four,
    Six,
    /// F(2×2, 5×5).
    TwoOfFive,
    /// F(1×4, 1×3) and F(4×1, 3×1).
    ThreeAcross,
    ThreeDown,
    /// F(1×3, 1×7) and F(3×1, 7×1).
    SevenAcross,
    SevenDown,
}

/// A tile in one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    outputs: usize,
    inputs: usize,
    /// Outputs and inputs of the tiles that fill up an image's edges with the same weights.
    filler: Option<[usize; 2]>,
}

impl Extent {
    fn of<F: Scheme>() -> Self {
        let filler = (F::Filler::N < F::N).then_some([F::Filler::M, F::Filler::N]);
        Self { outputs: F::M, inputs: F::N, filler }
    }
}

impl Tile {
    pub(crate) const ALL: [Self; 9] = [
        Self::Two,
        Self::Three,
        Self::Four,
        Self::Six,
        Self::TwoOfFive,
        Self::ThreeAcross,
        Self::ThreeDown,
        Self::SevenAcross,
        Self::SevenDown,
    ];

    /// Down and across.
    fn extents(self) -> [Extent; 2] {
        fn of<Y: Scheme, X: Scheme>() -> [Extent; 2] {
            [Extent::of::<Y>(), Extent::of::<X>()]
        }
        match self {
            Self::Two => of::<F2, F2>(),
            Self::Three => of::<F3, F3>(),
            Self::Four => of::<F4, F4>(),
            Self::Six => of::<F6, F6>(),
            Self::TwoOfFive => of::<F2Of5, F2Of5>(),
            Self::ThreeAcross => of::<One, F4>(),
            Self::ThreeDown => of::<F4, One>(),
            Self::SevenAcross => of::<One, F3Of7>(),
            Self::SevenDown => of::<F3Of7, One>(),
        }
    }

    /// Outputs down and across.
    pub(crate) fn outputs(self) -> [usize; 2] {
        self.extents().map(|extent| extent.outputs)
    }

    /// Taps of the kernel down and across.
    pub(crate) fn kernel(self) -> [usize; 2] {
        self.extents().map(|extent| extent.inputs + 1 - extent.outputs)
    }

    /// Places of the transformed tile: a matrix each.
    pub(crate) fn places(self) -> usize {
        self.extents().iter().map(|extent| extent.inputs).product()
    }

    /// Whether its tiles hold whole windows of the pool.
    pub(crate) fn can_pool(self) -> bool {
        self.outputs().iter().all(|outputs| outputs.is_multiple_of(2))
    }

    /// Products, of one channel by one, of a convolution with so many outputs down and across.
    pub(crate) fn products(self, outputs: [usize; 2], pool: bool) -> usize {
        Cover::new(self, needed(outputs, pool)).products(self)
    }
}

/// Outputs that count: a pool's windows leave out an odd one.
fn needed(outputs: [usize; 2], pool: bool) -> [usize; 2] {
    if pool { outputs.map(|n| n / 2 * 2) } else { outputs }
}

/// Sizes of the layer.
#[derive(Debug)]
struct Geometry {
    /// Height, width, channels of the input.
    input: [usize; 3],
    /// The same of the convolution's output, before the pool.
    output: [usize; 3],
    padding: Padding,
    activation: Activation,
    pool: bool,
}

/// A convolution packed for one scheme and instruction set.
#[derive(Debug)]
pub(crate) struct Winograd {
    isa: Isa,
    /// What it reads.
    from: Form,
    tile: Tile,
    geometry: Geometry,
    cover: Cover,
    /// Transformed weights, one matrix a place of the transformed tile.
    weights: PackedWeights,
    bias: Buffer,
    /// Tiles a group at most, where all threads share its work.
    shared_group: usize,
    /// The same where each thread has small groups of its own; none where weights are too many to be read for each.
    per_thread_group: Option<usize>,
}

/// Sizes of a group's transformed space.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    /// Of each matrix.
    rows: usize,
    /// Elements from one matrix of inputs to the next, and to that of its lower parts.
    input_stride: usize,
    low_offset: usize,
    /// f32 from one matrix of products to the next.
    product_stride: usize,
    /// f32 of all inputs, and of all products.
    inputs: usize,
    products: usize,
}

/// How tiles are divided into groups.
#[derive(Debug, Clone, Copy)]
struct Groups {
    /// Of all images.
    tiles: usize,
    /// Of all groups but the last, in whole register tiles.
    size: usize,
    count: usize,
    sharing: Sharing,
}

/// Who works on a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// All threads of the pool, on one group after the other.
    Pool,
    /// One thread, while the others have groups of their own.
    Thread,
}

/// Transformed inputs and products of a group that threads share take at most so much: it is in the last-level cache.
const SHARED_SPACE_BYTES: usize = 12 << 20;
/// The same for a thread's own group, which is in the second-level cache.
const PER_THREAD_SPACE_BYTES: usize = 1 << 20;
/// Weights up to which small groups pay. They are read once a group, from the last-level cache.
const PER_THREAD_WEIGHT_BYTES: usize = 3 << 19;

impl Winograd {
    /// Whether such a layer can run so, if there is a tile for its kernel: stride 1, one group, channels in whole vectors.
    pub(crate) fn fits(conv: &Conv2d) -> bool {
        let Padding { top, left, bottom, right } = conv.padding;
        let [height, width] = conv.kernel;
        let padding = [(top, height), (bottom, height), (left, width), (right, width)];
        conv.stride == [1, 1]
            && conv.groups == 1
            && padding.iter().all(|(n, taps)| n < taps)
            && conv.in_channels.is_multiple_of(16)
            && conv.out_channels.is_multiple_of(16)
    }

    /// Packs a layer that [`fits`](Self::fits); `pool` fuses a 2×2 max-pool of stride 2.
    pub(crate) fn new(
        conv: &Conv2d,
        [input, output]: [[usize; 3]; 2],
        pool: bool,
        tile: Tile,
        from: Form,
        isa: Isa,
        bf16: Option<Bf16Product>,
    ) -> Self {
        let weights = match tile {
            Tile::Two => weights::pack::<F2, F2, 3, 3>(conv, isa, bf16),
            Tile::Three => weights::pack::<F3, F3, 3, 3>(conv, isa, bf16),
            Tile::Four => weights::pack::<F4, F4, 3, 3>(conv, isa, bf16),
            Tile::Six => weights::pack::<F6, F6, 3, 3>(conv, isa, bf16),
            Tile::TwoOfFive => weights::pack::<F2Of5, F2Of5, 5, 5>(conv, isa, bf16),
            Tile::ThreeAcross => weights::pack::<One, F4, 1, 3>(conv, isa, bf16),
            Tile::ThreeDown => weights::pack::<F4, One, 3, 1>(conv, isa, bf16),
            Tile::SevenAcross => weights::pack::<One, F3Of7, 1, 7>(conv, isa, bf16),
            Tile::SevenDown => weights::pack::<F3Of7, One, 7, 1>(conv, isa, bf16),
        };
        let mut bias = Buffer::zeroed(conv.out_channels);
        bias.as_mut_slice().copy_from_slice(&conv.bias);
        let (padding, activation) = (conv.padding, conv.activation);
        let geometry = Geometry { input, output, padding, activation, pool };
        let cover = Cover::new(tile, needed([output[0], output[1]], pool));
        let mr = weights.tile_rows();
        let per_thread = weights.bytes() <= PER_THREAD_WEIGHT_BYTES;
        let (shared_group, per_thread_group) = (0, None);
        let mut plan = Self {
            isa,
            from,
            tile,
            geometry,
            cover,
            weights,
            bias,
            shared_group,
            per_thread_group,
        };
        // Two register tiles at least, or else weights would be read too often.
        let group = |space: usize| (space / plan.space_bytes(mr)).max(2) * mr;
        (plan.shared_group, plan.per_thread_group) =
            (group(SHARED_SPACE_BYTES), per_thread.then(|| group(PER_THREAD_SPACE_BYTES)));
        plan
    }

    /// Takes other weights, (3, 3, inputs, outputs), and biases, for products of f32; false where products are of bf16, or kernels
    /// not 3×3. The
    /// transform is in f32, and all threads share it.
    pub(crate) fn set_weights(&mut self, kernel: &[f32], bias: &[f32]) -> bool {
        match self.tile {
            Tile::Two => self.repack::<F2>(kernel, bias),
            Tile::Three => self.repack::<F3>(kernel, bias),
            Tile::Four => self.repack::<F4>(kernel, bias),
            Tile::Six => self.repack::<F6>(kernel, bias),
            _ => false,
        }
    }

    fn repack<F: Scheme>(&mut self, kernel: &[f32], bias: &[f32]) -> bool {
        let (inputs, outputs) = (self.geometry.input[2], self.geometry.output[2]);
        let nr = self.weights.tile_columns();
        assert_eq!(kernel.len(), 9 * inputs * outputs, "kernel of another layer");
        let Some(panels) = self.weights.f32_panels_mut() else { return false };
        let matrices: Vec<Shared> =
            panels.matrices_mut().into_iter().map(|matrix| Shared(matrix.as_mut_ptr())).collect();
        let g = weights::g_f32::<F>();
        let parts = (4 * rayon::current_num_threads()).min(inputs);
        for_each(parts, |index| {
            let task = weights::RepackTask::<F> {
                kernel,
                inputs,
                outputs,
                rows: chunk_range(inputs, parts, index),
                nr,
                matrices: &matrices,
                g: &g,
                scheme: PhantomData,
            };
            // SAFETY: the matrices were packed for this layer, whose channels are whole vectors as `fits` asks; tasks have
            // input channels of their own, and no other borrow of the panels is alive. `isa` was detected.
            unsafe { dispatch(self.isa, task) }
        });
        self.bias.as_mut_slice().copy_from_slice(bias);
        true
    }

    /// Bytes of the transformed inputs and products of so many tiles.
    fn space_bytes(&self, tiles: usize) -> usize {
        let lengths = self.lengths(tiles);
        4 * (lengths.inputs + lengths.products)
    }

    /// Sizes of a group's space.
    fn lengths(&self, tiles: usize) -> Lengths {
        let matrices = self.tile.places();
        // Whole register tiles, from any row on that a class of tiles may begin at; what is in rows beyond the last tile does
        // not matter.
        let mr = self.weights.tile_rows();
        let rows = tiles.next_multiple_of(mr)
            + if self.tile.extents()[0].filler.is_some() { mr } else { 0 };
        let operand = self.weights.operand();
        let input_stride = matrix_stride(self.weights.operand_len(rows), operand.size());
        let product_stride = matrix_stride(rows * self.width(), size_of::<f32>());
        // Lower parts of split operands, if any, are behind all others.
        let low_offset = matrices * input_stride;
        let inputs = (operand.planes() * low_offset * operand.size()).div_ceil(size_of::<f32>());
        let products = matrices * product_stride;
        Lengths { rows, input_stride, low_offset, product_stride, inputs, products }
    }

    /// Bytes of packed weights.
    pub(crate) fn packed_bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Whether weights are few enough to be read for each small group of tiles.
    pub(crate) fn has_small_groups(&self) -> bool {
        self.per_thread_group.is_some()
    }

    /// How so many images' tiles are divided into groups.
    fn groups(&self, images: usize, workers: Workers) -> Groups {
        let tiles = images * self.cover.count();
        let per_thread = match workers {
            // Its share of the space.
            Workers::OneOf(threads) => Some(self.per_thread_group.unwrap_or_else(|| {
                let mr = self.weights.tile_rows();
                (self.shared_group / threads / mr).max(2) * mr
            })),
            // With too few groups for all threads to have some, they share.
            Workers::Pool => (self.per_thread_group)
                .filter(|group| tiles.div_ceil(*group) >= 2 * workers.count()),
        };
        let sharing = if per_thread.is_some() { Sharing::Thread } else { Sharing::Pool };
        // As few groups as the space allows, and those of equal size.
        let count = tiles.div_ceil(per_thread.unwrap_or(self.shared_group)).max(1);
        let size = tiles.div_ceil(count).next_multiple_of(self.weights.tile_rows());
        Groups { tiles, size, count: tiles.div_ceil(size), sharing }
    }

    /// Bytes of what [`run`](Self::run) takes of the workspace for so many images.
    pub(crate) fn scratch(&self, workers: Workers, images: usize) -> WorkspaceBytes {
        let (groups, threads) = (self.groups(images, workers), workers.count());
        let Lengths { inputs, products, .. } = self.lengths(groups.size);
        let patch = 4 * self.tile.places() * self.geometry.input[2];
        match groups.sharing {
            // Of all threads, even if groups are few: what one step has used is lent to other steps.
            Sharing::Thread => WorkspaceBytes {
                per_thread_inputs: 4 * threads * inputs,
                per_thread_products: 4 * threads * products,
                patches: threads * patch,
                ..WorkspaceBytes::default()
            },
            Sharing::Pool => WorkspaceBytes {
                inputs: 4 * inputs,
                products: 4 * products,
                patches: threads * patch,
                ..WorkspaceBytes::default()
            },
        }
    }

    /// What runs.
    pub(crate) fn algorithm(&self) -> Algorithm {
        let (tile, kernel) = (self.tile.outputs(), self.tile.kernel());
        Algorithm::Winograd { tile, kernel, products: self.weights.operand() }
    }

    /// Columns of a row of products.
    fn width(&self) -> usize {
        self.weights.panels() * self.weights.tile_columns()
    }
}

/// Distance between matrices of `length` elements: whole cache lines, and not a multiple of the page, or else the writes
/// of a transform, one to each matrix, would all fall into the same set of the cache.
fn matrix_stride(length: usize, element: usize) -> usize {
    const LINE: usize = 64;
    const SETS: usize = 64;
    let lines = (length * element).div_ceil(LINE);
    (lines + (SETS + 1 - lines % SETS) % SETS) * LINE / element
}
