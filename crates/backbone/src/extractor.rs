//! A base with its weights on a device: images in, feature rows out.

use crate::engine::{self, Engine};
use crate::{Base, BaseError, EngineError, EngineInfo, EngineOptions, Pooling};
use util::Hint;
use weights::Weights;

/// Runs a frozen base and pools its last layer.
pub struct Extractor {
    engine: Box<dyn Engine>,
    pooling: Pooling,
    /// (height, width, channels) of the last layer.
    activations: [usize; 3],
    image_values: usize,
}

impl Extractor {
    /// Packs the weights for a device; they are dropped on the way, layer by layer where the CPU runs them.
    ///
    /// `size` is (height, width) of the images.
    ///
    /// # Errors
    /// The device can't be had, or the size is too small for the base.
    pub fn new(
        base: &Base,
        weights: Weights,
        size: [usize; 2],
        pooling: Pooling,
        options: &EngineOptions,
    ) -> Result<Self, ExtractorError> {
        let activations = base.output_shape(size[0], size[1])?;
        let engine = engine::build(base, weights, size, options)?;
        Ok(Self { engine, pooling, activations, image_values: size[0] * size[1] * 3 })
    }

    /// What really runs.
    pub fn info(&self) -> EngineInfo {
        self.engine.info()
    }

    /// The shape of one feature row.
    pub fn row_shape(&self) -> Vec<usize> {
        self.pooling.row_shape(self.activations)
    }

    /// Values of one feature row.
    pub fn row_values(&self) -> usize {
        self.row_shape().iter().product()
    }

    /// Values of one image.
    pub fn image_values(&self) -> usize {
        self.image_values
    }

    /// Images that the device computes together: a batch that is no multiple of it takes as long as the next one.
    pub fn pass_images(&self) -> usize {
        self.engine.pass_images()
    }

    /// The feature rows of a batch.
    ///
    /// # Shapes
    /// `images`: (batch, height, width, 3) preprocessed pixels; `rows`: (batch, [`Extractor::row_shape`]); both C order.
    /// A row depends on its image alone, not on the batch.
    ///
    /// # Errors
    /// The engine's own, such as a GPU out of memory.
    ///
    /// # Panics
    /// When a slice is not as long as its shape says.
    pub fn run(&self, batch: usize, images: &[f32], rows: &mut [f32]) -> Result<(), EngineError> {
        assert_eq!(images.len(), batch * self.image_values, "images: (batch, height, width, 3)");
        assert_eq!(rows.len(), batch * self.row_values(), "rows: (batch, row_shape)");
        if self.pooling == Pooling::None {
            return self.engine.run(batch, images, rows);
        }
        let [height, width, channels] = self.activations;
        let mut activations = vec![0.0f32; batch * height * width * channels];
        self.engine.run(batch, images, &mut activations)?;
        let per_image = activations.chunks_exact(height * width * channels);
        for (activations, row) in per_image.zip(rows.chunks_exact_mut(channels)) {
            self.pooling.apply(activations, channels, row);
        }
        Ok(())
    }
}

/// Why an [`Extractor`] can't be built.
#[derive(Debug, thiserror::Error)]
pub enum ExtractorError {
    /// The size or layer does not suit the base.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The engine can't be had.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Hint for ExtractorError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Base(e) => e.hint(),
            Self::Engine(e) => e.hint(),
        }
    }
}
