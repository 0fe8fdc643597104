//! Tests over the small files of `tests/golden/weights`, a hub and a package index on this machine, and a pip that is a script.

mod formats;
mod hostile;
mod hub;
mod index;
mod layers;
mod pip;
mod published;
mod search;
mod server;
mod slow;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use graph::{Builder, Conv, Graph, Op, Padding};

use util::Hint as _;

use super::{
    Architecture, Framework, Options, PreprocessHint, Progress, Variant, Weights, WeightsError,
    canonical,
};

/// Convolutions of 3×3 after one another: name, name in a state dict, filters.
fn chain(convolutions: &[(&str, &str, usize)]) -> Graph {
    let mut builder = Builder::new();
    let mut x = builder.input("input_1", 3);
    for &(name, tensors, filters) in convolutions {
        let conv = Op::Conv(Conv::new(filters, [3, 3]).padding(Padding::Same));
        x = builder.add(name, conv, &[x]);
        builder.name_tensors(x, tensors);
    }
    builder.finish(x).expect("a chain")
}

/// A chain as PyTorch and Keras publish it.
fn architecture_of(convolutions: &[(&str, &str, usize)]) -> Architecture {
    let graph = chain(convolutions);
    let variant = |name, framework, preprocess| {
        Variant::new(name, framework, preprocess, &graph, [8, 8]).expect("a chain")
    };
    Architecture {
        base: "vgg16".to_owned(),
        with_classifier: false,
        variants: vec![
            variant("timm", Framework::PyTorch, PreprocessHint::Torch),
            variant("keras", Framework::Keras, PreprocessHint::Caffe),
        ],
        published: Vec::new(),
    }
}

/// The two convolutions of the golden files.
fn architecture() -> Architecture {
    architecture_of(&[("block1_conv1", "features.0", 4), ("block1_conv2", "features.2", 5)])
}

/// What is said to fix an error; nothing where nothing is.
fn hint(error: &WeightsError) -> String {
    error.hint().unwrap_or_default()
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/weights").join(name)
}

fn golden_bytes(name: &str) -> Vec<u8> {
    std::fs::read(golden(name)).expect("the golden files are part of the project")
}

/// The canonical form of some weights, for comparison bit by bit.
fn canonical_bytes(weights: &Weights) -> Vec<u8> {
    let mut out = Vec::new();
    canonical::write(&mut out, &weights.tensors, weights.preprocess).expect("memory");
    out
}

fn sha256(bytes: &[u8]) -> String {
    canonical::sha256_of(&mut &*bytes).expect("memory")
}

/// Remembers what it hears.
#[derive(Default)]
struct Recorder {
    notes: Mutex<Vec<String>>,
    /// Bars started and finished, bytes promised and arrived.
    bars: Mutex<(u32, u32, u64, u64)>,
}

impl Progress for Recorder {
    fn start(&self, _what: &str, total_bytes: Option<u64>) {
        let mut bars = self.bars.lock().expect("lock");
        bars.0 += 1;
        bars.2 += total_bytes.unwrap_or(0);
    }

    fn advance(&self, bytes: u64) {
        self.bars.lock().expect("lock").3 += bytes;
    }

    fn finish(&self) {
        self.bars.lock().expect("lock").1 += 1;
    }

    fn note(&self, line: &str) {
        self.notes.lock().expect("lock").push(line.to_owned());
    }
}

/// Settings that touch nothing outside of `models_dir`, with short waits.
fn options<'a>(models_dir: &'a Path, progress: &'a dyn Progress, endpoint: &str) -> Options<'a> {
    Options {
        models_dir,
        offline: false,
        progress,
        endpoint: endpoint.to_owned(),
        hub_cache: None,
        token: None,
        certificates: None,
        index: Err("no package index in this test".into()),
        index_url: None,
        pip: None,
        deadline: Duration::from_secs(60),
        least_rate: 0,
        rate_window: Duration::from_millis(200),
        connect_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_millis(400),
        retries: 3,
        retry_pause: Duration::from_millis(5),
    }
}
