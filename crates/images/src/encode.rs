//! Pixels to a PNG.

use png::{BitDepth, ColorType, Encoder};

use crate::{ImageError, ImageSize};

/// A PNG of `(height, width, 3)` 8-bit RGB pixels.
///
/// # Errors
/// When `pixels` are not of this `size`, or a side is 0.
pub fn encode_png(size: ImageSize, pixels: &[u8]) -> Result<Vec<u8>, ImageError> {
    if pixels.len() != size.values() {
        return Err(ImageError::BufferLength { expected: size.values(), found: pixels.len() });
    }
    let failed = |error: png::EncodingError| ImageError::Encode { detail: error.to_string() };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, size.width, size.height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode_rgb;

    #[test]
    fn a_picture_comes_back() {
        let size = ImageSize { width: 5, height: 3 };
        let pixels: Vec<u8> = (0..45).map(|i| i * 5).collect();
        let image = decode_rgb(&encode_png(size, &pixels).unwrap()).unwrap();
        assert_eq!((image.width, image.height, image.data), (5, 3, pixels));
        assert!(matches!(encode_png(size, &[0; 44]), Err(ImageError::BufferLength { .. })));
        let nothing = ImageSize { width: 0, height: 3 };
        assert!(matches!(encode_png(nothing, &[]), Err(ImageError::Encode { .. })));
    }
}
