//! 3×3 convolutions of stride 1 on matrix tiles, as they are defined: no transform, all channels and taps of a sum in one register
//! tile. Activations stay bf16 from one such layer to the next ([`Layout`]), so they are rounded and written once, and half as wide.
//! An image of few channels is multiplied by its patches, all in one step.

mod finish;
mod layout;
mod lines;
mod task;
mod tile;
mod weights;

use std::marker::PhantomData;

use crate::bf16::{Bf16, Bf16Pair, Bf16Product, Operand, Unit, amx};
use crate::layer::{Activation, Conv2d, Padding};
use crate::memory::{Buffer, Shared};
use crate::parallel::Workers;
use crate::place::Place;
use crate::simd::{Element, Form};
use crate::workspace::{Workspace, WorkspaceBytes};
use crate::{Algorithm, Isa, Products};
use layout::BLOCK;
pub(crate) use layout::Layout;
use task::Task;
use tile::{ROWS, SUMS};
use weights::{COLUMNS, Weights};

/// Input channels of an image whose patches fit one step.
const PATCH_CHANNELS: usize = 3;
/// Input lines that a task works on stay in the second-level cache, beside a panel of weights.
const LINES_BYTES: usize = 768 << 10;
/// Sums that wait for their pool stay in the first-level cache.
const POOL_BYTES: usize = 40 << 10;
/// Weights up to which a task takes all panels: they stay in the second-level cache with the lines.
const LIGHT_BYTES: usize = 96 << 10;
/// Activations of a layer, in and out, that a group of images may hold: near the second-level caches of two cores.
const GROUP_BYTES: usize = 3 << 20;

/// A convolution packed for matrix tiles.
#[derive(Debug)]
pub(crate) struct Blocked {
    isa: Isa,
    is_split: bool,
    /// Height, width, channels of the input; the output has the same height and width before its pool.
    input: [usize; 3],
    out_channels: usize,
    activation: Activation,
    pool: bool,
    /// Rows whose sums wait together for their pool.
    pool_rows: usize,
    /// Whether each output is one step of a patch's products.
    patches: bool,
    /// How the input comes, if not pixel by pixel, and what it is then.
    from: Option<Layout>,
    form: Form,
    /// How it is multiplied.
    lines: Layout,
    /// How the output goes, if not pixel by pixel.
    to: Option<Layout>,
    weights: Weights,
    /// Whole panels.
    bias: Buffer,
    /// Whether the processor rounds to bf16 by itself.
    native: bool,
}

/// How the work of some images is divided.
#[derive(Debug, Clone, Copy)]
struct Tasks {
    /// Rows of the convolution's output that count.
    rows: usize,
    /// Rows of a task but the last.
    rows_each: usize,
    /// Parts that rows, and that panels, are divided into.
    parts: usize,
    panels: usize,
}

/// What is convolved, f32 or lines; what is added, and where it goes.
#[derive(Debug, Clone, Copy)]
struct Images<'a> {
    input: &'a [f32],
    residual: Option<&'a [f32]>,
    output: Place,
}

impl Blocked {
    /// Whether such a layer can run so: 3×3 of stride 1 with an output as large as the input, and channels in whole blocks or so few
    /// that a patch is one step.
    pub(crate) fn fits(conv: &Conv2d, bf16: Bf16Product) -> bool {
        bf16.unit == Unit::Amx
            && conv.kernel == [3, 3]
            && conv.stride == [1, 1]
            && conv.groups == 1
            && conv.padding == Padding::from([1, 1])
            && (conv.in_channels.is_multiple_of(BLOCK) || conv.in_channels == PATCH_CHANNELS)
    }

    /// Whether another such layer may read its output as bf16.
    pub(crate) fn can_keep(conv: &Conv2d) -> bool {
        conv.out_channels.is_multiple_of(BLOCK)
    }

    /// Packs a layer, if it [`fits`](Self::fits); `pool` fuses a 2×2 max-pool of stride 2. `from` and `to` are how its input comes and its
    /// output goes, pixel by pixel if none; `form` is what the input is then.
    pub(crate) fn new(
        conv: &Conv2d,
        input: [usize; 3],
        pool: bool,
        isa: Isa,
        bf16: Bf16Product,
        [from, to]: [Option<Layout>; 2],
        form: Form,
    ) -> Self {
        debug_assert!(Self::fits(conv, bf16), "{conv:?} does not fit blocks of channels");
        let is_split = bf16.is_split;
        let patches = conv.in_channels == PATCH_CHANNELS;
        let weights = if patches {
            let depth = 9 * conv.in_channels;
            let product = |_, place| {
                (place < depth).then(|| (place % conv.in_channels, place / conv.in_channels))
            };
            Weights::pack(conv, 1, is_split, product)
        } else {
            let product = |step, place| Some((step / 9 * BLOCK + place, step % 9));
            Weights::pack(conv, 9 * conv.in_channels / BLOCK, is_split, product)
        };
        let mut bias = Buffer::zeroed(weights.panels() * COLUMNS);
        bias.as_mut_slice()[..conv.out_channels].copy_from_slice(&conv.bias);
        Self {
            isa,
            is_split,
            input,
            out_channels: conv.out_channels,
            activation: conv.activation,
            pool,
            pool_rows: pool_rows([input[0] / 2 * 2, input[1] + 1]),
            patches,
            from,
            form,
            lines: from.unwrap_or_else(|| Layout::new(input, is_split)),
            to,
            weights,
            bias,
            native: std::is_x86_feature_detected!("avx512bf16"),
        }
    }

    /// Bytes of packed weights.
    pub(crate) fn packed_bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// What runs.
    pub(crate) fn algorithm(&self) -> Algorithm {
        Algorithm::Blocked(if self.is_split { Products::Bf16Pair } else { Products::Bf16 })
    }

    /// Images at a time whose activations stay in cache.
    pub(crate) fn group(&self) -> usize {
        let words = |channels: usize| self.form.words(self.input[0] * self.input[1] * channels);
        let from = self.from.map_or_else(|| words(self.input[2]), Layout::len);
        let to = self.to.map_or_else(|| words(self.out_channels), Layout::len);
        GROUP_BYTES / (size_of::<f32>() * (from + to)).max(1)
    }

    /// Bytes of what [`run`](Self::run) takes of the workspace for so many images.
    pub(crate) fn scratch(&self, threads: usize, images: usize) -> WorkspaceBytes {
        let tasks = self.tasks(threads, images);
        let packed =
            if self.from.is_none() && !self.patches { images * self.lines.len() } else { 0 };
        WorkspaceBytes {
            inputs: size_of::<f32>() * packed,
            per_thread_inputs: size_of::<f32>() * threads * self.patches_len(tasks.rows_each),
            per_thread_products: size_of::<f32>() * threads * self.sums_len(),
            ..WorkspaceBytes::default()
        }
    }

    /// Rows of the convolution's output that count: a pool leaves out an odd one.
    fn rows(&self) -> usize {
        if self.pool { self.input[0] / 2 * 2 } else { self.input[0] }
    }

    /// How so many images are divided for so many threads.
    fn tasks(&self, threads: usize, images: usize) -> Tasks {
        let rows = self.rows();
        let panels = if self.weights.bytes() <= LIGHT_BYTES { 1 } else { self.weights.panels() };
        // A patch's line is as long as a block's.
        let blocks = if self.patches { 1 } else { self.lines.blocks() };
        let parts = if self.is_split { 2 } else { 1 };
        let row_bytes = blocks * parts * self.lines.pitch() * BLOCK * size_of::<u16>();
        let most = (LINES_BYTES / row_bytes).max(1);
        let wanted = if threads > 1 { (4 * threads).div_ceil((images * panels).max(1)) } else { 1 };
        let count = rows.div_ceil(most).max(wanted).min(rows).max(1);
        let mut rows_each = rows.div_ceil(count);
        if self.pool {
            rows_each = rows_each.next_multiple_of(2);
        }
        Tasks { rows, rows_each, parts: rows.div_ceil(rows_each.max(1)), panels }
    }

    /// f32 of the sums of a task: all that wait for their pool, or the last two register tiles.
    fn sums_len(&self) -> usize {
        let lines = match self.pool {
            true => (self.pool_rows * self.lines.pitch()).next_multiple_of(ROWS),
            false => 2 * self.products().most_tiles() * ROWS,
        };
        lines * SUMS
    }

    /// f32 that a task's patches take the place of: lines of whole matrix tiles, and the rounded rows.
    fn patches_len(&self, rows: usize) -> usize {
        if !self.patches {
            return 0;
        }
        let rounded = lines::rounded_len(rows, self.input[1], self.input[2], self.is_split);
        self.patch_lines(rows) * BLOCK / 2 + rounded.div_ceil(2)
    }

    /// Lines of all parts of a task's patches, with those that the last matrix tile reads beyond them: it begins at any line.
    fn patch_lines(&self, rows: usize) -> usize {
        let lines = rows * self.lines.pitch() + ROWS - 1;
        if self.is_split { 2 * lines } else { lines }
    }

    fn products(&self) -> tile::Products {
        match (self.patches, self.is_split) {
            (false, false) => tile::Products::Nine,
            (false, true) => tile::Products::NinePairs,
            (true, false) => tile::Products::One,
            (true, true) => tile::Products::OnePair,
        }
    }

    /// Convolves `images` images. `input` and `output` are in the layouts that were given or pixel by pixel; `residual` has such elements
    /// as the output, and is added before the activation.
    pub(crate) fn run(
        &self,
        images: usize,
        input: &[f32],
        residual: Option<&[f32]>,
        output: Place,
        (workers, workspace): (Workers, &Workspace),
    ) {
        if self.from.is_some() || self.patches {
            return self.convolve(images, Images { input, residual, output }, workers, workspace);
        }
        workspace.spaces.with(|space| {
            space.inputs.reserve(images * self.lines.len());
            let to = Shared(space.inputs.as_mut_ptr());
            match (self.is_split, self.form) {
                (true, _) => self.pack::<Bf16Pair, f32>(images, input, to, workers),
                (false, Form::F32) => self.pack::<Bf16, f32>(images, input, to, workers),
                (false, Form::Bf16) => self.pack::<Bf16, u16>(images, u16::of(input), to, workers),
            }
            let input = space.inputs.as_slice();
            self.convolve(images, Images { input, residual, output }, workers, workspace);
        });
    }

    /// Images as lines.
    fn pack<O: Operand<Element = u16>, I: Element>(
        &self,
        images: usize,
        input: &[I],
        to: Shared,
        workers: Workers,
    ) {
        let [height, width, channels] = self.input;
        let len = height * width * channels;
        workers.each(images * height, |index| {
            let (image, row) = (index / height, index % height);
            // SAFETY: the space has room for all images; tasks have rows of their own, and the first and the last row's zeros
            // above and below the image too. `isa` was detected: `Network::compile` makes plans for no other.
            unsafe {
                let to = to.get().cast::<u16>().add(image * self.lines.image_len());
                let image = &input[image * len..][..len];
                let (layout, operand) = (self.lines, PhantomData);
                I::dispatch(self.isa, lines::Row::<O, I> { layout, image, row, to, operand });
            }
        });
    }

    /// All tasks, panel by panel, so that a thread uses one panel's weights for all images.
    fn convolve(&self, images: usize, all: Images<'_>, workers: Workers, workspace: &Workspace) {
        let tasks = self.tasks(workers.count(), images);
        let each_panel = images * tasks.parts;
        workers.each(tasks.panels * each_panel, |index| {
            let (panel, rest) = (index / each_panel, index % each_panel);
            let (image, part) = (rest / tasks.parts, rest % tasks.parts);
            let first = part * tasks.rows_each;
            let rows = first..(first + tasks.rows_each).min(tasks.rows);
            let panels =
                if tasks.panels == 1 { 0..self.weights.panels() } else { panel..panel + 1 };
            workspace.per_thread_spaces.with(|space| {
                let task = Task { plan: self, all, image, rows, panels, turn: [rest, each_panel] };
                // SAFETY: `Network::compile` makes plans only for an instruction set that was detected, and no task opens another's
                // session; tasks differ in image, rows or panels.
                unsafe { amx::session(|| task.run(space)) };
            });
        });
    }
}

/// Of so many rows, `pitch` lines each, those that are pooled together: an even number whose sums stay in cache, with few lines beyond
/// whole matrix tiles.
fn pool_rows([rows, pitch]: [usize; 2]) -> usize {
    let fits = |rows: &usize| *rows == 2 || rows * pitch * SUMS * size_of::<f32>() <= POOL_BYTES;
    let waste = |rows: &usize| 1000 * (rows * pitch).next_multiple_of(ROWS) / (rows * pitch);
    (2..=rows).step_by(2).take_while(fits).min_by_key(waste).unwrap_or(2)
}
