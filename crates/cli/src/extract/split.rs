//! One split after the other, with what is said about it.

use anyhow::{Context as _, Result};
use backbone::{EngineInfo, Extractor, Hardware};
use cache::leaks::{self, Leak};
use cache::{Input, Manifest, Opened, RowSource, RunStats, Skip, SplitWriter};
use images::{Cause, ImageError, LoadSpec, Memory, SplitScan};
use pipeline::{Recipe, WeightsId};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use weights::Weights;

use super::config::{Config, preprocess_of};
use crate::console::Console;
use crate::failure::short_of_something;
use crate::interrupt::Interrupt;
use crate::pipeline::Pipeline;
use crate::shared_pictures::{self, describe_leak};
use crate::{progress, text};

/// Warnings of one kind that are shown before the rest is only counted.
const SHOWN: usize = 10;
/// Pictures shared by two splits that are shown before the rest is only counted.
const SHOWN_LEAKS: usize = 3;

/// What all splits of a run share.
pub(super) struct Session<'a> {
    config: &'a Config,
    recipe: Recipe,
    weights_source: String,
    memory: Memory,
    extractor: Extractor,
    pool: &'a rayon::ThreadPool,
    console: Console,
    interrupt: &'a Interrupt,
}

/// How a split ended.
#[derive(Debug)]
pub(super) enum Done {
    /// It was complete already.
    UpToDate(Box<Manifest>),
    /// It is complete now.
    Written(Box<Manifest>),
    /// The user stopped it.
    Interrupted { split: String, rows: usize, total: usize },
}

impl Done {
    fn manifest(&self) -> Option<&Manifest> {
        match self {
            Self::UpToDate(manifest) | Self::Written(manifest) => Some(manifest),
            Self::Interrupted { .. } => None,
        }
    }

    /// Files without a row.
    pub(super) fn skipped(&self) -> u64 {
        self.manifest().map_or(0, |m| m.skipped)
    }
}

impl<'a> Session<'a> {
    /// Packs the weights for the device.
    pub(super) fn new(
        config: &'a Config,
        weights: Weights,
        pool: &'a rayon::ThreadPool,
        console: Console,
        interrupt: &'a Interrupt,
    ) -> Result<Self> {
        let trained = preprocess_of(weights.preprocess);
        let spec = config.load_spec(trained);
        let size = [config.size.height as usize, config.size.width as usize];
        let base = config.base.for_variant(weights.variant)?;
        let extractor =
            pool.install(|| Extractor::new(&base, &weights, size, config.pooling, &config.engine))?;
        // The engine has packed copies: the tensors themselves are dropped here.
        let Weights { name, source, sha256, .. } = weights;
        let weights = WeightsId { name, sha256, preprocess: trained };
        Ok(Self {
            config,
            recipe: config.recipe(&base, weights, &spec, &extractor.info()),
            weights_source: source,
            memory: Memory::default(),
            extractor,
            pool,
            console,
            interrupt,
        })
    }

    /// Says what will really run.
    pub(super) fn announce(&self) -> Result<()> {
        let recipe = &self.recipe;
        let WeightsId { name, sha256, .. } = &recipe.weights;
        let EngineInfo { hardware, device, precision, algorithms } = self.extractor.info();
        let pooling = match recipe.pooling {
            backbone::Pooling::None => String::new(),
            pooling => format!(", {pooling} pooling"),
        };
        self.console.say(format!(
            "base     {} up to {}{pooling}, weights {} (sha256 {}…)",
            recipe.backbone,
            recipe.layer,
            name,
            sha256.get(..12).unwrap_or(sha256)
        ))?;
        self.console.say(format!(
            "images   {}, {} resize, {} preprocessing",
            recipe.image_size, recipe.interpolation, recipe.preprocess
        ))?;
        let on = match hardware {
            Hardware::Cpu(isa) => {
                let threads = text::count(self.pool.current_num_threads(), "thread", "threads");
                format!("cpu {isa}, {threads}")
            }
            other => format!("{} {device}", other.engine()),
        };
        let how = algorithms.join(", ");
        self.console.say(format!("engine   {on}, precision {precision} ({how})"))?;
        Ok(())
    }

    /// Scans, opens, computes, completes one split.
    pub(super) fn extract(&self, split: &str) -> Result<Done> {
        let started = Instant::now();
        let dir = self.config.data.join(split);
        let scan = images::scan_split(&dir).with_context(|| format!("split '{split}'"))?;
        self.warn_list(
            scan.ignored.iter().map(|i| format!("{}: {}", images::display_name(&i.path), i.reason)),
        );
        let counts = class_counts(&scan);
        self.console.say(format!(
            "{split}: {} in {} ({counts})",
            text::count(scan.files.len(), "image", "images"),
            text::count(scan.classes.len(), "class", "classes"),
        ))?;
        let settings = self.recipe.settings(self.extractor.row_shape(), scan.classes)?;
        let inputs = scan.files.into_iter().map(|file| Input {
            name: images::display_name(&file.relative),
            path: file.path,
            class: file.class,
        });
        let features = &self.config.features;
        match cache::open(features, split, settings, inputs.collect(), self.config.open)? {
            Opened::UpToDate(manifest) => {
                let rows = text::count(manifest.rows as usize, "row", "rows");
                self.console
                    .say(format!("{split}: up to date, {rows} in {}", features.display()))?;
                Ok(Done::UpToDate(manifest))
            }
            Opened::Writer(writer) => self.compute(split, *writer, &dir, started),
        }
    }

    fn compute(
        &self,
        split: &str,
        writer: SplitWriter,
        dir: &Path,
        started: Instant,
    ) -> Result<Done> {
        if writer.reused() > 0 {
            let rows = text::count(writer.reused(), "image", "images");
            self.console
                .say(format!("{split}: {rows} done before, {} to go", writer.pending().len()))?;
        }
        let bar = progress::images(self.console, split, writer.total(), writer.reused());
        let pipeline = Pipeline {
            extractor: &self.extractor,
            pool: self.pool,
            batch_size: self.config.batch_size,
        };
        let pending: Vec<(usize, &Input)> =
            writer.pending().iter().filter_map(|&at| Some((at, writer.input(at)?))).collect();
        let spec = self.recipe.load_spec();
        let (mut computed, mut skipped) = (0usize, Vec::new());
        let short = OnceCell::new();
        let finished = pipeline.run(
            &pending,
            |(_, input), pixels| load(input, &self.memory, &spec, pixels),
            || self.interrupt.requested() || short.get().is_some(),
            |&(position, input), outcome| {
                match outcome {
                    Ok((source, row)) => {
                        writer.write_row(position, row, source)?;
                        computed += 1;
                    }
                    Err(Refused::Short(error)) => {
                        // The first such error is the one that is told.
                        let _ = short.set(error);
                        return Ok(());
                    }
                    Err(Refused::Skipped(skip)) => {
                        skipped.push(format!("{split}/{}: {}", input.name, skip.reason));
                        writer.skip(position, &skip)?;
                    }
                }
                bar.inc(1);
                Ok(())
            },
        );
        bar.finish_and_clear();
        self.warn_list(skipped.iter().cloned());
        let finished = finished.with_context(|| format!("split '{split}'"))?;
        drop(pending);
        if let Some(error) = short.into_inner() {
            writer.abandon()?;
            return Err(short_of_something(error, "the same command goes on from there"));
        }
        if !finished {
            let (rows, total) = (writer.reused() + computed + skipped.len(), writer.total());
            writer.abandon()?;
            self.console.warn(format!("{split}: stopped after {rows} of {total} images"));
            crate::console::error_line("hint: run the same command again to go on from there");
            return Ok(Done::Interrupted { split: split.to_owned(), rows, total });
        }
        let time = started.elapsed();
        let manifest = writer.finish(self.stats(dir, time))?;
        let rate = computed as f64 / time.as_secs_f64();
        self.console.say(format!(
            "{split}: {} {} → {}  ({}, {rate:.1} images/s)",
            text::shape(&manifest.shape),
            manifest.settings.dtype,
            self.config.features.join(&manifest.files.features.name).display(),
            text::duration(time),
        ))?;
        Ok(Done::Written(Box::new(manifest)))
    }

    fn stats(&self, dir: &Path, time: Duration) -> RunStats {
        let data = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let extra = BTreeMap::from([
            ("data".to_owned(), json!(images::display_name(&data))),
            ("weights_spec".to_owned(), json!(self.config.weights)),
            ("weights_source".to_owned(), json!(self.weights_source)),
            ("algorithms".to_owned(), json!(self.extractor.info().algorithms)),
            ("device".to_owned(), json!(self.extractor.info().device)),
            ("threads".to_owned(), json!(self.pool.current_num_threads())),
            ("batch_size".to_owned(), json!(self.config.batch_size)),
        ]);
        RunStats {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            seconds: time.as_secs_f64(),
            extra,
        }
    }

    /// The first few lines of a kind, then how many more there are.
    fn warn_list(&self, lines: impl ExactSizeIterator<Item = String>) {
        let total = lines.len();
        for line in lines.take(SHOWN) {
            self.console.warn(line);
        }
        if total > SHOWN {
            self.console.warn(format!("… and {} more", total - SHOWN));
        }
    }

    /// Looks for pictures that lie in two splits of the features folder.
    pub(super) fn report_leaks(&self, done: &[Done]) -> Result<Vec<Leak>> {
        // A shard's index is not the split's.
        if self.config.open.shard.is_some() || !done.iter().all(|d| d.manifest().is_some()) {
            return Ok(Vec::new());
        }
        let found = shared_pictures::find(&self.config.features, leaks::DEFAULT_DISTANCE)?;
        for leak in found.iter().take(SHOWN_LEAKS) {
            self.console.warn(describe_leak(leak));
        }
        if found.len() > SHOWN_LEAKS {
            let more = text::thousands(found.len() - SHOWN_LEAKS);
            self.console
                .warn(format!("… and {more} more shared by two splits; `cache leaks` lists them"));
        }
        Ok(found)
    }

    /// The run as one JSON value.
    pub(super) fn json(&self, done: &[Done], leaks: &[Leak], time: Duration) -> Value {
        let splits: Vec<Value> = done.iter().map(|one| match one {
            Done::Interrupted { split, rows, total } => {
                json!({ "split": split, "state": "interrupted", "inputs_done": rows, "inputs": total })
            }
            Done::UpToDate(m) | Done::Written(m) => json!({
                "split": m.split,
                "state": if matches!(one, Done::Written(_)) { "written" } else { "up-to-date" },
                "features": images::display_name(&self.config.features.join(&m.files.features.name)),
                "shape": m.shape,
                "rows": m.rows,
                "skipped": m.skipped,
                "classes": m.settings.classes,
                "class_counts": m.class_counts,
                "settings": m.settings,
                "run": m.run,
            }),
        }).collect();
        let info = self.extractor.info();
        json!({
            "splits": splits,
            "engine": {
                "engine": info.hardware.engine(),
                "device": info.device,
                "isa": info.hardware.isa_or_gpu(),
                "precision": info.precision,
                "algorithms": info.algorithms,
            },
            "leaks": leaks.iter().map(describe_leak).collect::<Vec<_>>(),
            "seconds": time.as_secs_f64(),
        })
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

/// One file's pixels, and what the cache keeps of the file. It is read once: what is decoded is what is hashed.
fn load(
    input: &Input,
    memory: &Memory,
    spec: &LoadSpec,
    pixels: &mut [f32],
) -> Result<RowSource, Refused> {
    let bytes = memory.read(&input.path).map_err(unread)?;
    let decoded = memory.decode(&bytes, spec).and_then(|image| {
        spec.fill(&image, pixels)?;
        Ok(image)
    });
    let image = decoded.map_err(|e| Refused::Skipped(Skip::judged(e.reason(), &bytes)))?;
    let (width, height) = (image.width, image.height);
    Ok(RowSource {
        sha256: Sha256::digest(&*bytes).into(),
        bytes: bytes.len() as u64,
        width,
        height,
        phash: images::perceptual_hash(&image.data, width as usize, height as usize),
    })
}

/// `cats 791, dogs 790`; a class without images stands out.
fn class_counts(scan: &SplitScan) -> String {
    let mut counts = vec![0usize; scan.classes.len()];
    for file in &scan.files {
        counts[file.class] += 1;
    }
    let all = scan
        .classes
        .iter()
        .zip(&counts)
        .map(|(class, n)| format!("{class} {}", text::thousands(*n)));
    let mut shown: Vec<String> = all.take(SHOWN).collect();
    if counts.len() > SHOWN {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}
