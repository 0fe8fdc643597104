//! Why a file gave no pixels.

use std::path::PathBuf;

use crate::ImageSize;
use crate::decode::{Format, MAX_PIXELS};
use crate::memory::MAX_IMAGE_BYTES;
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
    /// A folder, pipe, socket or device is where a regular file was expected.
    #[error("cannot read '{}': {source}", .path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// What was expected and found.
        source: std::io::Error,
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
    /// An image that would take more memory than [`MAX_IMAGE_BYTES`] to decode and resize: one of extreme proportions.
    #[error("{size} needs {} bytes to decode and resize, over the limit of {}", crate::error::grouped(*bytes), crate::error::grouped(MAX_IMAGE_BYTES))]
    TooMuchMemory {
        /// Size that the header states.
        size: ImageSize,
        /// What decoding and resizing would take.
        bytes: u64,
    },
    /// The caller's buffer does not hold the values of one image.
    #[error("output buffer: expected {expected} values, found {found}")]
    BufferLength {
        /// `height * width * 3`.
        expected: usize,
        /// The length that was passed.
        found: usize,
    },
    /// An image without pixels, or a requested size of 0.
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

/// What an error says of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// What is at the path gives no image, and won't while it stays what it is.
    File,
    /// The system could not read it now: its next reading may succeed.
    Passing,
    /// The machine is short of something that every file needs: open files or memory. It says nothing of the file.
    Machine,
}

impl Cause {
    /// By the system's error. What isn't known to last counts as passing, so that no good file is bad for good.
    fn of(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        if error.kind() == K::OutOfMemory || is_short_of_files(error) {
            return Self::Machine;
        }
        match error.kind() {
            // Nothing is there, or nothing that can be opened by this name.
            K::NotFound | K::NotADirectory | K::InvalidFilename => Self::File,
            _ if is_link_loop(error) => Self::File,
            _ => Self::Passing,
        }
    }
}

#[cfg(unix)]
fn is_short_of_files(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS))
}

#[cfg(unix)]
fn is_link_loop(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::ELOOP)
}

#[cfg(not(unix))]
fn is_short_of_files(error: &std::io::Error) -> bool {
    // ERROR_TOO_MANY_OPEN_FILES, ERROR_NO_SYSTEM_RESOURCES
    matches!(error.raw_os_error(), Some(4 | 1450))
}

#[cfg(not(unix))]
fn is_link_loop(error: &std::io::Error) -> bool {
    // ERROR_CANT_RESOLVE_FILENAME
    error.raw_os_error() == Some(1921)
}

impl ImageError {
    /// What the error says of the file: `docs/images.md` has the table.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Io { source, .. } => Cause::of(source),
            _ => Cause::File,
        }
    }

    /// One line without the path, such as `truncated JPEG`.
    pub fn reason(&self) -> String {
        let text = match self {
            Self::Io { source, .. } => format!("cannot read: {source}"),
            Self::NotRegular { source, .. } => source.to_string(),
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

    #[cfg(unix)]
    #[test]
    fn errors_of_the_system_are_the_files_the_moments_or_the_machines() {
        let cause = |code| {
            let source = std::io::Error::from_raw_os_error(code);
            ImageError::Io { path: "a.jpg".into(), source }.cause()
        };
        for code in [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::ENAMETOOLONG] {
            assert_eq!(cause(code), Cause::File, "{code}");
        }
        let passing = [libc::EIO, libc::ESTALE, libc::EACCES, libc::EPERM, libc::ETIMEDOUT];
        for code in passing.into_iter().chain([libc::EAGAIN, libc::EBUSY, libc::ENXIO, 4095]) {
            assert_eq!(cause(code), Cause::Passing, "{code}");
        }
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS] {
            assert_eq!(cause(code), Cause::Machine, "{code}");
        }
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
