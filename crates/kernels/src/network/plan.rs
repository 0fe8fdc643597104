//! Which steps run on how many images at a time.
//!
//! Early activations are large and early weights small; later it is the other way round. So the first steps take few
//! images from end to end, while their activations are still in cache, and the later ones take many, so that weights
//! are read once for all of them.

use std::ops::Range;

use super::step::Step;

/// Steps that run together on groups of images.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) steps: Range<usize>,
    /// Images at a time.
    pub(super) group: usize,
}

/// Activations of a step, in and out, that a group may hold: within the last-level cache of most processors.
const GROUP_BYTES: usize = 12 << 20;

/// Cuts the chain where the activations have become so small that all images' fit the bound together.
pub(super) fn segments(steps: &[Step], input: [usize; 3]) -> Vec<Segment> {
    let bytes = |step: &Step| 4 * (step.input_len() + step.output_len());
    let mut first = steps.len();
    while first > 0 && super::CHUNK * bytes(&steps[first - 1]) <= 2 * GROUP_BYTES {
        first -= 1;
    }
    debug_assert!(steps.first().is_none_or(|step| step.input == input));
    let group = |steps: &[Step]| {
        let most = steps.iter().map(bytes).max().unwrap_or(1).max(1);
        (GROUP_BYTES / most).clamp(1, super::CHUNK)
    };
    [0..first, first..steps.len()]
        .into_iter()
        .filter(|range| !range.is_empty())
        .map(|range| Segment { group: group(&steps[range.clone()]), steps: range })
        .collect()
}

/// Lengths of the buffers between steps and between segments for this many images.
pub(super) fn buffer_lengths(
    steps: &[Step],
    segments: &[Segment],
    images: usize,
) -> [[usize; 2]; 2] {
    let mut lengths = [[0; 2]; 2];
    for (index, segment) in segments.iter().enumerate() {
        let steps = &steps[segment.steps.clone()];
        for (place, step) in steps.iter().enumerate() {
            let (kind, parity, count) = if place + 1 < steps.len() {
                (0, place, segment.group.min(images))
            } else if index + 1 < segments.len() {
                (1, index, images)
            } else {
                continue;
            };
            // The first result goes to the second of the pair.
            let length = &mut lengths[kind][1 - parity % 2];
            *length = (*length).max(count * step.output_len());
        }
    }
    lengths
}
