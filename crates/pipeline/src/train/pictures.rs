//! Pictures of a split as inputs of a network: decoded and resized once, augmented and run through the frozen base each time.

use backbone::Extractor;
use images::augment::Augmentation;
use images::{Cause, ImageError, InputFile, LoadSpec, Memory};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use std::error::Error as StdError;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use train::HeadError;
use train::convnet::Inputs;

use crate::error::Error;
use crate::recipe::Augmented;

/// A split's pictures, in the order of their names.
pub struct Pictures {
    /// Name of the split.
    pub name: String,
    /// Class names in label order.
    pub classes: Vec<String>,
    pictures: Vec<Picture>,
    labels: Vec<i64>,
    /// Files that are no pictures, with the reason.
    pub skipped: Vec<(String, String)>,
    spec: LoadSpec,
}

struct Picture {
    /// Path below the split's folder.
    file: String,
    path: PathBuf,
    /// Of the file's bytes.
    sha256: [u8; 32],
    pixels: Pixels,
}

/// A resized picture.
enum Pixels {
    /// All values are whole numbers, as most filters make them.
    Bytes(Vec<u8>),
    Values(Vec<f32>),
    /// There was no room: it is decoded again each time.
    OnDisk,
}

impl Pictures {
    /// Reads the files of a split. Resized pictures are kept in at most `room` bytes, which is lowered by what they take.
    ///
    /// # Errors
    /// [`Error::Scan`] for a folder that can't be listed, [`Error::Machine`] where the machine is short of something. Files that
    /// are no pictures are in [`Pictures::skipped`].
    pub fn read(
        name: &str,
        classes: Vec<String>,
        files: Vec<InputFile>,
        spec: LoadSpec,
        room: &mut u64,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, Error> {
        let memory = Memory::default();
        let left = AtomicU64::new(*room);
        let read: Vec<Option<Result<Picture, ImageError>>> = files
            .par_iter()
            .map(|file| (!stop()).then(|| Picture::read(file, &spec, &memory, &left)))
            .collect();
        *room = left.into_inner();
        let mut all = Self {
            name: name.to_owned(),
            classes,
            pictures: Vec::new(),
            labels: Vec::new(),
            skipped: Vec::new(),
            spec,
        };
        for (file, picture) in files.iter().zip(read.into_iter().flatten()) {
            match picture {
                Ok(picture) => {
                    all.pictures.push(picture);
                    all.labels.push(file.class as i64);
                }
                Err(error) if error.cause() == Cause::Machine => return Err(Error::Machine(error)),
                Err(error) => {
                    all.skipped.push((images::display_name(&file.relative), error.reason()));
                }
            }
        }
        Ok(all)
    }

    /// Refuses a split that has no picture of a class.
    pub(super) fn check(&self) -> Result<(), Error> {
        let split = || self.name.clone();
        if self.classes.len() < 2 {
            return Err(HeadError::TooFewClasses { found: self.classes.len() }.into());
        }
        if self.is_empty() {
            let first = self.skipped.first().map(|(file, reason)| format!("{file}: {reason}"));
            let skipped = first.map(|first| (self.skipped.len(), first));
            return Err(Error::NoPictures { split: split(), skipped });
        }
        let missing = (0..self.classes.len()).find(|class| !self.labels.contains(&(*class as i64)));
        match missing {
            Some(class) => Err(Error::ClassWithoutPictures {
                split: split(),
                class: self.classes[class].clone(),
            }),
            None => Ok(()),
        }
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// Class index of each.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// Path of picture `row` below the split's folder.
    pub fn file(&self, row: usize) -> &str {
        &self.pictures[row].file
    }

    /// sha256 of the bytes of picture `row`.
    pub fn sha256(&self, row: usize) -> [u8; 32] {
        self.pictures[row].sha256
    }

    /// sha256 over names, contents and labels of all pictures.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for (picture, label) in self.pictures.iter().zip(&self.labels) {
            digest.update((picture.file.len() as u64).to_le_bytes());
            digest.update(picture.file.as_bytes());
            digest.update(picture.sha256);
            digest.update(label.to_le_bytes());
        }
        digest.finalize().into()
    }

    /// The values of a picture, as it is or as a view of it.
    fn fill(
        &self,
        row: usize,
        view: Option<(&Augmented, u64)>,
        out: &mut [f32],
    ) -> Result<(), ImageError> {
        let picture = &self.pictures[row];
        let decoded;
        let plain: &[f32] = match &picture.pixels {
            Pixels::Values(values) => values,
            Pixels::Bytes(bytes) => {
                decoded = bytes.iter().map(|b| f32::from(*b)).collect::<Vec<f32>>();
                &decoded
            }
            Pixels::OnDisk => {
                let bytes = images::read_file(&picture.path)?;
                decoded = resized(&bytes, &self.spec, &Memory::default())?;
                &decoded
            }
        };
        match view {
            None => out.copy_from_slice(plain),
            Some((Augmented { transforms, seed }, view)) => {
                let Augmentation { fill, sampling, .. } = *transforms;
                let transform = transforms.draw(self.spec.size, *seed, &picture.sha256, view);
                transform.apply(self.spec.size, fill, sampling, plain, out)?;
            }
        }
        self.spec.preprocess.apply(out);
        Ok(())
    }
}

impl Picture {
    fn read(
        file: &InputFile,
        spec: &LoadSpec,
        memory: &Memory,
        room: &AtomicU64,
    ) -> Result<Self, ImageError> {
        let bytes = memory.read(&file.path)?;
        let values = resized(&bytes, spec, memory)?;
        let whole = values.iter().all(|x| x.fract() == 0.0 && (0.0..=255.0).contains(x));
        let needed = values.len() as u64 * if whole { 1 } else { 4 };
        let take = |left: u64| left.checked_sub(needed);
        let pixels = match room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Err(_) => Pixels::OnDisk,
            Ok(_) if whole => Pixels::Bytes(values.iter().map(|x| *x as u8).collect()),
            Ok(_) => Pixels::Values(values),
        };
        Ok(Self {
            file: images::display_name(&file.relative),
            path: file.path.clone(),
            sha256: Sha256::digest(&*bytes).into(),
            pixels,
        })
    }
}

fn resized(bytes: &[u8], spec: &LoadSpec, memory: &Memory) -> Result<Vec<f32>, ImageError> {
    let image = memory.decode(bytes, spec)?;
    images::resize(&image, spec.size, spec.interpolation)
}

/// Pictures as a network's inputs: their pixels, or what a frozen base makes of them.
pub struct PictureInputs<'a> {
    pictures: &'a Pictures,
    /// How training sees them; as they are if `None`.
    augmented: Option<&'a Augmented>,
    base: Option<&'a Extractor>,
    /// What the base made of pictures as they are: it is the same each time.
    made: Vec<OnceLock<Vec<f32>>>,
    /// Bytes that are left for that.
    room: AtomicU64,
}

impl<'a> PictureInputs<'a> {
    /// Inputs for training, with `augmented`, or for evaluation. What the base makes of pictures as they are is kept in at most
    /// `room` bytes, which is lowered by what that takes.
    pub fn new(
        pictures: &'a Pictures,
        augmented: Option<&'a Augmented>,
        base: Option<&'a Extractor>,
        room: &mut u64,
    ) -> Self {
        let mut inputs =
            Self { pictures, augmented, base, made: Vec::new(), room: AtomicU64::new(0) };
        if base.is_some() && augmented.is_none() {
            let needed = (pictures.len() * inputs.width() * size_of::<f32>()) as u64;
            inputs.room = AtomicU64::new(needed.min(*room));
            *room -= needed.min(*room);
            inputs.made.resize_with(pictures.len(), OnceLock::new);
        }
        inputs
    }

    /// The base's rows of these pictures.
    fn rows(
        &self,
        base: &Extractor,
        view: Option<(&Augmented, u64)>,
        rows: &[u32],
        out: &mut [f32],
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let mut pixels = vec![0.0; rows.len() * base.image_values()];
        self.pixels(view, rows, &mut pixels)?;
        base.run(rows.len(), &pixels, out)?;
        Ok(())
    }

    fn pixels(
        &self,
        view: Option<(&Augmented, u64)>,
        rows: &[u32],
        out: &mut [f32],
    ) -> Result<(), ImageError> {
        let length = (out.len() / rows.len().max(1)).max(1);
        rows.par_iter()
            .zip(out.par_chunks_exact_mut(length))
            .with_max_len(1)
            .try_for_each(|(row, out)| self.pictures.fill(*row as usize, view, out))
    }
}

impl Inputs for PictureInputs<'_> {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn width(&self) -> usize {
        self.base.map_or(self.pictures.spec.values(), Extractor::row_values)
    }

    fn read(
        &self,
        epoch: Option<usize>,
        rows: &[u32],
        out: &mut [f32],
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let view = epoch.and_then(|epoch| Some((self.augmented?, epoch as u64)));
        let Some(base) = self.base else { return Ok(self.pixels(view, rows, out)?) };
        if self.made.is_empty() || view.is_some() {
            return self.rows(base, view, rows, out);
        }
        let width = base.row_values();
        let made = |row: u32| self.made[row as usize].get();
        let missing: Vec<u32> = rows.iter().copied().filter(|row| made(*row).is_none()).collect();
        let mut computed = vec![0.0; missing.len() * width];
        if !missing.is_empty() {
            self.rows(base, None, &missing, &mut computed)?;
        }
        let mut computed = computed.chunks_exact(width);
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(width)) {
            if let Some(values) = made(*row) {
                out.copy_from_slice(values);
                continue;
            }
            let values = computed.next().unwrap_or_default();
            out.copy_from_slice(values);
            let take = |left: u64| left.checked_sub((width * size_of::<f32>()) as u64);
            if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                let _ = self.made[*row as usize].set(values.to_vec());
            }
        }
        Ok(())
    }
}
