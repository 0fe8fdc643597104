//! What is written is read again, bit for bit, by this crate, by numpy's rules and by another reader of `.npy`.

use std::fs;
use std::path::Path;

use crate::common::{inputs, run, settings, source, writer};
use cache::{Dtype, Existing, OpenOptions, RunStats, Settings, SplitReader, open};
use half::f16;
use ndarray_npy::read_npy;
use proptest::prelude::*;
use util::Hint as _;

fn golden(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/npy");
    fs::read(dir.join(name)).unwrap()
}

/// Writes rows as they are, for files whose content does not matter.
fn write_rows(dir: &Path, shape: &[usize], dtype: Dtype, rows: &[Vec<f32>]) {
    let data = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..rows.len()).map(|i| format!("dogs/{i:03}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "x")).collect();
    let inputs = inputs(data.path(), &files);
    let writer = writer(open(dir, "train", settings(shape, dtype), inputs, OpenOptions::default()));
    for (i, row) in rows.iter().enumerate().rev() {
        writer.write_row(i, row, source(b"x")).unwrap();
    }
    writer.finish(RunStats::default()).unwrap();
}

#[test]
fn numpy_writes_the_same_bytes() {
    for (name, shape, dtype, count) in [
        ("f32_3x2x2x5.npy", vec![2, 2, 5], Dtype::F32, 3),
        ("f16_12x7.npy", vec![7], Dtype::F16, 12),
        ("f32_0x4x4x512.npy", vec![4, 4, 512], Dtype::F32, 0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let size: usize = shape.iter().product();
        // The script's values: k/8 − 5, exact in both types.
        let value = |row: usize, i: usize| (row * size + i) as f32 / 8.0 - 5.0;
        let rows: Vec<Vec<f32>> =
            (0..count).map(|r| (0..size).map(|i| value(r, i)).collect()).collect();
        write_rows(dir.path(), &shape, dtype, &rows);
        assert_eq!(
            fs::read(dir.path().join("train_features.npy")).unwrap(),
            golden(name),
            "{name}"
        );
    }
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = inputs(
        data.path(),
        &[("cats/a", "1"), ("cats/b", "bad"), ("dogs/c", "2"), ("dogs/d", "3")],
    );
    run(dir.path(), &settings(&[1], Dtype::F32), &files, Existing::Refuse).unwrap();
    assert_eq!(fs::read(dir.path().join("train_labels.npy")).unwrap(), golden("labels_0_1_1.npy"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn rows_come_back_bit_for_bit(
        shape in prop::collection::vec(1usize..5, 1..4),
        bits in prop::collection::vec(any::<u32>(), 0..400),
    ) {
        let size: usize = shape.iter().product();
        // Any bit pattern: NaN with payloads, −0, subnormals, infinities.
        let special = [0x8000_0000, 0x7f80_0001, 0xffc1_2345, 0x0000_0001, 0xff80_0000].map(f32::from_bits);
        let all: Vec<f32> = special.into_iter().chain(bits.iter().map(|&b| f32::from_bits(b))).collect();
        let rows: Vec<Vec<f32>> = all.chunks_exact(size).map(<[f32]>::to_vec).collect();
        let dir = tempfile::tempdir().unwrap();
        write_rows(dir.path(), &shape, Dtype::F32, &rows);
        let reader = SplitReader::open(dir.path(), "train").unwrap();
        reader.verify_full(|_| ()).unwrap();
        prop_assert_eq!(reader.len(), rows.len());
        let mut buffer = vec![0.0; size];
        for (i, row) in rows.iter().enumerate() {
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&reader.row(i).unwrap()), bits(row));
            reader.read_row(i, &mut buffer).unwrap();
            prop_assert_eq!(bits(&buffer), bits(row));
        }
        prop_assert!(reader.row(rows.len()).is_err());
        let view = reader.features_f32().unwrap();
        prop_assert_eq!(&view.shape()[1..], &shape[..]);
        let other: ndarray::ArrayD<f32> = read_npy(dir.path().join("train_features.npy")).unwrap();
        prop_assert!(view.iter().zip(&other).all(|(a, b)| a.to_bits() == b.to_bits()));
        prop_assert_eq!(view.shape(), other.shape());
    }

    #[test]
    fn half_precision_rounds_to_nearest(values in prop::collection::vec(-65500f32..65500.0, 6..40)) {
        let rows: Vec<Vec<f32>> = values.chunks_exact(3).map(<[f32]>::to_vec).collect();
        let dir = tempfile::tempdir().unwrap();
        write_rows(dir.path(), &[3], Dtype::F16, &rows);
        let reader = SplitReader::open(dir.path(), "train").unwrap();
        prop_assert!(reader.features_f32().is_none());
        let view = reader.features_f16().unwrap();
        prop_assert_eq!(view.shape(), &[rows.len(), 3]);
        for (i, row) in rows.iter().enumerate() {
            let expected: Vec<f32> = row.iter().map(|&v| f16::from_f32(v).to_f32()).collect();
            prop_assert_eq!(reader.row(i).unwrap().into_owned(), expected);
        }
    }
}

#[test]
fn half_precision_keeps_nan_and_refuses_what_it_cannot_hold() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let inputs = inputs(data.path(), &[("cats/a", "x")]);
    let settings = settings(&[4], Dtype::F16);
    let writer = writer(open(dir.path(), "train", settings, inputs, OpenOptions::default()));
    let error = writer.write_row(0, &[0.0, 1e6, 0.0, 0.0], source(b"x")).unwrap_err();
    assert!(
        error.to_string().contains("cats/a") && error.hint().unwrap().contains("f32"),
        "{error}"
    );
    writer.write_row(0, &[f32::NAN, f32::INFINITY, -0.0, 65504.0], source(b"x")).unwrap();
    writer.finish(RunStats::default()).unwrap();
    let row = SplitReader::open(dir.path(), "train").unwrap().row(0).unwrap().into_owned();
    assert!(
        row[0].is_nan()
            && row[1] == f32::INFINITY
            && row[2].to_bits() == 1 << 31
            && row[3] == 65504.0
    );
}

#[test]
fn rows_labels_and_names_agree() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names = ["cats/a, \"b\"\n.jpg", "cats/b", "cats/ü\\xff.jpg", "dogs/c", "dogs/d"];
    let files: Vec<_> =
        names.iter().map(|n| (*n, if n.ends_with('b') { "bad" } else { *n })).collect();
    let (manifest, done) = run(
        dir.path(),
        &settings(&[40], Dtype::F32),
        &inputs(data.path(), &files),
        Existing::Refuse,
    )
    .unwrap();
    assert_eq!(
        (done, manifest.rows, manifest.skipped, &manifest.class_counts[..]),
        (5, 4, 1, &[2, 2][..])
    );
    let reader = SplitReader::open(dir.path(), "train").unwrap();
    let index = reader.index().unwrap();
    assert_eq!(index.iter().map(|e| e.file.as_str()).collect::<Vec<_>>(), names);
    assert_eq!(
        (index[1].row, index[1].reason.as_str(), index[1].bytes),
        (None, "no picture", Some(3))
    );
    for entry in index.iter().filter(|e| e.row.is_some()) {
        let row = entry.row.unwrap() as usize;
        assert_eq!(reader.labels()[row] as usize, entry.label);
        assert_eq!(reader.row(row).unwrap()[0], f32::from(source(entry.file.as_bytes()).sha256[0]));
    }
}

#[test]
fn many_blocks_and_a_hole_in_each() {
    // Rows of 256 kB: 16 to a block of 4 MiB.
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names: Vec<String> = (0..40).map(|i| format!("cats/{i:02}")).collect();
    let files: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(i, n)| (n.as_str(), if i % 9 == 4 { "bad" } else { n.as_str() }))
        .collect();
    let (manifest, _) = run(
        dir.path(),
        &settings(&[256, 256], Dtype::F32),
        &inputs(data.path(), &files),
        Existing::Refuse,
    )
    .unwrap();
    assert_eq!((manifest.rows, manifest.block_rows, manifest.block_sha256.len()), (36, 16, 3));
    let reader = SplitReader::open(dir.path(), "train").unwrap();
    let mut seen = Vec::new();
    reader.verify_full(|rows| seen.push(rows)).unwrap();
    assert_eq!(seen, [16, 32, 36]);
    // Any flipped byte is found, whichever file it is in.
    for (name, at) in
        [("train_features.npy", 5_000_000), ("train_index.csv", 300), ("train_labels.npy", 200)]
    {
        let path = dir.path().join(name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        let error =
            SplitReader::open(dir.path(), "train").and_then(|r| r.verify_full(|_| ())).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn views_are_an_axis_behind_the_rows() {
    for dtype in [Dtype::F32, Dtype::F16] {
        let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = inputs(data.path(), &[("cats/a", "1"), ("cats/b", "bad"), ("dogs/c", "2")]);
        let settings = Settings { views: 3, ..settings(&[2, 2], dtype) };
        let (manifest, computed) = run(dir.path(), &settings, &files, Existing::Refuse).unwrap();
        assert_eq!((&manifest.shape[..], computed), (&[2, 3, 2, 2][..], 3));
        let reader = SplitReader::open(dir.path(), "train").unwrap();
        reader.verify_full(|_| ()).unwrap();
        assert_eq!((reader.row_elements(), reader.views(), reader.view_elements()), (12, 3, 4));
        for row in 0..2 {
            let mut whole = [0.0; 12];
            reader.read_row(row, &mut whole).unwrap();
            for view in 0..3 {
                let mut one = [0.0; 4];
                reader.read_view(row, view, &mut one).unwrap();
                assert_eq!(one, whole[view * 4..view * 4 + 4], "{dtype} {row} {view}");
            }
        }
        assert!(reader.read_view(0, 3, &mut [0.0; 4]).unwrap_err().to_string().contains("view 3"));
        assert!(reader.read_view(0, 0, &mut [0.0; 12]).is_err());
        // One more or one less is another cache.
        for views in [1, 4] {
            let other = Settings { views, ..settings.clone() };
            assert!(run(dir.path(), &other, &files, Existing::Refuse).is_err(), "{views}");
        }
    }
    let too_large = Settings { views: 1 << 20, ..settings(&[1 << 10], Dtype::F32) };
    let message = too_large.row_elements().unwrap_err().to_string();
    assert!(message.contains("1048576 views"), "{message}");
}
