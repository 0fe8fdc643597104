//! PNG, with the upper byte of 16-bit samples (the `image` crate rounds them instead).

use std::io::{Cursor, ErrorKind};

use ::png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};

use super::{
    Format, Header, MAX_BYTES, Rgb8Image, TOO_LARGE, checked_pixels, corrupt, grey_to_rgb,
    keep_first, unsupported,
};
use crate::{ImageError, ImageSize};

const FORMAT: Format = Format::Png;
/// Rows that the decoder keeps at most.
const BUFFERED_ROWS: u32 = 8;
/// Its tables and its buffer for small rows.
const BESIDE: u64 = 1 << 20;

pub(super) fn decode(
    bytes: &[u8],
    claim: &mut dyn FnMut(Header) -> Result<(), ImageError>,
) -> Result<Rgb8Image, ImageError> {
    let mut decoder =
        Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: MAX_BYTES as usize });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    // Palettes and small bit depths to 8 bits.
    decoder.set_transformations(Transformations::EXPAND);
    let header = decoder.read_header_info().map_err(error)?;
    let (width, height) = (header.width, header.height);
    let pixels = checked_pixels(FORMAT, width, height)?;
    let mut reader = decoder.read_info().map_err(error)?;
    let size = reader.output_buffer_size().ok_or_else(|| corrupt(FORMAT, "impossible size"))?;
    if size as u64 > MAX_BYTES {
        return Err(unsupported(FORMAT, TOO_LARGE));
    }
    // The decoder keeps some rows besides, in a buffer that doubles: the old and the new one for a moment.
    let row = (size as u64).div_ceil(u64::from(height));
    let rows = row.saturating_mul(u64::from(height.min(BUFFERED_ROWS)) * 3);
    let grey = !matches!(reader.output_color_type().0, ColorType::Rgb | ColorType::Rgba);
    let returned = if grey { pixels as u64 * 3 } else { 0 };
    let bytes = (size as u64).saturating_add(returned).saturating_add(rows) + BESIDE;
    // Colours stay where they were decoded to.
    let kept = if grey { returned } else { size as u64 };
    claim(Header { size: ImageSize { width, height }, bytes, kept })?;
    let mut raw = vec![0; size];
    let frame = reader.next_frame(&mut raw).map_err(error)?;
    raw.truncate(frame.buffer_size());
    if (frame.width, frame.height) != (width, height) {
        return Err(corrupt(FORMAT, "the frame has another size than the image"));
    }
    if frame.bit_depth == BitDepth::Sixteen {
        // Big-endian samples: the upper byte comes first.
        keep_first(&mut raw, 1, 2);
    }
    let data = match frame.color_type {
        ColorType::Rgb => raw,
        ColorType::Rgba => {
            keep_first(&mut raw, 3, 4);
            raw
        }
        ColorType::Grayscale => grey_to_rgb(raw),
        ColorType::GrayscaleAlpha => grey_to_rgb(raw.iter().step_by(2).copied()),
        ColorType::Indexed => return Err(corrupt(FORMAT, "the palette was not expanded")),
    };
    if data.len() != pixels * 3 {
        return Err(corrupt(FORMAT, "the decoder returned another size"));
    }
    Ok(Rgb8Image { width, height, data, format: FORMAT })
}

fn error(error: DecodingError) -> ImageError {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            ImageError::Truncated { format: FORMAT }
        }
        other => corrupt(FORMAT, other),
    }
}
