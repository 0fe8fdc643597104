//! Small pictures of mistakes, for the report.
//!
//! A features folder may come from anybody, and a report is made to be shown around. So no path that is written there decides
//! what is opened: only the folder that the user names does, and only the very file that the row was made from is shown.

use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::Error;

/// Longer side, in pixels.
const SIDE: u32 = 256;

/// The folder that pictures are taken from.
#[derive(Debug)]
pub struct Thumbnails {
    /// Without links in it; `None` if there is no folder.
    folder: Option<PathBuf>,
    taken: usize,
    /// Files without a picture, and why.
    missing: Vec<String>,
}

impl Thumbnails {
    /// Where `extract` looks for pictures, too, if it isn't told.
    pub const DEFAULT_FOLDER: &str = "data";

    /// From the folder that was named, or else from [`Thumbnails::DEFAULT_FOLDER`], if there is one.
    ///
    /// # Errors
    /// The folder that was named is none.
    pub fn new(named: Option<&Path>) -> Result<Self, Error> {
        let folder = |path: &Path| {
            let folder = path.canonicalize()?;
            if folder.is_dir() { Ok(folder) } else { Err(io::ErrorKind::NotADirectory.into()) }
        };
        let folder = match named {
            None => folder(Path::new(Self::DEFAULT_FOLDER)).ok(),
            Some(path) => Some(
                folder(path).map_err(|source| Error::Pictures { path: path.to_owned(), source })?,
            ),
        };
        Ok(Self { folder, taken: 0, missing: Vec::new() })
    }

    /// A small JPEG of a row's file: `file` as the split's index names it, with the sha256 of what the row was made from.
    pub(super) fn take(
        &mut self,
        split: &str,
        file: &str,
        sha256: Option<[u8; 32]>,
    ) -> Option<Vec<u8>> {
        self.taken += 1;
        match picture(self.folder.as_deref()?, split, file, sha256) {
            Ok(jpeg) => Some(jpeg),
            Err(why) => {
                self.missing.push(format!("{split}/{file}: {why}"));
                None
            }
        }
    }

    /// How many mistakes wanted a picture.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Whether there is a folder to take pictures from.
    pub fn has_folder(&self) -> bool {
        self.folder.is_some()
    }

    /// Files of the folder that gave no picture, each with the reason.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }
}

fn picture(
    folder: &Path,
    split: &str,
    file: &str,
    sha256: Option<[u8; 32]>,
) -> Result<Vec<u8>, String> {
    let expected = sha256.ok_or("the index has no sha256 of it")?;
    let relative = Path::new(split).join(images::parse_name(file).map_err(|e| e.to_string())?);
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err("expected a path below the data folder".to_owned());
    }
    let path = folder.join(relative).canonicalize().map_err(|e| e.to_string())?;
    if !path.starts_with(folder) {
        return Err("a link leads out of the data folder".to_owned());
    }
    let bytes = images::read_file(&path).map_err(|e| e.reason())?;
    if Sha256::digest(&bytes)[..] != expected {
        return Err("its sha256 is not that of the file that the row was made from".to_owned());
    }
    images::thumbnail_jpeg(&bytes, SIDE).map_err(|e| e.reason())
}
