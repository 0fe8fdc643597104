//! A chain of layers made ready: steps with their algorithms, grouped into segments that keep buffers small.

mod plan;
mod step;

use crate::memory::{Buffer, Pool};
use crate::workspace::{Workspace, WorkspaceBytes};
use crate::{Isa, KernelError, Layer, Precision};
use plan::Segment;
use step::Step;

/// Images that pass through the whole network together at most; a larger batch is cut.
const CHUNK: usize = 32;

/// A chain of layers made ready for one input size, one instruction set and one precision.
#[derive(Debug)]
pub struct Network {
    steps: Vec<Step>,
    segments: Vec<Segment>,
    input: [usize; 3],
    output: [usize; 3],
    isa: Isa,
    precision: Precision,
    buffers: Pool<Buffers>,
    workspace: Workspace,
}

/// Activations: two buffers for what lies between the steps of a segment, one behind each segment but the last.
#[derive(Debug, Default)]
struct Buffers {
    steps: [Buffer; 2],
    segments: Vec<Buffer>,
}

impl Network {
    /// Packs the weights, chooses an algorithm for each layer and plans the buffers.
    ///
    /// `input` is height, width, channels of one image. The layers can be dropped afterwards.
    ///
    /// # Errors
    /// When `isa` is not available, or a layer does not fit what comes before it.
    pub fn new(
        layers: &[Layer],
        input: [usize; 3],
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, KernelError> {
        if !isa.is_available() {
            return Err(KernelError::IsaUnavailable { wanted: isa, available: Isa::available() });
        }
        let steps = step::plan(layers, input, isa, precision)?;
        let segments = plan::segments(&steps);
        let output = steps.last().map_or(input, |step| step.output);
        Ok(Self {
            steps,
            segments,
            input,
            output,
            isa,
            precision,
            buffers: Pool::default(),
            workspace: Workspace::default(),
        })
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
        self.isa
    }

    /// The precision that was asked for.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// One line a step: the layers it covers, the shape it makes and the algorithm that runs.
    pub fn describe(&self) -> Vec<String> {
        self.steps.iter().map(Step::describe).collect()
    }

    /// Bytes of the packed weights.
    pub fn packed_bytes(&self) -> usize {
        self.steps.iter().map(Step::packed_bytes).sum()
    }

    /// Bytes that [`run`](Self::run) takes for its buffers at this batch size, beside the packed weights, on the
    /// current rayon pool.
    pub fn workspace_bytes(&self, batch: usize) -> usize {
        let threads = rayon::current_num_threads();
        let (steps, segments) = plan::buffer_lengths(&self.steps, &self.segments, batch.min(CHUNK));
        let counts = plan::image_counts(&self.segments, batch);
        let scratch = self.segments.iter().zip(&counts).flat_map(|(segment, counts)| {
            let steps = &self.steps[segment.steps.clone()];
            steps.iter().flat_map(move |step| counts.iter().map(move |n| step.scratch(threads, *n)))
        });
        let scratch = scratch.fold(WorkspaceBytes::default(), WorkspaceBytes::max).sum();
        4 * (steps.iter().sum::<usize>() + segments.iter().sum::<usize>()) + scratch
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
        self.buffers.with(|buffers| {
            for first in (0..batch).step_by(CHUNK) {
                let last = (first + CHUNK).min(batch);
                let (input, output) =
                    (&input[first * from..last * from], &mut output[first * to..last * to]);
                self.run_chunk(last - first, input, output, buffers);
            }
        });
        Ok(())
    }

    fn run_chunk(&self, images: usize, input: &[f32], output: &mut [f32], buffers: &mut Buffers) {
        let (steps, segments) = plan::buffer_lengths(&self.steps, &self.segments, images);
        for (buffer, length) in buffers.steps.iter_mut().zip(steps) {
            buffer.reserve(length);
        }
        buffers.segments.resize_with(segments.len(), Buffer::default);
        for (buffer, length) in buffers.segments.iter_mut().zip(segments) {
            buffer.reserve(length);
        }
        self.run_segments(
            &self.segments,
            images,
            input,
            output,
            &mut buffers.steps,
            &mut buffers.segments,
        );
    }

    /// The last of the segments on all images, in groups; before each group the segments before it on that group.
    fn run_segments(
        &self,
        segments: &[Segment],
        images: usize,
        input: &[f32],
        output: &mut [f32],
        between_steps: &mut [Buffer; 2],
        between_segments: &mut [Buffer],
    ) {
        let Some((segment, before)) = segments.split_last() else {
            output.copy_from_slice(input);
            return;
        };
        let image = input.len() / images;
        let result = output.len() / images;
        let group = plan::group_size(images, segment.group);
        for first in (0..images).step_by(group) {
            let count = group.min(images - first);
            let from = &input[first * image..(first + count) * image];
            let to = &mut output[first * result..(first + count) * result];
            match between_segments.split_last_mut() {
                Some((buffer, others)) if !before.is_empty() => {
                    let length = count * self.steps[segment.steps.start].input_len();
                    let ready = &mut buffer.as_mut_slice()[..length];
                    self.run_segments(before, count, from, ready, between_steps, others);
                    self.run_steps(segment, count, ready, to, between_steps);
                }
                _ => self.run_steps(segment, count, from, to, between_steps),
            }
        }
    }

    /// The steps of one segment on one group.
    fn run_steps(
        &self,
        segment: &Segment,
        images: usize,
        input: &[f32],
        output: &mut [f32],
        [a, b]: &mut [Buffer; 2],
    ) {
        let steps = &self.steps[segment.steps.clone()];
        let (mut source, mut target) = (b, a);
        for (place, step) in steps.iter().enumerate() {
            let from =
                if place == 0 { input } else { &source.as_slice()[..images * step.input_len()] };
            let to = if place + 1 == steps.len() {
                &mut *output
            } else {
                &mut target.as_mut_slice()[..images * step.output_len()]
            };
            step.run(images, from, to, &self.workspace);
            std::mem::swap(&mut source, &mut target);
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
    if expected == found { Ok(()) } else { Err(KernelError::BadLength { which, expected, found }) }
}
