//! The first frame of a GIF on its canvas, as Pillow shows it: what no frame covers has the transparent colour of
//! the frame, or colour 0; transparent pixels keep the colour that the palette gives them.

use ::gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::{Format, Header, MAX_PIXELS, Rgb8Image, checked_pixels, claim_pixels, corrupt};
use crate::ImageError;

const FORMAT: Format = Format::Gif;

pub(super) fn decode(
    bytes: &[u8],
    claim: &mut dyn FnMut(Header) -> Result<(), ImageError>,
) -> Result<Rgb8Image, ImageError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    if let Some(limit) = std::num::NonZeroU64::new(MAX_PIXELS) {
        options.set_memory_limit(MemoryLimit::Bytes(limit));
    }
    let mut decoder = options.read_info(bytes).map_err(error)?;
    let canvas = (usize::from(decoder.width()), usize::from(decoder.height()));
    let frame =
        decoder.next_frame_info().map_err(error)?.ok_or_else(|| corrupt(FORMAT, "no frame"))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (columns, rows) = (usize::from(frame.width), usize::from(frame.height));
    let background = frame.transparent.unwrap_or(0);
    // A frame that reaches over the canvas widens it.
    let width = canvas.0.max(left + columns);
    let height = canvas.1.max(top + rows);
    let pixels = checked_pixels(FORMAT, width as u32, height as u32)?;
    // Colours of the canvas, and indices of the frame, which interlacing can hold twice.
    claim_pixels(claim, (width as u32, height as u32), 3 + 2, 0)?;
    let palette = palette(decoder.palette().unwrap_or_default());
    let mut frame = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut frame).map_err(error)?;
    let mut data = palette[usize::from(background)].repeat(pixels);
    if columns > 0 {
        let canvas_rows = data.chunks_exact_mut(width * 3).skip(top);
        for (row, indices) in canvas_rows.zip(frame.chunks_exact(columns)) {
            for (pixel, &index) in row[left * 3..].chunks_exact_mut(3).zip(indices) {
                pixel.copy_from_slice(&palette[usize::from(index)]);
            }
        }
    }
    Ok(Rgb8Image { width: width as u32, height: height as u32, data, format: FORMAT })
}

/// 256 colours: the file's, and grey levels where it has none.
fn palette(stored: &[u8]) -> [[u8; 3]; 256] {
    let mut palette = std::array::from_fn(|index| [index as u8; 3]);
    let (stored, _) = stored.as_chunks();
    for (colour, stored) in palette.iter_mut().zip(stored) {
        *colour = *stored;
    }
    palette
}

fn error(error: DecodingError) -> ImageError {
    match error {
        DecodingError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            ImageError::Truncated { format: FORMAT }
        }
        DecodingError::UnexpectedEof => ImageError::Truncated { format: FORMAT },
        other => corrupt(FORMAT, other),
    }
}
