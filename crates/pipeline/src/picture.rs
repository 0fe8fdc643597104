//! A picture that is a file, or pixels that a caller has already.

use images::{Format, ImageError, ImageSize, LoadSpec, MAX_PIXELS, Memory, Rgb8Image};
use std::borrow::Cow;
use std::path::PathBuf;

/// What rows and predictions are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picture {
    /// It is read when its turn comes.
    File(PathBuf),
    /// Pixels, as a decoder would give them.
    Pixels(Rgb8Image),
}

impl Picture {
    /// Of `height * width * 3` values, row by row.
    ///
    /// # Errors
    /// No pixels, more than [`MAX_PIXELS`] of them, or another number of values.
    pub fn of_pixels(size: ImageSize, data: Vec<u8>) -> Result<Self, ImageError> {
        let ImageSize { width, height } = size;
        let pixels = u64::from(width) * u64::from(height);
        if pixels > MAX_PIXELS {
            return Err(ImageError::TooManyPixels { width: width.into(), height: height.into() });
        }
        if pixels == 0 {
            return Err(ImageError::Empty);
        }
        let (expected, found) = (pixels as usize * 3, data.len());
        if expected != found {
            return Err(ImageError::BufferLength { expected, found });
        }
        // The format without compression is nearest to the truth.
        Ok(Self::Pixels(Rgb8Image { width, height, data, format: Format::Pnm }))
    }

    /// Its path, where it has one.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::File(path) => Some(images::display_name(path).into()),
            Self::Pixels(_) => None,
        }
    }

    /// Decodes it if need be, and hands it to `take`.
    pub(crate) fn with<T>(
        &self,
        memory: &Memory,
        spec: &LoadSpec,
        take: impl FnOnce(&Rgb8Image) -> Result<T, ImageError>,
    ) -> Result<T, ImageError> {
        match self {
            Self::File(path) => {
                let bytes = memory.read(path)?;
                let image = memory.decode(&bytes, spec)?;
                take(&image)
            }
            Self::Pixels(image) => take(image),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_must_fill_their_sides() {
        let size = ImageSize { width: 2, height: 3 };
        assert!(Picture::of_pixels(size, vec![7; 18]).is_ok());
        assert!(Picture::of_pixels(size, vec![7; 17]).is_err());
        assert!(Picture::of_pixels(ImageSize { width: 0, height: 3 }, Vec::new()).is_err());
        let huge = ImageSize { width: u32::MAX, height: u32::MAX };
        assert!(Picture::of_pixels(huge, Vec::new()).is_err());
    }
}
