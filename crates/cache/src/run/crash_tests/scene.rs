//! What the tests run: pictures, a job over them, and how what it leaves is compared.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::disk::Disk;
use crate::disk::faulty::FaultyDisk;
use crate::error::CacheError;
use crate::finished::reader::SplitReader;
use crate::format::journal::Replay;
use crate::format::manifest::{Manifest, RunStats, Shard};
use crate::input::{Existing, Input, OnError, RowSource, Skip};
use crate::recipe::Rules;
use crate::run::open::{Opened, open_on};
use crate::run::target::{Contents, Target};
use crate::run::writer::SplitWriter;
use crate::settings::{Dtype, Settings};

pub(crate) fn settings(numerics: u32) -> Settings {
    let recipe = serde_json::json!({ "numerics": numerics, "by": { "name": "w" } });
    Settings {
        recipe: serde_json::from_value(recipe).unwrap(),
        dtype: Dtype::F32,
        classes: vec!["cats".to_owned(), "dogs".to_owned()],
        row_shape: vec![2, 3],
        views: 1,
    }
}

/// Files with content; one whose content begins with "bad" gives no row.
pub(super) struct Pictures {
    pub(super) dir: TempDir,
    pub(super) names: Vec<String>,
}

impl Pictures {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let dir = temp();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self { dir, names: files.iter().map(|f| f.0.to_owned()).collect() }
    }

    pub(super) fn inputs(&self) -> Vec<Input> {
        let input = |name: &String| Input {
            name: name.clone(),
            path: self.dir.path().join(name),
            class: usize::from(name.starts_with("dogs")),
        };
        self.names.iter().map(input).collect()
    }
}

pub(super) const FIRST: &[(&str, &str)] = &[
    ("cats/0", "zero"),
    ("cats/1", "bad one"),
    ("cats/2", "two"),
    ("cats/3", "three"),
    ("dogs/4", "bad four"),
    ("dogs/5", "five"),
    ("dogs/6", "six"),
];
/// More than are put on disk before the run finishes.
pub(super) const GOOD: &[(&str, &str)] = &[
    ("cats/0", "zero"),
    ("cats/2", "two"),
    ("dogs/5", "five"),
    ("dogs/7", "seven"),
    ("dogs/8", "eight"),
];
/// Of `FIRST`: one removed, one changed, one renamed, one added, one bad became good.
pub(super) const SECOND: &[(&str, &str)] = &[
    ("cats/1", "good one"),
    ("cats/2", "two, changed"),
    ("cats/3", "three"),
    ("cats/3b", "bad too"),
    ("dogs/4", "bad four"),
    ("dogs/5", "five"),
    ("dogs/7", "six"),
];

/// In memory where the system offers it: these tests make and remove a million files.
pub(super) fn temp() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).unwrap()
}

/// What a run does; rows are done in an order that is not that of the list.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) pictures: &'a Pictures,
    pub(super) numerics: u32,
    pub(super) existing: Existing,
    pub(super) shard: Option<Shard>,
    /// Whether everything is put on disk before it finishes.
    pub(super) checkpoint: bool,
    /// Whether each row is put on disk before the next.
    pub(super) eager: bool,
}

#[derive(Default, Debug)]
pub(super) struct Outcome {
    /// Names whose row or reason was taken without an error.
    pub(super) done: HashSet<String>,
    /// Those that were put on disk.
    pub(super) safe: HashSet<String>,
    pub(super) pending: HashSet<String>,
}

pub(super) fn compute(writer: &SplitWriter, position: usize) -> Result<(), CacheError> {
    let input = writer.input(position).unwrap();
    let bytes = fs::read(&input.path).unwrap();
    if bytes.starts_with(b"bad") {
        let reason = format!("no picture: {}", String::from_utf8_lossy(&bytes));
        return writer.skip(position, &Skip::judged(reason, &bytes));
    }
    let sha256 = crate::format::digest::sha256(&bytes);
    let values: Vec<f32> = sha256[..6].iter().map(|&b| f32::from(b) / 7.0).collect();
    let source = RowSource {
        sha256,
        bytes: bytes.len() as u64,
        width: 4,
        height: 5,
        phash: Some(u64::from(sha256[9])),
    };
    writer.write_row(position, &values, source)
}

impl Job<'_> {
    pub(super) fn open(&self, dir: &Path, disk: &FaultyDisk) -> Result<Opened, CacheError> {
        let target = Target::new(
            "train",
            self.shard,
            (settings(self.numerics), Rules::default()),
            self.pictures.inputs(),
            Contents::Files,
        )?;
        open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, dir, target, self.existing, OnError::Skip)
    }

    /// Runs; with `retry` a row that fails is tried once more.
    pub(super) fn run(
        &self,
        dir: &Path,
        disk: &FaultyDisk,
        retry: bool,
        outcome: &mut Outcome,
    ) -> Result<Manifest, CacheError> {
        let mut writer = match self.open(dir, disk)? {
            Opened::UpToDate(manifest) => return Ok(*manifest),
            Opened::Writer(writer) => writer,
        };
        if self.eager {
            writer.sync_every = Duration::ZERO;
        }
        let pending = writer.pending().to_vec();
        let name = |p: usize| writer.input(p).unwrap().name.clone();
        outcome.pending = pending.iter().map(|&p| name(p)).collect();
        for n in 0..pending.len() {
            // Backwards, from somewhere in the middle.
            let i = (2 * pending.len() + 1 - n) % pending.len();
            let position = pending[i];
            compute(&writer, position)
                .or_else(|e| if retry { compute(&writer, position) } else { Err(e) })?;
            outcome.done.insert(name(position));
            if self.eager {
                outcome.safe.clone_from(&outcome.done);
            }
            if n == 2 || self.checkpoint && n + 1 == pending.len() {
                writer.checkpoint()?;
                outcome.safe.clone_from(&outcome.done);
            }
        }
        writer.finish(RunStats { seconds: 1.0, ..RunStats::default() })
    }

    pub(super) fn run_well(&self, dir: &Path) -> Outcome {
        let mut outcome = Outcome::default();
        self.run(dir, &FaultyDisk::sound(), false, &mut outcome).unwrap();
        outcome
    }
}

/// Every file of a folder, without what tells of times.
pub(super) fn snapshot(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|entry| {
        let path: PathBuf = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if path.extension().is_some_and(|e| e == "json") {
            let mut value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            value.as_object_mut().unwrap().remove("run").unwrap();
            bytes = serde_json::to_vec(&value).unwrap();
        }
        (path.file_name().unwrap().to_string_lossy().into_owned(), bytes)
    });
    files.collect()
}

pub(super) fn assert_same(found: &Path, expected: &BTreeMap<String, Vec<u8>>, what: &str) {
    let found = snapshot(found);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{what}: {name} differs");
    }
}

/// A cache that can be read is the old or the new one, never a mixture.
pub(super) fn check_readable(dir: &Path, what: &str) {
    match SplitReader::open(dir, "train") {
        Ok(reader) => reader.verify_full(|_| ()).unwrap(),
        Err(CacheError::Missing { .. }) => {}
        Err(e) => panic!("{what}: {e}"),
    }
}

/// What a test begins with: a disk, and the names whose rows are safe on it.
pub(super) struct Before {
    pub(super) disk: FaultyDisk,
    pub(super) safe: HashSet<String>,
}

impl Before {
    /// Nothing of what is in the folder can be lost.
    pub(super) fn settled() -> Self {
        Self { disk: FaultyDisk::sound(), safe: HashSet::new() }
    }
}

impl Job<'_> {
    pub(super) fn is_bad(&self, name: &str) -> bool {
        fs::read(self.pictures.dir.path().join(name)).unwrap().starts_with(b"bad")
    }

    /// The run after the one that was disturbed: it does no row again that is safe.
    pub(super) fn go_on(&self, dir: &Path, disk: &FaultyDisk, safe: &HashSet<String>, what: &str) {
        // While rows move, those that move over each other at the moment of a power cut may be lost: they are not synced
        // one by one.
        let moving = Replay::read(&dir.join("train.journal"))
            .is_ok_and(|replay| replay.is_some_and(|replay| replay.moving_to.is_some()));
        let mut second = Outcome::default();
        self.run(dir, disk, false, &mut second).unwrap_or_else(|e| panic!("{what}: {e}"));
        // The skipped are looked at again, as long as no row moved: only rows count.
        let again: Vec<_> = second.pending.intersection(safe).filter(|n| !self.is_bad(n)).collect();
        assert!(moving || again.is_empty(), "{what}: done again: {again:?}");
    }
}
