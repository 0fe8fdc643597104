//! Which algorithm runs a convolution, and what elements the layers can read and make.

use crate::bf16::Bf16Product;
use crate::blocked::{Blocked, Layout};
use crate::im2col::Im2col;
use crate::winograd::{Tile, Winograd};
use crate::{Conv2d, Isa, Layer, Precision};

/// What steps are planned for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) isa: Isa,
    pub(super) precision: Precision,
    /// Whether weights change and gradients are taken.
    pub(super) training: bool,
}

/// What runs a convolution, with the bf16 that it multiplies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Choice {
    Depthwise,
    Blocked(Bf16Product),
    Im2col(Bf16Product),
    Winograd(Tile, Option<Bf16Product>),
    Direct,
}

/// The algorithm for a convolution; `can_pool` says whether a pool may run with it. The rule:
///
/// 1. Depthwise: its own loops, bound by memory whatever they multiply.
/// 2. 3×3 of stride 1 with an output as large as the input, on matrix tiles with bf16: no transform (`Blocked::fits`). Their rate is so
///    high that transforms would take longer than the products they save.
/// 3. Other 3×3 of stride 1: Winograd's algorithm where channels are in sixteens and it saves products, in bf16 where there is a
///    unit for the precision.
/// 4. Any other kernel and stride, where there is such a unit: im2col with bf16, unless the layer has too few channels or
///    products (`Im2col::fits`).
/// 5. 5×5, 1×3, 3×1, 1×7 and 7×1 of stride 1 in f32: Winograd's algorithm, as for 3×3.
/// 6. What is left, and so all others in f32: implicit GEMM, which copies nothing and is as fast or faster
///    (docs/performance.md).
pub(super) fn choose(
    conv: &Conv2d,
    output: [usize; 3],
    residual: bool,
    can_pool: bool,
    target: Target,
) -> Choice {
    if !residual && is_depthwise(conv) {
        return Choice::Depthwise;
    }
    let bf16 = Bf16Product::of(target.isa, target.precision);
    if let Some(bf16) = bf16.filter(|bf16| Blocked::fits(conv, *bf16)) {
        return Choice::Blocked(bf16);
    }
    // Matrix tiles multiply long kernels faster than an image's tiles are transformed.
    let is_saved = |bf16: &Bf16Product| {
        !bf16.unit.has_tiles() && tile_for(conv, output, false, target).is_some()
    };
    if let Some(bf16) = bf16.filter(|bf16| Im2col::fits(conv) && !is_saved(bf16)) {
        return Choice::Im2col(bf16);
    }
    match tile_for(conv, output, can_pool, target) {
        Some((tile, bf16)) => Choice::Winograd(tile, bf16),
        None => Choice::Direct,
    }
}

/// Whether activations between steps are bf16 where the steps can: where products are of one bf16 anyway.
pub(super) fn keeps_bf16(Target { isa, precision, .. }: Target) -> bool {
    Bf16Product::of(isa, precision).is_some_and(|bf16| !bf16.is_split)
}

/// What the elements that a layer reads have to do with those that it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elements {
    /// It reads and makes f32.
    F32,
    /// It reads f32, and makes any.
    FromF32,
    /// It reads any and makes any, but what is added is as what is made.
    Any,
    /// All are alike.
    Alike,
}

impl Elements {
    /// Those of a layer with these shapes of input and output, where activations may be bf16.
    pub(super) fn of(
        layer: &Layer,
        [input, output]: [[usize; 3]; 2],
        residual: bool,
        target: Target,
    ) -> Self {
        match layer {
            Layer::Conv(conv) => match choose(conv, output, residual, false, target) {
                Choice::Depthwise => Self::Alike,
                Choice::Blocked(_) | Choice::Im2col(_) | Choice::Winograd(_, Some(_)) => Self::Any,
                Choice::Winograd(_, None) => Self::F32,
                // What is added is as what is made.
                Choice::Direct if residual => Self::F32,
                Choice::Direct => Self::FromF32,
            },
            Layer::MaxPool { .. }
            | Layer::AvgPool { .. }
            | Layer::Add { .. }
            | Layer::Affine { .. }
            | Layer::Activate(_)
            | Layer::Concat => Self::Alike,
            // It has pixels of other sizes.
            Layer::Flatten if input[2] % 2 == 0 && output[2] % 2 == 0 => Self::Alike,
            Layer::Flatten
            | Layer::GlobalAvgPool
            | Layer::GlobalMaxPool
            | Layer::Pad(_)
            | Layer::Softmax => Self::F32,
        }
    }
}

/// Whether channels are convolved each by itself.
pub(super) fn is_depthwise(conv: &Conv2d) -> bool {
    conv.groups > 1 && conv.groups == conv.in_channels && conv.groups == conv.out_channels
}

/// Whether a convolution's output has a window of the pool that follows, and nothing is added before.
pub(super) fn can_pool(output: [usize; 3], residual: bool) -> bool {
    !residual && output[0] >= 2 && output[1] >= 2
}

/// Whether an operation runs on blocks of channels.
pub(super) fn is_blocked(layer: &Layer, Target { isa, precision, .. }: Target) -> bool {
    let Layer::Conv(conv) = layer else { return false };
    Bf16Product::of(isa, precision).is_some_and(|bf16| Blocked::fits(conv, bf16))
}

/// How a layer on blocks of channels may leave an output of this shape for others of its kind, if it can.
pub(super) fn kept_layout(layer: &Layer, output: [usize; 3], target: Target) -> Option<Layout> {
    let Layer::Conv(conv) = layer else { return None };
    let bf16 = Bf16Product::of(target.isa, target.precision)?;
    Blocked::can_keep(conv).then(|| Layout::new(output, bf16.is_split))
}

/// Winograd's tile for a convolution, and the bf16 that it multiplies, if it does; none where another algorithm runs.
fn tile_for(
    conv: &Conv2d,
    output: [usize; 3],
    can_pool: bool,
    Target { isa, precision, training }: Target,
) -> Option<(Tile, Option<Bf16Product>)> {
    let bf16 = Bf16Product::of(isa, precision)
        .filter(|bf16| conv.in_channels.is_multiple_of(bf16.unit.step()));
    let tiles = match (training, precision) {
        (true, _) => Tiles::Training,
        (false, Precision::Highest) => Tiles::Highest,
        _ => Tiles::Any,
    };
    let tile = || best_tile(conv, output, can_pool, bf16.is_some(), tiles);
    Winograd::fits(conv).then(tile).flatten().map(|tile| (tile, bf16))
}

/// Which of Winograd's tiles may be taken: the larger, the more they round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tiles {
    /// Those of 3×3 kernels but F(6×6).
    Training,
    /// All but F(6×6): a few cuts of bases with drawn weights were 1.1e-5 off with it, which `highest` does not allow.
    Highest,
    Any,
}

/// The scheme with the fewest products for this image, or none where the direct algorithm has no more. Whole tiles are
/// counted: on small images larger ones waste more. Larger tiles round more too: only f32 products allow all of `tiles`, and bf16
/// products F(4×4) on few channels, where it saves most.
fn best_tile(
    conv: &Conv2d,
    output: [usize; 3],
    can_pool: bool,
    bf16: bool,
    tiles: Tiles,
) -> Option<Tile> {
    let outputs = [output[0], output[1]];
    let may_be = |tile: &Tile| match tile {
        Tile::Two | Tile::Three => true,
        Tile::Four => !bf16 || conv.in_channels <= PAIR_FOUR_CHANNELS,
        Tile::Six => {
            !bf16 && tiles == Tiles::Any && conv.in_channels * conv.out_channels <= SIX_KERNELS
        }
        // Its points are the farthest apart: Inception V3 was off by more than `medium` promises.
        Tile::SevenAcross | Tile::SevenDown => !bf16 && tiles != Tiles::Training,
        _ => tiles != Tiles::Training,
    };
    let direct = conv.kernel[0] * conv.kernel[1] * output[0] * output[1];
    Tile::ALL
        .into_iter()
        .filter(|tile| tile.kernel() == conv.kernel && may_be(tile))
        .map(|tile| (tile.products(outputs, can_pool && tile.can_pool()), tile))
        .min_by_key(|(products, _)| *products)
        .filter(|(products, _)| *products < direct)
        .map(|(_, tile)| tile)
}

/// The scheme for the gradient of a convolution's kernel, or none where Winograd's algorithm does not fit or saves nothing.
/// Without F(6×6): sums over all pixels of a batch are rounded more than those over channels.
pub(crate) fn gradient_tile(conv: &Conv2d, output: [usize; 3]) -> Option<Tile> {
    let tile = || best_tile(conv, output, false, false, Tiles::Training);
    Winograd::fits(conv).then(tile).flatten()
}

/// Pairs of channels up to which F(6×6) is taken. Its weights are 64 values a pair: with more of them, what fewer products save is
/// lost by reading 67 MB a layer (docs/performance.md).
const SIX_KERNELS: usize = 256 * 256;

/// Input channels up to which F(4×4) is taken with bf16 products: up to here the base's error stays well within the
/// bounds of `high` and `medium`; with F(4×4) throughout it reached nine tenths of that of `medium`.
const PAIR_FOUR_CHANNELS: usize = 128;
