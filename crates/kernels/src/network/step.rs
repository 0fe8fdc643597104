use crate::bf16::Unit;
use crate::depthwise::Depthwise;
use crate::direct::Direct;
use crate::memory::Shared;
use crate::parallel::for_each;
use crate::pool::MaxPool;
use crate::simd::dispatch;
use crate::winograd::scheme::MAX_N;
use crate::winograd::{Tile, Winograd};
use crate::workspace::{Workspace, WorkspaceBytes};
use crate::{Conv2d, Isa, KernelError, Layer, Precision};

/// One or two layers with the algorithm that runs them.
#[derive(Debug)]
pub(super) struct Step {
    kind: Kind,
    isa: Isa,
    /// What it covers, for people.
    label: String,
    pub(super) input: [usize; 3],
    pub(super) output: [usize; 3],
}

#[derive(Debug)]
enum Kind {
    Direct(Direct),
    Depthwise(Depthwise),
    Winograd(Winograd),
    MaxPool { size: [usize; 2], stride: [usize; 2] },
}

/// Fuses and plans the whole chain.
pub(super) fn plan(
    layers: &[Layer],
    input: [usize; 3],
    isa: Isa,
    precision: Precision,
) -> Result<Vec<Step>, KernelError> {
    check_size(input)?;
    let mut steps = Vec::new();
    let mut shape = input;
    let mut index = 0;
    while index < layers.len() {
        let convolved = layers[index].output_shape(index, shape)?;
        check_size(convolved)?;
        let mut output = convolved;
        let mut taken = 1;
        let kind = match &layers[index] {
            Layer::Conv(conv) => {
                let next = layers.get(index + 1);
                let can_pool =
                    matches!(next, Some(Layer::MaxPool { size: [2, 2], stride: [2, 2] }));
                let (kind, pooled) = choose(conv, shape, convolved, can_pool, isa, precision);
                if let (true, Some(next)) = (pooled, next) {
                    output = next.output_shape(index + 1, convolved)?;
                    taken = 2;
                }
                kind
            }
            Layer::MaxPool { size, stride } => Kind::MaxPool { size: *size, stride: *stride },
        };
        let label = layers[index..index + taken].iter().map(name).collect::<Vec<_>>().join(" + ");
        steps.push(Step { kind, isa, label, input: shape, output });
        shape = output;
        index += taken;
    }
    Ok(steps)
}

/// Values that a shape may have, as a part of the address space: no product of one shape with the images of a chunk, the
/// bytes of a value and the places of a transformed tile overflows then.
const SIZE_MARGIN: usize = 4 * super::CHUNK * MAX_N * MAX_N;

/// Refuses what would overflow later. It comes before any algorithm is chosen, since that counts products.
fn check_size(shape: [usize; 3]) -> Result<(), KernelError> {
    shape
        .iter()
        .try_fold(SIZE_MARGIN, |product, extent| product.checked_mul((*extent).max(1)))
        .map(|_| ())
        .ok_or(KernelError::TooLarge { what: "activations" })
}

/// The algorithm for a convolution, and whether it takes the pool that follows with it.
fn choose(
    conv: &Conv2d,
    input: [usize; 3],
    output: [usize; 3],
    can_pool: bool,
    isa: Isa,
    precision: Precision,
) -> (Kind, bool) {
    let can_pool = can_pool && output[0] >= 2 && output[1] >= 2;
    if conv.groups > 1 && conv.groups == conv.in_channels && conv.groups == conv.out_channels {
        return (Kind::Depthwise(Depthwise::new(conv, input, output, isa)), false);
    }
    let bf16 = Unit::of(isa, precision)
        .filter(|unit| conv.in_channels.is_multiple_of(unit.step()))
        .map(|unit| (unit, precision == Precision::High));
    if Winograd::fits(conv)
        && let Some(tile) = best_tile(conv, output, precision, bf16.is_some())
    {
        let pool = can_pool && Winograd::can_pool(tile);
        let plan = Winograd::new(conv, input, output, pool, tile, isa, bf16);
        return (Kind::Winograd(plan), pool);
    }
    (Kind::Direct(Direct::new(conv, input, output, can_pool, isa)), can_pool)
}

/// The scheme with the fewest products for this image, or none where the direct algorithm has no more. Whole tiles are
/// counted: on small images larger ones waste more. Larger tiles round more too: f32 products bear F(6×6), but not in the
/// highest precision, and its weights are so large that it only pays on few channels; bf16 products bear F(4×4) on few
/// channels, where it saves most.
fn best_tile(conv: &Conv2d, output: [usize; 3], precision: Precision, bf16: bool) -> Option<Tile> {
    let kernels = conv.in_channels * conv.out_channels;
    let products = |tile: &Tile| {
        let tiles = output[0].div_ceil(tile.outputs()) * output[1].div_ceil(tile.outputs());
        tiles * tile.inputs() * tile.inputs()
    };
    let may_be = |tile: &Tile| match tile {
        Tile::Two | Tile::Three => true,
        Tile::Four => !bf16 || conv.in_channels <= PAIR_FOUR_CHANNELS,
        Tile::Six => !bf16 && precision != Precision::Highest && kernels <= SIX_KERNELS,
    };
    let direct = 9 * output[0] * output[1];
    Tile::ALL
        .into_iter()
        .filter(may_be)
        .map(|tile| (products(&tile), tile))
        .min_by_key(|(products, _)| *products)
        .filter(|(products, _)| *products < direct)
        .map(|(_, tile)| tile)
}

/// Pairs of channels up to which F(6×6) is taken: its weights are 64 values a pair.
const SIX_KERNELS: usize = 128 * 128;

/// Input channels up to which F(4×4) is taken with bf16 products: up to here the base's error stays well within the
/// bounds of `high` and `medium`; with F(4×4) throughout it reached nine tenths of that of `medium`.
const PAIR_FOUR_CHANNELS: usize = 128;

fn name(layer: &Layer) -> String {
    match layer {
        Layer::Conv(conv) => {
            let [kh, kw] = conv.kernel;
            let relu = if conv.relu { " + relu" } else { "" };
            format!("conv {kh}x{kw} {}->{}{relu}", conv.in_channels, conv.out_channels)
        }
        Layer::MaxPool { size: [h, w], .. } => format!("max-pool {h}x{w}"),
    }
}

impl Step {
    pub(super) fn input_len(&self) -> usize {
        self.input.iter().product()
    }

    pub(super) fn output_len(&self) -> usize {
        self.output.iter().product()
    }

    pub(super) fn describe(&self) -> String {
        let algorithm = match &self.kind {
            Kind::Direct(direct) => direct.describe(),
            Kind::Depthwise(_) => "depthwise".to_owned(),
            Kind::Winograd(winograd) => winograd.describe(),
            Kind::MaxPool { .. } => "max-pool".to_owned(),
        };
        let [h, w, c] = self.output;
        format!("{} -> {h}x{w}x{c}: {algorithm}", self.label)
    }

    pub(super) fn packed_bytes(&self) -> usize {
        match &self.kind {
            Kind::Direct(direct) => direct.packed_bytes(),
            Kind::Depthwise(depthwise) => depthwise.packed_bytes(),
            Kind::Winograd(winograd) => winograd.packed_bytes(),
            Kind::MaxPool { .. } => 0,
        }
    }

    /// Bytes of what [`run`](Self::run) takes of the workspace for so many images.
    pub(super) fn scratch(&self, threads: usize, images: usize) -> WorkspaceBytes {
        match &self.kind {
            Kind::Direct(direct) => direct.scratch(threads, images),
            Kind::Winograd(winograd) => winograd.scratch(threads, images),
            Kind::Depthwise(_) | Kind::MaxPool { .. } => WorkspaceBytes::default(),
        }
    }

    /// Runs `images` images; slices have exactly their length.
    pub(super) fn run(
        &self,
        images: usize,
        input: &[f32],
        output: &mut [f32],
        workspace: &Workspace,
    ) {
        match &self.kind {
            Kind::Direct(direct) => direct.run(images, input, output, workspace),
            Kind::Depthwise(depthwise) => depthwise.run(images, input, output),
            Kind::Winograd(winograd) => winograd.run(images, input, output, workspace),
            Kind::MaxPool { size, stride } => self.max_pool(images, *size, *stride, input, output),
        }
    }

    fn max_pool(
        &self,
        images: usize,
        size: [usize; 2],
        stride: [usize; 2],
        input: &[f32],
        output: &mut [f32],
    ) {
        let [oh, ow, channels] = self.output;
        let width = self.input[1];
        let out = Shared(output.as_mut_ptr());
        for_each(images * oh, |index| {
            let start = index / oh * self.input_len() + index % oh * stride[0] * width * channels;
            let source = input[start..][..size[0] * width * channels].as_ptr();
            // SAFETY: the windows of one row of output lie in `size[0]` rows of input; row `index` of all images'
            // rows lies inside `output`, and only this task writes it.
            unsafe {
                let out = out.get().add(index * ow * channels);
                let job = MaxPool {
                    source,
                    width,
                    channels,
                    size,
                    stride,
                    out,
                    rows: 1,
                    columns: ow,
                    first: 0,
                    last: channels,
                };
                dispatch(self.isa, job);
            }
        });
    }
}
