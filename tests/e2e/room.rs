//! Less memory than a run would like: the same head, or a refusal before anything is done.

use std::fs;
use std::path::Path;

use cache::{Dtype, Input, OpenOptions, Opened, RowSource, RunStats, Settings};

use crate::drawing::{Random, TWO};
use crate::shared::shared;
use crate::support::*;

/// `fit-head` that may take so many KiB of memory that is not a file's.
fn limited(kib: u64, features: &Path, head: &Path, flags: &str) -> Outcome {
    let mut shell =
        Tool::new("sh").arg("-c").arg(format!("ulimit -d {kib}; exec \"$@\"")).arg("sh");
    for word in fit_head(features, head).flags(flags).words() {
        shell = shell.arg(word);
    }
    shell.run()
}

/// Features of a split, drawn: half of them zeros, the others larger in class 1.
fn draw(features: &Path, split: &str, rows: usize) {
    let inputs: Vec<Input> = (0..rows)
        .map(|i| Input {
            name: format!("{}/{i:05}.png", TWO[i * 2 / rows]),
            path: features.to_owned(),
            class: i * 2 / rows,
        })
        .collect();
    let settings = Settings {
        recipe: serde_json::from_value(recipe()).unwrap(),
        dtype: Dtype::F32,
        classes: TWO.map(str::to_owned).to_vec(),
        row_shape: vec![4, 4, 512],
        views: 1,
    };
    let opened = cache::open(features, split, settings, inputs, OpenOptions::default()).unwrap();
    let Opened::Writer(writer) = opened else { panic!("{split} is there already") };
    let mut random = Random(rows as u64);
    for row in 0..rows {
        let scale = 1.0 + (row * 2 / rows) as f32;
        let values: Vec<f32> =
            (0..8192).map(|_| scale * (random.unit() as f32 - 0.5).max(0.0)).collect();
        let source = RowSource { sha256: [0; 32], bytes: 0, width: 1, height: 1, phash: None };
        // Every file of its own content, so that no two are the same.
        let mut sha256 = source.sha256;
        sha256[..8].copy_from_slice(&random.next().to_le_bytes());
        writer.write_row(row, &values, RowSource { sha256, ..source }).unwrap();
    }
    writer.finish(RunStats::default()).unwrap();
}

/// Whether this system counts what `ulimit -d` limits.
fn counts() -> bool {
    let counts = cfg!(target_os = "linux");
    if !counts {
        println!("skipped: no limits on memory are known here");
    }
    counts
}

#[test]
fn a_network_that_does_not_fit_is_refused_at_once() {
    let (root, it) = (temp(), shared());
    let head = root.path().join("head");
    if counts() {
        for flags in ["--hidden 4000000", "--hidden 100000 --hidden 100000"] {
            let outcome = limited(1 << 20, &it.features, &head, flags);
            outcome.refuses(&["hidden width", "GiB", "are available", "--hidden"]);
            assert!(!head.exists());
        }
    }
    let outcome = fit_head(&it.features, &head).flags("--hidden 400000000000").run();
    outcome.refuses(&["400000000000", "GiB", "--hidden"]);
}

#[test]
fn features_larger_than_the_memory_give_the_same_head() {
    if !counts() {
        return;
    }
    let root = temp();
    let features = root.path().join("features");
    let kib = 64 << 10;
    draw(&features, "train", 2400);
    draw(&features, "validation", 800);
    let size = fs::metadata(features.join("train_features.npy")).unwrap().len();
    assert!(size > (kib << 10), "{size} bytes");
    let flags = "--hidden 16 --epochs 2 --lr 1e-4 --threads 2 --seed 3";
    let (with, without) = (root.path().join("with"), root.path().join("without"));
    limited(kib, &features, &with, flags).exits(0);
    fit_head(&features, &without).flags(flags).run().exits(0);
    for name in ["head.safetensors", "history.csv", "predictions_validation.csv"] {
        let read = |head: &Path| fs::read(head.join(name)).unwrap();
        assert!(read(&with) == read(&without), "{name}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_told_before_training() {
    let (root, it) = (temp(), shared());
    let file = root.path().join("file");
    fs::write(&file, b"mine").unwrap();
    let outcome = fit_head(&it.features, &file.join("below/head")).run();
    assert!(!outcome.out.contains("Epoch"), "{}", outcome.text());
    outcome.refuses(&["file/below/head", "--head"]);
    // What is only tried leaves nothing.
    let head = root.path().join("new/head");
    fit_head(&it.features, &head).flags("--lr nan").run().exits(1);
    assert!(!root.path().join("new").exists());
}
