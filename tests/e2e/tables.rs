//! `cache export` and `predict --parquet`. What other programs read of it is in tests/exports.

use std::fs::{self, File};
use std::path::Path;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row, RowAccessor as _};
use serde_json::Value;

use crate::drawing::{Picture, TWO, split};
use crate::faults::Mount;
use crate::npy::Npy;
use crate::shared::shared;
use crate::support::*;

fn export(features: &Path, format: &str, output: &Path) -> Tool {
    cache("export", features).flags("--format").arg(format).path("--output", output)
}

/// What is in a table: its lines, and its metadata.
fn read(path: &Path) -> (Vec<Row>, Vec<(String, String)>) {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let pairs = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let pairs = pairs.iter().map(|p| (p.key.clone(), p.value.clone().unwrap())).collect();
    (reader.into_iter().map(Result::unwrap).collect(), pairs)
}

/// The features of a line as the bytes of f32.
fn list(row: &Row) -> Vec<u8> {
    let list = row.get_list(7).unwrap().elements().iter();
    let value = |field: &Field| match field {
        Field::Float(value) => value.to_le_bytes(),
        other => panic!("{other:?}"),
    };
    list.flat_map(value).collect()
}

#[track_caller]
fn empty(folder: &Path) {
    assert_eq!(names(folder), [""; 0], "{}", folder.display());
}

#[test]
fn parquet_has_a_line_for_each_view_of_each_row() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let (data, features, tables) = (path("data"), path("features"), path("tables"));
    split(&data, "train", &TWO, 2);
    split(&data, "test", &TWO, 1);
    for name in ["a,b.png", "q\"t.png", "new\nline.png", "=1.png", "猫.png"] {
        Picture::random(name.len() as u64, 20, 20).save(&data.join("train/cats").join(name));
    }
    fs::write(data.join("train/cats/0bad.png"), "no picture").unwrap();
    quick(&data, &features).flags("--augment --views 1").run().exits(3);
    let run = export(&features, "parquet", &tables).run().exits(0);
    let _ = run.says(&["test: 2 rows → ", "train: 9 rows → ", "train.parquet"]);
    assert_eq!(names(&tables), ["test.parquet", "train.parquet"]);
    for (name, views) in [("train", 2), ("test", 1)] {
        let (rows, pairs) = read(&tables.join(format!("{name}.parquet")));
        let expected = Npy::features(&features, name);
        let lines: Vec<Line> =
            index(&features, name).into_iter().filter(|l| l.row.is_some()).collect();
        assert_eq!(rows.len(), lines.len() * views);
        for (i, row) in rows.iter().enumerate() {
            let line = &lines[i / views];
            assert_eq!(row.get_string(0).unwrap(), name);
            assert_eq!(row.get_long(1).unwrap() as usize, line.row.unwrap());
            assert_eq!(row.get_int(2).unwrap() as usize, i % views);
            assert_eq!(
                (row.get_string(3).unwrap(), row.get_string(4).unwrap()),
                (&line.file, &line.class)
            );
            assert_eq!(row.get_long(5).unwrap(), line.label);
            assert_eq!(row.get_string(6).unwrap().len(), 64);
            let stored = expected.row(i / views);
            let size = stored.len() / views;
            assert!(list(row) == stored[i % views * size..][..size], "{name} {i}");
        }
        let json = |key: &str| -> Value {
            let key = format!("feature-cache.{key}");
            let pair = pairs.iter().find(|(name, _)| *name == key).unwrap();
            serde_json::from_str(&pair.1).unwrap()
        };
        let mut whole = manifest(&features, name);
        assert_eq!(json("classes"), whole["settings"]["classes"]);
        assert_eq!(json("row_shape"), whole["settings"]["row_shape"]);
        for field in ["block_rows", "block_sha256"] {
            whole.as_object_mut().unwrap().remove(field).unwrap();
        }
        assert_eq!(json("manifest"), whole);
    }
    // The table is the same whenever it is written.
    let again = path("again.parquet");
    export(&features, "parquet", &again).flags("--split train").run().exits(0);
    assert!(fs::read(&again).unwrap() == fs::read(tables.join("train.parquet")).unwrap());
}

#[test]
fn half_precision_stays_in_arrays_and_becomes_f32_in_tables() {
    let (root, it) = (temp(), shared());
    let path = |name: &str| root.path().join(name);
    let features = path("features");
    extract(&it.data, &features).flags("--image-size 32 --dtype f16").run().exits(0);
    let half = Npy::features(&features, "test");
    let wide: Vec<u8> = (half.data.as_chunks().0.iter())
        .flat_map(|b| half::f16::from_le_bytes(*b).to_f32().to_le_bytes())
        .collect();
    let output = |name: &str| {
        let file = path(name);
        let format = name.split_once('.').map_or(name, |(_, end)| end);
        export(&features, format, &file).flags("--split test").run().exits(0);
        file
    };
    let (rows, _) = read(&output("test.parquet"));
    assert!(rows.iter().flat_map(list).collect::<Vec<u8>>() == wide);
    let mut table = csv::Reader::from_path(output("test.csv")).unwrap();
    let header: Vec<String> = table.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header[..8].join(","), "split,row,view,file,class,label,sha256,f0");
    assert_eq!((header.len(), header.last().unwrap().as_str()), (7 + 512, "f511"));
    let cells = table.records().flat_map(|record| {
        let record = record.unwrap();
        record.iter().skip(7).map(|c| c.parse::<f32>().unwrap().to_le_bytes()).collect::<Vec<_>>()
    });
    assert!(cells.flatten().collect::<Vec<u8>>() == wide);

    let bytes = fs::read(output("test.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let tensor = |name: &str| {
        let at = |i: usize| header[name]["data_offsets"][i].as_u64().unwrap() as usize;
        &bytes[8 + length..][at(0)..at(1)]
    };
    assert_eq!((&header["features"]["dtype"], length % 8), (&"F16".into(), 0));
    assert_eq!(header["features"]["shape"], serde_json::json!(half.shape));
    assert!(tensor("features") == half.data);
    let labels: Vec<u8> =
        Npy::labels(&features, "test").iter().flat_map(|l| l.to_le_bytes()).collect();
    assert!(
        tensor("labels") == labels && bytes.len() == 8 + length + labels.len() + half.data.len()
    );
    let files = header["__metadata__"]["files"].as_str().unwrap();
    let expected: Vec<String> = index(&features, "test").into_iter().map(|l| l.file).collect();
    assert_eq!(serde_json::from_str::<Vec<String>>(files).unwrap(), expected);

    let folder = output("embedding-reader").join("test");
    let array = Npy::read(&folder.join("embeddings/00000.npy"));
    assert_eq!((array.descr.as_str(), &array.shape[..]), ("<f2", &[12, 512][..]));
    assert!(array.data == half.data);
    let (rows, _) = read(&folder.join("metadata/00000.parquet"));
    assert_eq!(rows.len(), 12);
    assert!(rows.iter().zip(&expected).all(|(row, file)| row.get_string(3).unwrap() == file));
}

#[test]
fn what_can_not_be_exported_is_refused_and_nothing_is_left() {
    let (root, it) = (temp(), shared());
    let path = |name: &str| root.path().join(name);
    let out = path("out");
    fs::create_dir(&out).unwrap();
    let refused = |features: &Path, flags: &str, words: &[&str]| {
        for format in ["parquet", "csv", "safetensors", "embedding-reader"] {
            export(features, format, &out).flags(flags).run().refuses(words);
            empty(&out);
        }
    };
    refused(&it.features, "--split holiday", &["holiday.json is missing", "run extract"]);
    refused(&path("nowhere"), "", &["nowhere"]);
    refused(&out, "", &["found nothing"]);
    let changed = |name: &str, file: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let features = path(name);
        copy_dir(&it.features, &features);
        let mut bytes = fs::read(features.join(file)).unwrap();
        change(&mut bytes);
        fs::write(features.join(file), bytes).unwrap();
        features
    };
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1);
    for file in ["test_features.npy", "test_labels.npy", "test_index.csv"] {
        refused(&changed(file, file, &cut), "--split test", &[file, "damaged", "extract --update"]);
    }
    // One that says the same of its size, with another name in its last line.
    let other = changed("other", "test_index.csv", &|bytes| {
        let at = bytes.windows(4).rposition(|w| w == b"dogs").unwrap();
        // The name of the file begins with the class; `rposition` gives the class's own column.
        let at = bytes[..at].windows(4).rposition(|w| w == b"dogs").unwrap();
        bytes[at] = b'f';
    });
    refused(&other, "--split test", &["test_index.csv", "damaged", "sha256"]);
    let newer = changed("newer", "test.json", &|bytes| {
        let mut json: Value = serde_json::from_slice(bytes).unwrap();
        json["format_version"] = 99.into();
        *bytes = serde_json::to_vec(&json).unwrap();
    });
    let refuses = export(&newer, "parquet", &out).flags("--split test").run().exits(1);
    let _ = refuses.complains(&["test.json has format version 99", "use a newer one"]);
    empty(&out);
    // A run that did not end.
    let unfinished = path("unfinished");
    copy_dir(&it.features, &unfinished);
    fs::remove_file(unfinished.join("test.json")).unwrap();
    refused(&unfinished, "--split test", &["test.json is missing", "without a manifest"]);

    export(&it.features, "numpy", &out).run().exits(2).complains(&["parquet, csv"]);
    cache("export", &it.features).flags("--format csv").run().exits(2).complains(&["--output"]);
    let one = out.join("all.parquet");
    export(&it.features, "parquet", &one).run().refuses(&["one file for 3 splits", "--split"]);
    let below = out.join("none/test.csv");
    export(&it.features, "csv", &below)
        .flags("--split test")
        .run()
        .refuses(&["none", "folder first"]);
    fs::write(&one, "mine").unwrap();
    export(&it.features, "csv", &one).run().refuses(&["all.parquet", "another"]);
    let test = || export(&it.features, "parquet", &one).flags("--split test");
    test().run().refuses(&["is there already", "--overwrite"]);
    assert_eq!(fs::read(&one).unwrap(), b"mine");
    test().flags("--overwrite").run().exits(0);
    assert_eq!(read(&one).0.len(), 12);
    assert_eq!(names(&out), ["all.parquet"]);
}

#[test]
fn only_an_exports_own_folder_is_replaced() {
    let (root, it) = (temp(), shared());
    let out = root.path().join("out");
    let run = |flags: &str| export(&it.features, "embedding-reader", &out).flags(flags).run();
    run("--split test").exits(0);
    run("--split test").refuses(&["is there already"]);
    let array = out.join("test/embeddings/00000.npy");
    let bytes = fs::read(&array).unwrap();
    fs::write(&array, "old").unwrap();
    run("--split test --overwrite").exits(0);
    assert!(fs::read(&array).unwrap() == bytes);
    fs::write(out.join("test/notes.txt"), "mine").unwrap();
    run("--split test --overwrite").refuses(&["notes.txt", "--output"]);
    assert_eq!(fs::read(out.join("test/notes.txt")).unwrap(), b"mine");
    assert_eq!(names(&out), ["test"]);
}

#[test]
fn a_full_disk_leaves_nothing() {
    let (root, it) = (temp(), shared());
    let disk = root.path().join("disk");
    let full = |words: &[&str], limit: &dyn Fn(Tool) -> Tool| {
        for format in ["parquet", "csv", "safetensors", "embedding-reader"] {
            let tool = export(&it.features, format, &disk).flags("--split train");
            limit(tool).run().refuses(words);
            empty(&disk);
        }
    };
    if cfg!(unix) {
        full(&["ulimit -f"], &|tool| {
            let shell = Tool::new("sh").arg("-c").arg("ulimit -f 4; exec \"$@\"").arg("sh");
            tool.words().into_iter().fold(shell, Tool::arg)
        });
    }
    let Some(_mount) = Mount::tmpfs(&disk, "12k") else { return };
    full(&["No space left on device", "make room"], &|tool| tool);
}

#[test]
fn predictions_are_those_of_the_csv() {
    let (root, it) = (temp(), shared());
    let path = |name: &str| root.path().join(name);
    let bad = path("bad.png");
    fs::write(&bad, "no picture").unwrap();
    let table = path("predictions.parquet");
    let run = |flags: &str| {
        let tool = predict(&it.head).flags("--top 2").flags(flags);
        tool.arg(it.data.join("test")).arg(&bad)
    };
    let tool = predict(&it.head).flags("--top 2").path("--parquet", &table);
    let done = tool.arg(it.data.join("test")).arg(&bad).run().exits(3);
    assert_eq!(done.out, "");
    let csv = run("--csv").run().exits(3);
    let mut csv = csv::Reader::from_reader(csv.out.as_bytes());
    let lines: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    let rows: Vec<Row> = {
        let reader = SerializedFileReader::new(File::open(&table).unwrap()).unwrap();
        reader.into_iter().map(Result::unwrap).collect()
    };
    assert_eq!((rows.len(), lines.len()), (25, 25));
    for (row, line) in rows.iter().zip(&lines) {
        let cells: Vec<String> = row.get_column_iter().map(|(_, field)| cell(field)).collect();
        assert_eq!(cells, line.iter().collect::<Vec<_>>());
    }
    let nowhere = path("nowhere/p.parquet");
    let tool = predict(&it.head).path("--parquet", &nowhere).arg(it.data.join("test"));
    tool.run().refuses(&["nowhere", "folder first"]);
    predict(&it.head).flags("--csv --parquet x").arg(&bad).run().exits(2);
}

/// As in CSV.
fn cell(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Int(number) => number.to_string(),
        Field::Float(number) => number.to_string(),
        other => panic!("{other:?}"),
    }
}
