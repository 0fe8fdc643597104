//! A file's bytes to the values that a base is fed.

use serde::{Deserialize, Serialize};

use crate::augment::Augmentation;
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
        if self.interpolation == Interpolation::TfBilinear {
            out.copy_from_slice(&crate::resize::resize(image, self.size, self.interpolation)?);
            self.preprocess.apply(out);
        } else {
            let levels = crate::resize::levels(image, self.size, self.interpolation)?;
            self.preprocess.levels(&levels, out);
        }
        Ok(())
    }

    /// As [`LoadSpec::fill`] for several views of one picture, which is resized once: into `out`, `(views, height, width, 3)`.
    /// View 0 is the picture itself; the others are those of their number, drawn from `seed` and the `sha256` of the file's
    /// bytes ([`Augmentation::draw`]).
    ///
    /// # Errors
    /// When `out` is not a multiple of [`LoadSpec::values`] long, or `image.data` does not fit its sides.
    pub fn fill_views(
        &self,
        image: &Rgb8Image,
        augmentation: &Augmentation,
        seed: u64,
        sha256: &[u8; 32],
        out: &mut [f32],
    ) -> Result<(), ImageError> {
        let values = self.values();
        if values == 0 || !out.len().is_multiple_of(values) {
            return Err(ImageError::BufferLength { expected: values, found: out.len() });
        }
        let plain = crate::resize::resize(image, self.size, self.interpolation)?;
        let Augmentation { fill, sampling, .. } = *augmentation;
        for (view, out) in (0..).zip(out.chunks_exact_mut(values)) {
            if view == 0 {
                out.copy_from_slice(&plain);
            } else {
                let transform = augmentation.draw(self.size, seed, sha256, view);
                transform.apply(self.size, fill, sampling, &plain, out)?;
            }
            self.preprocess.apply(out);
        }
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
