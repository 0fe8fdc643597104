//! Running the binaries, and looking at what they leave.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

pub const EXTRACT: &str = env!("CARGO_BIN_EXE_extract");
pub const FIT_HEAD: &str = env!("CARGO_BIN_EXE_fit-head");
pub const PREDICT: &str = env!("CARGO_BIN_EXE_predict");
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_feature-cache");
pub const CACHE: &str = env!("CARGO_BIN_EXE_cache");

/// How rows were computed, for caches that tests write by themselves.
pub fn recipe() -> Value {
    json!({
        "numerics": 1, "backbone": "vgg16", "layer": "block5_pool", "pooling": "none",
        "weights": { "name": "w", "sha256": "0", "preprocess": "torch" }, "image_size": [150, 150],
        "interpolation": "bilinear", "preprocess": "torch", "precision": "highest", "engine": "cpu",
        "isa_or_gpu": "none",
    })
}

/// Nothing here takes longer unless it hangs.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// A command line that is being put together.
pub struct Tool {
    command: Command,
}

impl Tool {
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        // No test may reach the network, and what a tool drops where it stands must not end up among the sources.
        command.env("HF_HUB_OFFLINE", "1").current_dir(env!("CARGO_TARGET_TMPDIR"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Flags without spaces in them.
    pub fn flags(mut self, flags: &str) -> Self {
        self.command.args(flags.split_whitespace());
        self
    }

    pub fn path(self, flag: &str, path: &Path) -> Self {
        self.arg(flag).arg(path)
    }

    /// The command itself, for what only it can do.
    pub fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    pub fn run(self) -> Outcome {
        Outcome::of(self.spawn().wait_with_output().unwrap())
    }

    pub fn try_run(mut self) -> std::io::Result<Outcome> {
        self.command.output().map(Outcome::of)
    }

    pub fn spawn(mut self) -> Child {
        self.command.spawn().unwrap_or_else(|e| panic!("{:?}: {e}", self.command))
    }

    /// The command's program and arguments, to be run by a shell.
    pub fn words(&self) -> Vec<OsString> {
        let args = self.command.get_args().map(OsStr::to_owned);
        std::iter::once(self.command.get_program().to_owned()).chain(args).collect()
    }
}

/// `extract` with weights that need no download.
pub fn extract(data: &Path, features: &Path) -> Tool {
    Tool::new(EXTRACT).path("--data", data).path("--features", features).flags("--weights random:0")
}

/// As [`extract`], for small images up to an early layer: rows of (8, 8, 128).
pub fn quick(data: &Path, features: &Path) -> Tool {
    extract(data, features).flags("--image-size 32 --layer block2_pool")
}

/// Shape of a row of [`quick`].
pub const QUICK_ROW: [usize; 3] = [8, 8, 128];

pub fn fit_head(features: &Path, head: &Path) -> Tool {
    Tool::new(FIT_HEAD).path("--features", features).path("--head", head)
}

/// `train` on small images.
pub fn train(data: &Path, model: &Path) -> Tool {
    let tool = Tool::new(PROGRAM).arg("train").path("--data", data).path("--model", model);
    tool.flags("--image-size 32")
}

/// As [`train`], a network of the file from scratch.
pub fn train_own(data: &Path, model: &Path, architecture: &Path) -> Tool {
    train(data, model).flags("--backbone none").path("--architecture", architecture)
}

/// A small network with batch normalisation and dropout, without its classifier.
pub const SMALL: &str = r#"
[[layer]]
op = "conv"
filters = 6
kernel = 3
bias = false

[[layer]]
op = "batch-norm"

[[layer]]
op = "activation"
activation = "relu"

[[layer]]
op = "max-pool"

[[layer]]
op = "flatten"

[[layer]]
op = "dropout"
rate = 0.3

[[layer]]
op = "dense"
units = 8
activation = "relu"
"#;

/// `predict` gives the probabilities that the table of a split says.
#[track_caller]
pub fn predicts_its_table(model: &Path, data: &Path, split: &str) {
    let mut table = csv::Reader::from_path(model.join(format!("predictions_{split}.csv"))).unwrap();
    let classes = table.headers().unwrap().iter().filter(|c| c.starts_with("p_")).count();
    let printed = |cell: &str| cell.parse::<f32>().unwrap().to_bits();
    let mut expected: Vec<Vec<u32>> = Vec::new();
    let mut tool = predict(model).flags("--json --top 99");
    for record in table.records() {
        let record = record.unwrap();
        tool = tool.arg(data.join(split).join(&record[1]));
        expected.push((5..5 + classes).map(|i| printed(&record[i])).collect());
    }
    let json = tool.run().exits(0).json();
    for (file, expected) in json.as_array().unwrap().iter().zip(&expected) {
        let mut found: Vec<(&str, u32)> = file["predictions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| {
                let value = p["probability"].as_f64().unwrap() as f32;
                (p["class"].as_str().unwrap(), value.to_bits())
            })
            .collect();
        found.sort_unstable();
        let found: Vec<u32> = found.into_iter().map(|(_, bits)| bits).collect();
        assert_eq!(&found, expected, "{file}");
    }
    assert_eq!(json.as_array().unwrap().len(), expected.len());
}

pub fn predict(head: &Path) -> Tool {
    Tool::new(PREDICT).path("--head", head)
}

pub fn cache(command: &str, features: &Path) -> Tool {
    Tool::new(CACHE).arg(command).path("--features", features)
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    /// `None`: by a signal.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Outcome {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The exit code must be this one, and there must be no trace of a panic.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.text());
        assert!(!self.err.contains("panicked"), "{}", self.text());
        self
    }

    /// Exit 1 with one `error:` that holds all of `words`, and a hint.
    #[track_caller]
    pub fn refuses(self, words: &[&str]) -> Self {
        let it = self.exits(1).complains(words);
        assert_eq!(it.err.matches("error: ").count(), 1, "{}", it.text());
        assert!(it.err.lines().any(|l| l.starts_with("hint: ")), "no hint\n{}", it.text());
        it
    }

    /// Standard error holds all of `words`.
    #[track_caller]
    pub fn complains(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "'{word}' expected\n{}", self.text());
        }
        self
    }

    /// Standard output holds all of `words`.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.out.contains(word), "'{word}' expected\n{}", self.text());
        }
        self
    }

    /// Standard output is one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}\n{}", self.text()))
    }

    pub fn text(&self) -> String {
        format!("exit {:?}\nstdout:\n{}\nstderr:\n{}", self.code, self.out, self.err)
    }
}

pub fn temp() -> TempDir {
    tempfile::Builder::new().prefix("feature-cache-").tempdir().unwrap()
}

/// Waits until `done` says so.
#[track_caller]
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LONGEST_WAIT, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal by its name.
pub fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid]).status();
    assert!(sent.unwrap().success(), "kill -s {name} {pid}");
}

/// A manifest.
pub fn manifest(features: &Path, split: &str) -> Value {
    let path = features.join(format!("{split}.json"));
    serde_json::from_slice(&fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        .unwrap()
}

/// A manifest but for the times.
fn lasting(features: &Path, split: &str) -> Value {
    let mut manifest = manifest(features, split);
    manifest.as_object_mut().unwrap().remove("run");
    manifest
}

pub fn rows_computed(features: &Path, split: &str) -> u64 {
    manifest(features, split)["run"]["rows_computed"].as_u64().unwrap()
}

/// Features, labels, index and manifest of a split are bitwise the same in both folders (but for times).
#[track_caller]
pub fn assert_same(a: &Path, b: &Path, split: &str) {
    for end in ["_features.npy", "_labels.npy", "_index.csv"] {
        let name = format!("{split}{end}");
        let read = |dir: &Path| {
            let path = dir.join(&name);
            fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        assert!(read(a) == read(b), "{name} differs in {} and {}", a.display(), b.display());
    }
    assert_eq!(lasting(a, split), lasting(b, split), "{split}.json");
}

/// Names in a folder, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The files of complete splits and nothing else.
#[track_caller]
pub fn assert_complete(features: &Path, splits: &[&str]) {
    let ends = [".json", ".stamps", "_features.npy", "_index.csv", "_labels.npy"];
    let mut expected: Vec<String> =
        splits.iter().flat_map(|s| ends.map(|end| format!("{s}{end}"))).collect();
    expected.sort();
    assert_eq!(names(features), expected);
}

/// One line of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub row: Option<usize>,
    pub file: String,
    pub class: String,
    pub label: i64,
    pub status: String,
    pub reason: String,
}

pub fn index(features: &Path, split: &str) -> Vec<Line> {
    let mut reader = csv::Reader::from_path(features.join(format!("{split}_index.csv"))).unwrap();
    let columns = reader.headers().unwrap().clone();
    let at = |name: &str| columns.iter().position(|c| c == name).unwrap();
    let at = ["row", "file", "class", "label", "status", "reason"].map(at);
    let lines = reader.records().map(|record| {
        let record = record.unwrap();
        let [row, file, class, label, status, reason] = at.map(|i| record[i].to_owned());
        Line { row: row.parse().ok(), file, class, label: label.parse().unwrap(), status, reason }
    });
    lines.collect()
}

/// All files of a folder and those below, sorted.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { all.push(path) }
        }
    }
    all.sort();
    all
}

/// Copies a folder of files.
pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&path, target).unwrap();
    }
}
