//! The heart of the matter: a run that fails or dies at any operation, and is started again, ends with bitwise the files
//! of an undisturbed one, without doing finished rows again. A power cut costs no row that was put on disk before, and none
//! comes after a success.
//!
//! `scripts/check_crash_model.sh` removes each sync of this crate in turn and expects these tests to fail.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::disk::Disk;
use crate::error::CacheError;
use crate::faulty::{Fault, FaultyDisk};
use crate::input::{Existing, Input, OnError, RowSource, Skip};
use crate::journal::Replay;
use crate::manifest::{Manifest, RunStats, Shard};
use crate::merge::merge_on;
use crate::open::{Opened, open_on};
use crate::reader::SplitReader;
use crate::recover::{Recovery, recover_on};
use crate::settings::{Dtype, Settings, WeightsId};
use crate::target::{Contents, Target};
use crate::writer::SplitWriter;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

pub(crate) fn settings(numerics: u32) -> Settings {
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
        let dir = temp();
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
/// More than are put on disk before the run finishes.
const GOOD: &[(&str, &str)] = &[
    ("cats/0", "zero"),
    ("cats/2", "two"),
    ("dogs/5", "five"),
    ("dogs/7", "seven"),
    ("dogs/8", "eight"),
];
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

/// In memory where the system offers it: these tests make and remove a million files.
fn temp() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).unwrap()
}

/// What a run does; rows are done in an order that is not that of the list.
#[derive(Clone, Copy)]
struct Job<'a> {
    pictures: &'a Pictures,
    numerics: u32,
    existing: Existing,
    shard: Option<Shard>,
    /// Whether everything is put on disk before it finishes.
    checkpoint: bool,
    /// Whether each row is put on disk before the next.
    eager: bool,
}

#[derive(Default, Debug)]
struct Outcome {
    /// Names whose row or reason was taken without an error.
    done: HashSet<String>,
    /// Those that were put on disk.
    safe: HashSet<String>,
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

/// What a test begins with: a disk, and the names whose rows are safe on it.
struct Before {
    disk: FaultyDisk,
    safe: HashSet<String>,
}

impl Before {
    /// Nothing of what is in the folder can be lost.
    fn settled() -> Self {
        Self { disk: FaultyDisk::sound(), safe: HashSet::new() }
    }
}

impl Job<'_> {
    fn is_bad(&self, name: &str) -> bool {
        fs::read(self.pictures.dir.path().join(name)).unwrap().starts_with(b"bad")
    }

    /// The run after the one that was disturbed: it does no row again that is safe.
    fn go_on(&self, dir: &Path, disk: &FaultyDisk, safe: &HashSet<String>, what: &str) {
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

/// Runs `job` on what `prepare` made, with `fault` at operation 1, 2, 3 … until it strikes no more; each time goes on
/// with a second run and compares with an undisturbed one. In the end the power goes, and nothing may be lost.
fn at_every_operation(
    prepare: impl Fn(&Path) -> Before,
    job: Job<'_>,
    fault: Fault,
    retry: bool,
) -> u64 {
    let undisturbed = temp();
    prepare(undisturbed.path());
    job.run_well(undisturbed.path());
    let expected = snapshot(undisturbed.path());
    for at in 1.. {
        let what = format!("{fault:?} at {at}");
        let dir = temp();
        let before = prepare(dir.path());
        let disk = before.disk.again(at, fault);
        let mut first = Outcome::default();
        let result = job.run(dir.path(), &disk, retry, &mut first);
        let struck = disk.struck();
        let disk = disk.again(u64::MAX, Fault::Kill);
        if struck {
            check_readable(dir.path(), &what);
        }
        if result.is_err() {
            assert!(struck, "{what}: {result:?}");
            let mut safe = before.safe;
            safe.extend(match fault {
                Fault::Kill => first.done,
                // The power cut, or a failed sync, may cost what was not put on disk.
                _ => first.safe,
            });
            job.go_on(dir.path(), &disk, &safe, &what);
        }
        assert_same(dir.path(), &expected, &what);
        disk.cut_power(at % 3);
        let what = format!("{what}, then a power cut");
        SplitReader::open(dir.path(), "train")
            .and_then(|reader| reader.verify_full(|_| ()))
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        let ask = match job.existing {
            Existing::Overwrite => Job { existing: Existing::Refuse, ..job },
            _ => job,
        };
        assert!(ask.run_well(dir.path()).pending.is_empty(), "{what}");
        assert_same(dir.path(), &expected, &what);
        if !struck {
            return at;
        }
    }
    unreachable!()
}

fn all_faults(prepare: impl Fn(&Path) -> Before, job: Job<'_>) {
    let operations = at_every_operation(&prepare, job, Fault::Kill, false);
    assert!(operations > 30, "{operations}");
    for fault in [Fault::Once(ENOSPC), Fault::From(ENOSPC), Fault::Once(EIO), Fault::Gone(EIO)] {
        at_every_operation(&prepare, job, fault, false);
        at_every_operation(&prepare, job, fault, true);
    }
    for seed in 0..10 {
        let job = Job { checkpoint: seed % 2 == 0, eager: seed % 3 == 2, ..job };
        at_every_operation(&prepare, job, Fault::PowerCut(seed), false);
    }
}

fn job(pictures: &Pictures) -> Job<'_> {
    Job {
        pictures,
        numerics: 1,
        existing: Existing::Refuse,
        shard: None,
        checkpoint: false,
        eager: false,
    }
}

#[test]
fn a_fresh_run() {
    all_faults(|_| Before::settled(), job(&Pictures::new(GOOD)));
}

#[test]
fn a_fresh_run_with_bad_files() {
    all_faults(|_| Before::settled(), job(&Pictures::new(FIRST)));
}

/// A complete cache of `old`, on disk for sure; `safe` are the rows that a run over other files can keep.
fn complete<'a>(old: &'a Pictures, safe: &'a [&str]) -> impl Fn(&Path) -> Before + 'a {
    move |dir| {
        job(old).run_well(dir);
        Before { safe: safe.iter().map(|&n| n.to_owned()).collect(), ..Before::settled() }
    }
}

#[test]
fn a_run_that_overwrites() {
    let (old, new) = (Pictures::new(GOOD), Pictures::new(FIRST));
    let overwrite = Job { numerics: 2, existing: Existing::Overwrite, ..job(&new) };
    all_faults(complete(&old, &[]), overwrite);
}

#[test]
fn a_run_that_updates_a_complete_cache() {
    let (old, new) = (Pictures::new(FIRST), Pictures::new(SECOND));
    let before = complete(&old, &["cats/3", "dogs/5", "dogs/7"]);
    let update = Job { existing: Existing::Update, ..job(&new) };
    all_faults(&before, update);
    let dir = temp();
    before(dir.path());
    let mut done: Vec<_> = update.run_well(dir.path()).pending.into_iter().collect();
    done.sort();
    assert_eq!(done, ["cats/1", "cats/2", "cats/3b", "dogs/4"]);
}

/// A run that is killed at its operation `at`. With `settled`, all it wrote is on disk, and the rows it knows are safe.
fn killed(job: Job<'_>, dir: &Path, at: u64, settled: bool) -> Before {
    let disk = FaultyDisk::new(at, Fault::Kill);
    let mut first = Outcome::default();
    let _ = job.run(dir, &disk, false, &mut first);
    if settled {
        Before { safe: first.done, ..Before::settled() }
    } else {
        Before { disk, safe: first.safe }
    }
}

#[test]
fn a_run_that_updates_an_interrupted_one() {
    let (old, new) = (Pictures::new(FIRST), Pictures::new(SECOND));
    let update = Job { existing: Existing::Update, ..job(&new) };
    // Cut off among the rows, and while rows move.
    for at in [13, 27, 37, 39, 41, 44, 50] {
        for settled in [true, false] {
            let before = |dir: &Path| kept_by_update(killed(job(&old), dir, at, settled));
            at_every_operation(before, update, Fault::Kill, false);
            for seed in [0, at, at + 100] {
                at_every_operation(before, update, Fault::PowerCut(seed), false);
            }
        }
    }
}

/// The rows that a run over `SECOND` keeps of an interrupted one over `FIRST`.
fn kept_by_update(mut before: Before) -> Before {
    // dogs/6 is dogs/7 now.
    if before.safe.contains("dogs/6") {
        before.safe.insert("dogs/7".to_owned());
    }
    before.safe.retain(|n| ["cats/3", "dogs/5", "dogs/7"].contains(&n.as_str()));
    before
}

#[test]
fn an_update_that_is_killed_while_it_is_set_up() {
    let (old, new) = (Pictures::new(FIRST), Pictures::new(SECOND));
    let update = Job { existing: Existing::Update, ..job(&new) };
    for at in 5..14 {
        let before = |dir: &Path| {
            let before = kept_by_update(killed(job(&old), dir, 36, true));
            assert!(before.safe.len() > 1, "{:?}", before.safe);
            let disk = FaultyDisk::new(at, Fault::Kill);
            update.run(dir, &disk, false, &mut Outcome::default()).unwrap_err();
            before
        };
        for seed in [0, at + 100, at + 200, at + 300] {
            at_every_operation(before, update, Fault::PowerCut(seed), false);
        }
    }
}

#[test]
fn a_run_that_is_killed_twice() {
    let pictures = Pictures::new(FIRST);
    let job = job(&pictures);
    for at in (1..).step_by(5) {
        let probe = temp();
        let disk = FaultyDisk::new(at, Fault::Kill);
        let _ = job.run(probe.path(), &disk, false, &mut Outcome::default());
        if !disk.struck() {
            return;
        }
        for settled in [true, false] {
            let before = |dir: &Path| killed(job, dir, at, settled);
            at_every_operation(before, job, Fault::Kill, false);
            for seed in [0, at + 100] {
                at_every_operation(before, job, Fault::PowerCut(seed), false);
            }
        }
    }
}

#[test]
fn a_folder_that_was_made_for_the_run_is_on_disk_with_it() {
    let pictures = Pictures::new(GOOD);
    for seed in 0..8 {
        let root = temp();
        let dir = root.path().join("a/b");
        let disk = FaultyDisk::sound();
        job(&pictures).run(&dir, &disk, false, &mut Outcome::default()).unwrap();
        disk.cut_power(seed);
        SplitReader::open(&dir, "train").unwrap().verify_full(|_| ()).unwrap();
    }
}

/// Wherever a run is cut off after it decided to give the names, that is done without its pictures.
#[test]
fn names_are_given_without_the_pictures() {
    let (old, new) = (Pictures::new(GOOD), Pictures::new(FIRST));
    let overwrite = Job { numerics: 2, existing: Existing::Overwrite, ..job(&new) };
    let undisturbed = temp();
    overwrite.run_well(undisturbed.path());
    let expected = snapshot(undisturbed.path());
    let mut recovered = 0;
    for at in 1.. {
        for fault in [Fault::Kill, Fault::PowerCut(0), Fault::PowerCut(at), Fault::Once(EIO)] {
            let dir = temp();
            job(&old).run_well(dir.path());
            let disk = FaultyDisk::new(at, fault);
            let _ = overwrite.run(dir.path(), &disk, false, &mut Outcome::default());
            if !disk.struck() {
                assert!(recovered > 20, "{recovered}");
                return;
            }
            let committed = Replay::read(&dir.path().join("train.journal"))
                .is_ok_and(|replay| replay.is_some_and(|replay| replay.committed));
            let disk = Arc::new(FaultyDisk::sound()) as Arc<dyn Disk>;
            let outcome = recover_on(&disk, dir.path(), "train", None).unwrap();
            assert_eq!(
                committed,
                matches!(outcome, Recovery::Recovered { rows: 5 }),
                "{outcome:?}"
            );
            if committed {
                recovered += 1;
                assert_same(dir.path(), &expected, &format!("{fault:?} at {at}"));
            }
            check_readable(dir.path(), &format!("{fault:?} at {at}"));
        }
    }
}

#[test]
fn short_writes_go_on() {
    let pictures = Pictures::new(FIRST);
    let (a, b) = (temp(), temp());
    job(&pictures).run_well(a.path());
    job(&pictures).run(b.path(), &FaultyDisk::short(5), false, &mut Outcome::default()).unwrap();
    assert_same(b.path(), &snapshot(a.path()), "short writes");
}

#[test]
fn shards_merge_into_the_files_of_one_run_whatever_happens() {
    let pictures = Pictures::new(FIRST);
    let whole = temp();
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
            let dir = temp();
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
