//! What the tests share: settings, inputs, and a run that makes rows of file contents.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cache::{
    CacheError, Dtype, Existing, Input, Manifest, OpaqueRecipe, OpenOptions, Opened, RowSource,
    Rule, Rules, RunStats, Settings, Skip, SplitWriter, open,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What a difference means here: `by` decides nothing, `numerics` only how rows are rounded.
pub const RULES: Rules = Rules::new(&[
    Rule { field: "by", stale: false, merge: false, together: false },
    Rule { field: "numerics", stale: true, merge: true, together: false },
]);

pub fn settings(row_shape: &[usize], dtype: Dtype) -> Settings {
    let recipe = json!({
        "by": "0.1.0", "numerics": 1, "layer": "block5_pool", "weights": { "name": "w", "sha256": "ab" },
    });
    Settings {
        recipe: serde_json::from_value(recipe).unwrap(),
        dtype,
        classes: vec!["cats".to_owned(), "dogs".to_owned()],
        row_shape: row_shape.to_vec(),
        views: 1,
    }
}

/// The settings with another value of a field of the recipe.
pub fn with(settings: &Settings, field: &str, value: Value) -> Settings {
    let mut fields = settings.recipe.fields().clone();
    fields.insert(field.to_owned(), value);
    Settings { recipe: OpaqueRecipe::new(fields), ..settings.clone() }
}

/// Writes files `cats/…` and `dogs/…` below `dir` and lists them.
pub fn inputs(dir: &Path, files: &[(&str, &str)]) -> Vec<Input> {
    let make = |(name, content): &(&str, &str)| {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        Input { name: (*name).to_owned(), path, class: usize::from(name.starts_with("dogs")) }
    };
    files.iter().map(make).collect()
}

pub fn many(dir: &Path, count: usize) -> Vec<Input> {
    let names: Vec<String> = (0..count)
        .map(|i| format!("{}/{i:05}", if i * 2 < count { "cats" } else { "dogs" }))
        .collect();
    let files: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), n.as_str())).collect();
    inputs(dir, &files)
}

pub fn source(bytes: &[u8]) -> RowSource {
    RowSource {
        sha256: Sha256::digest(bytes).into(),
        bytes: bytes.len() as u64,
        width: 3,
        height: 2,
        phash: None,
    }
}

/// The row of a file: numbers drawn from its content. Content that begins with "bad" gives none.
pub fn compute(writer: &SplitWriter, position: usize, elements: usize) -> Result<(), CacheError> {
    let bytes = fs::read(&writer.input(position).unwrap().path).unwrap();
    if bytes.starts_with(b"bad") {
        return writer.skip(position, &Skip::judged("no picture", &bytes));
    }
    let source = source(&bytes);
    let row: Vec<f32> =
        (0..elements).map(|i| f32::from(source.sha256[i % 32]) + (i / 32) as f32).collect();
    writer.write_row(position, &row, source)
}

pub fn writer(opened: Result<Opened, CacheError>) -> Box<SplitWriter> {
    match opened.unwrap() {
        Opened::Writer(writer) => writer,
        Opened::UpToDate(_) => panic!("expected work to do, found it done"),
    }
}

pub fn run(
    dir: &Path,
    settings: &Settings,
    inputs: &[Input],
    existing: Existing,
) -> Result<(Manifest, usize), CacheError> {
    let options = OpenOptions { existing, ..OpenOptions::default() };
    let elements = settings.row_elements()?;
    match open(dir, "train", settings.clone(), inputs.to_vec(), options)? {
        Opened::UpToDate(manifest) => Ok((*manifest, 0)),
        Opened::Writer(writer) => {
            let pending = writer.pending().to_vec();
            pending.iter().rev().try_for_each(|&p| compute(&writer, p, elements))?;
            Ok((writer.finish(RunStats::default())?, pending.len()))
        }
    }
}

/// Every file of a folder, without what tells of times.
pub fn snapshot(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|entry| {
        let path = entry.unwrap().path();
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
