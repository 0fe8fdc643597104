//! Parameters of one view, from the seed, the file's content and the view's number alone.

use sha2::{Digest as _, Sha256};

use super::{Augmentation, Transform};
use crate::ImageSize;

/// Begins what is hashed, so that no other use of the same numbers gives the same draws.
const DOMAIN: &[u8] = b"feature-cache/augment/1\0";

impl Augmentation {
    /// The transform of one view of a picture of `size`.
    ///
    /// `sha256` is that of the file's bytes; `view` is the number of the view, or of the epoch where pictures are read again
    /// each epoch. Nothing else decides: no position, no name, no thread.
    ///
    /// The first 8 bytes, little-endian, of sha256(`"feature-cache/augment/1\0"`, seed, file's sha256, view), both numbers as 8
    /// bytes little-endian, are the state of a SplitMix64. Of its outputs each parameter has the one at its own place, whether
    /// it is used or not: rotation, height shift, width shift, shear, zoom of the width, zoom of the height, horizontal flip,
    /// vertical flip, channel shift, brightness. The upper 53 bits over 2^53 are `u`; a range gives `low + (high - low) u`, a
    /// flip happens where `u < 0.5`.
    pub fn draw(&self, size: ImageSize, seed: u64, sha256: &[u8; 32], view: u64) -> Transform {
        let mut uniforms = Uniforms::new(seed, sha256, view);
        let mut within = |low: f64, high: f64| low + (high - low) * uniforms.next();
        let rotation = within(-self.rotation, self.rotation);
        let shift_y = within(-self.height_shift, self.height_shift);
        let shift_x = within(-self.width_shift, self.width_shift);
        let shear = within(-self.shear, self.shear);
        let zoom_x = within(1.0 - self.zoom, 1.0 + self.zoom);
        let zoom_y = within(1.0 - self.zoom, 1.0 + self.zoom);
        let flip_horizontal = within(0.0, 1.0) < 0.5 && self.horizontal_flip;
        let flip_vertical = within(0.0, 1.0) < 0.5 && self.vertical_flip;
        let channel_shift = within(-self.channel_shift, self.channel_shift);
        let [darkest, brightest] = self.brightness.unwrap_or_default();
        let brightness = within(darkest, brightest);
        Transform {
            rotation,
            shift_y: shift_y * scale(self.height_shift, size.height),
            shift_x: shift_x * scale(self.width_shift, size.width),
            shear,
            zoom_x,
            zoom_y,
            flip_horizontal,
            flip_vertical,
            channel_shift,
            brightness: self.brightness.map(|_| brightness),
        }
    }
}

/// Pixels in one unit of a shift: below 1 it is a fraction of the side.
fn scale(range: f64, side: u32) -> f64 {
    if range < 1.0 { f64::from(side) } else { 1.0 }
}

/// SplitMix64 (Steele, Lea, Flood 2014) as numbers in 0..1.
struct Uniforms(u64);

impl Uniforms {
    fn new(seed: u64, sha256: &[u8; 32], view: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(seed.to_le_bytes());
        hash.update(sha256);
        hash.update(view.to_le_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: ImageSize = ImageSize { width: 150, height: 100 };

    #[test]
    fn seed_file_and_view_decide_and_no_parameter_shifts_another() {
        let lesson = Augmentation::lesson();
        let one = lesson.draw(SIZE, 1, &[2; 32], 3);
        assert_eq!(one, lesson.draw(SIZE, 1, &[2; 32], 3));
        for other in [
            lesson.draw(SIZE, 2, &[2; 32], 3),
            lesson.draw(SIZE, 1, &[3; 32], 3),
            lesson.draw(SIZE, 1, &[2; 32], 4),
        ] {
            assert_ne!(one.rotation, other.rotation);
            assert_ne!(one.zoom_x, other.zoom_x);
        }
        let less = Augmentation { shear: 0.0, horizontal_flip: false, ..lesson };
        let less = less.draw(SIZE, 1, &[2; 32], 3);
        let flip_horizontal = one.flip_horizontal;
        assert_eq!(Transform { shear: one.shear, flip_horizontal, ..less }, one);
    }

    #[test]
    fn draws_are_uniform_in_their_ranges() {
        let all: Augmentation =
            "rotation=40,width-shift=0.2,height-shift=3,zoom=0.5,horizontal-flip,\
            channel-shift=9,brightness=0.5..1.5"
                .parse()
                .unwrap();
        let n = 4000;
        let draws: Vec<_> = (0..n).map(|view| all.draw(SIZE, 0, &[7; 32], view)).collect();
        type Value = fn(&Transform) -> f64;
        let ranges: [(Value, f64, f64); 7] = [
            (|t| t.rotation, -40.0, 40.0),
            (|t| t.shift_x, -30.0, 30.0),
            (|t| t.shift_y, -3.0, 3.0),
            (|t| t.zoom_x, 0.5, 1.5),
            (|t| t.zoom_y, 0.5, 1.5),
            (|t| t.channel_shift, -9.0, 9.0),
            (|t| t.brightness.unwrap_or(f64::NAN), 0.5, 1.5),
        ];
        /// Ten deviations of a share of a tenth in 4000 draws would be 0.047; the largest found is 0.011.
        const SHARE_TOLERANCE: f64 = 0.03;
        for (value, low, high) in ranges {
            let mut shares = [0.0; 10];
            for draw in &draws {
                let at = (value(draw) - low) / (high - low);
                assert!((0.0..1.0).contains(&at), "{draw:?}");
                shares[(at * 10.0) as usize] += 1.0 / n as f64;
            }
            assert!(shares.iter().all(|s| (s - 0.1).abs() <= SHARE_TOLERANCE), "{shares:?}");
        }
        let flipped = draws.iter().filter(|t| t.flip_horizontal).count() as f64 / n as f64;
        assert!((flipped - 0.5).abs() <= SHARE_TOLERANCE, "{flipped}");
        assert!(draws.iter().all(|t| !t.flip_vertical && t.shear == 0.0));
        assert!(draws.iter().any(|t| t.zoom_x < 1.0 && t.zoom_y > 1.0), "one factor for both axes");
    }
}
