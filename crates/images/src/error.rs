//! Why a file gave no pixels.

use std::path::PathBuf;

use crate::ImageSize;
use crate::decode::{Format, MAX_PIXELS};
use crate::read::MAX_FILE_BYTES;

/// Why a file could not be read, decoded or prepared.
///
/// [`ImageError::reason`] is one short line without the path, fit for a cell of an `index.csv`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The operating system refused to open or read the file.
    #[error("cannot read '{}': {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A directory, pipe, socket or device stands where a regular file was expected.
    #[error("cannot read '{}': expected a regular file, found a {found}", .path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// What is there ("directory", "named pipe", ...).
        found: &'static str,
    },
    /// The file is larger than [`MAX_FILE_BYTES`].
    #[error("cannot read '{}': {bytes} bytes are over the limit of {MAX_FILE_BYTES}", .path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size, as far as it is known.
        bytes: u64,
    },
    /// Nothing in the file.
    #[error("empty file")]
    Empty,
    /// The first bytes belong to no image format that is decoded here.
    #[error("not an image ({looks_like})")]
    NotAnImage {
        /// A guess at what it is instead, such as `text?`.
        looks_like: &'static str,
    },
    /// The image ends before its last pixel.
    #[error("truncated {format}")]
    Truncated {
        /// The format by content.
        format: Format,
    },
    /// The data contradict the format.
    #[error("corrupt {format}: {detail}")]
    Corrupt {
        /// The format by content.
        format: Format,
        /// What the decoder said, on one line.
        detail: String,
    },
    /// A valid image of a kind that is not decoded here.
    #[error("unsupported {format}: {detail}")]
    Unsupported {
        /// The format by content.
        format: Format,
        /// Which kind.
        detail: String,
    },
    /// More pixels than [`MAX_PIXELS`]; refused before any pixel is allocated.
    #[error("{width}x{height} is over the limit of {} pixels", crate::error::grouped(MAX_PIXELS))]
    TooManyPixels {
        /// Width that the header states.
        width: u64,
        /// Height that the header states.
        height: u64,
    },
    /// The caller's buffer does not hold the values of one image.
    #[error("output buffer: expected {expected} values, found {found}")]
    BufferLength {
        /// `height * width * 3`.
        expected: usize,
        /// The length that was passed.
        found: usize,
    },
    /// An image without pixels, or a wished size of 0.
    #[error("cannot resize from {from} to {to}: both sides must be at least 1")]
    NoPixels {
        /// What there is.
        from: ImageSize,
        /// What was asked for.
        to: ImageSize,
    },
    /// An image could not be written.
    #[error("cannot encode: {detail}")]
    Encode {
        /// What the encoder said.
        detail: String,
    },
}

impl ImageError {
    /// One line without the path, such as `truncated JPEG`.
    pub fn reason(&self) -> String {
        let text = match self {
            Self::Io { source, .. } => format!("cannot read: {source}"),
            Self::NotRegular { found, .. } => format!("not a regular file but a {found}"),
            Self::FileTooLarge { bytes, .. } => format!(
                "{} bytes are over the limit of {}",
                grouped(*bytes),
                grouped(MAX_FILE_BYTES)
            ),
            other => other.to_string(),
        };
        one_line(&text)
    }
}

/// `178956970` as `178,956,970`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Line breaks and other control characters become single spaces; long texts are cut.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 200;
    let words: Vec<&str> = text
        .split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    let joined = words.join(" ");
    match joined.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &joined[..end]),
        None => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits_by_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(178_956_970), "178,956,970");
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let error = ImageError::Corrupt {
            format: Format::Png,
            detail: format!("first\nsecond\u{7}{}", "x".repeat(500)),
        };
        let reason = error.reason();
        assert!(reason.starts_with("corrupt PNG: first second x"), "{reason}");
        assert!(!reason.chars().any(char::is_control));
        assert!(reason.chars().count() <= 203);
    }
}
