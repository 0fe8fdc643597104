use crate::bf16::Bf16Product;
use crate::blocked::{Blocked, Layout};
use crate::depthwise::Depthwise;
use crate::direct::Direct;
pub(super) use crate::direct::is_flat;
use crate::elementwise::{self, PixelTask, Pixelwise};
use crate::im2col::Im2col;
use crate::parallel::{chunk_range, for_each};
use crate::place::Place;
use crate::pool::{PoolKind, Windows};
use crate::simd::{Element, Form};
use crate::strips::{Pointwise, Strips};
use crate::winograd::{Tile, Winograd};
use crate::workspace::{Workspace, WorkspaceBytes};
use crate::{Activation, Algorithm, Conv2d, Isa, Layer, Padding, Precision};

/// One or two layers with the algorithm that runs them.
#[derive(Debug)]
pub(super) struct Step {
    kind: Kind,
    isa: Isa,
    /// What it reads; of most layers what they make, too.
    form: Form,
    /// What it covers, for people.
    label: String,
    /// Of the first thing that it reads.
    pub(super) input: [usize; 3],
    pub(super) output: [usize; 3],
}

#[derive(Debug)]
enum Kind {
    Blocked(Blocked),
    Direct(Direct),
    Depthwise(Depthwise),
    Im2col(Im2col),
    Winograd(Box<Winograd>),
    Strips(Box<Strips>),
    Alike(Alike),
    GlobalAvgPool,
    GlobalMaxPool,
    Pad(Padding),
    Softmax,
}

/// What makes such elements as it reads.
#[derive(Debug)]
enum Alike {
    Pool { kind: PoolKind, size: [usize; 2], stride: [usize; 2], padding: Padding },
    Add { scale: f32, activation: Activation },
    Affine { scale: Vec<f32>, shift: Vec<f32>, activation: Activation },
    Activate(Activation),
    Copy,
}

/// Activations of a step, in and out, that a group may hold: within the last-level cache of most processors.
const GROUP_BYTES: usize = 6 << 20;

/// What steps are planned for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) isa: Isa,
    pub(super) precision: Precision,
    /// Whether weights change and gradients are taken.
    pub(super) training: bool,
}

/// A convolution with the shapes of what it reads and makes.
pub(super) type Shaped<'a> = (&'a Conv2d, [[usize; 3]; 2]);

/// The pool that the step of a convolution may take with it, and its output.
pub(super) type NextPool<'a> = Option<(&'a Layer, [usize; 3])>;

/// What is around a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    /// Whether something is added before the activation.
    pub(super) residual: bool,
    pub(super) next: NextPool<'a>,
    /// How input and output are kept, where that is not pixel by pixel.
    pub(super) layouts: [Option<Layout>; 2],
    /// What both are, where it is.
    pub(super) forms: [Form; 2],
}

impl Step {
    /// Plans a checked layer, and says whether the pool that follows is in it.
    pub(super) fn new(
        layer: &Layer,
        [input, output]: [[usize; 3]; 2],
        around: Around<'_>,
        target: Target,
    ) -> (Self, bool) {
        let Around { residual, next, .. } = around;
        let isa = target.isa;
        let mut pooled = false;
        let kind = match layer {
            Layer::Conv(conv) => {
                let kind;
                (kind, pooled) = choose(conv, [input, output], around, target);
                kind
            }
            Layer::MaxPool { size, stride, padding } => {
                let (size, stride, padding) = (*size, *stride, *padding);
                Kind::Alike(Alike::Pool { kind: PoolKind::Max, size, stride, padding })
            }
            Layer::AvgPool { size, stride, padding, count_padding } => {
                let (size, stride, padding) = (*size, *stride, *padding);
                let kind = PoolKind::Avg { count_padding: *count_padding };
                Kind::Alike(Alike::Pool { kind, size, stride, padding })
            }
            Layer::GlobalAvgPool => Kind::GlobalAvgPool,
            Layer::GlobalMaxPool => Kind::GlobalMaxPool,
            Layer::Add { scale, activation } => {
                Kind::Alike(Alike::Add { scale: *scale, activation: *activation })
            }
            Layer::Affine { scale, shift, activation } => {
                let (scale, shift, activation) = (scale.clone(), shift.clone(), *activation);
                Kind::Alike(Alike::Affine { scale, shift, activation })
            }
            Layer::Activate(activation) => Kind::Alike(Alike::Activate(*activation)),
            Layer::Pad(padding) => Kind::Pad(*padding),
            Layer::Concat | Layer::Flatten => Kind::Alike(Alike::Copy),
            Layer::Softmax => Kind::Softmax,
        };
        let mut label = name(layer);
        if residual {
            label += " + residual";
        }
        let mut step = Self { kind, isa, form: around.forms[0], label, input, output };
        if let (true, Some((pool, output))) = (pooled, next) {
            step.label += &format!(" + {}", name(pool));
            step.output = output;
        }
        (step, pooled)
    }

    /// Joins a depthwise convolution (see [`is_depthwise`]) with the 1×1 convolution after it and perhaps the one before it
    /// ([`is_flat`]). `residual` says whether something is added before the last activation. Forms are those of what is read, of what
    /// is between the convolutions, and of the output.
    pub(super) fn strips(
        expand: Option<Shaped<'_>>,
        depthwise: Shaped<'_>,
        project: Shaped<'_>,
        residual: bool,
        [from, between, to]: [Form; 3],
        target: Target,
    ) -> Self {
        let names = [expand, Some(depthwise), Some(project)];
        let names = names.into_iter().flatten().map(|(conv, _)| conv_name(conv));
        let mut label = names.collect::<Vec<_>>().join(" + ");
        if residual {
            label += " + residual";
        }
        let isa = target.isa;
        let packed = |(conv, [input, output]): Shaped<'_>, [from, to]: [Form; 2]| match multiplies(
            conv, output, target,
        ) {
            Some(bf16) => Pointwise::Im2col(Im2col::new(conv, input, output, from, isa, bf16)),
            None => Pointwise::Direct(Direct::new(conv, input, output, false, to, isa)),
        };
        let (conv, [input, output]) = depthwise;
        let middle = Depthwise::new(conv, input, output, between, isa);
        let first = expand.map(|expand| packed(expand, [from, between]));
        let strips = Strips::new(from, first, middle, packed(project, [between, to]));
        let input = expand.map_or(input, |(_, [input, _])| input);
        let (kind, output) = (Kind::Strips(Box::new(strips)), project.1[1]);
        Self { kind, isa, form: from, label, input, output }
    }

    /// A copy into a place of its own: of what a concatenation joins, where it could not be written there at once.
    pub(super) fn copy(shape: [usize; 3], form: Form, isa: Isa) -> Self {
        let label = "copy".to_owned();
        Self { kind: Kind::Alike(Alike::Copy), isa, form, label, input: shape, output: shape }
    }

    pub(super) fn input_len(&self) -> usize {
        self.input.iter().product()
    }

    /// Images at a time, at most, whose activations stay in cache.
    pub(super) fn group(&self) -> usize {
        let output: usize = self.output.iter().product();
        match &self.kind {
            Kind::Blocked(blocked) => blocked.group(),
            _ => {
                let values = self.input_len() + output;
                GROUP_BYTES / (size_of::<f32>() * self.form.words(values)).max(1)
            }
        }
    }

    pub(super) fn describe(&self) -> String {
        let [h, w, c] = self.output;
        format!("{} -> {h}x{w}x{c}: {}", self.label, self.algorithm())
    }

    /// What runs, without sizes.
    pub(super) fn algorithm(&self) -> Algorithm {
        match &self.kind {
            Kind::Blocked(blocked) => blocked.algorithm(),
            Kind::Direct(_) => Algorithm::Direct,
            Kind::Depthwise(_) => Algorithm::Depthwise,
            Kind::Strips(strips) => strips.algorithm(),
            Kind::Im2col(im2col) => im2col.algorithm(),
            Kind::Winograd(winograd) => winograd.algorithm(),
            Kind::Alike(Alike::Pool { kind: PoolKind::Max, .. }) => Algorithm::MaxPool,
            Kind::Alike(Alike::Pool { .. }) => Algorithm::AveragePool,
            Kind::GlobalAvgPool => Algorithm::GlobalAveragePool,
            Kind::GlobalMaxPool => Algorithm::GlobalMaxPool,
            Kind::Alike(Alike::Add { .. }) => Algorithm::Add,
            Kind::Alike(Alike::Affine { .. }) => Algorithm::Affine,
            Kind::Alike(Alike::Activate(_)) => Algorithm::Activation,
            Kind::Pad(_) => Algorithm::Pad,
            Kind::Alike(Alike::Copy) => Algorithm::Copy,
            Kind::Softmax => Algorithm::Softmax,
        }
    }

    /// Gives a convolution by Winograd's algorithm in f32 other weights, (height, width, inputs, outputs), and biases; false for
    /// all others.
    pub(super) fn set_weights(&mut self, kernel: &[f32], bias: &[f32]) -> bool {
        match &mut self.kind {
            Kind::Winograd(winograd) => winograd.set_weights(kernel, bias),
            _ => false,
        }
    }

    pub(super) fn packed_bytes(&self) -> usize {
        match &self.kind {
            Kind::Blocked(blocked) => blocked.packed_bytes(),
            Kind::Direct(direct) => direct.packed_bytes(),
            Kind::Depthwise(depthwise) => depthwise.packed_bytes(),
            Kind::Strips(strips) => strips.packed_bytes(),
            Kind::Im2col(im2col) => im2col.packed_bytes(),
            Kind::Winograd(winograd) => winograd.packed_bytes(),
            Kind::Alike(Alike::Affine { scale, shift, .. }) => {
                size_of::<f32>() * (scale.len() + shift.len())
            }
            _ => 0,
        }
    }

    pub(super) fn scratch(&self, threads: usize, images: usize) -> WorkspaceBytes {
        match &self.kind {
            Kind::Blocked(blocked) => blocked.scratch(threads, images),
            Kind::Direct(direct) => direct.scratch(threads, images),
            Kind::Strips(strips) => strips.scratch(threads),
            Kind::Im2col(im2col) => im2col.scratch(threads, images),
            Kind::Winograd(winograd) => winograd.scratch(threads, images),
            _ => WorkspaceBytes::default(),
        }
    }

    /// Runs `images` images. `input` and `second` (what is added, if anything) are exactly theirs; `to` has room for them.
    pub(super) fn run(
        &self,
        images: usize,
        input: &[f32],
        second: Option<&[f32]>,
        to: Place,
        workspace: &Workspace,
    ) {
        match &self.kind {
            Kind::Blocked(blocked) => blocked.run(images, input, second, to, workspace),
            Kind::Direct(direct) => direct.run(images, input, second, to, workspace),
            Kind::Depthwise(depthwise) => depthwise.run(images, input, to),
            Kind::Strips(strips) => strips.run(images, input, second, to, workspace),
            Kind::Im2col(im2col) => im2col.run(images, input, second, to, workspace),
            Kind::Winograd(winograd) => winograd.run(images, input, second, to, workspace),
            Kind::Alike(alike) => match self.form {
                Form::F32 => self.run_alike(alike, images, input, second, to),
                Form::Bf16 => {
                    self.run_alike(alike, images, u16::of(input), second.map(u16::of), to);
                }
            },
            Kind::GlobalAvgPool => self.each_image(images, input, to, elementwise::channel_means),
            Kind::GlobalMaxPool => self.each_image(images, input, to, elementwise::channel_maxima),
            Kind::Pad(padding) => self.pad(images, *padding, input, to),
            Kind::Softmax => {
                let [h, w, channels] = self.output;
                for_each(images * h * w, |pixel| {
                    // SAFETY: only this task writes the pixel's channels.
                    let to = unsafe { std::slice::from_raw_parts_mut(to.pixel(pixel), channels) };
                    elementwise::softmax(&input[pixel * channels..][..channels], to);
                });
            }
        }
    }

    fn run_alike<E: Element>(
        &self,
        alike: &Alike,
        images: usize,
        input: &[E],
        second: Option<&[E]>,
        to: Place,
    ) {
        match alike {
            Alike::Pool { kind, size, stride, padding } => {
                let [oh, ow, _] = self.output;
                for_each(images * oh, |row| {
                    let image = row / oh * self.input_len();
                    // SAFETY: row `row` of all images' rows is inside the output, and only this task writes it; the layer
                    // was checked, so every window has a pixel of the image.
                    unsafe {
                        let job = Windows {
                            kind: *kind,
                            image: &input[image..image + self.input_len()],
                            input: self.input,
                            size: *size,
                            step: *stride,
                            padding: *padding,
                            y: row % oh,
                            columns: ow,
                            to: to.pixel::<E>(row * ow),
                            stride: to.stride,
                        };
                        E::dispatch(self.isa, job);
                    }
                });
            }
            Alike::Add { scale, activation } => {
                let second = second.unwrap_or_default();
                self.pixelwise(images, Pixelwise::Add(second, *scale), *activation, input, to);
            }
            Alike::Affine { scale, shift, activation } => {
                self.pixelwise(images, Pixelwise::Affine(scale, shift), *activation, input, to);
            }
            Alike::Activate(activation) => {
                self.pixelwise(images, Pixelwise::Copy, *activation, input, to);
            }
            Alike::Copy => self.pixelwise(images, Pixelwise::Copy, Activation::None, input, to),
        }
    }

    /// One pixel of output for each image.
    fn each_image(
        &self,
        images: usize,
        input: &[f32],
        to: Place,
        reduce: impl Fn(&[f32], usize, &mut [f32]) + Sync + Send,
    ) {
        let (length, channels) = (self.input_len(), self.output[2]);
        for_each(images, |image| {
            // SAFETY: only this task writes the image's pixel.
            let to = unsafe { std::slice::from_raw_parts_mut(to.pixel(image), channels) };
            reduce(&input[image * length..][..length], channels, to);
        });
    }

    fn pixelwise<E: Element>(
        &self,
        images: usize,
        kind: Pixelwise<'_, E>,
        activation: Activation,
        input: &[E],
        to: Place,
    ) {
        let [h, w, channels] = self.output;
        let pixels = images * h * w;
        let cuts = (4 * rayon::current_num_threads()).min(pixels);
        for_each(cuts, |index| {
            let range = chunk_range(pixels, cuts, index);
            let (first, last) = (range.start, range.end);
            // SAFETY: tasks have pixels of their own, all inside the output.
            unsafe {
                let job = PixelTask { kind, activation, input, channels, first, last, to };
                E::dispatch(self.isa, job);
            }
        });
    }

    fn pad(&self, images: usize, padding: Padding, input: &[f32], to: Place) {
        let ([h, w, channels], [oh, ow, _]) = (self.input, self.output);
        for_each(images * oh, |row| {
            let (image, y) = (row / oh, (row % oh).wrapping_sub(padding.top));
            for x in 0..ow {
                let from = x.wrapping_sub(padding.left);
                // SAFETY: only this task writes this row of output.
                let to =
                    unsafe { std::slice::from_raw_parts_mut(to.pixel(row * ow + x), channels) };
                if y < h && from < w {
                    let at = ((image * h + y) * w + from) * channels;
                    to.copy_from_slice(&input[at..at + channels]);
                } else {
                    to.fill(0.0);
                }
            }
        });
    }
}

/// The algorithm for a convolution, and whether it takes the pool that follows with it. The rule:
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
fn choose(
    conv: &Conv2d,
    [input, output]: [[usize; 3]; 2],
    Around { residual, next, layouts, forms: [from, to] }: Around<'_>,
    target: Target,
) -> (Kind, bool) {
    let Target { isa, precision, .. } = target;
    let can_pool = next.is_some() && can_pool(output, residual);
    if !residual && is_depthwise(conv) {
        return (Kind::Depthwise(Depthwise::new(conv, input, output, from, isa)), false);
    }
    let bf16 = Bf16Product::of(isa, precision);
    let blocked = |bf16| Blocked::new(conv, input, can_pool, isa, bf16, layouts, from);
    if let Some(blocked) = bf16.and_then(blocked) {
        return (Kind::Blocked(blocked), can_pool);
    }
    if let Some(bf16) = multiplies(conv, output, target) {
        return (Kind::Im2col(Im2col::new(conv, input, output, from, isa, bf16)), false);
    }
    if let Some((tile, bf16)) = tile_for(conv, output, can_pool, target) {
        let pool = can_pool && tile.can_pool();
        let plan = Winograd::new(conv, [input, output], pool, tile, from, isa, bf16);
        return (Kind::Winograd(Box::new(plan)), pool);
    }
    (Kind::Direct(Direct::new(conv, input, output, can_pool, to, isa)), can_pool)
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
            Layer::Conv(conv) if !residual && is_depthwise(conv) => Self::Alike,
            Layer::Conv(_) if is_blocked(layer, target) => Self::Any,
            Layer::Conv(conv) if multiplies(conv, output, target).is_some() => Self::Any,
            Layer::Conv(conv) => match tile_for(conv, output, false, target) {
                Some((_, Some(_))) => Self::Any,
                Some((_, None)) => Self::F32,
                // What is added is as what is made.
                None if residual => Self::F32,
                None => Self::FromF32,
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

/// The bf16 products that run a convolution which is neither on blocks of channels nor Winograd's, if they do. Matrix tiles multiply
/// long kernels faster than an image's tiles are transformed.
fn multiplies(conv: &Conv2d, output: [usize; 3], target: Target) -> Option<Bf16Product> {
    let bf16 = Bf16Product::of(target.isa, target.precision).filter(|_| Im2col::fits(conv))?;
    let is_saved = !bf16.unit.has_tiles() && tile_for(conv, output, false, target).is_some();
    (!is_saved).then_some(bf16)
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

fn name(layer: &Layer) -> String {
    match layer {
        Layer::Conv(conv) => conv_name(conv),
        Layer::MaxPool { size: [h, w], .. } => format!("max-pool {h}x{w}"),
        Layer::AvgPool { size: [h, w], .. } => format!("average-pool {h}x{w}"),
        Layer::GlobalAvgPool => "global average-pool".to_owned(),
        Layer::GlobalMaxPool => "global max-pool".to_owned(),
        Layer::Add { .. } => "add".to_owned(),
        Layer::Affine { .. } => "affine".to_owned(),
        Layer::Activate(_) => "activation".to_owned(),
        Layer::Pad(_) => "pad".to_owned(),
        Layer::Concat => "concat".to_owned(),
        Layer::Flatten => "flatten".to_owned(),
        Layer::Softmax => "softmax".to_owned(),
    }
}

fn conv_name(conv: &Conv2d) -> String {
    let [kh, kw] = conv.kernel;
    let activation = match conv.activation {
        Activation::None => "",
        Activation::Relu => " + relu",
        Activation::Relu6 => " + relu6",
    };
    format!("conv {kh}x{kw} {}->{}{activation}", conv.in_channels, conv.out_channels)
}
