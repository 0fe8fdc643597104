//! `extract preview`: what an augmentation makes of some pictures, on one sheet.

use anyhow::{Context as _, Result};
use images::augment::Augmentation;
use images::{ImageError, ImageSize, LoadSpec, MAX_PIXELS, Memory, Preprocess};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::process::ExitCode;

use super::args::PreviewArgs;
use crate::console::{Console, out};
use crate::failure::EXIT_SKIPPED;
use crate::hints::hinted;
use crate::text;

/// Pixels between two pictures, and around all.
const GAP: usize = 4;
const WHITE: u8 = 255;
const CHANNELS: usize = 3;

pub(super) fn run(args: &PreviewArgs) -> Result<ExitCode> {
    let console = Console::new(false, false);
    let (files, mut bad) = images::expand_inputs(&args.images)?;
    let cells = args.views as usize + 1;
    let mut sheet = Sheet::new(args.image_size, cells, files.len())?;
    let memory = Memory::default();
    for file in &files {
        match row(args, &memory, file) {
            Ok(row) => sheet.add(&row),
            Err(error) => bad.push(images::Ignored { path: file.clone(), reason: error.reason() }),
        }
    }
    for one in &bad {
        console.warn(format!("skipped {}: {}", images::display_name(&one.path), one.reason));
    }
    if sheet.rows == 0 {
        return Err(hinted(
            "no image among the given paths",
            "give image files, or folders that hold some",
        ));
    }
    let size = sheet.size();
    let png = images::encode_png(size, &sheet.pixels)?;
    util::atomic::write(&args.out, |to| to.write_all(&png))
        .with_context(|| format!("cannot write '{}'", args.out.display()))?;
    let views = args.views as usize;
    out(&format!(
        "{}: {size} pixels, {}, a row each: as it is, then {}",
        args.out.display(),
        text::count(sheet.rows, "picture", "pictures"),
        text::count(views, "view", "views"),
    ))?;
    out(&format!("augmentation: {}, seed {}", args.augment, args.seed))?;
    Ok(if bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_SKIPPED) })
}

/// The picture as it is resized, then its views, `(height, width, 3)` each.
fn row(args: &PreviewArgs, memory: &Memory, file: &Path) -> Result<Vec<Vec<f32>>, ImageError> {
    let (size, interpolation) = (args.image_size, args.interpolation);
    let bytes = memory.read(file)?;
    let spec = LoadSpec { size, interpolation, preprocess: Preprocess::Rescale };
    let image = memory.decode(&bytes, &spec)?;
    let plain = images::resize(&image, size, interpolation)?;
    let sha256 = Sha256::digest(&*bytes).into();
    let Augmentation { fill, sampling, .. } = args.augment;
    let mut row = Vec::with_capacity(args.views as usize + 1);
    for view in 1..=u64::from(args.views) {
        let mut pixels = vec![0.0; plain.len()];
        let transform = args.augment.draw(size, args.seed, &sha256, view);
        transform.apply(size, fill, sampling, &plain, &mut pixels)?;
        row.push(pixels);
    }
    row.insert(0, plain);
    Ok(row)
}

/// Pictures of one size in rows, on white.
struct Sheet {
    cell: ImageSize,
    cells: usize,
    rows: usize,
    /// The rows so far, `(height, width, 3)`.
    pixels: Vec<u8>,
}

impl Sheet {
    /// Of so many `cells` a row; at most `rows` will be added.
    fn new(cell: ImageSize, cells: usize, rows: usize) -> Result<Self> {
        let sheet = Self { cell, cells, rows, pixels: Vec::new() };
        let (size, limit) = (sheet.size(), MAX_PIXELS);
        if u64::from(size.width) * u64::from(size.height) > limit {
            return Err(hinted(
                format!(
                    "a sheet of {size}: expected at most {} pixels",
                    text::thousands(limit as usize)
                ),
                "give fewer images or --views, or a smaller --image-size",
            ));
        }
        let pixels = vec![WHITE; GAP * sheet.line()];
        Ok(Self { rows: 0, pixels, ..sheet })
    }

    /// Bytes of a line of pixels.
    fn line(&self) -> usize {
        self.size().width as usize * CHANNELS
    }

    /// As it is now.
    fn size(&self) -> ImageSize {
        let side = |cells: usize, side: u32| {
            let pixels = (cells as u64).saturating_mul(u64::from(side) + GAP as u64);
            u32::try_from(pixels.saturating_add(GAP as u64)).unwrap_or(u32::MAX)
        };
        ImageSize {
            width: side(self.cells, self.cell.width),
            height: side(self.rows, self.cell.height),
        }
    }

    fn add(&mut self, row: &[Vec<f32>]) {
        let width = self.cell.width as usize * CHANNELS;
        for y in 0..self.cell.height as usize {
            self.pixels.extend([WHITE; GAP * CHANNELS]);
            for picture in row {
                let line = &picture[y * width..(y + 1) * width];
                // Views are within 0..255; the cast saturates whatever else there may be.
                self.pixels.extend(line.iter().map(|v| v.round_ties_even() as u8));
                self.pixels.extend([WHITE; GAP * CHANNELS]);
            }
        }
        self.pixels.resize(self.pixels.len() + GAP * self.line(), WHITE);
        self.rows += 1;
    }
}
