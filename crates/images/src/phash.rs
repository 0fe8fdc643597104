//! A perceptual hash from which the hash of the mirrored picture follows.
//!
//! As in the well-known pHash, the picture is shrunk to 32 × 32 grey cells and transformed by a cosine transform, whose
//! lowest frequencies survive re-encoding and resizing. A bit is the sign of a coefficient (pHash compares with the
//! median): mirroring a picture left to right flips exactly the signs of the odd horizontal frequencies, so one hash
//! serves both ways round.

use std::f32::consts::PI;

/// Side of the shrunk picture.
const SIDE: usize = 32;
/// Frequencies in use on each axis: 0 to 10.
const FREQUENCIES: usize = 11;
/// Standard deviation of the cells, in levels of 255, below which a picture counts as one colour.
const FLAT: f32 = 1.0;

/// (horizontal, vertical) frequency of each bit, from the lowest bit on: by their sum, then by the horizontal one.
const ORDER: [(usize, usize); 64] = order();
/// The bits of [`perceptual_hash`] that mirroring the picture left to right flips.
pub const MIRRORED_BITS: u64 = mirrored_bits();

const fn order() -> [(usize, usize); 64] {
    let mut all = [(0, 0); 64];
    let (mut sum, mut u) = (1, 0);
    let mut i = 0;
    while i < 64 {
        all[i] = (u, sum - u);
        i += 1;
        u += 1;
        if u > sum {
            sum += 1;
            u = 0;
        }
    }
    all
}

const fn mirrored_bits() -> u64 {
    let (mut mask, mut i) = (0, 0);
    while i < 64 {
        mask |= (ORDER[i].0 as u64 & 1) << i;
        i += 1;
    }
    mask
}

/// A 64-bit fingerprint of a picture (`rgb`: height × width × 3 bytes) that survives re-encoding and resizing, and from
/// which that of the mirrored picture follows. `None` where the picture has no structure (one colour) or `rgb` is not of
/// that size.
pub fn perceptual_hash(rgb: &[u8], width: usize, height: usize) -> Option<u64> {
    let size = width.checked_mul(height)?.checked_mul(3)?;
    if size == 0 || rgb.len() != size {
        return None;
    }
    let cells = shrink(rgb, width, height);
    let mean = cells.iter().sum::<f32>() / cells.len() as f32;
    let variance = cells.iter().map(|c| (c - mean) * (c - mean)).sum::<f32>() / cells.len() as f32;
    if variance < FLAT * FLAT {
        return None;
    }
    let waves = waves();
    // By rows, then by columns: only the frequencies in use.
    let mut rows = [[0.0f32; FREQUENCIES]; SIDE];
    for (row, out) in cells.chunks_exact(SIDE).zip(&mut rows) {
        for (wave, o) in waves.iter().zip(out) {
            *o = wave.iter().zip(row).map(|(w, c)| w * (c - mean)).sum();
        }
    }
    let mut hash = 0;
    for (i, &(u, v)) in ORDER.iter().enumerate() {
        let coefficient: f32 = waves[v].iter().zip(&rows).map(|(w, row)| w * row[u]).sum();
        hash |= u64::from(coefficient > 0.0) << i;
    }
    Some(hash)
}

/// `cos(π/32 · (n + ½) · k)` of each frequency k and cell n.
fn waves() -> [[f32; SIDE]; FREQUENCIES] {
    let mut waves = [[0.0; SIDE]; FREQUENCIES];
    for (k, wave) in waves.iter_mut().enumerate() {
        for (n, w) in wave.iter_mut().enumerate() {
            *w = (PI / SIDE as f32 * (n as f32 + 0.5) * k as f32).cos();
        }
    }
    waves
}

/// Mean brightness of each of 32 × 32 equal cells, 0 to 255; pixels on a border count by their share.
fn shrink(rgb: &[u8], width: usize, height: usize) -> Vec<f32> {
    // Wider vectors only give the same bits sooner: every sum has its own order.
    pulp::Arch::new().dispatch(Shrink { rgb, width, height })
}

/// A closure in its place would not become a part of the function that has the wider vectors.
struct Shrink<'a> {
    rgb: &'a [u8],
    width: usize,
    height: usize,
}

impl pulp::NullaryFnOnce for Shrink<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn call(self) -> Vec<f32> {
        shrink_lines(self.rgb, self.width, self.height)
    }
}

/// Lines that are summed together: each sum waits for its last summand, so that one line alone would wait all the time.
const LINES: usize = 8;

#[inline(always)]
fn shrink_lines(rgb: &[u8], width: usize, height: usize) -> Vec<f32> {
    let (across, down) = (shares(width), shares(height));
    let mut cells = vec![0.0f32; SIDE * SIDE];
    let mut grey: [Vec<f32>; LINES] = std::array::from_fn(|_| vec![0.0; width]);
    let mut next = down.iter().peekable();
    for (group, lines) in rgb.chunks(width * 3 * LINES).enumerate() {
        // Where the last group has fewer lines, some from before are summed again, and left out.
        let lines = lines.chunks_exact(width * 3);
        let count = lines.len();
        for (grey, line) in grey.iter_mut().zip(lines) {
            for (g, [r, green, b]) in grey.iter_mut().zip(line.as_chunks().0) {
                *g = (u32::from(*r) * 299 + u32::from(*green) * 587 + u32::from(*b) * 114) as f32
                    / 1000.0;
            }
        }
        let mut bins = [[0.0f32; SIDE]; LINES];
        for shares in across.chunk_by(|a, b| a.1 == b.1) {
            let mut sums = [0.0f32; LINES];
            for &(x, _, share) in shares {
                for (sum, grey) in sums.iter_mut().zip(&grey) {
                    *sum += grey[x] * share;
                }
            }
            for (bins, sum) in bins.iter_mut().zip(sums) {
                bins[shares[0].1] = sum;
            }
        }
        for (y, bins) in (group * LINES..).zip(&bins[..count]) {
            while let Some(&&(_, bin, share)) = next.peek().filter(|n| n.0 == y) {
                next.next();
                let row = &mut cells[bin * SIDE..(bin + 1) * SIDE];
                row.iter_mut().zip(bins).for_each(|(c, b)| *c += b * share);
            }
        }
    }
    cells
}

/// Which pixel of an axis belongs to which cell by which share of the cell, in the order of the pixels.
fn shares(pixels: usize) -> Vec<(usize, usize, f32)> {
    let mut shares = Vec::with_capacity(pixels + SIDE);
    // In units of 1/(32 · pixels) of the axis a pixel is 32 long and a cell `pixels`.
    let (mut pixel, mut cell, mut at) = (0, 0, 0);
    while pixel < pixels && cell < SIDE {
        let end = ((pixel + 1) * SIDE).min((cell + 1) * pixels);
        shares.push((pixel, cell, (end - at) as f32 / pixels as f32));
        at = end;
        pixel += usize::from(end == (pixel + 1) * SIDE);
        cell += usize::from(end == (cell + 1) * pixels);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A smooth picture with some detail, as a function of place, so that it can be drawn at any size.
    fn draw(seed: u32, width: usize, height: usize) -> Vec<u8> {
        let s = seed as f32;
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (u, v) = ((x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32);
                for c in 0..3 {
                    let c = c as f32;
                    let wave = (u * (3.0 + s.sin() * 2.0) + v * (2.0 + c) + s).sin()
                        + (u * v * 9.0 + s * 1.7).cos();
                    let blob = (-((u - 0.3).powi(2) + (v - 0.6).powi(2)) * 20.0).exp();
                    rgb.push((128.0 + 40.0 * wave + 40.0 * blob) as u8);
                }
            }
        }
        rgb
    }

    fn mirror_pixels(rgb: &[u8], width: usize) -> Vec<u8> {
        rgb.chunks_exact(width * 3)
            .flat_map(|line| line.chunks_exact(3).rev().flatten().copied())
            .collect()
    }

    /// The definition, pixel by pixel.
    fn shrink_plainly(rgb: &[u8], width: usize, height: usize) -> Vec<f32> {
        let mut cells = vec![0.0f32; SIDE * SIDE];
        for &(y, row, down) in &shares(height) {
            let mut bins = [0.0f32; SIDE];
            for &(x, bin, across) in &shares(width) {
                let [r, g, b] = [0, 1, 2].map(|c| u32::from(rgb[(y * width + x) * 3 + c]));
                bins[bin] += (r * 299 + g * 587 + b * 114) as f32 / 1000.0 * across;
            }
            (0..SIDE).for_each(|bin| cells[row * SIDE + bin] += bins[bin] * down);
        }
        cells
    }

    #[test]
    fn lines_together_give_the_bits_of_lines_alone() {
        for (width, height) in [(1, 1), (7, 5), (33, 8), (100, 75), (301, 203), (40, 33)] {
            let rgb = draw(3, width, height);
            let expected = shrink_plainly(&rgb, width, height);
            assert_eq!(shrink(&rgb, width, height), expected, "{width}x{height}");
        }
    }

    #[test]
    fn cells_share_every_pixel_fully() {
        for pixels in [1, 2, 31, 32, 33, 450, 1000] {
            let shares = shares(pixels);
            for cell in 0..SIDE {
                let sum: f32 = shares.iter().filter(|s| s.1 == cell).map(|s| s.2).sum();
                assert!((sum - 1.0).abs() <= 1e-5, "{pixels} pixels, cell {cell}: {sum}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn size_and_mirror_do_not_matter(seed in 0u32..1000, w in 40usize..300, h in 40usize..300) {
            let hash = perceptual_hash(&draw(seed, 200, 150), 200, 150).unwrap();
            let other = draw(seed, w, h);
            let resized = perceptual_hash(&other, w, h).unwrap();
            prop_assert!((hash ^ resized).count_ones() <= 8);
            let turned = perceptual_hash(&mirror_pixels(&other, w), w, h).unwrap();
            prop_assert!((resized ^ MIRRORED_BITS ^ turned).count_ones() <= 2);
        }
    }

    #[test]
    fn what_has_no_structure_has_no_hash() {
        assert_eq!(perceptual_hash(&[7; 300], 10, 10), None);
        assert_eq!(perceptual_hash(&[], 0, 0), None);
        assert_eq!(perceptual_hash(&[1, 2, 3], 2, 2), None);
        assert_eq!(perceptual_hash(&[1], usize::MAX, 3), None);
        assert!(perceptual_hash(&[0, 0, 0, 255, 255, 255], 2, 1).is_some());
    }
}
