//! Small pictures for reports.

use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

use crate::decode::decode_after;
use crate::memory::needed;
use crate::resize::working_bytes;
use crate::{ImageError, ImageSize, Interpolation, resize_rgb8};

/// Good enough for a picture of a hundred pixels, in a few kB.
const QUALITY: u8 = 82;

/// A small JPEG of the image in `bytes`: aspect kept, neither side over `max_side`, never enlarged.
///
/// # Errors
/// As [`crate::Memory::decode`]; also when `max_side` is 0.
pub fn thumbnail_jpeg(bytes: &[u8], max_side: u32) -> Result<Vec<u8>, ImageError> {
    let resizing = |from| working_bytes(from, fitted(from, max_side), Interpolation::Bilinear);
    let image = decode_after(bytes, &mut |header| needed(header, resizing(header.size)).map(drop))?;
    let size = fitted(ImageSize { width: image.width, height: image.height }, max_side);
    let pixels = resize_rgb8(&image, size, Interpolation::Bilinear)?;
    let (width, height) = (size.width as usize, size.height as usize);
    compress(&pixels, width, height, PixelFormat::Rgb, QUALITY, Subsampling::S420)
        .map_err(|error| ImageError::Encode { detail: error.to_string() })
}

/// The largest size of the same aspect within `max_side`; sides of at least 1 unless `max_side` is 0.
fn fitted(source: ImageSize, max_side: u32) -> ImageSize {
    let longest = source.width.max(source.height);
    if longest <= max_side {
        return source;
    }
    let scaled = |side: u32| {
        let exact = u64::from(side) * u64::from(max_side);
        let rounded = (exact + u64::from(longest) / 2) / u64::from(longest);
        // At most max_side, as side is at most longest.
        (rounded as u32).max(max_side.min(1))
    };
    ImageSize { width: scaled(source.width), height: scaled(source.height) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode_rgb;

    #[test]
    fn keeps_the_aspect_and_never_enlarges() {
        let size = |width, height| ImageSize { width, height };
        assert_eq!(fitted(size(500, 375), 100), size(100, 75));
        assert_eq!(fitted(size(375, 500), 100), size(75, 100));
        assert_eq!(fitted(size(40, 30), 100), size(40, 30));
        assert_eq!(fitted(size(10_000, 1), 100), size(100, 1));
        assert_eq!(fitted(size(5, 5), 0), size(0, 0));
    }

    #[test]
    fn makes_a_jpeg_of_that_size() {
        let pixels: Vec<u8> = (0..200 * 90 * 3).map(|i| (i / 7) as u8).collect();
        let jpeg = compress(&pixels, 200, 90, PixelFormat::Rgb, 90, Subsampling::S444).unwrap();
        let small = decode_rgb(&thumbnail_jpeg(&jpeg, 64).unwrap()).unwrap();
        assert_eq!((small.width, small.height), (64, 29));
        assert!(thumbnail_jpeg(&jpeg, 0).is_err());
        assert!(thumbnail_jpeg(b"text", 64).is_err());
    }
}
