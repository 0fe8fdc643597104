//! A base with its weights on a device: pictures in, feature rows out, the same that [`crate::extract::Extraction`] stores.

use backbone::{EngineInfo, Extractor};
use images::{ImageError, ImageSize, Memory};
use rayon::ThreadPool;
use weights::Weights;

use crate::batches::Batches;
use crate::error::Error;
use crate::extract_options::ExtractOptions;
use crate::picture::Picture;
use crate::recipe::{Recipe, WeightsId, preprocess_of};

/// Makes a feature row of each picture.
pub struct RowMaker {
    recipe: Recipe,
    weights_source: String,
    memory: Memory,
    extractor: Extractor,
}

impl RowMaker {
    /// Packs the weights for the device. Folders, batches and views of `options` don't matter here.
    ///
    /// # Errors
    /// The device can't be had, or the base can't be run on it.
    pub fn new(
        options: &ExtractOptions,
        weights: Weights,
        pool: &ThreadPool,
    ) -> Result<Self, Error> {
        let ImageSize { width, height } = options.size;
        let size = [height as usize, width as usize];
        let base = options.base.for_variant(weights.variant)?;
        let id = WeightsId {
            name: weights.name.clone(),
            sha256: weights.sha256.clone(),
            preprocess: preprocess_of(weights.preprocess),
        };
        let weights_source = weights.source.clone();
        let extractor = pool
            .install(|| Extractor::new(&base, weights, size, options.pooling, &options.engine))?;
        let recipe = options.recipe(&base, id, &extractor.info());
        Ok(Self { recipe, weights_source, memory: Memory::default(), extractor })
    }

    /// How rows are computed.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The shape of one row.
    pub fn row_shape(&self) -> Vec<usize> {
        self.extractor.row_shape()
    }

    /// What computes them.
    pub fn info(&self) -> EngineInfo {
        self.extractor.info()
    }

    /// Where the weights came from.
    pub(crate) fn weights_source(&self) -> &str {
        &self.weights_source
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    /// The rows of `pictures` in order, until the end or until `stop` says so. `sink` gets every picture with its place and its
    /// row in f32, or why there is none. Returns whether all were done.
    ///
    /// # Errors
    /// The engine's, what `sink` gives, and [`Error::Machine`] where the machine is short of something.
    pub fn run<E: From<Error>>(
        &self,
        pictures: &[Picture],
        pool: &ThreadPool,
        batch_size: usize,
        stop: impl Fn() -> bool,
        mut sink: impl FnMut(usize, Result<&[f32], ImageError>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let spec = self.recipe.load_spec();
        let batches = Batches { extractor: &self.extractor, pool, batch_size, views: 1 };
        let mut place = 0..;
        batches.run_pictures(
            pictures,
            |picture, pixels| picture.with(&self.memory, &spec, |image| spec.fill(image, pixels)),
            stop,
            |_, row| sink(place.next().unwrap_or_default(), row),
        )
    }
}
