//! Why a command failed.

use backbone::{BaseError, EngineError, ExtractorError};
use cache::CacheError;
use images::{ImageError, MAX_SIDE, ScanError};
use report::ReportError;
use std::path::PathBuf;
use thiserror::Error;
use train::HeadError;
use util::{Hint, gib};
use weights::WeightsError;

use crate::recipe::RecipeError;

/// What a caller's callback may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Every failure of this crate.
#[derive(Debug, Error)]
pub enum Error {
    /// The arrays on disk.
    #[error(transparent)]
    Cache(Box<CacheError>),
    /// The classifier or its files.
    #[error(transparent)]
    Head(Box<HeadError>),
    /// The base can't be had as requested.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The base can't be run on the device.
    #[error(transparent)]
    Extractor(Box<ExtractorError>),
    /// Layers do not fit together, or an image's size.
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
    /// A base's weights have nothing for one of its layers.
    #[error("weights: expected tensors of layer {layer} in the layer's shapes, found none")]
    NoLayerWeights {
        /// The layer.
        layer: String,
    },
    /// The cached rows are pooled: layers of the base can't go on from them.
    #[error("expected features that are not pooled, found pooling {pooling}")]
    PooledRows {
        /// How.
        pooling: backbone::Pooling,
    },
    /// The cached rows come after the first layer that is to be trained.
    #[error("layer {layer} can't be trained on rows of {cut}: expected rows of a layer before it")]
    CutTooLate {
        /// The first layer that is to be trained.
        layer: String,
        /// The layer of the rows.
        cut: String,
    },
    /// A network's description can't be read or built.
    #[error("network '{}': {source}", .path.display())]
    Architecture {
        /// The file.
        path: PathBuf,
        /// Why.
        source: graph::description::DescriptionError,
    },
    /// The file of a network's description can't be read.
    #[error("cannot read network '{}': {source}", .path.display())]
    ArchitectureFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Splits with other classes than those of train.
    #[error("split '{split}': expected the classes of train ({}), found {}", .expected.join(", "), .found.join(", "))]
    SplitClasses {
        /// The split.
        split: String,
        /// Those of train.
        expected: Vec<String>,
        /// Those of the split.
        found: Vec<String>,
    },
    /// A split of image folders without pictures.
    #[error("split '{split}': expected at least 1 picture, found none{}", refused(.skipped))]
    NoPictures {
        /// The split.
        split: String,
        /// How many files are no pictures, and the first of them with the reason.
        skipped: Option<(usize, String)>,
    },
    /// A class folder without pictures.
    #[error("split '{split}': expected at least 1 picture of class '{}', found none", util::visible(.class))]
    ClassWithoutPictures {
        /// The split.
        split: String,
        /// The class.
        class: String,
    },
    /// A network that can't be built for images of this size.
    #[error("network for images of {}x{}: {source}", .size[1], .size[0])]
    NetworkSize {
        /// `[height, width]`.
        size: [usize; 2],
        /// Why.
        source: graph::GraphError,
    },
    /// The loss left the finite numbers.
    #[error("{detail}{}", kept(*.saved))]
    Diverged {
        /// Which loss, and when.
        detail: String,
        /// The best epoch before that, whose weights were saved.
        saved: Option<usize>,
    },
    /// A model that a training can't start from.
    #[error("model '{}': {detail}", .path.display())]
    Start {
        /// The model's folder.
        path: PathBuf,
        /// Expected and found.
        detail: String,
    },
    /// The features of a network that takes pixels: there are none.
    #[error("model '{}' takes pixels: it has no part that takes features", .path.display())]
    NoFeatures {
        /// The model's folder.
        path: PathBuf,
    },
    /// A model can't be written for another program.
    #[error(transparent)]
    Export(#[from] ::export::ExportError),
    /// A model to start from can't be read.
    #[error("model '{}' to start from: {source}", .path.display())]
    StartModel {
        /// The model's folder.
        path: PathBuf,
        /// Why.
        source: Box<HeadError>,
    },
    /// A model's folder can't be written.
    #[error("model '{}': {source}", .path.display())]
    ModelFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: Box<HeadError>,
    },
    /// A checkpoint of an earlier run is in the model's folder.
    #[error("'{}' is there from a training that did not end", .path.display())]
    CheckpointThere {
        /// The checkpoint.
        path: PathBuf,
    },
    /// A folder of images can't be listed.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Another version computed the rows.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// Something about one split.
    #[error("split '{split}'")]
    Split {
        /// The split.
        split: String,
        /// What.
        source: Box<Error>,
    },
    /// The features of a split can't be read.
    #[error("features of split '{split}'")]
    Features {
        /// The split.
        split: String,
        /// Why.
        source: Box<CacheError>,
    },
    /// There is no train split to fit a head on.
    #[error("features folder '{}': expected train_features.npy with train.json, found none", .dir.display())]
    NoTrain {
        /// The folder.
        dir: PathBuf,
    },
    /// More views are asked for than each row of train has.
    #[error(
        "expected features with {} of each picture of train beside itself, found {}",
        drawn(*.expected), drawn(*.found)
    )]
    Views {
        /// How many are asked for.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The head's folder can't be written.
    #[error("head '{}': {source}", .path.display())]
    HeadFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: Box<HeadError>,
    },
    /// What a head says of its features can't be used.
    #[error("head '{}': what it says of its features", .path.display())]
    HeadFeatures {
        /// The head's folder.
        path: PathBuf,
        /// Why.
        source: Box<Error>,
    },
    /// The folder that pictures of mistakes are taken from can't be opened.
    #[error("data folder '{}': expected the folder of the pictures: {source}", .path.display())]
    Pictures {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Too few models to compare, or too many.
    #[error("expected 2 to {most} models to compare, found {found}")]
    ModelCount {
        /// How many at most.
        most: usize,
        /// How many.
        found: usize,
    },
    /// A model is to be compared with itself.
    #[error("model '{}' is given twice", .path.display())]
    SameModel {
        /// Its folder.
        path: PathBuf,
    },
    /// Models of other classes can't be compared.
    #[error(
        "model '{}': expected the classes of '{}' ({}), found {}",
        .path.display(), .first.display(), util::visible(.expected), util::visible(.found)
    )]
    OtherClasses {
        /// The model's folder.
        path: PathBuf,
        /// That of the first model.
        first: PathBuf,
        /// The first model's classes.
        expected: String,
        /// Its own.
        found: String,
    },
    /// A model's predictions are none.
    #[error("model '{}'", .path.display())]
    Model {
        /// Its folder.
        path: PathBuf,
        /// What is wrong.
        source: Box<HeadError>,
    },
    /// Calibrated probabilities are asked for, and there is no temperature.
    #[error("calibrated probabilities: the head has no temperature")]
    NoTemperature,
    /// The chosen threshold is asked for, and there is none.
    #[error("threshold: the head has none of its own")]
    NoThreshold,
    /// A threshold is asked for between other than two classes.
    #[error("threshold: expected a head of 2 classes, found {}", util::thousands(*.classes))]
    ThresholdClasses {
        /// How many.
        classes: usize,
    },
    /// The report can't be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A text is not what it should be.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The features are of another width than the head.
    #[error("expected rows of {inputs} values, found the shape {shape:?}")]
    RowShape {
        /// Inputs of the head.
        inputs: usize,
        /// Shape of a feature row.
        shape: Vec<usize>,
    },
    /// No image is of this size.
    #[error("expected images of sides from 1 to {MAX_SIDE}, found {width}x{height}")]
    ImageSize {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
    /// The base gives other rows than those that the head was trained on.
    #[error("the base gives rows {found:?}, the head was trained on {expected:?}")]
    OtherRows {
        /// Shape of a row of the base.
        found: Vec<usize>,
        /// Shape that the head was trained on.
        expected: Vec<usize>,
    },
    /// The weights can't be had.
    #[error("weights for {base}")]
    Weights {
        /// The base.
        base: String,
        /// Why.
        source: Box<WeightsError>,
    },
    /// None were given, and the base has no usual ones.
    #[error("weights for {base}: the hub has none")]
    NoWeights {
        /// The base.
        base: &'static str,
    },
    /// The weights are not those of the features.
    #[error("weights '{name}': expected sha256 {expected}, found {found}")]
    WeightsDiffer {
        /// Their name.
        name: String,
        /// The digest that the features were made with.
        expected: String,
        /// Theirs.
        found: String,
    },
    /// The head names known weights, but with a digest that they don't have.
    #[error("weights '{name}': the head expects sha256 {}, they have {pinned}", util::visible(.expected))]
    PinnedWeightsDiffer {
        /// Their name.
        name: String,
        /// What the head says.
        expected: String,
        /// What they have.
        pinned: String,
    },
    /// The head names weights that are not among the known ones: its word alone chooses no file and no address.
    #[error(
        "the head's features were made with the weights '{}', which a head alone can't choose",
        util::visible(.name)
    )]
    UnknownWeights {
        /// Their name.
        name: String,
    },
    /// It does not fit into the memory that is available.
    #[error("{what} {} {}, {} are available", .what.verb(), gib(*.needed), gib(*.available))]
    Memory {
        /// What takes it.
        what: MemoryUse,
        /// Bytes.
        needed: u64,
        /// Bytes.
        available: u64,
    },
    /// The machine is short of something that has nothing to do with the file at hand.
    #[error(transparent)]
    Machine(ImageError),
    /// The base failed while it ran.
    #[error("running the base")]
    Run(#[source] Box<EngineError>),
    /// The caller's callback failed.
    #[error(transparent)]
    Progress(BoxError),
}

/// What takes memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryUse {
    /// A batch of images of this size.
    Images {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
    /// Training a network of these hidden layers.
    Training {
        /// Their widths.
        hidden: Vec<usize>,
    },
    /// Training a network, or predicting with it.
    Network {
        /// Its weights.
        parameters: u64,
        /// Values that its layers put out, for one input.
        values: u64,
    },
    /// Metrics and report of so many classes.
    Report {
        /// How many.
        classes: usize,
    },
}

impl MemoryUse {
    fn verb(&self) -> &'static str {
        match self {
            Self::Images { .. } => "take at least",
            Self::Training { .. } => "takes about",
            Self::Network { .. } => "takes at least",
            Self::Report { .. } => "take about",
        }
    }
}

impl std::fmt::Display for MemoryUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Images { width, height } => write!(f, "images of {width}x{height}"),
            Self::Training { hidden } if hidden.is_empty() => {
                f.write_str("training a network of no hidden layer")
            }
            Self::Training { hidden } => {
                let widths: Vec<String> = hidden.iter().map(usize::to_string).collect();
                write!(f, "training a network of hidden width {}", widths.join(", "))
            }
            Self::Network { parameters, values } => write!(
                f,
                "a network of {} parameters and {} values an input",
                count(*parameters),
                count(*values)
            ),
            Self::Report { classes } => {
                write!(f, "metrics and report of {} classes", util::thousands(*classes))
            }
        }
    }
}

/// These are large: in boxes, so that every `Result` of this crate is small.
macro_rules! boxed {
    ($($variant:ident($error:ty)),+) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        })+
    };
}

boxed!(Cache(CacheError), Head(HeadError), Extractor(ExtractorError), Run(EngineError));

impl Error {
    /// With the split that it is about.
    pub(crate) fn of_split(split: &str) -> impl FnOnce(Self) -> Self {
        move |source| Self::Split { split: split.to_owned(), source: Box::new(source) }
    }
}

fn count(number: u64) -> String {
    util::thousands(usize::try_from(number).unwrap_or(usize::MAX))
}

fn drawn(views: usize) -> String {
    match views {
        0 => "no view".to_owned(),
        1 => "1 view".to_owned(),
        n => format!("{} views", util::thousands(n)),
    }
}

fn refused(skipped: &Option<(usize, String)>) -> String {
    match skipped {
        None => String::new(),
        Some((1, first)) => format!(": {first}"),
        Some((n, first)) => format!(" in {n} files: {first}"),
    }
}

fn kept(epoch: Option<usize>) -> String {
    match epoch {
        Some(epoch) => format!("; the weights of epoch {epoch}, the best before, were saved"),
        None => "; nothing was saved".to_owned(),
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Cache(e) => return e.hint(),
            Self::Features { source, .. } => return source.hint(),
            Self::Head(e) => return e.hint(),
            Self::HeadFolder { source, .. } | Self::ModelFolder { source, .. } => {
                return source.hint();
            }
            Self::Base(e) => return e.hint(),
            Self::Extractor(e) => return e.hint(),
            Self::Run(e) => return e.hint(),
            Self::Scan(e) => return e.hint(),
            Self::Split { source, .. } | Self::HeadFeatures { source, .. } => return source.hint(),
            Self::Weights { source, .. } => return source.hint(),
            Self::Report(e) => return e.hint(),
            Self::Export(e) => return e.hint(),
            Self::NoFeatures { .. } => "export the whole model",
            Self::Pictures { .. } => {
                "give the folder that the features were extracted from, or none"
            }
            Self::ModelCount { .. } | Self::SameModel { .. } => "give each model's folder once",
            Self::OtherClasses { .. } => "compare models of the same classes",
            Self::Model { .. } => "train the model again",
            Self::NoTemperature => {
                "train the head again with a validation split; one of which every row is predicted right gives none"
            }
            Self::NoThreshold => "train the head again with a validation split, or give a number",
            Self::ThresholdClasses { .. } => {
                "leave the threshold out: the most probable class is predicted"
            }
            Self::NoTrain { .. } => "extract the split first",
            Self::Views { .. } => "take fewer views, or extract features with more",
            Self::WeightsDiffer { .. } | Self::PinnedWeightsDiffer { .. } => {
                "give the weights that the features were made with"
            }
            Self::NoWeights { .. } => "give a file of weights",
            Self::UnknownWeights { .. } => "give the weights by a file or a hub id",
            Self::Memory { what: MemoryUse::Images { .. }, .. } => {
                "take smaller batches, or free memory"
            }
            Self::Memory { what: MemoryUse::Training { .. }, .. } => {
                "take fewer hidden units or smaller batches, or free memory"
            }
            Self::Memory { what: MemoryUse::Network { .. }, .. } => {
                "take a smaller network, smaller images or smaller batches, or free memory"
            }
            Self::NoPictures { .. } => "put a folder of pictures for each class into it",
            Self::ClassWithoutPictures { .. } => {
                "add pictures of it, or remove that class folder from every split"
            }
            Self::NetworkSize { .. } => "take larger images, or other layers",
            Self::StartModel { .. } => "give the folder of a trained model",
            Self::Memory { what: MemoryUse::Report { .. }, .. } => {
                "extract features of fewer classes or fewer images, or free memory"
            }
            Self::Machine(_) => "allow more open files (ulimit -n) or free memory",
            Self::Recipe(_) => "use the version that computed the rows, or compute them again",
            Self::PooledRows { .. } => "extract them without pooling",
            Self::CutTooLate { .. } => "extract features of an earlier layer",
            Self::Architecture { .. } | Self::ArchitectureFile { .. } => {
                "see the example in the documentation"
            }
            Self::SplitClasses { .. } => "put the same class folders into every split",
            Self::Diverged { .. } => "use a smaller learning rate",
            Self::NoLayerWeights { .. } => "give weights of the whole base",
            Self::Start { .. } => "build the network as that model was built, or start without it",
            Self::CheckpointThere { .. } => "resume that training, or remove the file",
            Self::Json(_)
            | Self::Graph(_)
            | Self::RowShape { .. }
            | Self::ImageSize { .. }
            | Self::OtherRows { .. }
            | Self::Progress(_) => return None,
        };
        Some(text.to_owned())
    }
}
