//! From a program to steps: which layers run as one, where each step writes, and which of them run on how many images at
//! a time.
//!
//! Early activations are large and early weights small; later it is the other way round. So the first steps take few
//! images from end to end, while their activations are still in cache, and the later ones take more, so that weights
//! are read once for all of them. Segments nest: as often as a segment runs, the ones before it run in smaller groups
//! until its images are there.

use std::collections::BTreeSet;
use std::ops::Range;

use super::choice::{
    Elements, Target, can_pool, is_blocked, is_depthwise, keeps_bf16, kept_layout,
};
use super::step::{Around, Step};
use crate::blocked::Layout;
use crate::direct::is_flat;
use crate::program::{CHUNK, Operation, Program, Value};
use crate::simd::Form;
use crate::{KernelError, Layer};

/// A step with what it reads and where it writes.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) step: Step,
    /// The first operation that it covers.
    pub(super) operation: usize,
    /// Arrays that it reads whole.
    pub(super) reads: Vec<usize>,
    /// The array that it writes, and its first channel there.
    pub(super) writes: usize,
    pub(super) offset: usize,
}

/// Activations that are stored: of one operation, or of all that a concatenation joins.
#[derive(Debug)]
pub(super) struct Array {
    /// Height, width, channels.
    pub(super) shape: [usize; 3],
    /// How it is kept, if not pixel by pixel.
    pub(super) layout: Option<Layout>,
    /// What its values are, if it is.
    pub(super) form: Form,
}

impl Array {
    fn new(shape: [usize; 3]) -> Self {
        Self { shape, layout: None, form: Form::F32 }
    }

    /// f32 of one image, or that it takes the place of.
    pub(super) fn len(&self) -> usize {
        self.layout.map_or_else(|| self.form.words(self.shape.iter().product()), Layout::len)
    }
}

/// Where an array is while a network runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// What the caller gave.
    Input,
    Output,
    /// A slot that arrays share which are never needed at the same time, all of one segment's group.
    Slot(usize),
    /// The same, of which each thread has a part for images of its own: `stride` f32 for each, the most that any array in it has.
    Part {
        slot: usize,
        stride: usize,
    },
    /// A buffer of its own, for the group of the last segment that reads it.
    Held {
        buffer: usize,
        reader: usize,
    },
}

/// Where all arrays are, for a number of threads.
#[derive(Debug)]
pub(super) struct Placement {
    pub(super) memory: Vec<Memory>,
    /// f32 of one image, and its segment, for each slot and each segment that uses it.
    slots: Vec<Vec<(usize, usize)>>,
    /// The same for the buffers that are held: one each, with the segment that reads it last.
    held: Vec<(usize, usize)>,
}

impl Placement {
    /// f32 of each slot, and of each buffer that is held, for groups of these many images.
    pub(super) fn lengths(&self, groups: &[usize]) -> [Vec<usize>; 2] {
        let length = |(length, segment): &(usize, usize)| length * groups[*segment];
        let slots = self.slots.iter().map(|uses| uses.iter().map(length).max().unwrap_or(0));
        [slots.collect(), self.held.iter().map(length).collect()]
    }
}

/// Steps that run together on groups of images; groups grow from segment to segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) steps: Range<usize>,
    /// Images at a time, at most, by the caches.
    group: usize,
    /// The same by memory: so that each thread may have an image.
    most: usize,
}

impl Segment {
    /// Images at a time, at most, for so many threads: one for each at least, where memory allows it.
    pub(super) fn group(&self, threads: usize) -> usize {
        match self.group.max(threads) <= self.most.max(self.group) {
            true => self.group.max(threads),
            false => self.group,
        }
    }
}

/// A program made ready, but for its buffers.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Planned>,
    pub(super) arrays: Vec<Array>,
    pub(super) segments: Vec<Segment>,
    /// The array of the features; that of the images where there is no step.
    pub(super) output: usize,
}

/// The array of the images.
const INPUT: usize = 0;

impl Plan {
    pub(super) fn new(
        program: Program,
        input: [usize; 3],
        target: Target,
    ) -> Result<Self, KernelError> {
        let shapes = program.shapes(input)?;
        let mut operations = program.operations;
        let readers = readers(&operations);
        let mut arrays = vec![Array::new(input)];
        let homes = homes(&operations, &shapes, &readers, &mut arrays);
        keep_blocked(&operations, &shapes, &readers, &homes, &mut arrays, target);
        if keeps_bf16(target) {
            keep_bf16(&operations, input, &shapes, &homes, &mut arrays, target);
        }
        let array_of = |value: &Value| match value {
            Value::Input => (INPUT, 0),
            Value::Of(index) => homes[*index],
        };
        let shape_of = |value: &Value| value.shape(input, &shapes);
        let mut steps = Vec::new();
        let mut fused = vec![false; operations.len()];
        for index in 0..operations.len() {
            let Operation { layer, inputs } = &operations[index];
            if fused[index] {
                continue;
            }
            if *layer == Layer::Concat {
                let mut offset = homes[index].1;
                for value in inputs {
                    let (shape, from) = (shape_of(value), array_of(value));
                    if from != (homes[index].0, offset) {
                        let form = arrays[from.0].form;
                        let step = Step::copy(shape, form, target.isa);
                        steps.push(Planned {
                            step,
                            operation: index,
                            reads: vec![from.0],
                            writes: homes[index].0,
                            offset,
                        });
                    }
                    offset += shape[2];
                }
                continue;
            }
            if let Some([depthwise, project]) = strips_from(index, &operations, &readers) {
                let conv = |index: usize| match &operations[index] {
                    Operation { layer: Layer::Conv(conv), inputs } => {
                        Some((conv, [shape_of(&inputs[0]), shapes[index]]))
                    }
                    _ => None,
                };
                let expand = if depthwise == index { None } else { conv(index) };
                if let (Some(middle), Some(last)) = (conv(depthwise), conv(project)) {
                    let residual = &operations[project].inputs[1..];
                    let forms = [
                        array_of(&inputs[0]).0,
                        array_of(&operations[depthwise].inputs[0]).0,
                        homes[project].0,
                    ];
                    let forms = forms.map(|array| arrays[array].form);
                    let residual_there = !residual.is_empty();
                    let step = Step::strips(expand, middle, last, residual_there, forms, target);
                    let reads = inputs.iter().chain(residual).map(|value| array_of(value).0);
                    let (writes, offset) = homes[project];
                    let reads = reads.collect();
                    steps.push(Planned { step, operation: index, reads, writes, offset });
                    for index in [index, depthwise, project] {
                        fused[index] = true;
                        if let Layer::Conv(conv) = &mut operations[index].layer {
                            conv.weight = Vec::new();
                        }
                    }
                    continue;
                }
            }
            let pool = pool_after(index, &operations, &readers);
            let next = pool.map(|pool| (&operations[pool].layer, shapes[pool]));
            let both = [shape_of(&inputs[0]), shapes[index]];
            let residual = inputs.len() > 1 && matches!(layer, Layer::Conv(_));
            // An output that is kept otherwise is that of the pool, where there is one: what a pool reads by itself is f32.
            let layout = |value: usize| arrays[homes[value].0].layout;
            let from = arrays[array_of(&inputs[0]).0].layout;
            let layouts = [from, layout(pool.unwrap_or(index))];
            let forms = [array_of(&inputs[0]).0, homes[index].0].map(|array| arrays[array].form);
            let around = Around { residual, next, layouts, forms };
            let (step, pooled) = Step::new(layer, both, around, target);
            let mut home = homes[index];
            if let (true, Some(pool)) = (pooled, pool) {
                fused[pool] = true;
                home = homes[pool];
            }
            let reads = inputs.iter().map(|value| array_of(value).0).collect();
            steps.push(Planned { step, operation: index, reads, writes: home.0, offset: home.1 });
            // They are packed: of a large network both forms are never there at once.
            if let Layer::Conv(conv) = &mut operations[index].layer {
                conv.weight = Vec::new();
            }
        }
        let segments = segments(&steps);
        let output = homes.last().map_or(INPUT, |(array, _)| *array);
        Ok(Self { steps, arrays, segments, output })
    }

    /// Gives every array its memory: a buffer of its own where another segment reads it, else a slot, by liveness. Threads that have
    /// images of their own are at different steps at the same time, so arrays of different lengths share a slot then only if each
    /// thread has a part of it; what other steps use, too, has its images one after the other.
    pub(super) fn place(&self, threads: usize) -> Placement {
        let segment_of: Vec<usize> = (self.segments.iter().enumerate())
            .flat_map(|(index, segment)| segment.steps.clone().map(move |_| index))
            .collect();
        let phase_of = self.phases(&segment_of, threads);
        // What nobody reads is still written.
        let mut last_use = vec![0; self.arrays.len()];
        for (index, planned) in self.steps.iter().enumerate() {
            for array in planned.reads.iter().chain([&planned.writes]) {
                last_use[*array] = index;
            }
        }
        let mut memory = vec![None; self.arrays.len()];
        memory[INPUT] = Some(Memory::Input);
        memory[self.output] = Some(Memory::Output);
        let (mut slots, mut held) = (Vec::<Vec<(usize, usize)>>::new(), Vec::new());
        // Of the current segment's slots: their last array, until which step it is needed, and whether threads have parts.
        let mut busy: Vec<(usize, usize, bool)> = Vec::new();
        let mut parts = Vec::new();
        let mut segment = 0;
        for (index, planned) in self.steps.iter().enumerate() {
            if segment_of[index] != segment {
                segment = segment_of[index];
                busy.clear();
            }
            let array = planned.writes;
            if memory[array].is_some() {
                continue;
            }
            let length = self.arrays[array].len();
            let until = last_use[array];
            let reader = segment_of[until];
            if reader != segment {
                memory[array] = Some(Memory::Held { buffer: held.len(), reader });
                held.push((length, reader));
                continue;
            }
            let is_apart = self.is_apart(index, threads);
            let in_parts = is_apart && phase_of[until] == phase_of[index];
            let is_free = |(last, until, was_in_parts): &(usize, usize, bool)| {
                let alike = in_parts && *was_in_parts
                    || in_parts == *was_in_parts && self.arrays[*last].len() == length;
                phase_of[*until] < phase_of[index] || alike && *until < index
            };
            let slot = busy.iter().position(is_free).unwrap_or_else(|| {
                busy.push((array, until, in_parts));
                busy.len() - 1
            });
            busy[slot] = (array, until, in_parts);
            slots.resize_with(slots.len().max(slot + 1), Vec::new);
            slots[slot].push((length, segment));
            memory[array] = Some(Memory::Slot(slot));
            if in_parts {
                parts.push((array, slot, segment));
            }
        }
        for (array, slot, segment) in parts {
            let of_segment = slots[slot].iter().filter(|(_, of)| *of == segment);
            let stride = of_segment.map(|(length, _)| *length).max().unwrap_or(0);
            memory[array] = Some(Memory::Part { slot, stride });
        }
        // What no step writes is nowhere.
        let memory = memory.into_iter().map(|it| it.unwrap_or(Memory::Slot(0))).collect();
        Placement { memory, slots, held }
    }

    /// Whether so many threads run the step each on images of its own.
    pub(super) fn is_apart(&self, index: usize, threads: usize) -> bool {
        threads > 1 && self.steps[index].step.is_apart(threads)
    }

    /// Numbers for the steps that are the same where threads may be at different steps at the same time.
    fn phases(&self, segment_of: &[usize], threads: usize) -> Vec<usize> {
        let mut phase = 0;
        (0..self.steps.len())
            .map(|index| {
                let joins = |before: usize| {
                    segment_of[before] == segment_of[index]
                        && self.is_apart(before, threads)
                        && self.is_apart(index, threads)
                };
                if !index.checked_sub(1).is_some_and(joins) {
                    phase += 1;
                }
                phase
            })
            .collect()
    }
}

/// The operations that read each operation's output.
fn readers(operations: &[Operation]) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); operations.len()];
    for (index, operation) in operations.iter().enumerate() {
        for value in &operation.inputs {
            if let Value::Of(from) = value {
                readers[*from].push(index);
            }
        }
    }
    readers
}

/// The array and the first channel in it of each operation's output. What only a concatenation reads is written into the
/// concatenation's array; for all others an array is made.
fn homes(
    operations: &[Operation],
    shapes: &[[usize; 3]],
    readers: &[Vec<usize>],
    arrays: &mut Vec<Array>,
) -> Vec<(usize, usize)> {
    let mut homes = vec![None; operations.len()];
    // From the end, so that a concatenation has its place before what it joins.
    for (index, operation) in operations.iter().enumerate().rev() {
        let (array, mut offset) = *homes[index].get_or_insert_with(|| {
            arrays.push(Array::new(shapes[index]));
            (arrays.len() - 1, 0)
        });
        if operation.layer != Layer::Concat {
            continue;
        }
        for value in &operation.inputs {
            let Value::Of(from) = *value else {
                // The images are where the caller has them: they are copied.
                offset += arrays[INPUT].shape[2];
                continue;
            };
            if readers[from].len() == 1 {
                homes[from] = Some((array, offset));
            }
            offset += shapes[from][2];
        }
    }
    homes.into_iter().map(Option::unwrap_or_default).collect()
}

/// Decides which arrays stay in blocks of bf16 channels: those that a layer on blocks makes, perhaps with its pool, and that only such
/// layers read, as what they multiply.
fn keep_blocked(
    operations: &[Operation],
    shapes: &[[usize; 3]],
    readers: &[Vec<usize>],
    homes: &[(usize, usize)],
    arrays: &mut [Array],
    target: Target,
) {
    let last = operations.len().saturating_sub(1);
    for (index, Operation { layer, inputs }) in operations.iter().enumerate() {
        // Nothing is added to what goes into blocks.
        if !is_blocked(layer, target) || inputs.len() > 1 {
            continue;
        }
        let output = match pool_after(index, operations, readers) {
            Some(pool) if can_pool(shapes[index], inputs.len() > 1) => pool,
            _ => index,
        };
        let is_multiplied = |reader: &usize| {
            let Operation { layer, inputs } = &operations[*reader];
            let of = Value::Of(output);
            is_blocked(layer, target) && inputs[0] == of && !inputs[1..].contains(&of)
        };
        // An output in a concatenation has readers of other kinds.
        if output != last
            && readers[output].iter().all(is_multiplied)
            && !readers[output].is_empty()
        {
            let (array, _) = homes[output];
            arrays[array].layout = kept_layout(layer, shapes[output], target);
        }
    }
}

/// Decides which arrays are bf16: all but the images and the output that have pixels of whole words, and that each operation which
/// makes or reads them can have so.
fn keep_bf16(
    operations: &[Operation],
    input: [usize; 3],
    shapes: &[[usize; 3]],
    homes: &[(usize, usize)],
    arrays: &mut [Array],
    target: Target,
) {
    let output = homes.last().map_or(INPUT, |(array, _)| *array);
    for (index, array) in arrays.iter_mut().enumerate() {
        if index != INPUT && index != output && array.shape[2].is_multiple_of(2) {
            array.form = Form::Bf16;
        }
    }
    let array_of = |value: &Value| match value {
        Value::Input => INPUT,
        Value::Of(index) => homes[*index].0,
    };
    // Each round makes an array f32, or is the last.
    loop {
        let mut changed = false;
        for (index, Operation { layer, inputs }) in operations.iter().enumerate() {
            let Some(first) = inputs.first() else { continue };
            let both = [first.shape(input, shapes), shapes[index]];
            let made = homes[index].0;
            let read = inputs.iter().map(array_of);
            let bound: Vec<usize> = match Elements::of(layer, both, inputs.len() > 1, target) {
                Elements::F32 => [INPUT, made].into_iter().chain(read).collect(),
                Elements::FromF32 => [INPUT].into_iter().chain(read).collect(),
                Elements::Any => [made].into_iter().chain(read.skip(1)).collect(),
                Elements::Alike => [made].into_iter().chain(read).collect(),
            };
            // The images are f32, so what is bound to them is.
            if bound.iter().any(|array| arrays[*array].form == Form::F32) {
                for array in bound {
                    changed |= arrays[array].form != Form::F32;
                    arrays[array].form = Form::F32;
                }
            }
        }
        if !changed {
            return;
        }
    }
}

/// The depthwise and the 1×1 convolution that run in strips with the operation, a 1×1 convolution that only the depthwise one
/// reads or that one itself, if there are such.
fn strips_from(
    index: usize,
    operations: &[Operation],
    readers: &[Vec<usize>],
) -> Option<[usize; 2]> {
    let conv = |index: usize| match &operations[index] {
        Operation { layer: Layer::Conv(conv), inputs } => Some((conv, &inputs[..])),
        _ => None,
    };
    let only_reader = |index: usize| match readers[index][..] {
        [reader] => Some(reader),
        _ => None,
    };
    let (first, inputs) = conv(index)?;
    let depthwise = match is_flat(first) && inputs.len() == 1 {
        true => only_reader(index)?,
        false => index,
    };
    let (middle, inputs) = conv(depthwise)?;
    if !is_depthwise(middle) || inputs.len() > 1 {
        return None;
    }
    let project = only_reader(depthwise)?;
    let (last, inputs) = conv(project)?;
    // What is added must be there by then.
    let residual = inputs[1..].iter().all(|value| *value < Value::Of(index));
    let reads = inputs[0] == Value::Of(depthwise) && residual;
    let pooled = pool_after(project, operations, readers).is_some();
    (is_flat(last) && reads && !pooled).then_some([depthwise, project])
}

/// The 2×2 max-pool of stride 2 that alone reads this operation's output, if there is one.
fn pool_after(index: usize, operations: &[Operation], readers: &[Vec<usize>]) -> Option<usize> {
    let [reader] = readers[index][..] else { return None };
    let pool = Layer::max_pool([2, 2], [2, 2]);
    (operations[reader].layer == pool).then_some(reader)
}

/// Cuts the steps where the groups grow.
fn segments(steps: &[Planned]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut least = CHUNK;
    for (index, Planned { step, .. }) in steps.iter().enumerate().rev() {
        let [group, most] = step.groups().map(|group| 1 << group.clamp(1, CHUNK).ilog2());
        match segments.last_mut() {
            // A step that can take no more than the later ones runs with them.
            Some(segment) if group >= least => {
                segment.steps.start = index;
                segment.most = segment.most.min(most);
            }
            _ => {
                least = group.min(least);
                segments.push(Segment { steps: index..index + 1, group: least, most });
            }
        }
    }
    segments.reverse();
    segments
}

/// `count` images in equal groups of at most `group`: the size of all but the last. Where each thread can have images, all have as many
/// in each group but the last.
pub(super) fn group_size(count: usize, group: usize, threads: usize) -> usize {
    let equal = |most: usize| count.div_ceil(count.div_ceil(most).max(1)).max(1);
    match count > group && group >= threads {
        true => equal(group / threads * threads).next_multiple_of(threads),
        false => equal(group),
    }
}

/// For each segment the numbers of images that it runs on, one after the other, in a batch.
pub(super) fn image_counts(
    segments: &[Segment],
    batch: usize,
    threads: usize,
) -> Vec<BTreeSet<usize>> {
    // `step_by` of equal groups: all of one size but the last.
    let cut = |count: usize, size: usize| [size.min(count), count % size];
    let mut counts = vec![BTreeSet::new(); segments.len()];
    let mut images = BTreeSet::from(cut(batch, CHUNK));
    for (segment, counts) in segments.iter().zip(&mut counts).rev() {
        let size = |count: usize| group_size(count, segment.group(threads), threads);
        images = images.iter().flat_map(|&n| cut(n, size(n))).collect();
        images.remove(&0);
        counts.clone_from(&images);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images, the most of a group, threads, and the group's size.
    #[test]
    fn groups_are_equal_and_have_as_many_images_for_each_thread() {
        for [count, group, threads, expected] in [
            [20, 8, 1, 7],
            [20, 8, 2, 8],
            [20, 6, 2, 6],
            [20, 8, 3, 6],
            [21, 8, 2, 8],
            [21, 32, 2, 21],
            [32, 32, 3, 32],
            [5, 8, 2, 5],
            [1, 8, 2, 1],
            [20, 1, 2, 1],
            [0, 8, 2, 1],
        ] {
            let found = group_size(count, group, threads);
            assert_eq!(found, expected, "{count} images, groups of {group}, {threads} threads");
        }
    }

    #[test]
    fn threads_have_an_image_each_where_memory_allows_it() {
        let segment = |group: usize, most: usize| Segment { steps: 0..1, group, most };
        assert_eq!([1, 2, 3, 4].map(|threads| segment(1, 2).group(threads)), [1, 2, 1, 1]);
        assert_eq!([1, 2, 3, 8].map(|threads| segment(4, 8).group(threads)), [4, 4, 4, 8]);
    }
}
