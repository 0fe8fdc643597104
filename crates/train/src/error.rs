//! What can go wrong, each with what was expected and found.

use std::path::{Path, PathBuf};
use util::Hint;

/// A refused input or a failed run. [`HeadError::hint`] says what fixes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// A setting out of its range.
    #[error("setting '{setting}' cannot be used: expected {expected}, found {found}")]
    Setting {
        /// Field of `FitConfig`.
        setting: &'static str,
        /// The range.
        expected: &'static str,
        /// As given.
        found: String,
    },
    /// Fewer than two classes.
    #[error("a classifier needs at least 2 classes, found {found}")]
    TooFewClasses {
        /// Classes given.
        found: usize,
    },
    /// A split without rows.
    #[error("{split} features hold no rows: expected at least 1, found 0")]
    NoRows {
        /// Which split.
        split: String,
    },
    /// A split whose rows are empty.
    #[error("{split} features have width 0: expected at least 1 value a row")]
    NoFeatures {
        /// Which split.
        split: String,
    },
    /// Labels and features of different lengths.
    #[error("{split} labels do not fit the features: expected {rows} labels, found {labels}")]
    LabelCount {
        /// Which split.
        split: String,
        /// Feature rows.
        rows: usize,
        /// Labels.
        labels: usize,
    },
    /// A label that is no class index.
    #[error("{split} label of row {row} is out of range: expected 0 to {}, found {label}", classes - 1)]
    LabelRange {
        /// Which split.
        split: String,
        /// Row, from 0.
        row: usize,
        /// As found.
        label: i64,
        /// Number of classes.
        classes: usize,
    },
    /// A class without rows.
    #[error(
        "{split} holds no row of class '{name}' (index {class}): expected every class in every split"
    )]
    MissingClass {
        /// Which split.
        split: String,
        /// Class index.
        class: usize,
        /// Class name, or its index where no names are known.
        name: String,
    },
    /// Splits, or head and features, of different widths.
    #[error("{what} have width {found}: expected {expected}")]
    Width {
        /// What was given.
        what: String,
        /// Needed width.
        expected: usize,
        /// Width found.
        found: usize,
    },
    /// A feature that is NaN or infinite.
    #[error("{split} feature at row {row}, column {column} is {value}: expected a finite number")]
    NotFinite {
        /// Which split.
        split: String,
        /// Row, from 0.
        row: usize,
        /// Column of the flattened row, from 0.
        column: usize,
        /// NaN, inf or -inf.
        value: f32,
    },
    /// Early stopping without validation data.
    #[error("early stopping needs validation data, found none")]
    NoValidation,
    /// The loss left the finite numbers.
    #[error("training diverged in epoch {epoch}: expected a finite {what}, found {value}")]
    Diverged {
        /// From 1.
        epoch: usize,
        /// Which loss.
        what: &'static str,
        /// NaN or inf.
        value: f64,
    },
    /// A layer that can't be trained, or not in its place.
    #[error("layer {layer}: {detail}")]
    Layer {
        /// Its name.
        layer: String,
        /// Expected and found.
        detail: String,
    },
    /// Layers that do not fit together or their input.
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
    /// Layers that the kernels can't run.
    #[error(transparent)]
    Kernel(#[from] kernels::KernelError),
    /// What trains was not given its inputs.
    #[error(transparent)]
    Source(Box<dyn std::error::Error + Send + Sync>),
    /// A size that does not fit the address space or the index type.
    #[error("{what} is too large: expected at most {limit}, found {found}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Largest that is accepted.
        limit: u64,
        /// Found.
        found: u64,
    },
    /// Probabilities that do not fit the labels or the number of classes, or are no numbers.
    #[error("cannot evaluate: {detail}")]
    Evaluate {
        /// Expected and found.
        detail: String,
    },
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another process writes to the folder.
    #[error("{} is held by {}", path.display(), holder(*pid, host))]
    Locked {
        /// The lock.
        path: PathBuf,
        /// The process that holds it, if the lock says so.
        pid: Option<u32>,
        /// Its host; empty if the lock doesn't say.
        host: String,
        /// The operating system says that it is held, not only a file.
        certain: bool,
    },
    /// Something else has the name of the lock.
    #[error("{}: expected the lock of a training, found another file", path.display())]
    NotALock {
        /// Where.
        path: PathBuf,
    },
    /// A head that does not fit into memory.
    #[error("reading head {} takes about {:.2} GiB, {:.2} GiB are available", path.display(), gib(*needed), gib(*available))]
    Memory {
        /// Its folder.
        path: PathBuf,
        /// In bytes.
        needed: u64,
        /// In bytes.
        available: u64,
    },
    /// A training can't go on from a checkpoint.
    #[error("checkpoint{} cannot be used: {detail}", shown(path.as_deref()))]
    Checkpoint {
        /// Which file, where it is one.
        path: Option<PathBuf>,
        /// Expected and found.
        detail: String,
    },
    /// Names of classes that no head can have.
    #[error("{detail}")]
    ClassNames {
        /// Expected and found.
        detail: String,
    },
    /// A file of a saved head that is not what it should be.
    #[error("saved head {} cannot be used: {detail}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// Expected and found.
        detail: String,
    },
}

fn holder(pid: Option<u32>, host: &str) -> String {
    match (pid, host) {
        (None, _) => "another process".to_owned(),
        (Some(pid), "") => format!("process {pid}"),
        (Some(pid), host) => format!("process {pid} on {host}"),
    }
}

fn shown(path: Option<&Path>) -> String {
    path.map(|path| format!(" {}", path.display())).unwrap_or_default()
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

impl Hint for HeadError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::MissingClass { name, split, .. } => {
                format!(
                    "add images of class '{name}' to {split} and run extract again, or remove that class folder from every split"
                )
            }
            Self::NoRows { split } => format!(
                "look at {split}_index.csv for why its files were left out, then run extract again"
            ),
            Self::NoFeatures { .. } | Self::LabelCount { .. } | Self::LabelRange { .. } => {
                "the feature files do not belong together: compute them again".to_owned()
            }
            Self::NotFinite { .. } => {
                "look up the row in the split's _index.csv; compute it again, and store it as f32"
                    .to_owned()
            }
            Self::Width { .. } => {
                "extract every split with the same backbone, layer, pooling and image size"
                    .to_owned()
            }
            Self::NoValidation => {
                "give a validation split, or train without early stopping".to_owned()
            }
            Self::Diverged { .. } => "use a smaller learning rate".to_owned(),
            Self::TooFewClasses { .. } => {
                "put the images of each class in a folder of its own".to_owned()
            }
            Self::Setting { setting, expected, .. } => format!("give {setting} {expected}"),
            Self::Locked { certain: true, .. } => "wait until it is done".to_owned(),
            Self::Locked { certain: false, .. } => {
                "wait until it is done; if that process no longer runs, remove the file".to_owned()
            }
            Self::Checkpoint { .. } => {
                "resume the training that it is of, or remove it and train from the start"
                    .to_owned()
            }
            Self::NotALock { .. } => "move that file away".to_owned(),
            Self::Memory { .. } => "free memory".to_owned(),
            Self::ClassNames { .. } => {
                "rename the folders of those classes and run extract again".to_owned()
            }
            Self::Io { action: "read", .. } | Self::Format { .. } => "train it again".to_owned(),
            Self::TooLarge { .. }
            | Self::Evaluate { .. }
            | Self::Io { .. }
            | Self::Layer { .. }
            | Self::Graph(_)
            | Self::Source(_) => return None,
            Self::Kernel(e) => return e.hint(),
        })
    }
}
