//! The parameters of one view, and how they are applied.

use super::affine::Affine;
use super::{Fill, Sampling};
use crate::{ImageError, ImageSize};

/// What is done to a picture for one view, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform {
    /// Degrees; above 0 turns the picture counter-clockwise.
    pub rotation: f64,
    /// Pixels that every output pixel looks down: above 0 moves the picture up.
    pub shift_y: f64,
    /// Pixels that every output pixel looks to the right: above 0 moves the picture to the left.
    pub shift_x: f64,
    /// Degrees.
    pub shear: f64,
    /// Of the width; above 1 makes the picture narrower.
    pub zoom_x: f64,
    /// Of the height; above 1 makes the picture lower.
    pub zoom_y: f64,
    /// Levels that are added to all channels, bounded by the view's smallest and largest value.
    pub channel_shift: f64,
    /// Mirrored left to right.
    pub flip_horizontal: bool,
    /// Turned upside down.
    pub flip_vertical: bool,
    /// Factor of all values, which become whole levels first and are whole levels after it, both by cutting off, as in Pillow.
    pub brightness: Option<f64>,
}

impl Default for Transform {
    /// The picture itself.
    fn default() -> Self {
        Self {
            rotation: 0.0,
            shift_y: 0.0,
            shift_x: 0.0,
            shear: 0.0,
            zoom_x: 1.0,
            zoom_y: 1.0,
            channel_shift: 0.0,
            flip_horizontal: false,
            flip_vertical: false,
            brightness: None,
        }
    }
}

const CHANNELS: usize = 3;

impl Transform {
    /// Makes the view: `pixels` and `out` are `(height, width, 3)` in C order, levels of 0..255, before preprocessing.
    ///
    /// Where nothing is changed, `out` has the bits of `pixels`.
    ///
    /// # Errors
    /// [`ImageError::BufferLength`] where `pixels` or `out` is not of this `size`.
    pub fn apply(
        &self,
        size: ImageSize,
        fill: Fill,
        sampling: Sampling,
        pixels: &[f32],
        out: &mut [f32],
    ) -> Result<(), ImageError> {
        for found in [pixels.len(), out.len()] {
            if found != size.values() {
                return Err(ImageError::BufferLength { expected: size.values(), found });
            }
        }
        if out.is_empty() {
            return Ok(());
        }
        match Affine::of(self, size) {
            None => out.copy_from_slice(pixels),
            Some(affine) => affine.resample(size, fill, sampling, pixels, out),
        }
        if self.channel_shift != 0.0 {
            shift_channels(self.channel_shift as f32, out);
        }
        let row = size.width as usize * CHANNELS;
        if self.flip_horizontal {
            for row in out.chunks_exact_mut(row) {
                row.as_chunks_mut::<CHANNELS>().0.reverse();
            }
        }
        if self.flip_vertical {
            let (top, bottom) = out.split_at_mut(size.height as usize / 2 * row);
            for (a, b) in top.chunks_exact_mut(row).zip(bottom.chunks_exact_mut(row).rev()) {
                a.swap_with_slice(b);
            }
        }
        if let Some(factor) = self.brightness {
            let factor = factor as f32;
            // A cast to 8 bits cuts off and saturates.
            out.iter_mut().for_each(|v| *v = f32::from((factor * f32::from(*v as u8)) as u8));
        }
        Ok(())
    }
}

fn shift_channels(levels: f32, values: &mut [f32]) {
    let smallest = values.iter().copied().fold(f32::INFINITY, f32::min);
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter_mut().for_each(|v| *v = (*v + levels).max(smallest).min(largest));
}
