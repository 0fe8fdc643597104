//! The two passes of resampling, in integers: each output value is a weighted sum of one line's or one column's pixels.
//!
//! Loops have a fixed length of a vector or a few, so that the compiler makes vectors of whatever width of them.

use super::CHANNELS;
use super::taps::{PRECISION_BITS, Taps};

/// Half a level, so that the shift rounds.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Lines that the horizontal pass does together.
const LINES: usize = 4;
/// A pixel of each of these lines. A fourth byte is not used, so that a pixel is a lane of a vector.
type Group = [u8; LINES * 4];
/// Bytes that the horizontal pass takes for each pixel of a line: the group, and each line by itself.
pub(super) const LINE_BYTES: usize = size_of::<Group>() + LINES * size_of::<u32>();

/// Values that the vertical pass does together.
const COLUMNS: usize = 16;

/// `data` in lines of `width` pixels to lines of as many as there are taps.
#[inline(always)]
pub(super) fn horizontal(data: &[u8], width: u32, taps: &Taps) -> Vec<u8> {
    let stride = width as usize * CHANNELS;
    let out_stride = taps.len() * CHANNELS;
    let mut out = vec![0; data.len() / stride * out_stride];
    let mut lanes: [Vec<u32>; LINES] = std::array::from_fn(|_| vec![0; width as usize]);
    let mut pixels = vec![[0u32; LINES]; width as usize];
    let mut results: Vec<Group> = vec![Default::default(); taps.len()];
    let groups = data.chunks(LINES * stride).zip(out.chunks_mut(LINES * out_stride));
    for (lines, out) in groups {
        // In the last group lines may be left from the one before: nobody takes what becomes of them.
        for (values, lane) in lines.chunks_exact(stride).zip(&mut lanes) {
            for (pixel, &[r, g, b]) in lane.iter_mut().zip(values.as_chunks().0) {
                *pixel = u32::from_ne_bytes([r, g, b, 0]);
            }
        }
        let [a, b, c, d] = &lanes;
        for ((((pixel, a), b), c), d) in pixels.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *pixel = [*a, *b, *c, *d];
        }
        let pixels: &[Group] = bytemuck::cast_slice(&pixels);
        for ((first, weights), result) in taps.iter().zip(&mut results) {
            let mut sums = [HALF; size_of::<Group>()];
            for (pixel, &weight) in pixels[first..].iter().zip(weights) {
                add(&mut sums, pixel, weight);
            }
            *result = sums.map(clip);
        }
        for (line, values) in out.chunks_exact_mut(out_stride).enumerate() {
            collect(&results, line, values);
        }
    }
    out
}

/// Takes a line's pixels from their places.
#[inline(always)]
fn collect(pixels: &[Group], line: usize, values: &mut [u8]) {
    let at = line * 4;
    let mut place = 0;
    for pixel in pixels {
        // Four bytes at once, as long as there is room: the fourth is overwritten by the next pixel.
        match values.get_mut(place..place + 4) {
            Some(quad) => quad.copy_from_slice(&pixel[at..at + 4]),
            None => values[place..].iter_mut().zip(&pixel[at..]).for_each(|(to, from)| *to = *from),
        }
        place += CHANNELS;
    }
}

/// `data` in lines of `stride` values to as many such lines as there are taps.
#[inline(always)]
pub(super) fn vertical(data: &[u8], stride: usize, taps: &Taps) -> Vec<u8> {
    let mut out = vec![0; taps.len() * stride];
    for ((first, weights), out) in taps.iter().zip(out.chunks_exact_mut(stride)) {
        let lines = &data[first * stride..(first + weights.len()) * stride];
        let whole = stride - stride % COLUMNS;
        for at in (0..whole).step_by(COLUMNS) {
            some_columns::<COLUMNS>(lines, weights, at, out);
        }
        if whole < stride {
            // The last ones once more with those before them; or one by one where there are not enough.
            match stride.checked_sub(COLUMNS) {
                Some(at) => some_columns::<COLUMNS>(lines, weights, at, out),
                None => (0..stride).for_each(|at| some_columns::<1>(lines, weights, at, out)),
            }
        }
    }
    out
}

/// Values `at` and following of a line that `lines` make.
#[inline(always)]
fn some_columns<const N: usize>(lines: &[u8], weights: &[i32], at: usize, out: &mut [u8]) {
    let mut sums = [HALF; N];
    for (line, &weight) in lines.chunks_exact(out.len()).zip(weights) {
        if let Some(values) = line[at..].first_chunk() {
            add(&mut sums, values, weight);
        }
    }
    out[at..at + N].copy_from_slice(&sums.map(clip));
}

/// Adds the weighted values. As in Pillow, sums are within 32 bits whatever the pixels are.
#[inline(always)]
fn add<const N: usize>(sums: &mut [i32; N], values: &[u8; N], weight: i32) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum = sum.wrapping_add(i32::from(value).wrapping_mul(weight));
    }
}

#[inline(always)]
fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::super::taps::Filter;
    use super::*;
    use util::SplitMix64;

    /// One value of a pass by its definition.
    fn value(at: impl Fn(usize) -> u8, (first, weights): (usize, &[i32])) -> u8 {
        let products = weights.iter().zip(first..).map(|(w, i)| i64::from(*w) * i64::from(at(i)));
        (((1 << (PRECISION_BITS - 1)) + products.sum::<i64>()) >> PRECISION_BITS).clamp(0, 255)
            as u8
    }

    #[test]
    fn both_passes_are_the_weighted_sums_whatever_the_sides_are() {
        let mut bits = SplitMix64::new(1);
        for (width, height, to) in
            [(1, 1, 3), (1, 9, 4), (2, 5, 7), (5, 4, 2), (21, 7, 9), (22, 3, 30), (50, 13, 8)]
        {
            let data: Vec<u8> = (0..width * height * 3)
                .map(|_| [0, 255, bits.next_u64() as u8][(bits.next_u64() % 3) as usize])
                .collect();
            for filter in [Filter::Triangle, Filter::Cubic, Filter::Lanczos3] {
                let taps = Taps::new(width as u32, to, filter);
                let found = horizontal(&data, width as u32, &taps);
                let mut expected = Vec::new();
                for line in data.chunks(width * 3) {
                    for taps in taps.iter() {
                        expected.extend([0, 1, 2].map(|c| value(|x| line[x * 3 + c], taps)));
                    }
                }
                assert_eq!(found, expected, "{width}x{height} across to {to}");
                let taps = Taps::new(height as u32, to, filter);
                let found = vertical(&data, width * 3, &taps);
                let mut expected = Vec::new();
                for taps in taps.iter() {
                    expected
                        .extend((0..width * 3).map(|i| value(|y| data[y * width * 3 + i], taps)));
                }
                assert_eq!(found, expected, "{width}x{height} down to {to}");
            }
        }
    }
}
