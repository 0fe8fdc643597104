//! The flags of `train`.

use backbone::{Device, Isa, Pooling, Precision};
use clap::Parser;
use images::augment::Augmentation;
use images::{ImageSize, Interpolation};
use std::path::PathBuf;
use train::{ClassWeight, FitConfig, Optimizer, Schedule};

use crate::choices::{bases_or_none, choice};
use crate::extract::{PreprocessChoice, Profile, preprocess_parser};
use crate::source_args::SourceArgs;

/// Width of the hidden layer on a base, if nothing is said.
const HIDDEN: usize = 256;

/// Train a network on pictures: a pretrained base with a head on it, frozen, fine-tuned or from scratch.
///
/// DATA has a folder a split: train, and where they exist validation (or val) and test. A frozen base runs in inference form; what
/// comes after it is trained in f32. With `--backbone none` the lesson's small network is trained from scratch, or one of
/// your own (`--architecture FILE`). The same seed gives the same bits, whatever the number of threads, and after `--resume`.
#[derive(Debug, Parser)]
#[command(name = "train", version)]
#[command(
    after_help = "Writes to the model's folder: head.safetensors and head.json (for `predict --head`), report.html, curves.svg, \
    confusion.svg, history.csv, metrics.json, predictions_<split>.csv; while it trains checkpoint.safetensors.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some files were skipped, 130 interrupted.\n\n\
    Examples, the lesson's four runs:\n  \
    train --backbone none --lr 1e-4 --model models/scratch\n  \
    train --backbone none --lr 1e-4 --augment --dropout 0.5 --epochs 100 --model models/augmented\n  \
    train --augment --model models/frozen                   frozen VGG16 and a dense head\n  \
    train --augment --unfreeze block5_conv1 --from models/frozen --lr 1e-5 --model models/tuned"
)]
pub(crate) struct TrainArgs {
    /// Folder with a folder a split.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data: PathBuf,
    /// Folder for the model and its report.
    #[arg(long, value_name = "DIR", default_value = "models/model")]
    pub(crate) model: PathBuf,
    /// The pretrained base, or none for a network from scratch.
    #[arg(long, value_name = "NAME", default_value = "vgg16", value_parser = bases_or_none())]
    pub(crate) backbone: String,
    /// A network of your own, for --backbone none: a TOML file with a [[layer]] for each layer, such as op = "conv", filters = 32,
    /// kernel = 3, activation = "relu". A dense layer for the classes is added at its end.
    #[arg(long, value_name = "FILE")]
    pub(crate) architecture: Option<PathBuf>,
    /// Train this layer of the base and all after it, too [default: the base stays frozen].
    #[arg(long, value_name = "LAYER")]
    pub(crate) unfreeze: Option<String>,
    /// Start from the tensors of this model: a head of fit-head or a model of train whose layers are all in the network.
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    /// Width and height that images are resized to: SIDE or WIDTHxHEIGHT [default: 150 for vgg16 and none, else the base's own].
    #[arg(long, value_name = "SIZE")]
    pub(crate) image_size: Option<ImageSize>,
    /// Global pooling between the base and the head.
    #[arg(long, value_name = "KIND", default_value = "none", value_parser = choice(Pooling::ALL, Pooling::name))]
    pub(crate) pooling: Pooling,
    /// Weights of the base: a file, a hub id, `mirror`, or random:SEED, as for extract.
    #[arg(long, value_name = "SPEC")]
    pub(crate) weights: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// How images are resized [default: bilinear].
    #[arg(long, value_name = "KIND", value_parser = choice(Interpolation::ALL, Interpolation::name))]
    pub(crate) interpolation: Option<Interpolation>,
    /// How pixels become numbers: auto (what the weights were trained with; rescale without a base), rescale (/255), torch, caffe
    /// or tf [default: auto].
    #[arg(long, value_name = "KIND", value_parser = preprocess_parser())]
    pub(crate) preprocess: Option<PreprocessChoice>,
    /// Several defaults at once; flags that are given win.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<Profile>,
    /// Train on another random view of each picture in each epoch: `lesson`, the default, or settings such as
    /// rotation=40,horizontal-flip. `extract preview` shows them.
    #[arg(long, value_name = "SPEC", num_args = 0..=1, require_equals = true, default_missing_value = "lesson")]
    pub(crate) augment: Option<Augmentation>,
    /// Width of a hidden ReLU layer on the base; give it again for more layers, 0 for none [default: 256].
    #[arg(long, value_name = "UNITS")]
    pub(crate) hidden: Option<Vec<usize>>,
    /// Share of values that training drops: of each hidden layer on a base, or of what is flattened with --backbone none.
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    pub(crate) dropout: f32,
    /// Passes over the training pictures, up to 100,000.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) epochs: usize,
    /// Pictures a step.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) batch_size: usize,
    /// Learning rate.
    #[arg(long, value_name = "RATE", default_value_t = 2e-5)]
    pub(crate) lr: f32,
    /// How the learning rate changes from epoch to epoch: cosine falls to 0, step is a tenth after each third of the epochs.
    #[arg(long, value_name = "NAME", default_value = "constant", value_parser = choice(Schedule::ALL, Schedule::name))]
    pub(crate) lr_schedule: Schedule,
    /// Update rule, with Keras's constants.
    #[arg(long, value_name = "NAME", default_value = "rmsprop", value_parser = choice(Optimizer::ALL, Optimizer::name))]
    pub(crate) optimizer: Optimizer,
    /// balanced: pictures of rare classes count more in the loss.
    #[arg(long, value_name = "KIND", default_value = "none", value_parser = choice(ClassWeight::ALL, ClassWeight::name))]
    pub(crate) class_weight: ClassWeight,
    /// Stop after N epochs without a lower validation loss, and keep the best epoch's weights.
    #[arg(long, value_name = "N")]
    pub(crate) early_stopping: Option<usize>,
    /// Decides initial weights, order of pictures, dropout and views.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Write a checkpoint after every N epochs; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) checkpoint_every: usize,
    /// Go on from the checkpoint in the model's folder, if there is one, to the same bits as without the break.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Where the frozen part runs: auto, cpu, cuda, cuda:N or metal.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: Device,
    /// Threads [default: one a core]. Does not change the result.
    #[arg(long, value_name = "N", value_parser = crate::threads::parse)]
    pub(crate) threads: Option<usize>,
    /// How exact products of convolutions are: highest (f32), high (two bf16 an operand), medium (bf16).
    #[arg(long, value_name = "KIND", default_value = "highest", value_parser = choice(Precision::ON_CPU, Precision::name))]
    pub(crate) precision: Precision,
    /// Force an instruction set.
    #[arg(long, value_name = "ISA", hide = true, value_parser = choice(Isa::ALL, Isa::name))]
    pub(crate) isa: Option<Isa>,
    /// Print warnings and errors only.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl TrainArgs {
    /// The training settings; the libraries check their ranges. Names of classes come with the pictures.
    pub(super) fn config(&self) -> FitConfig {
        FitConfig {
            hidden: match &self.hidden {
                Some(widths) => widths.iter().copied().filter(|&units| units > 0).collect(),
                None => vec![HIDDEN],
            },
            dropout: self.dropout,
            epochs: self.epochs,
            batch_size: self.batch_size,
            learning_rate: self.lr,
            schedule: self.lr_schedule,
            optimizer: self.optimizer,
            class_weight: self.class_weight,
            early_stopping: self.early_stopping,
            seed: self.seed,
            class_names: Vec::new(),
        }
    }
}
