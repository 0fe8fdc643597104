//! From bytes to 8-bit RGB, as Pillow's `Image.open(...).convert("RGB")`.

mod format;
mod gif;
mod jpeg;
mod others;
mod png;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{ImageError, ImageSize};
pub use format::Format;

/// Images of more pixels are refused before they are allocated. Pillow's decompression-bomb limit; less for
/// a fuzzer, which would spend its time on clearing memory.
pub const MAX_PIXELS: u64 = if cfg!(fuzzing) { 1 << 20 } else { 178_956_970 };

/// Bytes that one buffer of a decoder may take, so that a small file cannot ask for more than a GiB: three 16-bit samples
/// of the largest image.
const MAX_BYTES: u64 = MAX_PIXELS * 6;
const TOO_LARGE: &str = "needs more memory than the largest image";

/// 8-bit RGB pixels, row by row, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb8Image {
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// `height * width * 3` values.
    pub data: Vec<u8>,
    /// The format that the bytes were in.
    pub format: Format,
}

/// Decodes an image of any [`Format`] into what Pillow's `Image.open(...).convert("RGB")` gives:
/// alpha dropped, the first frame of animations, EXIF orientation ignored. The content decides which format it is.
///
/// One difference is meant: 16-bit greyscale keeps its upper byte, where Pillow cuts all values above 255 to white.
///
/// # Errors
/// A short reason for everything that is not a whole image of at most [`MAX_PIXELS`] pixels.
pub fn decode_rgb(bytes: &[u8]) -> Result<Rgb8Image, ImageError> {
    decode_after(bytes, &mut |_| Ok(()))
}

/// What a header says, before anything of the image's size is allocated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// Columns and rows of the decoded image.
    pub(crate) size: ImageSize,
    /// Bytes that decoding takes at most, the decoded image included, the file's bytes not.
    pub(crate) bytes: u64,
    /// Bytes of these that the decoded image keeps.
    pub(crate) kept: u64,
}

/// As [`decode_rgb`]; `claim` is called once the header is read, and may wait for memory or refuse.
pub(crate) fn decode_after(
    bytes: &[u8],
    claim: &mut dyn FnMut(Header) -> Result<(), ImageError>,
) -> Result<Rgb8Image, ImageError> {
    let format = Format::of(bytes)?;
    // The decoders promise not to panic. Should one of them break that on some hostile file, a long run goes on.
    let decoded = catch_unwind(AssertUnwindSafe(|| match format {
        Format::Jpeg => jpeg::decode(bytes, claim),
        Format::Png => png::decode(bytes, claim),
        Format::Gif => gif::decode(bytes, claim),
        Format::Bmp | Format::WebP | Format::Tiff | Format::Pnm => {
            others::decode(bytes, format, claim)
        }
    }));
    decoded.unwrap_or_else(|_| Err(corrupt(format, "the decoder failed")))
}

/// The number of pixels, when it is not 0 and within [`MAX_PIXELS`].
fn checked_pixels(format: Format, width: u32, height: u32) -> Result<usize, ImageError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(corrupt(format, "no pixels"));
    }
    if pixels > MAX_PIXELS {
        return Err(ImageError::TooManyPixels { width: width.into(), height: height.into() });
    }
    Ok(pixels as usize)
}

/// Tells of the header: so many bytes a pixel at most, and some beside the pixels.
fn claim_pixels(
    claim: &mut dyn FnMut(Header) -> Result<(), ImageError>,
    (width, height): (u32, u32),
    per_pixel: u64,
    beside: u64,
) -> Result<(), ImageError> {
    // Tables and the decoders' own state.
    const LEAST: u64 = 1 << 18;
    let pixels = u64::from(width) * u64::from(height);
    let bytes = pixels.saturating_mul(per_pixel).saturating_add(beside).saturating_add(LEAST);
    claim(Header { size: ImageSize { width, height }, bytes, kept: pixels * 3 })
}

/// Keeps the first `kept` bytes of every `of`, in place; the memory stays reserved.
fn keep_first(data: &mut Vec<u8>, kept: usize, of: usize) {
    let groups = data.len() / of;
    for group in 0..groups {
        data.copy_within(group * of..group * of + kept, group * kept);
    }
    data.truncate(groups * kept);
}

fn corrupt(format: Format, detail: impl ToString) -> ImageError {
    ImageError::Corrupt { format, detail: detail.to_string() }
}

fn unsupported(format: Format, detail: impl ToString) -> ImageError {
    ImageError::Unsupported { format, detail: detail.to_string() }
}

/// Grey levels to RGB.
fn grey_to_rgb(grey: impl IntoIterator<Item = u8>) -> Vec<u8> {
    grey.into_iter().flat_map(|level| [level; 3]).collect()
}
