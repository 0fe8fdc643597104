//! A file's bytes to the values that a base is fed.

use serde::{Deserialize, Serialize};

use crate::decode::decode_after;
use crate::memory::needed;
use crate::{Format, ImageError, ImageSize, Interpolation, Preprocess, Rgb8Image};

/// How an image becomes input values. A manifest that records these three fields can repeat them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LoadSpec {
    /// Size after resizing.
    pub size: ImageSize,
    /// How it is resized.
    pub interpolation: Interpolation,
    /// What is done to the values.
    pub preprocess: Preprocess,
}

/// What the file held, before resizing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// Columns of the stored image.
    pub width: u32,
    /// Rows of the stored image.
    pub height: u32,
    /// Its format by content.
    pub format: Format,
}

impl LoadSpec {
    /// Number of values of one image: `height * width * 3`.
    pub fn values(&self) -> usize {
        self.size.values()
    }

    /// Decodes, resizes and preprocesses `bytes` into `out`: `(height, width, 3)` values in C order.
    ///
    /// The result depends on `bytes` and this specification alone.
    ///
    /// # Errors
    /// When the bytes are no whole image, or `out` is not [`LoadSpec::values`] long. `out` may then hold anything.
    pub fn load_bytes(&self, bytes: &[u8], out: &mut [f32]) -> Result<SourceInfo, ImageError> {
        self.check(out)?;
        let image = decode_after(bytes, &mut |header| {
            needed(header, self.working_bytes(header.size)).map(drop)
        })?;
        self.fill(&image, out)?;
        Ok(SourceInfo { width: image.width, height: image.height, format: image.format })
    }

    /// As [`LoadSpec::load_bytes`] from pixels that are decoded already.
    ///
    /// # Errors
    /// When `out` is not [`LoadSpec::values`] long, or `image.data` does not fit its sides.
    pub fn fill(&self, image: &Rgb8Image, out: &mut [f32]) -> Result<(), ImageError> {
        self.check(out)?;
        let resized = crate::resize::resize(image, self.size, self.interpolation)?;
        out.copy_from_slice(&resized);
        self.preprocess.apply(out);
        Ok(())
    }

    /// Bytes that [`LoadSpec::fill`] takes at most, beside the image.
    pub(crate) fn working_bytes(&self, from: ImageSize) -> u64 {
        crate::resize::working_bytes(from, self.size, self.interpolation)
    }

    fn check(&self, out: &[f32]) -> Result<(), ImageError> {
        if out.len() == self.values() {
            Ok(())
        } else {
            Err(ImageError::BufferLength { expected: self.values(), found: out.len() })
        }
    }
}
