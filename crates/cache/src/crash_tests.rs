//! The heart of the matter: a run that fails or dies at any operation, and is started again, ends with bitwise the files
//! of an undisturbed one, without doing finished rows again.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::disk::Disk;
use crate::error::CacheError;
use crate::faulty::{Fault, FaultyDisk};
use crate::input::{Existing, Input, OnError, RowSource, Skip};
use crate::manifest::{Manifest, RunStats, Shard};
use crate::merge::merge_on;
use crate::open::{Opened, open_on};
use crate::reader::SplitReader;
use crate::settings::{Dtype, Settings, WeightsId};
use crate::target::{Contents, Target};
use crate::writer::SplitWriter;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

fn settings(numerics: u32) -> Settings {
    Settings {
        tool_version: "1".to_owned(),
        numerics,
        backbone: "vgg16".to_owned(),
        layer: "block5_pool".to_owned(),
        pooling: "none".to_owned(),
        weights: WeightsId {
            name: "w".to_owned(),
            sha256: "00".to_owned(),
            preprocess: "torch".to_owned(),
        },
        image_size: [150, 150],
        interpolation: "bilinear".to_owned(),
        preprocess: "torch".to_owned(),
        augmentation: None,
        seed: 0,
        precision: "highest".to_owned(),
        engine: "test".to_owned(),
        isa_or_gpu: "none".to_owned(),
        dtype: Dtype::F32,
        classes: vec!["cats".to_owned(), "dogs".to_owned()],
        row_shape: vec![2, 3],
    }
}

/// Files with content; one whose content begins with "bad" gives no row.
struct Pictures {
    dir: TempDir,
    names: Vec<String>,
}

impl Pictures {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self { dir, names: files.iter().map(|f| f.0.to_owned()).collect() }
    }

    fn inputs(&self) -> Vec<Input> {
        let input = |name: &String| Input {
            name: name.clone(),
            path: self.dir.path().join(name),
            class: usize::from(name.starts_with("dogs")),
        };
        self.names.iter().map(input).collect()
    }
}

const FIRST: &[(&str, &str)] = &[
    ("cats/0", "zero"),
    ("cats/1", "bad one"),
    ("cats/2", "two"),
    ("cats/3", "three"),
    ("dogs/4", "bad four"),
    ("dogs/5", "five"),
    ("dogs/6", "six"),
];
const GOOD: &[(&str, &str)] = &[("cats/0", "zero"), ("cats/2", "two"), ("dogs/5", "five")];
/// Of `FIRST`: one removed, one changed, one renamed, one added, one bad became good.
const SECOND: &[(&str, &str)] = &[
    ("cats/1", "good one"),
    ("cats/2", "two, changed"),
    ("cats/3", "three"),
    ("cats/3b", "bad too"),
    ("dogs/4", "bad four"),
    ("dogs/5", "five"),
    ("dogs/7", "six"),
];

/// What a run does; rows are done in an order that is not that of the list.
#[derive(Clone, Copy)]
struct Job<'a> {
    pictures: &'a Pictures,
    numerics: u32,
    existing: Existing,
    shard: Option<Shard>,
}

#[derive(Default, Debug)]
struct Outcome {
    /// Names whose row or reason was taken without an error.
    done: HashSet<String>,
    pending: HashSet<String>,
}

fn compute(writer: &SplitWriter, position: usize) -> Result<(), CacheError> {
    let input = writer.input(position).unwrap();
    let bytes = fs::read(&input.path).unwrap();
    if bytes.starts_with(b"bad") {
        let reason = format!("no picture: {}", String::from_utf8_lossy(&bytes));
        return writer.skip(position, &Skip::judged(reason, &bytes));
    }
    let sha256 = crate::digest::sha256(&bytes);
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
    fn open(&self, dir: &Path, disk: &FaultyDisk) -> Result<Opened, CacheError> {
        let target = Target::new(
            "train",
            self.shard,
            settings(self.numerics),
            self.pictures.inputs(),
            Contents::Files,
        )?;
        open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, dir, target, self.existing, OnError::Skip)
    }

    /// Runs; with `retry` a row that fails is tried once more.
    fn run(
        &self,
        dir: &Path,
        disk: &FaultyDisk,
        retry: bool,
        outcome: &mut Outcome,
    ) -> Result<Manifest, CacheError> {
        let writer = match self.open(dir, disk)? {
            Opened::UpToDate(manifest) => return Ok(*manifest),
            Opened::Writer(writer) => writer,
        };
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
            if n == 2 {
                writer.checkpoint()?;
            }
        }
        writer.finish(RunStats { seconds: 1.0, ..RunStats::default() })
    }

    fn run_well(&self, dir: &Path) -> Outcome {
        let mut outcome = Outcome::default();
        self.run(dir, &FaultyDisk::sound(), false, &mut outcome).unwrap();
        outcome
    }
}

/// Every file of a folder, without what tells of times.
fn snapshot(dir: &Path) -> BTreeMap<String, Vec<u8>> {
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

fn assert_same(found: &Path, expected: &BTreeMap<String, Vec<u8>>, what: &str) {
    let found = snapshot(found);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{what}: {name} differs");
    }
}

/// A cache that can be read is the old or the new one, never a mixture.
fn check_readable(dir: &Path, what: &str) {
    match SplitReader::open(dir, "train") {
        Ok(reader) => reader.verify_full(|_| ()).unwrap(),
        Err(CacheError::Missing { .. }) => {}
        Err(e) => panic!("{what}: {e}"),
    }
}

/// The second run: it does no row again that the first had finished.
fn go_on(job: Job<'_>, dir: &Path, first: &Outcome, fault: Fault, what: &str) {
    let second = job.run_well(dir);
    if !matches!(fault, Fault::PowerCut(_)) {
        let again: Vec<_> = second.pending.intersection(&first.done).collect();
        // The skipped are looked at again, as long as no row moved: only rows count.
        let bad =
            |name: &str| fs::read(job.pictures.dir.path().join(name)).unwrap().starts_with(b"bad");
        assert!(again.iter().all(|n| bad(n)), "{what}: done again: {again:?}");
    }
}

/// Runs `job` on what `prepare` made, with `fault` at operation 1, 2, 3 … until it strikes no more; each time goes on
/// with a second run and compares with an undisturbed one.
fn at_every_operation(prepare: impl Fn(&Path), job: Job<'_>, fault: Fault, retry: bool) -> u64 {
    let undisturbed = tempfile::tempdir().unwrap();
    prepare(undisturbed.path());
    job.run_well(undisturbed.path());
    let expected = snapshot(undisturbed.path());
    for at in 1.. {
        let what = format!("{fault:?} at {at}");
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let disk = FaultyDisk::new(at, fault);
        let mut first = Outcome::default();
        let result = job.run(dir.path(), &disk, retry, &mut first);
        if !disk.struck() {
            result.unwrap();
            return at;
        }
        check_readable(dir.path(), &what);
        // Some single faults are got over at once.
        if result.is_err() {
            go_on(job, dir.path(), &first, fault, &what);
        }
        assert_same(dir.path(), &expected, &what);
    }
    unreachable!()
}

fn all_faults(prepare: impl Fn(&Path), job: Job<'_>) {
    let operations = at_every_operation(&prepare, job, Fault::Kill, false);
    assert!(operations > 30, "{operations}");
    for fault in [Fault::Once(ENOSPC), Fault::From(ENOSPC), Fault::Once(EIO)] {
        at_every_operation(&prepare, job, fault, false);
        at_every_operation(&prepare, job, fault, true);
    }
    for seed in 0..6 {
        at_every_operation(&prepare, job, Fault::PowerCut(seed), false);
    }
}

fn job(pictures: &Pictures) -> Job<'_> {
    Job { pictures, numerics: 1, existing: Existing::Refuse, shard: None }
}

#[test]
fn a_fresh_run() {
    all_faults(|_| (), job(&Pictures::new(GOOD)));
}

#[test]
fn a_fresh_run_with_bad_files() {
    all_faults(|_| (), job(&Pictures::new(FIRST)));
}

#[test]
fn a_run_that_overwrites() {
    let (old, new) = (Pictures::new(GOOD), Pictures::new(FIRST));
    let before = |dir: &Path| drop(job(&old).run_well(dir));
    all_faults(before, Job { numerics: 2, existing: Existing::Overwrite, ..job(&new) });
}

#[test]
fn a_run_that_updates_a_complete_cache() {
    let (old, new) = (Pictures::new(FIRST), Pictures::new(SECOND));
    let before = |dir: &Path| drop(job(&old).run_well(dir));
    let update = Job { existing: Existing::Update, ..job(&new) };
    all_faults(before, update);
    let dir = tempfile::tempdir().unwrap();
    before(dir.path());
    let mut done: Vec<_> = update.run_well(dir.path()).pending.into_iter().collect();
    done.sort();
    assert_eq!(done, ["cats/1", "cats/2", "cats/3b", "dogs/4"]);
}

#[test]
fn a_run_that_updates_an_interrupted_one() {
    let (old, new) = (Pictures::new(FIRST), Pictures::new(SECOND));
    // Cut off among the rows, and while rows move.
    for at in [13, 22, 27, 31, 37, 39, 40, 41, 42, 44, 46, 50] {
        let before = |dir: &Path| {
            let disk = FaultyDisk::new(at, Fault::Kill);
            job(&old).run(dir, &disk, false, &mut Outcome::default()).unwrap_err();
        };
        let update = Job { existing: Existing::Update, ..job(&new) };
        at_every_operation(before, update, Fault::Kill, false);
    }
}

#[test]
fn a_run_that_is_killed_twice() {
    let pictures = Pictures::new(FIRST);
    let job = job(&pictures);
    for at in (1..).step_by(3) {
        let probe = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new(at, Fault::Kill);
        let _ = job.run(probe.path(), &disk, false, &mut Outcome::default());
        if !disk.struck() {
            return;
        }
        let before = |dir: &Path| {
            let _ = job.run(dir, &FaultyDisk::new(at, Fault::Kill), false, &mut Outcome::default());
        };
        at_every_operation(before, job, Fault::Kill, false);
        at_every_operation(before, job, Fault::PowerCut(at), false);
    }
}

#[test]
fn short_writes_go_on() {
    let pictures = Pictures::new(FIRST);
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    job(&pictures).run_well(a.path());
    job(&pictures).run(b.path(), &FaultyDisk::short(5), false, &mut Outcome::default()).unwrap();
    assert_same(b.path(), &snapshot(a.path()), "short writes");
}

#[test]
fn shards_merge_into_the_files_of_one_run_whatever_happens() {
    let pictures = Pictures::new(FIRST);
    let whole = tempfile::tempdir().unwrap();
    job(&pictures).run_well(whole.path());
    for count in [1, 2, 3, 7, 9] {
        let make = |dir: &Path| {
            for index in 1..=count {
                job(&pictures).run_shard(dir, Shard { index, count });
            }
        };
        let without_shards = |dir: &Path| {
            let mut found = snapshot(dir);
            found.retain(|name, _| !name.contains(".shard-") && !name.ends_with(".stamps"));
            found
        };
        for at in (1..).step_by(if count == 3 { 1 } else { 7 }) {
            let dir = tempfile::tempdir().unwrap();
            make(dir.path());
            let disk = FaultyDisk::new(at, Fault::Kill);
            let first = merge_on(Arc::new(disk.clone()), dir.path(), "train", Existing::Refuse);
            if disk.struck() {
                check_readable(dir.path(), "merge");
                merge_on(Arc::new(FaultyDisk::sound()), dir.path(), "train", Existing::Refuse)
                    .unwrap();
            } else {
                first.unwrap();
            }
            assert_eq!(
                without_shards(dir.path()),
                without_shards(whole.path()),
                "{count} shards, {at}"
            );
            if !disk.struck() {
                // extract takes the merged cache for its own.
                assert!(matches!(
                    job(&pictures).open(dir.path(), &FaultyDisk::sound()).unwrap(),
                    Opened::UpToDate(_)
                ));
                break;
            }
        }
    }
}

impl Job<'_> {
    fn run_shard(self, dir: &Path, shard: Shard) {
        Job { shard: Some(shard), ..self }.run_well(dir);
    }
}
