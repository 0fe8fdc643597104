//! 3×3 convolutions of stride 1 by Winograd's minimal filtering: tiles of the image are transformed, multiplied
//! channel by channel in the transformed space (n² ordinary matrix products), and transformed back, with bias, ReLU
//! and pool. Tiles go through in groups, so that what lies between the three steps stays in cache.

mod input;
mod output;
mod product;
pub(crate) mod scheme;
mod weights;

use std::marker::PhantomData;

use crate::Isa;
use crate::bf16::{Blocks, NR, Operand, Panels16, Rounded, Split, Unit, Whole};
use crate::gemm::Panels;
use crate::layer::{Activation, Conv2d, Padding};
use crate::memory::{Buffer, Pool, Shared};
use crate::parallel::{for_each, part};
use crate::place::Place;
use crate::simd::{self, dispatch};
use crate::workspace::{Workspace, WorkspaceBytes};
use input::InputTask;
use output::OutputTask;
use product::{PairProductTask, ProductTask};
use scheme::{F2, F3, F4, F6, Scheme};

/// Which scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tile {
    Two,
    Three,
    Four,
    Six,
}

impl Tile {
    pub(crate) const ALL: [Self; 4] = [Self::Two, Self::Three, Self::Four, Self::Six];

    /// Outputs a side.
    pub(crate) fn outputs(self) -> usize {
        match self {
            Self::Two => F2::M,
            Self::Three => F3::M,
            Self::Four => F4::M,
            Self::Six => F6::M,
        }
    }

    /// Inputs a side.
    pub(crate) fn inputs(self) -> usize {
        self.outputs() + 2
    }
}

/// Sizes of the layer, and the tiles in it.
#[derive(Debug)]
struct Geometry {
    /// Height, width, channels of the input.
    input: [usize; 3],
    /// The same of the convolution's output, before the pool.
    output: [usize; 3],
    padding: Padding,
    activation: Activation,
    pool: bool,
    /// Tiles down and across.
    tiles: [usize; 2],
}

impl Geometry {
    /// Image, row and column of a tile.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let [down, across] = self.tiles;
        (tile / (down * across), tile / across % down, tile % across)
    }
}

/// A convolution packed for one scheme and instruction set.
#[derive(Debug)]
pub(crate) struct Winograd {
    isa: Isa,
    tile: Tile,
    geometry: Geometry,
    weights: Weights,
    /// How transformed inputs lie.
    blocks: Blocks,
    /// Rows of the register tile, and columns.
    mr: usize,
    nr: usize,
    bias: Buffer,
    /// Tiles a group at most, where all threads share its work.
    group: usize,
    /// The same where each thread has groups of its own; none where weights are too many to be read for each.
    own_group: Option<usize>,
}

/// What is convolved, what is added, and where it goes.
#[derive(Debug, Clone, Copy)]
struct Images<'a> {
    count: usize,
    input: &'a [f32],
    residual: Option<&'a [f32]>,
    output: Place,
}

/// Sizes of a group's transformed space.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    /// Of each matrix.
    rows: usize,
    /// Elements from one matrix of inputs to the next, and to that of its lower parts.
    from_slice: usize,
    low: usize,
    /// f32 from one matrix of products to the next.
    to_slice: usize,
    /// f32 of all inputs, and of all products.
    inputs: usize,
    products: usize,
}

/// How tiles are cut into groups.
#[derive(Debug, Clone, Copy)]
struct Groups {
    /// Of all images.
    tiles: usize,
    /// Of all groups but the last, in whole register tiles.
    size: usize,
    count: usize,
    /// Whether each thread takes groups of its own, or all of them share each group.
    own: bool,
}

/// Transformed weights, one matrix a place of the transformed tile.
#[derive(Debug)]
enum Weights {
    Whole(Vec<Panels>),
    Pairs { unit: Unit, split: bool, panels: Vec<Panels16> },
}

/// What multiplies bf16, and whether operands are the sum of two.
pub(crate) type Bf16 = (Unit, bool);

/// The transformed space of a group: inputs and products.
#[derive(Debug, Default)]
pub(crate) struct Space {
    inputs: Buffer,
    products: Buffer,
}

/// Transformed inputs and products of a group that threads share take at most so much: it lies in the last-level cache.
const SPACE_BYTES: usize = 12 << 20;
/// The same for a thread's own group, which lies in the second-level cache.
const OWN_SPACE_BYTES: usize = 1 << 20;
/// Weights up to which small groups pay. They are read once a group, from the last-level cache.
const OWN_WEIGHT_BYTES: usize = 5 << 18;

impl Winograd {
    /// Whether such a layer can run so: 3×3, stride 1, one group, channels in whole vectors.
    pub(crate) fn fits(conv: &Conv2d) -> bool {
        let Padding { top, left, bottom, right } = conv.padding;
        conv.kernel == [3, 3]
            && conv.stride == [1, 1]
            && conv.groups == 1
            && [top, left, bottom, right].iter().all(|n| *n <= 2)
            && conv.in_channels.is_multiple_of(16)
            && conv.out_channels.is_multiple_of(16)
    }

    /// Whether the scheme's tiles hold whole windows of the pool.
    pub(crate) fn can_pool(tile: Tile) -> bool {
        tile.outputs().is_multiple_of(2)
    }

    /// Packs a layer that [`fits`](Self::fits); `pool` fuses a 2×2 max-pool of stride 2.
    pub(crate) fn new(
        conv: &Conv2d,
        input: [usize; 3],
        output: [usize; 3],
        pool: bool,
        tile: Tile,
        isa: Isa,
        bf16: Option<Bf16>,
    ) -> Self {
        let shape = simd::shape(isa);
        let matrices = match tile {
            Tile::Two => transform::<F2>(conv),
            Tile::Three => transform::<F3>(conv),
            Tile::Four => transform::<F4>(conv),
            Tile::Six => transform::<F6>(conv),
        };
        let (ic, oc) = (conv.in_channels, conv.out_channels);
        let at = |values: &[f32], row: usize, column: usize| values[column * ic + row];
        let (weights, blocks, mr, nr) = match bf16 {
            Some((unit, split)) => {
                let pack = |v: &Vec<f32>| Panels16::pack(ic, oc, split, |row, col| at(v, row, col));
                let panels = matrices.iter().map(pack).collect();
                (Weights::Pairs { unit, split, panels }, unit.blocks(ic), unit.mr(), NR)
            }
            None => {
                let pack =
                    |v: &Vec<f32>| Panels::pack(ic, oc, shape.nr, |row, col| at(v, row, col));
                let panels = matrices.iter().map(pack).collect();
                (Weights::Whole(panels), product::blocks(ic), shape.block_mr, shape.nr)
            }
        };
        let mut bias = Buffer::zeroed(conv.out_channels);
        bias.as_mut_slice().copy_from_slice(&conv.bias);
        let m = tile.outputs();
        let geometry = Geometry {
            input,
            output,
            padding: conv.padding,
            activation: conv.activation,
            pool,
            tiles: [output[0].div_ceil(m), output[1].div_ceil(m)],
        };
        let mut plan =
            Self { isa, tile, geometry, weights, blocks, mr, nr, bias, group: 0, own_group: None };
        // Two register tiles at least, or else weights would be read too often.
        let group = |space: usize| (space / plan.space_bytes(mr)).max(2) * mr;
        let own = plan.packed_bytes() <= OWN_WEIGHT_BYTES;
        (plan.group, plan.own_group) = (group(SPACE_BYTES), own.then(|| group(OWN_SPACE_BYTES)));
        plan
    }

    /// Bytes of the transformed inputs and products of so many tiles.
    fn space_bytes(&self, tiles: usize) -> usize {
        let lengths = self.lengths(tiles);
        4 * (lengths.inputs + lengths.products)
    }

    /// Sizes of a group's space.
    fn lengths(&self, tiles: usize) -> Lengths {
        let matrices = self.tile.inputs() * self.tile.inputs();
        // Whole register tiles; what lies in rows beyond the last tile does not matter.
        let rows = tiles.next_multiple_of(self.mr);
        let (element, planes) = match &self.weights {
            Weights::Whole(_) => (size_of::<f32>(), 1),
            Weights::Pairs { split, .. } => (size_of::<u16>(), if *split { 2 } else { 1 }),
        };
        let from_slice = slice(self.blocks.len(rows, self.geometry.input[2]), element);
        let to_slice = slice(rows * self.width(), size_of::<f32>());
        // Lower parts of split operands, if any, lie behind all others.
        let low = matrices * from_slice;
        let inputs = (planes * low * element).div_ceil(size_of::<f32>());
        Lengths { rows, from_slice, low, to_slice, inputs, products: matrices * to_slice }
    }

    /// Bytes of packed weights.
    pub(crate) fn packed_bytes(&self) -> usize {
        match &self.weights {
            Weights::Whole(panels) => panels.iter().map(Panels::bytes).sum(),
            Weights::Pairs { panels, .. } => panels.iter().map(Panels16::bytes).sum(),
        }
    }

    /// How so many images' tiles are cut into groups for so many threads.
    fn groups(&self, images: usize, threads: usize) -> Groups {
        let tiles = images * self.geometry.tiles[0] * self.geometry.tiles[1];
        // With too few groups for all threads to have some, they share.
        let own = self.own_group.filter(|group| tiles.div_ceil(*group) >= 2 * threads);
        // As few groups as the space allows, and those of equal size.
        let count = tiles.div_ceil(own.unwrap_or(self.group)).max(1);
        let size = tiles.div_ceil(count).next_multiple_of(self.mr);
        Groups { tiles, size, count: tiles.div_ceil(size), own: own.is_some() }
    }

    /// Bytes of what [`run`](Self::run) takes of the workspace for so many images.
    pub(crate) fn scratch(&self, threads: usize, images: usize) -> WorkspaceBytes {
        let groups = self.groups(images, threads);
        let Lengths { inputs, products, .. } = self.lengths(groups.size);
        let patch = 4 * self.tile.inputs() * self.tile.inputs() * self.geometry.input[2];
        if groups.own {
            let threads = threads.min(groups.count);
            WorkspaceBytes {
                own_inputs: 4 * threads * inputs,
                own_products: 4 * threads * products,
                patches: threads * patch,
                ..WorkspaceBytes::default()
            }
        } else {
            WorkspaceBytes {
                inputs: 4 * inputs,
                products: 4 * products,
                patches: threads.min(groups.size) * patch,
                ..WorkspaceBytes::default()
            }
        }
    }

    /// What runs.
    pub(crate) fn describe(&self) -> String {
        let m = self.tile.outputs();
        let products = match &self.weights {
            Weights::Whole(_) => "",
            Weights::Pairs { split: false, .. } => ", bf16",
            Weights::Pairs { split: true, .. } => ", 3 x bf16",
        };
        format!("winograd F({m}x{m}, 3x3){products}")
    }

    /// Columns of a row of products.
    fn width(&self) -> usize {
        self.geometry.output[2].next_multiple_of(self.nr)
    }

    /// Convolves `images` images; lengths were checked by the network. `residual` is added before the activation.
    pub(crate) fn run(
        &self,
        images: usize,
        input: &[f32],
        residual: Option<&[f32]>,
        output: Place,
        workspace: &Workspace,
    ) {
        let images = Images { count: images, input, residual, output };
        match self.tile {
            Tile::Two => self.run_scheme::<F2>(images, workspace),
            Tile::Three => self.run_scheme::<F3>(images, workspace),
            Tile::Four => self.run_scheme::<F4>(images, workspace),
            Tile::Six => self.run_scheme::<F6>(images, workspace),
        }
    }

    fn run_scheme<F: Scheme>(&self, images: Images<'_>, workspace: &Workspace) {
        let threads = rayon::current_num_threads();
        let Groups { tiles: total, size, count, own } = self.groups(images.count, threads);
        let share = !own && threads > 1;
        let run = |index: usize| {
            let tiles = index * size..((index + 1) * size).min(total);
            let spaces = if own { &workspace.own_spaces } else { &workspace.spaces };
            spaces.with(|space| {
                let patches = &workspace.patches;
                match &self.weights {
                    Weights::Whole(_) => {
                        self.group::<F, Whole>(tiles, images, space, patches, share);
                    }
                    Weights::Pairs { split: false, .. } => {
                        self.group::<F, Rounded>(tiles, images, space, patches, share);
                    }
                    Weights::Pairs { split: true, .. } => {
                        self.group::<F, Split>(tiles, images, space, patches, share);
                    }
                }
            });
        };
        if own {
            for_each(count, run);
        } else {
            (0..count).for_each(run);
        }
    }

    /// One group of tiles through the three steps; where threads `share` it, each is cut into tasks for all of the pool.
    fn group<F: Scheme, O: Operand>(
        &self,
        tiles: std::ops::Range<usize>,
        images: Images<'_>,
        space: &mut Space,
        patches: &Pool<Buffer>,
        share: bool,
    ) {
        let g = &self.geometry;
        let (channels, width, blocks) = (g.input[2], self.width(), self.blocks);
        let matrices = F::N * F::N;
        let Lengths { rows, from_slice, low, to_slice, inputs, products } =
            self.lengths(tiles.len());
        space.inputs.reserve(inputs);
        space.products.reserve(products);
        let (inputs, products) =
            (Shared(space.inputs.as_mut_ptr()), Shared(space.products.as_mut_ptr()));
        let tasks = if share { 4 * rayon::current_num_threads() } else { 1 };
        let cuts = tasks.min(tiles.len());
        let cut = |index: usize| {
            let part = part(tiles.len(), cuts, index);
            tiles.start + part.start..tiles.start + part.end
        };
        let each = |count: usize, task: &(dyn Fn(usize) + Sync)| {
            if share { for_each(count, task) } else { (0..count).for_each(task) }
        };
        each(cuts, &|index| {
            patches.with(|patch| {
                let task = InputTask::<F, O> {
                    geometry: g,
                    images: images.input,
                    tiles: cut(index),
                    base: tiles.start,
                    rows,
                    blocks,
                    to: inputs.get().cast(),
                    slice: from_slice,
                    low,
                    patch,
                    scheme: PhantomData,
                };
                // SAFETY: `lengths` of this group's tiles sized the space just above, `slice` and `low` are its; each
                // task has tiles, and so rows, of its own. `Network::new` makes plans only for an `isa` that was
                // detected.
                unsafe { dispatch(self.isa, task) }
            });
        });
        let panels = width / self.nr;
        let parts = if share { tasks.div_ceil(matrices).max(2).min(panels) } else { 1 };
        each(matrices * parts, &|index| {
            let matrix = index / parts;
            let panels = part(panels, parts, index % parts);
            // SAFETY: `lengths` made room for n² matrices so far apart, and `matrix` is below n². (`run_scheme` pairs
            // operands with weights, so elements are as wide as the products take them.)
            let (from, to) = unsafe {
                let from = inputs.get().cast::<O::Unit>().add(matrix * from_slice);
                (from, products.get().add(matrix * to_slice))
            };
            match &self.weights {
                Weights::Whole(weights) => {
                    let task = ProductTask {
                        weights: &weights[matrix],
                        panels,
                        tiles: tiles.len(),
                        rows,
                        blocks,
                        channels,
                        from: from.cast(),
                        to,
                        width,
                    };
                    // SAFETY: the inputs' tasks have ended, so all rows are set; `lengths` rounded rows up to whole
                    // register tiles and columns to whole panels; tasks have matrices and panels of their own. `isa`
                    // was detected.
                    unsafe { dispatch(self.isa, task) }
                }
                Weights::Pairs { unit, split, panels: weights } => {
                    let task = PairProductTask {
                        unit: *unit,
                        split: *split,
                        weights: &weights[matrix],
                        panels,
                        rows,
                        blocks,
                        channels,
                        from: from.cast(),
                        low,
                        to,
                        width,
                    };
                    // SAFETY: as for whole operands; what is `low` further on is read only where operands
                    // are split, and `lengths` made room for it there. `Unit::of` gives the unit of an instruction set that was detected.
                    unsafe { task.run() }
                }
            }
        });
        each(cuts, &|index| {
            let task = OutputTask::<F> {
                geometry: g,
                tiles: cut(index),
                base: tiles.start,
                from: products.get(),
                slice: to_slice,
                width,
                bias: self.bias.as_slice(),
                residual: images.residual,
                out: images.output,
                scheme: PhantomData,
            };
            // SAFETY: the products' tasks have ended, so all rows are set; `Network::run` checked that `output` has room
            // for all images; a tile's outputs are its own. `isa` was detected.
            unsafe { dispatch(self.isa, task) }
        });
    }
}

/// Distance between matrices of `length` elements: whole cache lines, and not a multiple of the page, or else the writes
/// of a transform, one to each matrix, would all fall into the same set of the cache.
fn slice(length: usize, element: usize) -> usize {
    const LINE: usize = 64;
    const SETS: usize = 64;
    let lines = (length * element).div_ceil(LINE);
    (lines + (SETS + 1 - lines % SETS) % SETS) * LINE / element
}

/// G g Gᵀ of all kernels: for each place of the transformed tile a matrix of output by input channels.
fn transform<F: Scheme>(conv: &Conv2d) -> Vec<Vec<f32>> {
    let kernels = conv.weight.chunks_exact(9);
    let mut transformed: Vec<Vec<f32>> = vec![Vec::with_capacity(kernels.len()); F::N * F::N];
    for kernel in kernels {
        for (matrix, value) in transformed.iter_mut().zip(weights::transform::<F>(kernel)) {
            matrix.push(value);
        }
    }
    transformed
}
