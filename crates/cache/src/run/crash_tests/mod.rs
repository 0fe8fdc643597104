//! The heart of the matter: a run that fails or dies at any operation, and is started again, ends with bitwise the files
//! of an undisturbed one, without doing finished rows again. A power cut costs no row that was put on disk before, and none
//! comes after a success.
//!
//! `scripts/check_crash_model.sh` removes each sync of this crate in turn and expects these tests to fail.

use std::path::Path;
use std::sync::Arc;

use crate::disk::Disk;
use crate::disk::faulty::{Fault, FaultyDisk};
use crate::finished::reader::SplitReader;
use crate::format::journal::Replay;
use crate::format::manifest::Shard;
use crate::input::Existing;
use crate::recipe::Rules;
use crate::run::merge::merge_on;
use crate::run::open::Opened;
use crate::run::recover::{Recovery, recover_on};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

mod scene;

pub(crate) use scene::settings;
use scene::*;

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
            let first = merge_on(
                Arc::new(disk.clone()),
                dir.path(),
                "train",
                Existing::Refuse,
                Rules::default(),
            );
            if disk.struck() {
                check_readable(dir.path(), "merge");
                merge_on(
                    Arc::new(FaultyDisk::sound()),
                    dir.path(),
                    "train",
                    Existing::Refuse,
                    Rules::default(),
                )
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
