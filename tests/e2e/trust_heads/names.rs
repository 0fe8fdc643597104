//! Classes, labels and texts that no head can have, and names that stay text.

use super::*;

/// Features of width 1: a row a class.
fn narrow(features: &Path, classes: Vec<String>) {
    let inputs: Vec<Input> = (0..classes.len())
        .map(|class| Input { name: format!("{class:07}.png"), path: features.to_owned(), class })
        .collect();
    let settings = Settings {
        recipe: serde_json::from_value(recipe()).unwrap(),
        dtype: Dtype::F32,
        classes,
        row_shape: vec![1],
        views: 1,
    };
    let opened = cache::open(features, "train", settings, inputs, OpenOptions::default()).unwrap();
    let Opened::Writer(writer) = opened else { panic!("it is there already") };
    for row in 0..writer.total() {
        let mut sha256 = [0; 32];
        sha256[..8].copy_from_slice(&row.to_le_bytes());
        let source = RowSource { sha256, bytes: 0, width: 1, height: 1, phash: None };
        writer.write_row(row, &[1.0], source).unwrap();
    }
    writer.finish(RunStats::default()).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn so_many_classes_that_their_confusions_fill_the_memory_are_refused() {
    let root = temp();
    let features = root.path().join("features");
    narrow(&features, (0..20_000).map(|i| format!("class {i}")).collect());
    let head = root.path().join("head");
    let tool = fit_head(&features, &head).flags("--epochs 1 --hidden 0");
    let outcome = within(120, limited(LITTLE_MEMORY, &tool));
    outcome.refuses(&["20,000 classes", "GiB", "are available"]);
    assert!(!head.exists());
}

#[test]
fn class_names_that_no_head_can_have_are_refused_before_training() {
    let root = temp();
    let head = root.path().join("head");
    for (what, classes) in [
        ("twice", vec!["a".to_owned(), "a".to_owned()]),
        ("bytes", vec!["a".to_owned(), "b".repeat(5000)]),
    ] {
        let features = root.path().join(what);
        narrow(&features, classes);
        let outcome = fit_head(&features, &head).flags("--epochs 1").run();
        assert!(!outcome.out.contains("Epoch"), "{}", outcome.text());
        assert!(outcome.err.len() < 2000, "{}", outcome.err.len());
        outcome.refuses(&["class", what]);
        assert!(!head.exists());
    }
}

#[test]
fn a_description_that_no_head_can_hold_is_refused_before_it_is_printed() {
    let root = temp();
    let (_, features, head) = own(root.path());
    for split in ["train", "validation", "test"] {
        change_json(&features.join(format!("{split}.json")), |manifest| {
            manifest["settings"]["layer"] = "x".repeat(100_000).into();
        });
    }
    let outcome = fit_head(&features, &head).flags("--epochs 1").run().exits(1);
    assert!(outcome.text().len() < 2000, "{} bytes", outcome.text().len());
    let _ = outcome.complains(&["description of the features", "65536"]);
    assert!(!head.exists());
}

#[test]
fn a_history_that_no_head_can_hold_is_refused_before_training() {
    let root = temp();
    let head = root.path().join("head");
    let outcome = within(60, fit_head(&shared().features, &head).flags("--epochs 10000000"));
    assert!(!outcome.out.contains("Epoch"), "{}", outcome.text());
    outcome.refuses(&["epochs", "10000000"]);
}

#[test]
fn labels_that_are_false_are_refused() {
    let root = temp();
    let it = shared();
    for (what, label) in [("above", 2_i64), ("below", -1), ("far", i64::MAX), ("swapped", 1)] {
        let features = root.path().join(what);
        copy_dir(&it.features, &features);
        let path = features.join("train_labels.npy");
        let mut bytes = fs::read(&path).unwrap();
        let first = bytes.len() - 8 * 20;
        bytes[first..first + 8].copy_from_slice(&label.to_le_bytes());
        change_json(&features.join("train.json"), |manifest| {
            manifest["files"]["labels"]["sha256"] = hex(&bytes).into();
        });
        fs::write(&path, bytes).unwrap();
        let head = root.path().join("head");
        fit_head(&features, &head).flags("--epochs 1").run().refuses(&["train_labels.npy"]);
        assert!(!head.exists(), "{what}");
    }
}

#[test]
fn evil_names_stay_text_in_every_file_of_the_report() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    let evil = "<script>alert(1)\u{202e}<";
    for name in ["train", "test"] {
        split(&data, name, &[evil, "=1+1"], 2);
    }
    quick(&data, &features).flags("--pooling avg").run().exits(0);
    let head = root.path().join("head");
    fit_head(&features, &head).flags(UNTRAINED).run().exits(0);
    for name in ["report.html", "curves.svg", "confusion.svg"] {
        let text = fs::read_to_string(head.join(name)).unwrap();
        assert!(!text.contains("<script") && !text.contains('\u{202e}'), "{name}");
    }
    let mut table = csv::Reader::from_path(head.join("predictions_test.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = table.records().map(|record| record.unwrap()).collect();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().any(|row| &row[2] == r"\x3d1+1"), "{rows:?}");
    for cell in rows.iter().flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
}
