//! Resizing exactly as Pillow and TensorFlow do it.

mod nearest;
mod passes;
mod resample;
mod taps;
mod tf_bilinear;

use std::borrow::Cow;

use crate::{ImageError, ImageSize, Interpolation, Rgb8Image};
use taps::Filter;

/// Channels of every image here.
const CHANNELS: usize = 3;

/// `image` at `size`: `(height, width, 3)` values in 0..255, RGB.
///
/// Whole numbers for Pillow's interpolations, which round to 8 bits; any f32 for [`Interpolation::TfBilinear`].
///
/// # Errors
/// When a side of `size` is 0, or `image` has no pixels or data that do not fit its sides.
pub fn resize(
    image: &Rgb8Image,
    size: ImageSize,
    interpolation: Interpolation,
) -> Result<Vec<f32>, ImageError> {
    if interpolation == Interpolation::TfBilinear {
        check(image, size)?;
        return Ok(tf_bilinear::resize(image, size));
    }
    Ok(levels(image, size, interpolation)?.iter().map(|&level| level.into()).collect())
}

/// As [`resize`], kept in 8 bits. [`Interpolation::TfBilinear`] is rounded to the nearest level.
///
/// # Errors
/// As [`resize`].
pub fn resize_rgb8(
    image: &Rgb8Image,
    size: ImageSize,
    interpolation: Interpolation,
) -> Result<Vec<u8>, ImageError> {
    Ok(levels(image, size, interpolation)?.into_owned())
}

/// As [`resize_rgb8`]; the image's own pixels where it has the size already.
pub(crate) fn levels(
    image: &Rgb8Image,
    size: ImageSize,
    interpolation: Interpolation,
) -> Result<Cow<'_, [u8]>, ImageError> {
    check(image, size)?;
    if (image.width, image.height) == (size.width, size.height) {
        return Ok(Cow::Borrowed(&image.data));
    }
    Ok(Cow::Owned(match interpolation {
        Interpolation::Nearest => nearest::resize(image, size),
        Interpolation::Bilinear => resample::resize(image, size, Filter::Triangle),
        Interpolation::Bicubic => resample::resize(image, size, Filter::Cubic),
        Interpolation::Lanczos => resample::resize(image, size, Filter::Lanczos3),
        // Values are between the pixels', so the cast never saturates.
        Interpolation::TfBilinear => tf_bilinear::resize(image, size)
            .into_iter()
            .map(|value| value.round_ties_even() as u8)
            .collect(),
    }))
}

/// Bytes that [`resize`] takes at most beside the image, its result included.
pub(crate) fn working_bytes(from: ImageSize, to: ImageSize, interpolation: Interpolation) -> u64 {
    // The result in f32, and once more in 8 bits.
    let result = to.values() as u64 * 5;
    let between = match interpolation {
        Interpolation::Nearest | Interpolation::TfBilinear => {
            (u64::from(to.width) + u64::from(to.height)) * 24
        }
        Interpolation::Bilinear => resample::working_bytes(from, to, Filter::Triangle),
        Interpolation::Bicubic => resample::working_bytes(from, to, Filter::Cubic),
        Interpolation::Lanczos => resample::working_bytes(from, to, Filter::Lanczos3),
    };
    result.saturating_add(between)
}

fn check(image: &Rgb8Image, size: ImageSize) -> Result<(), ImageError> {
    let source = ImageSize { width: image.width, height: image.height };
    if size.values() == 0 || source.values() == 0 {
        return Err(ImageError::NoPixels { from: source, to: size });
    }
    if image.data.len() != source.values() {
        return Err(ImageError::BufferLength {
            expected: source.values(),
            found: image.data.len(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    fn image(width: u32, height: u32, data: Vec<u8>) -> Rgb8Image {
        Rgb8Image { width, height, data, format: Format::Png }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let source = image(3, 2, (0..18).map(|i| i * 13).collect());
        for &interpolation in Interpolation::ALL {
            let same = resize(&source, ImageSize { width: 3, height: 2 }, interpolation).unwrap();
            let expected: Vec<f32> = source.data.iter().map(|&v| f32::from(v)).collect();
            assert_eq!(same, expected, "{interpolation}");
        }
    }

    #[test]
    fn a_flat_image_stays_flat() {
        let source = image(7, 5, [200, 3, 255].repeat(35));
        for &interpolation in Interpolation::ALL {
            for size in [
                ImageSize { width: 3, height: 11 },
                ImageSize::square(1),
                ImageSize { width: 40, height: 2 },
            ] {
                let flat = resize_rgb8(&source, size, interpolation).unwrap();
                assert!(
                    flat.chunks(3).all(|pixel| pixel == [200, 3, 255]),
                    "{interpolation} {size}"
                );
            }
        }
    }

    #[test]
    fn refuses_empty_sides_and_false_lengths() {
        let size = ImageSize::square(2);
        let none = image(0, 4, Vec::new());
        let short = image(2, 2, vec![0; 11]);
        let good = image(1, 1, vec![1, 2, 3]);
        for &interpolation in Interpolation::ALL {
            assert!(matches!(resize(&none, size, interpolation), Err(ImageError::NoPixels { .. })));
            assert!(matches!(
                resize(&short, size, interpolation),
                Err(ImageError::BufferLength { .. })
            ));
            let nothing = ImageSize { width: 0, height: 2 };
            assert!(matches!(
                resize(&good, nothing, interpolation),
                Err(ImageError::NoPixels { .. })
            ));
        }
    }
}
