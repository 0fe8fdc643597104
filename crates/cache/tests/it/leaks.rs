//! The same file and the same picture in two splits.

use std::fs;
use std::path::Path;

use crate::common::{settings, writer};
use cache::leaks::{DEFAULT_DISTANCE, MIRRORED_BITS, MOST_EACH, Why, distance, find};
use cache::{Dtype, Input, OpenOptions, RowSource, RunStats, open};
use images::perceptual_hash;

fn split(dir: &Path, data: &Path, name: &str, files: &[(&str, &str, Option<u64>)]) {
    let inputs: Vec<Input> =
        crate::common::inputs(data, &files.iter().map(|f| (f.0, f.1)).collect::<Vec<_>>());
    let w = writer(open(dir, name, settings(&[1], Dtype::F32), inputs, OpenOptions::default()));
    for (i, (_, content, phash)) in files.iter().enumerate() {
        let source = RowSource { phash: *phash, ..crate::common::source(content.as_bytes()) };
        w.write_row(i, &[0.0], source).unwrap();
    }
    w.finish(RunStats::default()).unwrap();
}

#[test]
fn leaks_are_told_with_both_names() {
    let (dir, a, b) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let hash = 0x0123_4567_89ab_cdef;
    split(
        dir.path(),
        a.path(),
        "train",
        &[("cats/1", "x", Some(hash)), ("cats/2", "y", Some(!0)), ("dogs/3", "z", None)],
    );
    split(
        dir.path(),
        b.path(),
        "test",
        &[("cats/8", "z", None), ("cats/9", "q", Some(hash ^ 0b1011)), ("dogs/9", "r", None)],
    );
    let leaks = find(dir.path(), &["train", "test"], DEFAULT_DISTANCE).unwrap();
    let told: Vec<_> =
        leaks.iter().map(|l| (l.a.file.as_str(), l.b.file.as_str(), l.why)).collect();
    let near = Why::SamePicture { distance: 3, mirrored: false };
    assert_eq!(told, [("dogs/3", "cats/8", Why::SameBytes), ("cats/1", "cats/9", near)]);
    assert_eq!((leaks[0].a.split.as_str(), leaks[0].b.split.as_str()), ("train", "test"));
    assert_eq!(find(dir.path(), &["train", "test"], 2).unwrap().len(), 1);
    assert!(find(dir.path(), &["train", "none"], 2).is_err());
}

#[test]
fn every_copy_is_told_up_to_a_bound() {
    let (dir, a, b, c) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let hash = 0x0123_4567_89ab_cdef;
    let train = [
        ("cats/1", "x", Some(hash)),
        ("cats/2", "x", Some(hash)),
        ("cats/3", "y", Some(hash ^ 1)),
        ("dogs/4", "other", Some(!0)),
    ];
    split(dir.path(), a.path(), "train", &train);
    split(dir.path(), b.path(), "val", &[("cats/1", "x", Some(hash))]);
    split(dir.path(), c.path(), "test", &[("cats/7", "x", Some(hash)), ("dogs/8", "w", None)]);
    let leaks = find(dir.path(), &["train", "val", "test"], DEFAULT_DISTANCE).unwrap();
    let told: Vec<String> = leaks
        .iter()
        .map(|l| format!("{}/{} {}/{} {}", l.a.split, l.a.file, l.b.split, l.b.file, l.why))
        .collect();
    let same = "the same file";
    let near = "the same picture (1 of 64 bits differ)";
    assert_eq!(
        told,
        [
            format!("train/cats/1 val/cats/1 {same}"),
            format!("train/cats/2 val/cats/1 {same}"),
            format!("train/cats/3 val/cats/1 {near}"),
            format!("train/cats/1 test/cats/7 {same}"),
            format!("train/cats/2 test/cats/7 {same}"),
            format!("train/cats/3 test/cats/7 {near}"),
            format!("val/cats/1 test/cats/7 {same}"),
        ]
    );
    let many: Vec<(String, String)> = (0..20)
        .map(|i| (format!("cats/{i:02}"), if i < 4 { "x" } else { "z" }.to_owned()))
        .collect();
    let many: Vec<(&str, &str, Option<u64>)> =
        many.iter().map(|(name, bytes)| (name.as_str(), bytes.as_str(), Some(hash))).collect();
    let (dir, d) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    split(dir.path(), d.path(), "train", &many);
    split(dir.path(), c.path(), "test", &[("cats/7", "x", Some(hash))]);
    let leaks = find(dir.path(), &["train", "test"], DEFAULT_DISTANCE).unwrap();
    assert_eq!(leaks.len(), MOST_EACH);
    assert_eq!(leaks.iter().filter(|l| l.why == Why::SameBytes).count(), 4);
}

#[test]
fn the_hashes_of_images_are_the_ones_compared_here() {
    assert_eq!(MIRRORED_BITS, images::MIRRORED_BITS);
}

#[test]
fn the_known_pair_among_the_photographs() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cats-dogs/train/dogs");
    if !folder.is_dir() {
        println!("skipped: no photographs at {}", folder.display());
        return;
    }
    let hash = |name: &str| {
        let rgb = image::load_from_memory(&fs::read(folder.join(name)).unwrap()).unwrap().to_rgb8();
        perceptual_hash(&rgb, rgb.width() as usize, rgb.height() as usize).unwrap()
    };
    let (found, _) = distance(hash("dog.74.jpg"), hash("dog.180.jpg"));
    assert!(found <= DEFAULT_DISTANCE, "{found} bits");
    assert!(distance(hash("dog.74.jpg"), hash("dog.1000.jpg")).0 > 15);
}
