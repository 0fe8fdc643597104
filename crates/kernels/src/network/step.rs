use super::choice::{Choice, Target, can_pool, choose};
use crate::blocked::{Blocked, Layout};
use crate::depthwise::Depthwise;
use crate::direct::Direct;
use crate::elementwise::{self, PixelTask, Pixelwise};
use crate::im2col::Im2col;
use crate::parallel::{Workers, chunk_range};
use crate::place::Place;
use crate::pool::{PoolKind, Windows};
use crate::simd::{Element, Form};
use crate::strips::{Pointwise, Strips};
use crate::winograd::Winograd;
use crate::workspace::{Workspace, WorkspaceBytes};
use crate::{Activation, Algorithm, Conv2d, Isa, Layer, Padding};

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
/// The same where each thread has an image of its own, so that memory does not grow without end with the threads.
const APART_BYTES: usize = 24 << 20;
/// Weights of all threads up to which each has images of its own, and reads all of them for those alone.
const APART_WEIGHT_BYTES: usize = 20 << 20;
/// Pixels of an image's output from which on weights are read again and again for a few of them, whoever has the image. A dense layer
/// has one.
const APART_PIXELS: usize = 32;

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
                (kind, pooled) = convolution(conv, [input, output], around, target);
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

    /// Joins a depthwise convolution (see [`is_depthwise`](super::choice::is_depthwise)) with the 1×1 convolution after it and perhaps the one before it
    /// ([`is_flat`](crate::direct::is_flat)). `residual` says whether something is added before the last activation. Forms are those of what is read, of what
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
        let packed = |(conv, [input, output]): Shaped<'_>, [from, to]: [Form; 2]| match choose(
            conv, output, false, false, target,
        ) {
            Choice::Im2col(bf16) => {
                Pointwise::Im2col(Im2col::new(conv, input, output, from, isa, bf16))
            }
            _ => Pointwise::Direct(Direct::new(conv, input, output, false, to, isa)),
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

    /// Images at a time, at most: those whose activations stay in cache, and those that all threads together may have where each has
    /// its own.
    pub(super) fn groups(&self) -> [usize; 2] {
        let output: usize = self.output.iter().product();
        match &self.kind {
            Kind::Blocked(blocked) => [blocked.group(); 2],
            _ => {
                let values = self.input_len() + output;
                let bytes = (size_of::<f32>() * self.form.words(values)).max(1);
                [GROUP_BYTES / bytes, APART_BYTES / bytes]
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

    /// Whether so many threads may run it each on images of its own: what it reads beside them is little, or read for few pixels at a time
    /// anyway.
    pub(super) fn is_apart(&self, threads: usize) -> bool {
        let is_light = self.packed_bytes() <= APART_WEIGHT_BYTES / threads;
        let [height, width, _] = self.output;
        match &self.kind {
            Kind::Blocked(_) => false,
            Kind::Winograd(winograd) => is_light || winograd.has_small_groups(),
            Kind::Direct(_) | Kind::Im2col(_) => is_light || height * width >= APART_PIXELS,
            _ => true,
        }
    }

    pub(super) fn scratch(&self, workers: Workers, images: usize) -> WorkspaceBytes {
        let threads = workers.count();
        match &self.kind {
            Kind::Blocked(blocked) => blocked.scratch(threads, images),
            Kind::Direct(direct) => direct.scratch(threads),
            Kind::Strips(strips) => strips.scratch(threads),
            Kind::Im2col(im2col) => im2col.scratch(threads, images),
            Kind::Winograd(winograd) => winograd.scratch(workers, images),
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
        (workers, workspace): (Workers, &Workspace),
    ) {
        let with = (workers, workspace);
        match &self.kind {
            Kind::Blocked(blocked) => blocked.run(images, input, second, to, with),
            Kind::Direct(direct) => direct.run(images, input, second, to, with),
            Kind::Depthwise(depthwise) => depthwise.run(images, input, to, workers),
            Kind::Strips(strips) => strips.run(images, input, second, to, with),
            Kind::Im2col(im2col) => im2col.run(images, input, second, to, with),
            Kind::Winograd(winograd) => winograd.run(images, input, second, to, with),
            Kind::Alike(alike) => match self.form {
                Form::F32 => self.run_alike(alike, images, input, second, to, workers),
                Form::Bf16 => {
                    self.run_alike(alike, images, u16::of(input), second.map(u16::of), to, workers);
                }
            },
            Kind::GlobalAvgPool => {
                self.each_image(images, input, to, elementwise::channel_means, workers)
            }
            Kind::GlobalMaxPool => {
                self.each_image(images, input, to, elementwise::channel_maxima, workers)
            }
            Kind::Pad(padding) => self.pad(images, *padding, input, to, workers),
            Kind::Softmax => {
                let [h, w, channels] = self.output;
                workers.each(images * h * w, |pixel| {
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
        workers: Workers,
    ) {
        match alike {
            Alike::Pool { kind, size, stride, padding } => {
                let [oh, ow, _] = self.output;
                workers.each(images * oh, |row| {
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
                self.pixelwise(
                    images,
                    Pixelwise::Add(second, *scale),
                    *activation,
                    input,
                    to,
                    workers,
                );
            }
            Alike::Affine { scale, shift, activation } => {
                self.pixelwise(
                    images,
                    Pixelwise::Affine(scale, shift),
                    *activation,
                    input,
                    to,
                    workers,
                );
            }
            Alike::Activate(activation) => {
                self.pixelwise(images, Pixelwise::Copy, *activation, input, to, workers);
            }
            Alike::Copy => {
                self.pixelwise(images, Pixelwise::Copy, Activation::None, input, to, workers)
            }
        }
    }

    /// One pixel of output for each image.
    fn each_image(
        &self,
        images: usize,
        input: &[f32],
        to: Place,
        reduce: impl Fn(&[f32], usize, &mut [f32]) + Sync + Send,
        workers: Workers,
    ) {
        let (length, channels) = (self.input_len(), self.output[2]);
        workers.each(images, |image| {
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
        workers: Workers,
    ) {
        let [h, w, channels] = self.output;
        let pixels = images * h * w;
        let cuts = (4 * workers.count()).min(pixels);
        workers.each(cuts, |index| {
            let range = chunk_range(pixels, cuts, index);
            let (first, last) = (range.start, range.end);
            // SAFETY: tasks have pixels of their own, all inside the output.
            unsafe {
                let job = PixelTask { kind, activation, input, channels, first, last, to };
                E::dispatch(self.isa, job);
            }
        });
    }

    fn pad(&self, images: usize, padding: Padding, input: &[f32], to: Place, workers: Workers) {
        let ([h, w, channels], [oh, ow, _]) = (self.input, self.output);
        workers.each(images * oh, |row| {
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

/// Packs a convolution for the algorithm that [`choose`] names, and says whether the pool that follows is in it.
fn convolution(
    conv: &Conv2d,
    [input, output]: [[usize; 3]; 2],
    Around { residual, next, layouts, forms: [from, to] }: Around<'_>,
    target: Target,
) -> (Kind, bool) {
    let isa = target.isa;
    let can_pool = next.is_some() && can_pool(output, residual);
    match choose(conv, output, residual, can_pool, target) {
        Choice::Depthwise => {
            (Kind::Depthwise(Depthwise::new(conv, input, output, from, isa)), false)
        }
        Choice::Blocked(bf16) => {
            (Kind::Blocked(Blocked::new(conv, input, can_pool, isa, bf16, layouts, from)), can_pool)
        }
        Choice::Im2col(bf16) => {
            (Kind::Im2col(Im2col::new(conv, input, output, from, isa, bf16)), false)
        }
        Choice::Winograd(tile, bf16) => {
            let pool = can_pool && tile.can_pool();
            let plan = Winograd::new(conv, [input, output], pool, tile, from, isa, bf16);
            (Kind::Winograd(Box::new(plan)), pool)
        }
        Choice::Direct => {
            (Kind::Direct(Direct::new(conv, input, output, can_pool, to, isa)), can_pool)
        }
    }
}

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
