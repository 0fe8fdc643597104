//! Image folders through a frozen base into arrays, one split after the other.

use backbone::EngineInfo;
use cache::{Input, Manifest, Opened, RowSource, RunStats, Skip, SplitWriter};
use images::{Cause, ImageError, Memory};
use rayon::ThreadPool;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use weights::Weights;

use crate::batches::Batches;
use crate::error::Error;
use crate::progress::{Event, Progress};
use crate::recipe::{Augmented, Recipe};
use crate::row_maker::RowMaker;

pub use crate::extract_options::{ExtractOptions, TRAIN, Views};

/// A base with its weights on a device, ready for any split.
pub struct Extraction<'a> {
    options: &'a ExtractOptions,
    rows: RowMaker,
    pool: &'a ThreadPool,
}

/// How a split ended.
#[derive(Debug)]
pub enum SplitOutcome {
    /// It was complete already.
    UpToDate(Box<Manifest>),
    /// It is complete now.
    Written {
        /// What was written.
        manifest: Box<Manifest>,
        /// Images that this run computed.
        computed: usize,
        /// How long it took.
        time: Duration,
    },
    /// The caller stopped it.
    Interrupted {
        /// The split.
        split: String,
        /// Images that are done.
        rows: usize,
        /// Images of the split, or of its shard.
        total: usize,
    },
}

impl SplitOutcome {
    /// What is on disk, where the split is complete.
    pub fn manifest(&self) -> Option<&Manifest> {
        match self {
            Self::UpToDate(manifest) | Self::Written { manifest, .. } => Some(manifest),
            Self::Interrupted { .. } => None,
        }
    }

    /// Files without a row.
    pub fn skipped(&self) -> u64 {
        self.manifest().map_or(0, |m| m.skipped)
    }
}

impl<'a> Extraction<'a> {
    /// Packs the weights for the device.
    ///
    /// # Errors
    /// The device can't be had, or the base can't be run on it.
    pub fn new(
        options: &'a ExtractOptions,
        weights: Weights,
        pool: &'a ThreadPool,
    ) -> Result<Self, Error> {
        Ok(Self { options, rows: RowMaker::new(options, weights, pool)?, pool })
    }

    /// How rows are computed, but for the views of train.
    pub fn recipe(&self) -> &Recipe {
        self.rows.recipe()
    }

    /// How rows of a split are computed.
    pub fn recipe_of(&self, split: &str) -> Recipe {
        let recipe = self.rows.recipe().clone();
        match self.options.views.clone().filter(|_| split == TRAIN) {
            None => recipe,
            Some(Views { count, augmented }) => {
                Recipe { views: count as usize + 1, augmentation: Some(augmented), ..recipe }
            }
        }
    }

    /// What computes them.
    pub fn info(&self) -> EngineInfo {
        self.rows.info()
    }

    /// Scans, opens, computes, completes one split.
    ///
    /// # Errors
    /// A folder that can't be listed, an existing cache of something else, the disk's and the engine's errors,
    /// [`Error::Machine`]. What is finished is kept: the same call goes on from there.
    pub fn extract(&self, split: &str, progress: &dyn Progress) -> Result<SplitOutcome, Error> {
        let started = Instant::now();
        let dir = self.options.data.join(split);
        let scan = images::scan_split(&dir).map_err(Error::from).map_err(Error::of_split(split))?;
        progress.event(Event::Scanned { split, scan: &scan }).map_err(Error::Progress)?;
        let recipe = self.recipe_of(split);
        let settings = recipe.settings(self.rows.row_shape(), scan.classes)?;
        let inputs = scan.files.into_iter().map(|file| Input {
            name: images::display_name(&file.relative),
            path: file.path,
            class: file.class,
        });
        let features = &self.options.features;
        match cache::open(features, split, settings, inputs.collect(), self.options.open)? {
            Opened::UpToDate(manifest) => Ok(SplitOutcome::UpToDate(manifest)),
            Opened::Writer(writer) => {
                self.compute(split, &recipe, *writer, &dir, started, progress)
            }
        }
    }

    fn compute(
        &self,
        split: &str,
        recipe: &Recipe,
        writer: SplitWriter,
        dir: &Path,
        started: Instant,
        progress: &dyn Progress,
    ) -> Result<SplitOutcome, Error> {
        let (total, reused, pending) = (writer.total(), writer.reused(), writer.pending().len());
        progress
            .event(Event::Computing { split, total, reused, pending })
            .map_err(Error::Progress)?;
        let batches = Batches {
            extractor: self.rows.extractor(),
            pool: self.pool,
            batch_size: self.options.batch_size,
            views: recipe.views,
        };
        let pending: Vec<(usize, &Input)> =
            writer.pending().iter().filter_map(|&at| Some((at, writer.input(at)?))).collect();
        let (mut computed, mut skipped) = (0usize, Vec::new());
        let short = OnceCell::new();
        let finished = batches.run::<_, _, _, Error>(
            &pending,
            |(_, input), pixels| load(input, self.rows.memory(), recipe, pixels),
            || progress.stop() || short.get().is_some(),
            |&(position, input), outcome| {
                match outcome {
                    Ok((source, row)) => {
                        writer.write_row(position, row, source)?;
                        computed += 1;
                    }
                    Err(Refused::Short(error)) => {
                        // The first such error is the one that is reported.
                        let _ = short.set(error);
                        return Ok(());
                    }
                    Err(Refused::Skipped(skip)) => {
                        skipped.push(format!("{split}/{}: {}", input.name, skip.reason));
                        writer.skip(position, &skip)?;
                    }
                }
                progress.event(Event::Image).map_err(Error::Progress)
            },
        );
        drop(pending);
        progress.event(Event::Computed { skipped: &skipped }).map_err(Error::Progress)?;
        let finished = finished.map_err(Error::of_split(split))?;
        if let Some(error) = short.into_inner() {
            writer.abandon()?;
            return Err(Error::Machine(error));
        }
        if !finished {
            let rows = reused + computed + skipped.len();
            writer.abandon()?;
            return Ok(SplitOutcome::Interrupted { split: split.to_owned(), rows, total });
        }
        let time = started.elapsed();
        let manifest = Box::new(writer.finish(self.stats(dir, time))?);
        Ok(SplitOutcome::Written { manifest, computed, time })
    }

    fn stats(&self, dir: &Path, time: Duration) -> RunStats {
        let data = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let info = self.rows.info();
        let extra = BTreeMap::from([
            ("data".to_owned(), json!(images::display_name(&data))),
            ("weights_spec".to_owned(), json!(self.options.weights_spec)),
            ("weights_source".to_owned(), json!(self.rows.weights_source())),
            ("algorithms".to_owned(), json!(info.method_counts())),
            ("device".to_owned(), json!(info.device)),
            ("threads".to_owned(), json!(self.pool.current_num_threads())),
            ("batch_size".to_owned(), json!(self.options.batch_size)),
        ]);
        let tool_version = env!("CARGO_PKG_VERSION").to_owned();
        RunStats { tool_version, seconds: time.as_secs_f64(), extra }
    }
}

/// Why a file gave no row.
enum Refused {
    /// It is left out.
    Skipped(Skip),
    /// The machine is short of something: it stays to do.
    Short(ImageError),
}

/// What a file is left out for that could not be read.
fn unread(error: ImageError) -> Refused {
    let reason = error.reason();
    match (error.cause(), &error) {
        (Cause::Machine, _) => Refused::Short(error),
        (Cause::Passing, _) => {
            Refused::Skipped(Skip::passing(format!("{reason}; the next run tries again")))
        }
        (Cause::File, ImageError::FileTooLarge { path, bytes }) => {
            Refused::Skipped(Skip::judged_by_size(reason, path, *bytes))
        }
        // No bytes that could be judged: a broken link, a pipe.
        (Cause::File, _) => Refused::Skipped(Skip::passing(reason)),
    }
}

/// One file's pixels, of all its views, and what the cache keeps of the file. It is read once: what is decoded is what is hashed.
fn load(
    input: &Input,
    memory: &Memory,
    recipe: &Recipe,
    pixels: &mut [f32],
) -> Result<RowSource, Refused> {
    let spec = recipe.load_spec();
    let bytes = memory.read(&input.path).map_err(unread)?;
    let sha256 = Sha256::digest(&*bytes).into();
    let decoded = memory.decode(&bytes, &spec).and_then(|image| {
        match &recipe.augmentation {
            None => spec.fill(&image, pixels)?,
            Some(Augmented { transforms, seed }) => {
                spec.fill_views(&image, transforms, *seed, &sha256, pixels)?;
            }
        }
        Ok(image)
    });
    let image = decoded.map_err(|e| Refused::Skipped(Skip::judged(e.reason(), &bytes)))?;
    let (width, height) = (image.width, image.height);
    Ok(RowSource {
        sha256,
        bytes: bytes.len() as u64,
        width,
        height,
        phash: images::perceptual_hash(&image.data, width as usize, height as usize),
    })
}
