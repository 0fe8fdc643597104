//! Which steps run on how many images at a time.
//!
//! Early activations are large and early weights small; later it is the other way round. So the first steps take few
//! images from end to end, while their activations are still in cache, and the later ones take more, so that weights
//! are read once for all of them. Segments nest: as often as a segment runs, the ones before it run in smaller groups
//! until its images are there.

use std::collections::BTreeSet;
use std::ops::Range;

use super::step::Step;

/// Steps that run together on groups of images; groups grow from segment to segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) steps: Range<usize>,
    /// Images at a time, at most.
    pub(super) group: usize,
}

/// Activations of a step, in and out, that a group may hold: within the last-level cache of most processors.
const GROUP_BYTES: usize = 12 << 20;

/// Cuts the chain where the groups grow.
pub(super) fn segments(steps: &[Step]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut least = super::CHUNK;
    for (index, step) in steps.iter().enumerate().rev() {
        let bytes = (4 * (step.input_len() + step.output_len())).max(1);
        let group = 1 << (GROUP_BYTES / bytes).clamp(1, super::CHUNK).ilog2();
        match segments.last_mut() {
            // A step that can take no more than the later ones runs with them.
            Some(segment) if group >= least => segment.steps.start = index,
            _ => {
                least = group.min(least);
                segments.push(Segment { steps: index..index + 1, group: least });
            }
        }
    }
    segments.reverse();
    segments
}

/// `count` images in equal groups of at most `group`: the size of all but the last.
pub(super) fn group_size(count: usize, group: usize) -> usize {
    count.div_ceil(count.div_ceil(group).max(1)).max(1)
}

/// For each segment the numbers of images that it runs on, one after the other, in a batch.
pub(super) fn image_counts(segments: &[Segment], batch: usize) -> Vec<BTreeSet<usize>> {
    // `step_by` of equal groups: all of one size but the last.
    let cut = |count: usize, size: usize| [size.min(count), count % size];
    let mut counts = vec![BTreeSet::new(); segments.len()];
    let mut images = BTreeSet::from(cut(batch, super::CHUNK));
    for (segment, counts) in segments.iter().zip(&mut counts).rev() {
        images = images.iter().flat_map(|&n| cut(n, group_size(n, segment.group))).collect();
        images.remove(&0);
        counts.clone_from(&images);
    }
    counts
}

/// Lengths of the two buffers between a segment's steps, and of those between segments, for this many images.
pub(super) fn buffer_lengths(
    steps: &[Step],
    segments: &[Segment],
    images: usize,
) -> ([usize; 2], Vec<usize>) {
    let mut between_steps = [0; 2];
    let mut between_segments = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let steps = &steps[segment.steps.clone()];
        let Some((last, others)) = steps.split_last() else { continue };
        for (place, step) in others.iter().enumerate() {
            let length = &mut between_steps[place % 2];
            *length = (*length).max(segment.group.min(images) * step.output_len());
        }
        if let Some(next) = segments.get(index + 1) {
            between_segments.push(next.group.min(images) * last.output_len());
        }
    }
    (between_steps, between_segments)
}
