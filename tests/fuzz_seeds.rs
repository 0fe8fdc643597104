//! The seeds of the fuzz targets through the same functions, on any machine: they stay what the parsers accept.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

#[path = "../fuzz/src/lib.rs"]
mod targets;

type Target = fn(&[u8]) -> bool;

/// Every target.
const TARGETS: &[(&str, Target)] = &[
    ("architecture", targets::architecture),
    ("hdf5", targets::hdf5),
    ("head", targets::head),
    ("images", targets::images),
    ("index", targets::index),
    ("journal", targets::journal),
    ("labels", targets::labels),
    ("manifest", targets::manifest),
    ("names", targets::names),
    ("npy_header", targets::npy_header),
    ("npz", targets::npz),
    ("numpy_pickle", targets::numpy_pickle),
    ("safetensors", targets::safetensors),
    ("torch_legacy", targets::torch_legacy),
    ("torch_zip", targets::torch_zip),
];

/// The names in a folder, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_seed_keeps_what_the_targets_promise() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let all: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names(&fuzz.join("corpus")),
        all,
        "a target without seeds, or seeds without a target"
    );
    let sources: Vec<String> = all.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&fuzz.join("targets")), sources);
    for (name, target) in TARGETS {
        let mut accepted = 0;
        let dir = fuzz.join("corpus").join(name);
        for seed in names(&dir) {
            let bytes = fs::read(dir.join(&seed)).unwrap();
            assert!(bytes.len() < 4096, "{name}/{seed}: {} bytes", bytes.len());
            accepted += usize::from(target(&bytes));
            // Also where it ends too early, and where a bit of it is wrong.
            for at in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
                target(&bytes[..at]);
                let mut wrong = bytes.clone();
                wrong[at] ^= 1 << (at % 8);
                target(&wrong);
            }
        }
        assert!(accepted > 0, "no seed of {name} is accepted");
    }
}

/// No input takes longer. All of them together take about as long.
const LONGEST: Duration = Duration::from_secs(2);

/// Those that `fuzz/large_seeds.py` made, where it was run.
#[test]
fn every_large_seed_ends_soon() {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/found");
    let mut slow = Vec::new();
    let mut count = 0;
    for (name, target) in TARGETS {
        let dir = found.join(name);
        let seeds = if dir.is_dir() { names(&dir) } else { Vec::new() };
        let large: Vec<_> = seeds.iter().filter(|seed| seed.starts_with("large-")).collect();
        let mut accepted = 0;
        for seed in &large {
            let bytes = fs::read(dir.join(seed)).unwrap();
            // Once more where something else had the processor.
            let took = (0..2).map(|_| {
                let begin = Instant::now();
                accepted += usize::from(target(&bytes));
                begin.elapsed()
            });
            let took = took.take_while(|took| *took > LONGEST).min();
            slow.extend(took.map(|took| format!("{name}/{seed}: {took:.1?}")));
            count += 1;
        }
        println!("{name}: {accepted} of {} large seeds accepted", large.len());
        assert!(accepted > 0 || large.is_empty(), "no large seed of {name} is accepted");
    }
    if count == 0 {
        println!("skipped: no large seeds; fuzz/large_seeds.py makes them");
    }
    assert!(slow.is_empty(), "of {count} inputs some take too long:\n{}", slow.join("\n"));
}
