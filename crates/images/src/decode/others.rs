//! BMP, WebP, TIFF and PNM by the `image` crate.

use std::error::Error as _;
use std::io::{Cursor, ErrorKind};

use image::error::{ImageError as DecodeError, LimitErrorKind};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::{
    Format, Header, MAX_BYTES, Rgb8Image, TOO_LARGE, checked_pixels, claim_pixels, corrupt,
    grey_to_rgb, unsupported,
};
use crate::ImageError;

pub(super) fn decode(
    bytes: &[u8],
    format: Format,
    claim: &mut dyn FnMut(Header) -> Result<(), ImageError>,
) -> Result<Rgb8Image, ImageError> {
    let error = |error| {
        if format == Format::WebP && webp_is_cut(bytes) {
            return ImageError::Truncated { format };
        }
        error_of(format, error)
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), image_format(format));
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(error)?;
    let (width, height) = decoder.dimensions();
    let pixels = checked_pixels(format, width, height)?;
    // What the decoder returns, what it needs to make that (WebP: planes, or 4 bytes a pixel; TIFF: a strip or tile, which
    // can be the whole image), and the 3 bytes a pixel that come of it.
    let sample_bytes = u64::from(decoder.color_type().bytes_per_pixel());
    let own = match format {
        Format::WebP => 8,
        Format::Tiff => sample_bytes * 2,
        _ => sample_bytes,
    };
    claim_pixels(claim, (width, height), sample_bytes + own + 3, bytes.len() as u64)?;
    decoder.set_limits(limits).map_err(error)?;
    let decoded = DynamicImage::from_decoder(decoder).map_err(error)?;
    // Pillow rounds the samples of PNM to 8 bits, and takes the upper byte of the others'.
    let narrow = if format == Format::Pnm { rounded } else { upper_byte };
    let data = match decoded {
        DynamicImage::ImageRgb8(image) => image.into_raw(),
        DynamicImage::ImageRgba8(image) => {
            image.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]]).collect()
        }
        DynamicImage::ImageLuma8(image) => grey_to_rgb(image.into_raw()),
        DynamicImage::ImageLumaA8(image) => grey_to_rgb(image.pixels().map(|p| p.0[0])),
        DynamicImage::ImageRgb16(image) => image.into_raw().into_iter().map(narrow).collect(),
        DynamicImage::ImageRgba16(image) => {
            image.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]]).map(narrow).collect()
        }
        DynamicImage::ImageLuma16(image) => grey_to_rgb(image.into_raw().into_iter().map(narrow)),
        DynamicImage::ImageLumaA16(image) => grey_to_rgb(image.pixels().map(|p| narrow(p.0[0]))),
        other => return Err(unsupported(format, format!("pixels of type {:?}", other.color()))),
    };
    if data.len() != pixels * 3 {
        return Err(corrupt(format, "the decoder returned another size"));
    }
    Ok(Rgb8Image { width, height, data, format })
}

/// Whether the container says that it is longer than it is.
fn webp_is_cut(bytes: &[u8]) -> bool {
    match bytes.get(4..8) {
        Some(&[a, b, c, d]) => u64::from(u32::from_le_bytes([a, b, c, d])) + 8 > bytes.len() as u64,
        _ => true,
    }
}

fn upper_byte(sample: u16) -> u8 {
    (sample >> 8) as u8
}

fn rounded(sample: u16) -> u8 {
    ((u32::from(sample) * 255 + 32_767) / 65_535) as u8
}

fn image_format(format: Format) -> ImageFormat {
    match format {
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Png => ImageFormat::Png,
        Format::Gif => ImageFormat::Gif,
        Format::Bmp => ImageFormat::Bmp,
        Format::WebP => ImageFormat::WebP,
        Format::Tiff => ImageFormat::Tiff,
        Format::Pnm => ImageFormat::Pnm,
    }
}

fn error_of(format: Format, error: DecodeError) -> ImageError {
    match error {
        DecodeError::Unsupported(error) => unsupported(format, error),
        DecodeError::Limits(limit) if limit.kind() == LimitErrorKind::InsufficientMemory => {
            unsupported(format, TOO_LARGE)
        }
        error if ends_early(&error) => ImageError::Truncated { format },
        error => corrupt(format, error),
    }
}

/// Whether some error in the chain is the end of the data.
fn ends_early(error: &DecodeError) -> bool {
    let is_end = |error: &std::io::Error| error.kind() == ErrorKind::UnexpectedEof;
    if let DecodeError::IoError(error) = error
        && is_end(error)
    {
        return true;
    }
    let mut source = error.source();
    while let Some(error) = source {
        if error.downcast_ref::<std::io::Error>().is_some_and(is_end) {
            return true;
        }
        source = error.source();
    }
    false
}
