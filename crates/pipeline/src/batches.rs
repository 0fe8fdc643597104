//! Files through decoding and the base.
//!
//! While the base works on one batch, the next is decoded. Both are tasks of one rayon pool: the thread that finds no
//! tile to convolve takes an image to decode, and the other way round, so all cores are busy and none is fought over.
//! Memory: two batches of pixels and one of features, whatever the number of files, and what `load` holds meanwhile. It may
//! wait for memory that other loads hold, since those need no thread of the pool but their own to go on.

use backbone::Extractor;
use images::{Cause, ImageError};
use rayon::prelude::*;
use std::cell::OnceCell;

use crate::error::Error;
use crate::picture::Picture;

/// Makes a row of values of each image.
pub(crate) trait Rows: Sync {
    /// Values of one image.
    fn image_values(&self) -> usize;
    /// Values of one row.
    fn row_values(&self) -> usize;
    /// Images that are computed together, whether so many are given or fewer.
    fn pass_images(&self) -> usize;
    /// The rows of `batch` images; a row depends on its image alone.
    ///
    /// # Errors
    /// The engine's.
    fn run(&self, batch: usize, images: &[f32], rows: &mut [f32]) -> Result<(), Error>;
}

impl Rows for Extractor {
    fn image_values(&self) -> usize {
        self.image_values()
    }

    fn row_values(&self) -> usize {
        self.row_values()
    }

    fn pass_images(&self) -> usize {
        self.pass_images()
    }

    fn run(&self, batch: usize, images: &[f32], rows: &mut [f32]) -> Result<(), Error> {
        Ok(self.run(batch, images, rows)?)
    }
}

/// What runs the files.
pub(crate) struct Batches<'a, R: Rows> {
    pub(crate) extractor: &'a R,
    pub(crate) pool: &'a rayon::ThreadPool,
    /// Images the base takes at once.
    pub(crate) batch_size: usize,
    /// Images of each file.
    pub(crate) views: usize,
}

/// Pixels of some files, ready for the base.
struct Batch<'i, I, T, E> {
    /// (good files, views, height, width, 3).
    pixels: Vec<f32>,
    /// Every file of the batch in order; the good ones also in `pixels`.
    items: Vec<(&'i I, Result<T, E>)>,
}

impl<R: Rows> Batches<'_, R> {
    /// [`Batches::run`] on pictures, of which `fill` makes pixels. Ends at the first picture that the machine keeps from being read.
    ///
    /// # Errors
    /// Those of [`Batches::run`], and [`Error::Machine`].
    pub(crate) fn run_pictures<E: From<Error>>(
        &self,
        pictures: &[Picture],
        fill: impl Fn(&Picture, &mut [f32]) -> Result<(), ImageError> + Sync,
        stop: impl Fn() -> bool,
        mut sink: impl FnMut(&Picture, Result<&[f32], ImageError>) -> Result<(), E>,
    ) -> Result<bool, E> {
        // The first such error is the one that is reported.
        let short = OnceCell::new();
        let finished = self.run(
            pictures,
            fill,
            || stop() || short.get().is_some(),
            |picture, outcome| match outcome {
                Ok(((), row)) => sink(picture, Ok(row)),
                Err(error) if error.cause() == Cause::Machine => {
                    let _ = short.set(error);
                    Ok(())
                }
                Err(error) => sink(picture, Err(error)),
            },
        )?;
        match short.into_inner() {
            Some(error) => Err(Error::Machine(error).into()),
            None => Ok(finished),
        }
    }

    /// Runs `items` in order until the end or until `stop` says so, finishing the batches in hand.
    ///
    /// `load` fills the pixels of a file's views, or says why it can't. `sink` gets every item in order, with its feature row or
    /// that. Returns whether all items were done.
    ///
    /// # Errors
    /// The engine's, or what `sink` gives.
    pub(crate) fn run<I: Sync, T: Send + Sync, L: Send + Sync, E: From<Error>>(
        &self,
        items: &[I],
        load: impl Fn(&I, &mut [f32]) -> Result<T, L> + Sync,
        stop: impl Fn() -> bool,
        mut sink: impl FnMut(&I, Result<(T, &[f32]), L>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let decode = |chunk| self.decode(chunk, &load);
        let row_values = self.extractor.row_values() * self.views;
        // As many whole files as make a batch of images.
        let mut chunks = items.chunks((self.batch() / self.views).max(1));
        let mut decoded = chunks.next().map(|chunk| self.pool.install(|| decode(chunk)));
        let mut features = Vec::new();
        while let Some(batch) = decoded.take() {
            let good = batch.pixels.len() / self.file_values();
            features.resize(good * row_values, 0.0);
            let upcoming = if stop() { None } else { chunks.next() };
            let (ran, next) = self.pool.install(|| {
                rayon::join(|| self.extract(&batch.pixels, &mut features), || upcoming.map(decode))
            });
            ran?;
            let mut rows = features.chunks_exact(row_values);
            for (item, loaded) in batch.items {
                match loaded {
                    Ok(loaded) => sink(item, Ok((loaded, rows.next().unwrap_or_default())))?,
                    Err(error) => sink(item, Err(error))?,
                }
            }
            decoded = next;
        }
        Ok(chunks.next().is_none())
    }

    /// Images of a batch: the device's passes are full.
    fn batch(&self) -> usize {
        self.batch_size.next_multiple_of(self.extractor.pass_images())
    }

    /// Values of a file's images.
    fn file_values(&self) -> usize {
        self.extractor.image_values() * self.views
    }

    /// The base on images, a batch at a time: a file may have more views than that.
    fn extract(&self, images: &[f32], rows: &mut [f32]) -> Result<(), Error> {
        let (image, row) = (self.extractor.image_values(), self.extractor.row_values());
        let batches = images.chunks(self.batch() * image);
        batches
            .zip(rows.chunks_mut(self.batch() * row))
            .try_for_each(|(images, rows)| self.extractor.run(images.len() / image, images, rows))
    }

    fn decode<'i, I: Sync, T: Send, E: Send>(
        &self,
        items: &'i [I],
        load: &(impl Fn(&I, &mut [f32]) -> Result<T, E> + Sync),
    ) -> Batch<'i, I, T, E> {
        let values = self.file_values();
        let mut pixels = vec![0.0f32; items.len() * values];
        let items: Vec<_> = items
            .par_iter()
            .zip(pixels.par_chunks_exact_mut(values))
            .with_max_len(1)
            .map(|(item, out)| (item, load(item, out)))
            .collect();
        let mut good = 0;
        for (i, (_, loaded)) in items.iter().enumerate() {
            if loaded.is_ok() {
                pixels.copy_within(i * values..(i + 1) * values, good * values);
                good += 1;
            }
        }
        pixels.truncate(good * values);
        Batch { pixels, items }
    }
}
