//! Two files that belong together, replaced so that a reader finds the old ones or the new ones, wherever the writer was
//! stopped.
//!
//! `head.json` names the weights by their sha256, so replacing it is the one step that counts. New weights wait beside the
//! old ones until it is done, and a reader takes whichever of both has the right sha256:
//!
//! | after the step | `head.json` | `head.safetensors` | `head.safetensors.new` | a reader gets |
//! |---|---|---|---|---|
//! | (before) | old | old | | the old head |
//! | `Staged` | old | old | new | the old head |
//! | `Committed` | new | old | new | the new head |
//! | `Named` | new | new | | the new head |

use super::{HEAD_JSON, HEAD_TENSORS, TensorsRecord, bad, manifest, refuse};
use crate::{HeadError, HeadFolder, HeadManifest};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::RangeInclusive;
use std::path::Path;
use util::{atomic, regular};

/// Where new weights wait.
const STAGED: &str = "head.safetensors.new";

/// What [`replace`] has done, each on disk before the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// What an earlier writer left is in order.
    Recovered,
    /// The new weights are there, under another name.
    Staged,
    /// `head.json` is the new one.
    Committed,
    /// The new weights have their name.
    Named,
}

/// Replaces both files. `after` is called after each step; its error stops the writing there, as a kill would.
pub(super) fn replace(
    folder: &HeadFolder,
    json: &[u8],
    tensors: &[u8],
    after: &mut dyn FnMut(Step) -> Result<(), HeadError>,
) -> Result<(), HeadError> {
    let at = |name: &str| folder.path().join(name);
    let (text, named, staged) = (at(HEAD_JSON), at(HEAD_TENSORS), at(STAGED));
    recover(folder.path())?;
    after(Step::Recovered)?;
    write(&staged, tensors)?;
    after(Step::Staged)?;
    write(&text, json)?;
    after(Step::Committed)?;
    rename(&staged, &named)?;
    after(Step::Named)
}

/// Ends what an earlier writer began: weights that `head.json` already names get their name, before others wait in their
/// place. Anything else that waits is replaced by those.
fn recover(dir: &Path) -> Result<(), HeadError> {
    let (named, staged) = (dir.join(HEAD_TENSORS), dir.join(STAGED));
    let waits = fs::symlink_metadata(&staged).is_ok();
    let record = || {
        let path = dir.join(HEAD_JSON);
        let json = read_at_most(&path, manifest::LARGEST_JSON).ok()?;
        HeadManifest::parse(&path, &json).ok()?.tensors
    };
    match waits.then(record).flatten() {
        Some(record) if !is(&named, &record) && is(&staged, &record) => rename(&staged, &named),
        _ => Ok(()),
    }
}

/// What `head.json` says of these weights.
pub(super) fn record(tensors: &[u8]) -> TensorsRecord {
    TensorsRecord { bytes: tensors.len() as u64, sha256: hex(&Sha256::digest(tensors)) }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the file is the one of the record; one that can't be read is not.
fn is(path: &Path, record: &TensorsRecord) -> bool {
    let digest = || {
        let mut file = regular::open(path)?;
        if file.metadata()?.len() != record.bytes {
            return Ok(None);
        }
        let mut digest = Sha256::new();
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block) {
                Ok(0) => return Ok(Some(hex(&digest.finalize()))),
                Ok(n) => digest.update(&block[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    };
    digest().is_ok_and(|found: Option<String>| found.as_ref() == Some(&record.sha256))
}

/// The weights that a `head.json` was written for, from either place.
pub(super) fn read_bound(dir: &Path, record: &TensorsRecord) -> Result<Vec<u8>, HeadError> {
    let read = |name: &str| {
        let path = dir.join(name);
        let data = read_within(&path, record.bytes..=record.bytes)?;
        let found = hex(&Sha256::digest(&data));
        if found != record.sha256 {
            let expected = &record.sha256;
            return refuse(
                &path,
                format!("expected the weights of {HEAD_JSON}, sha256 {expected}, found {found}"),
            );
        }
        Ok(data)
    };
    // The last time for weights that got their name while the other was looked at.
    read(HEAD_TENSORS)
        .or_else(|error| read(STAGED).or_else(|_| read(HEAD_TENSORS)).map_err(|_| error))
}

/// The whole of a regular file of at most `limit` bytes.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, HeadError> {
    regular::read(path, limit).map_err(failed("read", path))
}

/// The whole of a regular file whose size is among `sizes`.
pub(super) fn read_within(path: &Path, sizes: RangeInclusive<u64>) -> Result<Vec<u8>, HeadError> {
    let (least, most) = sizes.into_inner();
    let expected = if least == most { format!("{most}") } else { format!("{least} to {most}") };
    let check = |found: u64| match (least..=most).contains(&found) {
        true => Ok(()),
        false => Err(bad(path, format!("expected {expected} bytes, found {found}"))),
    };
    let file = regular::open(path).map_err(failed("read", path))?;
    let size = file.metadata().map_err(failed("read", path))?.len();
    check(size)?;
    let mut data = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // One byte more, to see that it did not grow.
    let read = |file: File, data: &mut Vec<u8>| file.take(size + 1).read_to_end(data);
    read(file, &mut data).map_err(failed("read", path))?;
    check(data.len() as u64)?;
    Ok(data)
}

fn write(path: &Path, data: &[u8]) -> Result<(), HeadError> {
    atomic::write(path, |out| out.write_all(data)).map_err(failed("write", path))
}

fn rename(from: &Path, to: &Path) -> Result<(), HeadError> {
    fs::rename(from, to)
        .and_then(|()| atomic::sync_folder(atomic::folder_of(to)))
        .map_err(failed("write", to))
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> HeadError + 'a {
    move |source| HeadError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, EpochStats, FitConfig, Fitted, Head, Layer, Outcome};

    /// A head whose weights and history tell which one it is.
    fn numbered(n: u8) -> (Head, HeadManifest) {
        let layer = Layer {
            name: "dense".to_owned(),
            inputs: 3,
            outputs: 1,
            kernel: vec![f32::from(n); 3],
            bias: vec![0.5],
            activation: Activation::Sigmoid,
        };
        let head = Head { layers: vec![layer] };
        let epoch = EpochStats {
            epoch: 1,
            loss: f64::from(n),
            accuracy: 0.5,
            val_loss: None,
            val_accuracy: None,
            seconds: 0.1,
        };
        let fitted = Fitted {
            head: head.clone(),
            outcome: Outcome { history: vec![epoch], ..Outcome::default() },
        };
        let classes = ["a", "b"].map(str::to_owned).to_vec();
        let manifest =
            HeadManifest::of_head(&fitted, &FitConfig::default(), classes, serde_json::Value::Null);
        (head, manifest)
    }

    /// Which head is in the folder; both files must be of the same.
    fn found(dir: &Path) -> u8 {
        let (head, manifest) = Head::load(dir).unwrap();
        let n = head.layers[0].kernel[0];
        assert_eq!(manifest.training.history[0].loss, f64::from(n), "a mixture");
        n as u8
    }

    /// Writes head `n` and stops after the given step.
    fn stopped(dir: &Path, n: u8, last: Step) {
        let folder = HeadFolder::open(dir).unwrap();
        let (head, manifest) = numbered(n);
        let (json, tensors) = head.to_bytes(dir, &manifest).unwrap();
        let stop = || HeadError::TooFewClasses { found: 0 };
        let result = replace(&folder, &json, &tensors, &mut |step| match step == last {
            true => Err(stop()),
            false => Ok(()),
        });
        assert!(result.is_err());
    }

    const STEPS: [Step; 4] = [Step::Recovered, Step::Staged, Step::Committed, Step::Named];

    fn after(step: Step, old: u8, new: u8) -> u8 {
        if matches!(step, Step::Recovered | Step::Staged) { old } else { new }
    }

    #[test]
    fn every_stop_leaves_a_whole_head_and_so_does_a_stop_in_the_run_after_it() {
        for first in STEPS {
            for second in STEPS {
                let dir = tempfile::tempdir().unwrap();
                let dir = dir.path();
                let (head, manifest) = numbered(1);
                head.save(&HeadFolder::open(dir).unwrap(), &manifest).unwrap();
                stopped(dir, 2, first);
                let now = after(first, 1, 2);
                assert_eq!(found(dir), now, "{first:?}");
                stopped(dir, 3, second);
                let now = after(second, now, 3);
                assert_eq!(found(dir), now, "{first:?}, {second:?}");
                let (head, manifest) = numbered(4);
                head.save(&HeadFolder::open(dir).unwrap(), &manifest).unwrap();
                assert_eq!(found(dir), 4, "{first:?}, {second:?}");
                assert_eq!(fs::read_dir(dir).unwrap().count(), 2);
            }
        }
    }

    #[test]
    fn the_first_head_of_a_folder_is_there_whole_or_not_at_all() {
        for step in STEPS {
            let dir = tempfile::tempdir().unwrap();
            stopped(dir.path(), 2, step);
            match after(step, 1, 2) {
                2 => assert_eq!(found(dir.path()), 2),
                _ => assert!(Head::load(dir.path()).is_err()),
            }
        }
    }

    #[test]
    fn a_reader_beside_a_writer_gets_whole_heads() {
        let dir = tempfile::tempdir().unwrap();
        let folder = HeadFolder::open(dir.path()).unwrap();
        let (head, manifest) = numbered(0);
        head.save(&folder, &manifest).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..60 {
                    let (head, manifest) = numbered(n);
                    head.save(&folder, &manifest).unwrap();
                }
                done.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                found(dir.path());
            }
        });
    }
}
