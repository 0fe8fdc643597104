//! Which format some bytes are in.

use std::fmt;

use crate::ImageError;

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
    pub const ALL: &[Self] =
        &[Self::Jpeg, Self::Png, Self::Gif, Self::Bmp, Self::WebP, Self::Tiff, Self::Pnm];

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

    /// The format that the first bytes announce.
    ///
    /// # Errors
    /// [`ImageError::Empty`], or [`ImageError::NotAnImage`] with a guess at what it is instead.
    pub fn of(bytes: &[u8]) -> Result<Self, ImageError> {
        match bytes {
            [] => Err(ImageError::Empty),
            [0xff, 0xd8, 0xff, ..] => Ok(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Self::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Self::WebP),
            [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..] => Ok(Self::Tiff),
            [b'P', b'1'..=b'6', b'#' | b' ' | b'\t'..=b'\r', ..] => Ok(Self::Pnm),
            // The reserved fields are 0 in practice; so a text that begins with BM is told apart.
            [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Ok(Self::Bmp),
            [b'B', b'M', rest @ ..] if rest.iter().take(8).any(|byte| *byte < b'\t') => {
                Ok(Self::Bmp)
            }
            _ => Err(ImageError::NotAnImage { looks_like: looks_like(bytes) }),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

fn looks_like(bytes: &[u8]) -> &'static str {
    const LOOKED_AT: usize = 512;
    let start = &bytes[..bytes.len().min(LOOKED_AT)];
    match bytes {
        [b'%', b'P', b'D', b'F', ..] => "PDF?",
        [b'P', b'K', 3 | 5, ..] => "zip archive?",
        [0x1f, 0x8b, ..] => "gzip?",
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => "AVIF?",
        [_, _, _, _, b'f', b't', b'y', b'p', b'h' | b'm', ..] => "HEIC or video?",
        _ if bytes.iter().all(|byte| *byte == 0) => "all zero bytes",
        _ if start.trim_ascii_start().starts_with(b"<") => "HTML or XML?",
        _ if is_text(start) => "text?",
        _ => "unknown content",
    }
}

/// Valid UTF-8 (but for a character cut at the end) without control characters other than white space.
fn is_text(start: &[u8]) -> bool {
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|c| c.is_control() && !c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_what_is_no_image() {
        let reason = |bytes: &[u8]| Format::of(bytes).unwrap_err().reason();
        assert_eq!(reason(b""), "empty file");
        assert_eq!(reason(b"hello, w\xc3"), "not an image (text?)");
        assert_eq!(reason(b"BMW is a car"), "not an image (text?)");
        assert_eq!(reason(b"PK\x03\x04"), "not an image (zip archive?)");
        assert_eq!(reason(b"  <!DOCTYPE html>"), "not an image (HTML or XML?)");
        assert_eq!(reason(&[0; 100]), "not an image (all zero bytes)");
        assert_eq!(reason(b"\0\0\0\x20ftypavif"), "not an image (AVIF?)");
        assert_eq!(reason(b"\x01\x02\xff"), "not an image (unknown content)");
    }
}
