//! The size of the images that a base is fed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Width and height in pixels, written `150` (square) or `150x200` (width 150, height 200).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageSize {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// The largest side that [`ImageSize`] reads from text.
pub const MAX_SIDE: u32 = 16_384;

impl ImageSize {
    /// A square of `side` pixels.
    pub const fn square(side: u32) -> Self {
        Self { width: side, height: side }
    }

    /// Number of f32 values of one RGB image: `height * width * 3`.
    pub const fn values(self) -> usize {
        self.width as usize * self.height as usize * 3
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}x{}", self.width, self.height))
    }
}

/// A text that is no image size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "image size '{found}': expected a side such as 150 or WIDTHxHEIGHT such as 150x200, each from 1 to {MAX_SIDE}"
)]
pub struct ParseImageSizeError {
    found: String,
}

impl FromStr for ImageSize {
    type Err = ParseImageSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|side| plain && (1..=MAX_SIDE).contains(side))
        };
        let size = match text.split_once(['x', 'X']) {
            Some((width, height)) => {
                side(width).zip(side(height)).map(|(width, height)| Self { width, height })
            }
            None => side(text).map(Self::square),
        };
        size.ok_or_else(|| ParseImageSizeError { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        assert_eq!("150".parse(), Ok(ImageSize::square(150)));
        assert_eq!("150x200".parse(), Ok(ImageSize { width: 150, height: 200 }));
        assert_eq!(ImageSize { width: 150, height: 200 }.to_string(), "150x200");
        assert_eq!(ImageSize::square(7).to_string().parse(), Ok(ImageSize::square(7)));
        assert_eq!(ImageSize { width: 2, height: 5 }.values(), 30);
    }

    #[test]
    fn refuses_what_is_no_size() {
        for text in
            ["", "x", "0", "150x0", "-3", "+3", "1e3", "150x200x3", " 150", "16385", "99999999999"]
        {
            let error = text.parse::<ImageSize>().expect_err(text);
            assert!(error.to_string().contains("150x200"), "{error}");
        }
    }

    #[test]
    fn json_is_an_object_with_both_sides() {
        let size = ImageSize { width: 150, height: 200 };
        let json = serde_json::to_string(&size).unwrap();
        assert_eq!(json, r#"{"width":150,"height":200}"#);
        assert_eq!(serde_json::from_str::<ImageSize>(&json).unwrap(), size);
    }
}
