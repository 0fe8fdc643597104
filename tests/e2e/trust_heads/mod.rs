//! Features and heads that somebody else made: what they say is data. `fit-head` and `predict` open, write, remove and
//! remember only what the person at the keyboard asked for.

mod files;
mod names;
mod networks;
mod pairs;
mod pictures;
mod sizes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use cache::{Dtype, Input, OpenOptions, Opened, RowSource, RunStats, Settings};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::drawing::split;
use crate::shared::shared;
use crate::support::*;

/// A training that leaves the random weights nearly as they are, so that about half of the rows are mistakes.
const UNTRAINED: &str = "--epochs 1 --lr 1e-9";
/// A picture in the page.
const PICTURE: &str = "data:image/jpeg;base64,";
/// What a hostile file may make a tool take, in KiB.
const LITTLE_MEMORY: u64 = 768 << 10;

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn change_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut json = read_json(path);
    change(&mut json);
    fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
}

/// Changes the fields of each line of an index, and makes the manifest agree with it as whoever made both could have.
fn change_index(features: &Path, split: &str, change: impl Fn(&mut Vec<String>)) {
    let path = features.join(format!("{split}_index.csv"));
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(&path).unwrap();
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    for (i, record) in reader.records().enumerate() {
        let mut fields: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
        if i > 0 {
            change(&mut fields);
        }
        writer.write_record(&fields).unwrap();
    }
    let bytes = writer.into_inner().unwrap();
    change_json(&features.join(format!("{split}.json")), |manifest| {
        manifest["files"]["index"]["bytes"] = bytes.len().into();
        manifest["files"]["index"]["sha256"] = hex(&bytes).into();
    });
    fs::write(&path, bytes).unwrap();
}

/// The column `file` of an index.
const FILE: usize = 1;

/// Trains on features and counts the pictures in the report.
#[track_caller]
fn pictures(features: &Path, head: &Path, data: Option<&Path>) -> (usize, Outcome) {
    let mut tool = fit_head(features, head).flags(UNTRAINED);
    if let Some(data) = data {
        tool = tool.path("--data", data);
    }
    let outcome = tool.run().exits(0);
    let page = fs::read_to_string(head.join("report.html")).unwrap();
    (page.matches(PICTURE).count(), outcome)
}

/// A copy of the shared features and pictures, and a folder for a head.
fn own(root: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let it = shared();
    let (data, features) = (root.join("pictures"), root.join("features"));
    copy_dir(&it.data, &data);
    copy_dir(&it.features, &features);
    (data, features, root.join("head"))
}

/// Runs to the end, or kills it after a time in which nothing of this size takes so long.
#[track_caller]
fn within(seconds: u64, tool: Tool) -> Outcome {
    let mut child = tool.spawn();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(seconds) {
            child.kill().unwrap();
            let outcome = Outcome::of(child.wait_with_output().unwrap());
            panic!("it waits: {}", outcome.text());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Outcome::of(child.wait_with_output().unwrap())
}

/// A tool that may take so many KiB of memory that is not a file's.
#[cfg(target_os = "linux")]
fn limited(kib: u64, tool: &Tool) -> Tool {
    let shell = Tool::new("sh").arg("-c").arg(format!("ulimit -d {kib}; exec \"$@\"")).arg("sh");
    tool.words().into_iter().fold(shell, Tool::arg)
}
