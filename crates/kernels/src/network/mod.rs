//! A program made ready: steps with their algorithms, grouped into segments that keep buffers small.

mod choice;
mod plan;
mod step;

use choice::Target;
pub(crate) use choice::gradient_tile;

use crate::error::check_length;
use crate::memory::{Buffer, Pool, Shared};
use crate::parallel::{Workers, for_each};
use crate::place::Place;
use crate::program::{CHUNK, Program};
use crate::workspace::{Workspace, WorkspaceBytes};
use crate::{Algorithm, Conv2d, Isa, KernelError, Layer, Precision};
use plan::{Memory, Placement, Plan, Planned};

/// A program made ready for one input size, one instruction set and one precision.
#[derive(Debug)]
pub struct Network {
    plan: Plan,
    input: [usize; 3],
    output: [usize; 3],
    target: Target,
    buffers: Pool<Buffers>,
    workspace: Workspace,
}

/// Activations: slots for what is read in the segment that made it, and one for each array that later segments read.
#[derive(Debug, Default)]
struct Buffers {
    slots: Vec<Buffer>,
    held: Vec<Buffer>,
}

/// One chunk of images on their way.
struct Run<'a> {
    input: &'a [f32],
    output: Room,
    placement: &'a Placement,
    slots: Vec<Room>,
    held: Vec<Room>,
    /// The first image of the group that each segment is at.
    starts: Vec<usize>,
}

/// f32 that threads write, each to images of its own.
#[derive(Debug, Clone, Copy)]
struct Room {
    data: Shared,
    len: usize,
}

impl Room {
    fn new(values: &mut [f32]) -> Self {
        Self { data: Shared(values.as_mut_ptr()), len: values.len() }
    }

    /// The place from which on `count` f32 are there.
    fn at(self, first: usize, count: usize) -> *mut f32 {
        assert!(count <= self.len && first <= self.len - count, "an array beyond its buffer");
        self.data.get().wrapping_add(first)
    }
}

/// How many of a group's images each thread runs by itself, if they are apart, and how many are left for all threads together.
fn apart(is_apart: bool, images: usize, threads: usize) -> [usize; 2] {
    if is_apart { [images / threads, images % threads] } else { [0, images] }
}

impl Network {
    /// Makes a chain of layers ready, each reading what the one before it made.
    ///
    /// # Errors
    /// Those of [`Network::compile`].
    pub fn new(
        layers: &[Layer],
        input: [usize; 3],
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, KernelError> {
        Self::compile(Program::chain(layers), input, isa, precision)
    }

    /// Packs the weights, chooses an algorithm for each layer and plans the buffers.
    ///
    /// `input` is height, width, channels of one image. Each layer's weights are dropped when they are packed. A 2×2 max-pool
    /// runs with the convolution that it alone reads, where the algorithm of that can pool; what only a concatenation reads is
    /// written where it is joined.
    ///
    /// # Errors
    /// When `isa` or `precision` is not available, or a layer does not fit what it reads.
    pub fn compile(
        program: Program,
        input: [usize; 3],
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, KernelError> {
        Self::for_target(program, input, Target { isa, precision, training: false })
    }

    /// One layer for training, without the tiles that round most: gradients are held to 1e-5 of the largest, which F(6×6, 3×3) does not
    /// always keep.
    ///
    /// # Errors
    /// Those of [`Network::compile`].
    pub(crate) fn for_training(
        layer: Layer,
        input: [usize; 3],
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, KernelError> {
        Self::for_target(Program::chain(&[layer]), input, Target { isa, precision, training: true })
    }

    fn for_target(
        program: Program,
        input: [usize; 3],
        target: Target,
    ) -> Result<Self, KernelError> {
        let Target { isa, precision, .. } = target;
        if !Precision::ON_CPU.contains(&precision) {
            return Err(KernelError::PrecisionUnavailable(precision));
        }
        if !isa.is_available() {
            return Err(KernelError::IsaUnavailable { wanted: isa, available: Isa::available() });
        }
        let plan = Plan::new(program, input, target)?;
        let output = plan.arrays[plan.output].shape;
        let (buffers, workspace) = (Pool::default(), Workspace::default());
        Ok(Self { plan, input, output, target, buffers, workspace })
    }

    /// Gives a network of one convolution the weights of `conv`, which differs in weights and biases alone: `kernel` is its kernel
    /// as (height, width, inputs, outputs).
    pub(crate) fn set_weights(
        &mut self,
        kernel: &[f32],
        bias: &[f32],
        conv: impl FnOnce() -> Conv2d,
    ) -> Result<(), KernelError> {
        if let [planned] = &mut self.plan.steps[..]
            && planned.step.set_weights(kernel, bias)
        {
            return Ok(());
        }
        let chain = Program::chain(&[Layer::Conv(conv())]);
        self.plan = Plan::new(chain, self.input, self.target)?;
        Ok(())
    }

    /// Height, width and channels of one image of the output.
    pub fn output_shape(&self) -> [usize; 3] {
        self.output
    }

    /// Height, width and channels of one image of the input.
    pub fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    /// The instruction set that the weights are packed for.
    pub fn isa(&self) -> Isa {
        self.target.isa
    }

    /// The precision that was asked for.
    pub fn precision(&self) -> Precision {
        self.target.precision
    }

    /// One line a step: the layers it covers, the shape it makes and the algorithm that runs.
    pub fn describe(&self) -> Vec<String> {
        self.plan.steps.iter().map(|planned| planned.step.describe()).collect()
    }

    /// Each step in the order in which they run: the first operation of the program that it covers, and what computes it.
    pub fn algorithms(&self) -> Vec<(usize, Algorithm)> {
        self.plan.steps.iter().map(|one| (one.operation, one.step.algorithm())).collect()
    }

    /// Bytes of the packed weights.
    pub fn packed_bytes(&self) -> usize {
        self.plan.steps.iter().map(|planned| planned.step.packed_bytes()).sum()
    }

    /// Bytes that [`run`](Self::run) takes for its buffers at this batch size, beside the packed weights, on the
    /// current rayon pool.
    pub fn workspace_bytes(&self, batch: usize) -> usize {
        let threads = rayon::current_num_threads();
        let buffers = self.plan.place(threads).lengths(&self.groups(batch.min(CHUNK), threads));
        let counts = plan::image_counts(&self.plan.segments, batch, threads);
        let mut scratch = WorkspaceBytes::default();
        for (segment, counts) in self.plan.segments.iter().zip(&counts) {
            for index in segment.steps.clone() {
                let step = &self.plan.steps[index].step;
                for images in counts {
                    let [each, left] = apart(self.plan.is_apart(index, threads), *images, threads);
                    if each > 0 {
                        scratch =
                            scratch.max(step.scratch(Workers::OneOf(threads), each).times(threads));
                    }
                    if left > 0 {
                        scratch = scratch.max(step.scratch(Workers::Pool, left));
                    }
                }
            }
        }
        let scratch = scratch.sum();
        size_of::<f32>() * buffers.iter().flatten().sum::<usize>() + scratch
    }

    /// Runs `batch` images, NHWC and contiguous, on the current rayon pool.
    ///
    /// # Errors
    /// When `input` or `output` has not the length that the batch size asks for.
    pub fn run(&self, batch: usize, input: &[f32], output: &mut [f32]) -> Result<(), KernelError> {
        check("input", batch, self.input, input.len())?;
        check("output", batch, self.output, output.len())?;
        let (from, to) =
            (self.input.iter().product::<usize>(), self.output.iter().product::<usize>());
        if batch == 0 || to == 0 {
            return Ok(());
        }
        if self.plan.steps.is_empty() {
            output.copy_from_slice(input);
            return Ok(());
        }
        let threads = rayon::current_num_threads();
        let placement = self.plan.place(threads);
        self.buffers.with(|buffers| {
            for first in (0..batch).step_by(CHUNK) {
                let last = (first + CHUNK).min(batch);
                let lengths = placement.lengths(&self.groups(last - first, threads));
                for (buffers, lengths) in
                    [&mut buffers.slots, &mut buffers.held].into_iter().zip(lengths)
                {
                    buffers.resize_with(lengths.len(), Buffer::default);
                    for (buffer, length) in buffers.iter_mut().zip(lengths) {
                        buffer.reserve(length);
                    }
                }
                let rooms = |buffers: &mut [Buffer]| {
                    buffers.iter_mut().map(|buffer| Room::new(buffer.as_mut_slice())).collect()
                };
                let mut run = Run {
                    input: &input[first * from..last * from],
                    output: Room::new(&mut output[first * to..last * to]),
                    placement: &placement,
                    slots: rooms(&mut buffers.slots),
                    held: rooms(&mut buffers.held),
                    starts: vec![0; self.plan.segments.len()],
                };
                self.run_segments(self.plan.segments.len(), 0, last - first, &mut run);
            }
        });
        Ok(())
    }

    /// Images at a time of each segment, of so many.
    fn groups(&self, images: usize, threads: usize) -> Vec<usize> {
        self.plan.segments.iter().map(|segment| segment.group(threads).min(images)).collect()
    }

    /// The last of the first `count` segments on some images, in groups; before each group the segments before it on that
    /// group. Steps that can run so have a share of the images on each thread, from one end to the other, so that threads need not
    /// wait for each other after every step nor fetch what another one made.
    fn run_segments(&self, count: usize, first: usize, images: usize, run: &mut Run<'_>) {
        let Some(index) = count.checked_sub(1) else { return };
        let threads = rayon::current_num_threads();
        let segment = &self.plan.segments[index];
        let group = plan::group_size(images, segment.group(threads), threads);
        for start in (first..first + images).step_by(group) {
            let images = group.min(first + images - start);
            run.starts[index] = start;
            self.run_segments(index, start, images, run);
            let run = &*run;
            let is_apart = |index: &usize| self.plan.is_apart(*index, threads);
            let steps: Vec<usize> = segment.steps.clone().collect();
            for steps in steps.chunk_by(|one, next| is_apart(one) == is_apart(next)) {
                let run_steps = |first: usize, images: usize, workers: Workers| {
                    for index in steps {
                        let planned = &self.plan.steps[*index];
                        // SAFETY: the segments before this one have made what it reads of these images, and each thread has images
                        // of its own.
                        unsafe { self.run_step(planned, [start, first], images, run, workers) };
                    }
                };
                let [each, left] = apart(is_apart(&steps[0]), images, threads);
                if each > 0 {
                    for_each(threads, |index| {
                        run_steps(start + index * each, each, Workers::OneOf(threads));
                    });
                }
                if left > 0 {
                    run_steps(start + images - left, left, Workers::Pool);
                }
            }
        }
    }

    /// One step on some images of the group that begins at `start`: those from `first` on.
    ///
    /// # Safety
    /// What the step reads of these images is there, and nobody else uses what it writes.
    unsafe fn run_step(
        &self,
        planned: &Planned,
        [start, first]: [usize; 2],
        images: usize,
        run: &Run<'_>,
        workers: Workers,
    ) {
        let Planned { step, reads, writes, offset, .. } = planned;
        let arrays = &self.plan.arrays;
        // Where the images of an array that is not the caller's begin. Of a part of a slot they begin `stride`
        // apart from call to call, and follow each other within one.
        let find = |array: usize| {
            let length = arrays[array].len();
            let (room, at) = match run.placement.memory[array] {
                Memory::Slot(slot) => (run.slots[slot], (first - start) * length),
                Memory::Part { slot, stride } => (run.slots[slot], (first - start) * stride),
                Memory::Held { buffer, reader } => {
                    (run.held[buffer], (first - run.starts[reader]) * length)
                }
                Memory::Input | Memory::Output => (run.output, first * length),
            };
            (room.at(at, images * length), images * length)
        };
        let read = |array: &usize| match run.placement.memory[*array] {
            Memory::Input => {
                let length = arrays[*array].len();
                &run.input[first * length..][..images * length]
            }
            // SAFETY: as many f32 are there. No step writes into a slot that it reads, and other threads only into what is of other
            // images, so they are only read now.
            _ => unsafe {
                let (data, length) = find(*array);
                std::slice::from_raw_parts(data.cast_const(), length)
            },
        };
        let array = &arrays[*writes];
        let to = Place {
            data: Shared(find(*writes).0),
            form: array.form,
            offset: *offset,
            stride: array.shape[2],
        };
        if let Some(input) = reads.first() {
            let second = reads.get(1).map(read);
            step.run(images, read(input), second, to, (workers, &self.workspace));
        }
    }
}

fn check(
    which: &'static str,
    batch: usize,
    shape: [usize; 3],
    found: usize,
) -> Result<(), KernelError> {
    let expected = shape
        .iter()
        .try_fold(batch, |product, factor| product.checked_mul(*factor))
        .ok_or(KernelError::TooLarge { what: which })?;
    check_length(which, expected, found)
}
