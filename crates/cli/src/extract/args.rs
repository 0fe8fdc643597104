//! The flags of `extract`.

use backbone::{Device, EngineKind, Isa, Pooling, Precision};
use cache::{Dtype, OnError, Shard};
use clap::{Args, Parser, Subcommand, ValueEnum};
use images::augment::Augmentation;
use images::{ImageSize, Interpolation, Preprocess};
use std::path::PathBuf;

use crate::choices::{bases, choice};
use crate::source_args::SourceArgs;

/// Run a frozen, ImageNet-pretrained convolutional base once over image folders and keep its output as .npy arrays.
///
/// DATA has a folder a split (train, validation or val, test), each with a folder a class. For every split four files
/// appear in the features folder: <split>_features.npy (N, h, w, c), <split>_labels.npy, <split>_index.csv, <split>.json.
/// A file appears under its name only when it is complete; an interrupted run goes on where it stopped.
#[derive(Debug, Parser)]
#[command(name = "extract", version, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some files were skipped, 130 interrupted.\n\n\
    Examples:\n  extract --data data                     every split, VGG16 at 150x150, block5_pool: rows of (4, 4, 512)\n  \
    extract --split train --pooling avg     rows of (512,)\n  \
    extract --profile lesson                nearest resize and pixels/255, as in the book\n  \
    extract --augment --views 8             train rows of (9, 4, 4, 512): the picture and 8 random views\n  \
    extract summary --image-size 224        the base's layers and shapes\n  \
    extract bases                           every base that there is\n  \
    extract preview data/train/cats         what the lesson's augmentation makes of images"
)]
pub(crate) struct ExtractArgs {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the base's layer table and exit.
    Summary(SummaryArgs),
    /// List the bases: image size, features, parameters, work, licence of the usual weights.
    Bases(BasesArgs),
    /// Write a picture of what an augmentation makes of some images: a row an image, as it is and then its views.
    Preview(PreviewArgs),
}

/// Which base, and where it ends.
#[derive(Clone, Debug, Args)]
pub(crate) struct BaseArgs {
    /// The frozen base. A MobileNet of another width has it in its name, such as mobilenet-0.5 or mobilenet-v2-1.4.
    #[arg(long, value_name = "NAME", default_value = "vgg16", value_parser = bases())]
    pub(crate) backbone: String,
    /// Width and height that images are resized to: SIDE or WIDTHxHEIGHT [default: 150 for vgg16, else the base's own].
    #[arg(long, value_name = "SIZE")]
    pub(crate) image_size: Option<ImageSize>,
    /// The layer whose output is kept, by its Keras name, also one of the classifier, such as fc2
    /// [default: the last before the classifier; of vgg16 block5_pool].
    #[arg(long, value_name = "LAYER")]
    pub(crate) layer: Option<String>,
    /// Global pooling over height and width of that output.
    #[arg(long, value_name = "KIND", default_value = "none", value_parser = choice(Pooling::ALL, Pooling::name))]
    pub(crate) pooling: Pooling,
}

#[derive(Debug, Args)]
pub(crate) struct SummaryArgs {
    #[command(flatten)]
    pub(crate) base: BaseArgs,
    /// With the classifier on top, at the size it was trained at.
    #[arg(long, conflicts_with = "pooling")]
    pub(crate) include_top: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BasesArgs {
    /// Measure images a second on this machine, base by base, with random weights: half a minute or more in all.
    #[arg(long)]
    pub(crate) measure: bool,
    /// Threads for --measure [default: one a core].
    #[arg(long, value_name = "N", value_parser = crate::threads::parse, requires = "measure")]
    pub(crate) threads: Option<usize>,
    /// Print the list as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  extract preview --augment=lesson,rotation=20,fill=reflect --views 4 data/train/cats/cat.0.jpg"
)]
pub(crate) struct PreviewArgs {
    /// Image files, or folders that hold some.
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<PathBuf>,
    /// What is done to them, as for a run of extract: `lesson`, or settings such as rotation=40,horizontal-flip.
    #[arg(long, value_name = "SPEC", num_args = 0..=1, require_equals = true, default_value = "lesson", default_missing_value = "lesson")]
    pub(crate) augment: Augmentation,
    /// Views of each image.
    #[arg(long, value_name = "N", default_value = "8", value_parser = views())]
    pub(crate) views: u32,
    /// Decides what is drawn, together with the files' content.
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) seed: u64,
    /// The picture that is written, as PNG; what is there is replaced.
    #[arg(long, value_name = "FILE", default_value = "preview.png")]
    pub(crate) out: PathBuf,
    /// Width and height that images are resized to: SIDE or WIDTHxHEIGHT.
    #[arg(long, value_name = "SIZE", default_value = "150")]
    pub(crate) image_size: ImageSize,
    /// How images are resized.
    #[arg(long, value_name = "KIND", default_value = "bilinear", value_parser = choice(Interpolation::ALL, Interpolation::name))]
    pub(crate) interpolation: Interpolation,
}

impl BaseArgs {
    /// The size asked for, or the base's own.
    pub(crate) fn image_size(&self, base: &backbone::Base) -> ImageSize {
        let side = base.default_size as u32;
        self.image_size.unwrap_or(ImageSize { width: side, height: side })
    }
}

/// A set of defaults under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Chollet's lesson: --interpolation nearest --preprocess rescale.
    Lesson,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// Folder with a folder a split.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data: PathBuf,
    /// A split to extract; may be given several times [default: those of train, validation or val, test that exist].
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Vec<String>,
    /// Folder for the arrays.
    #[arg(long, value_name = "DIR", default_value = "features")]
    pub(crate) features: PathBuf,
    #[command(flatten)]
    pub(crate) base: BaseArgs,
    /// Weights of the base: a file (.safetensors, .pth, .npz, .h5, .keras; ./NAME where it could be something else), a hub id
    /// (OWNER/NAME), `mirror`, or random:SEED [default: the base's usual ones, see `extract bases`; of vgg16 timm/vgg16.tv_in1k].
    #[arg(long, value_name = "SPEC")]
    pub(crate) weights: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// How images are resized; all but nearest and tf-bilinear are antialiased, as in Pillow [default: bilinear].
    #[arg(long, value_name = "KIND", value_parser = choice(Interpolation::ALL, Interpolation::name))]
    pub(crate) interpolation: Option<Interpolation>,
    /// How pixels become numbers: auto (what the weights were trained with), rescale (/255), torch, caffe or tf [default: auto].
    #[arg(long, value_name = "KIND", value_parser = preprocess_parser())]
    pub(crate) preprocess: Option<PreprocessChoice>,
    /// Several defaults at once; flags that are given win.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<Profile>,
    /// Store random views of each picture of the train split beside the picture itself, for fit-head to take another each epoch:
    /// `lesson`, the default, or settings such as rotation=40,horizontal-flip. `extract preview` shows them.
    #[arg(long, value_name = "SPEC", num_args = 0..=1, require_equals = true, default_missing_value = "lesson")]
    pub(crate) augment: Option<Augmentation>,
    /// How many views beside the picture itself [default: 8]. Rows of train are (N + 1, h, w, c) then; every view is a run of the base.
    #[arg(long, value_name = "N", requires = "augment", value_parser = views())]
    pub(crate) views: Option<u32>,
    /// Decides what is drawn for the views, together with the files' content [default: 0].
    #[arg(long, value_name = "N", requires = "augment")]
    pub(crate) seed: Option<u64>,
    /// Images the base takes at once. Does not change the rows.
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) batch_size: u32,
    /// How features are stored.
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = choice(Dtype::ALL, Dtype::name))]
    pub(crate) dtype: Dtype,
    /// Where the base runs: auto, cpu, cuda, cuda:N or metal. A named device that is missing is an error.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: Device,
    /// What computes on the CPU: auto (this project's kernels), or candle, which is many times slower, to compare with. On a GPU
    /// that --device names candle computes anyway.
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = choice(EngineKind::ALL, EngineKind::name))]
    pub(crate) engine: EngineKind,
    /// Threads for decoding and convolution [default: one a core]. Does not change the rows.
    #[arg(long, value_name = "N", value_parser = crate::threads::parse)]
    pub(crate) threads: Option<usize>,
    /// How exact products are, in PyTorch's words: highest (f32), high (two bf16 an operand), medium (bf16); tf32 on CUDA alone
    /// [default: high where the processor has units for it, else highest].
    #[arg(long, value_name = "KIND", value_parser = choice(Precision::ALL, Precision::name))]
    pub(crate) precision: Option<Precision>,
    /// Force an instruction set.
    #[arg(long, value_name = "ISA", hide = true, value_parser = choice(Isa::ALL, Isa::name))]
    pub(crate) isa: Option<Isa>,
    /// What to do with a file that gives no row: leave it out and list it in the index, or stop.
    #[arg(long, value_name = "WHAT", default_value = "skip", value_parser = choice(OnError::ALL, OnError::name))]
    pub(crate) on_error: OnError,
    /// Compute everything again, whatever is in the features folder.
    #[arg(long, conflicts_with = "update")]
    pub(crate) overwrite: bool,
    /// Keep the rows of unchanged files, compute those of new and changed ones.
    #[arg(long)]
    pub(crate) update: bool,
    /// Compute part I of N of each split; `cache merge` joins the parts.
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub(crate) shard: Option<Shard>,
    /// Print warnings and errors only.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `--preprocess`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreprocessChoice {
    /// What the weights were trained with.
    Auto,
    /// As said.
    Fixed(Preprocess),
}

pub(crate) fn preprocess_parser() -> impl clap::builder::TypedValueParser<Value = PreprocessChoice>
{
    use clap::builder::TypedValueParser as _;
    let names = std::iter::once("auto").chain(Preprocess::ALL.iter().map(|p| p.name()));
    clap::builder::PossibleValuesParser::new(names).try_map(|text| match text.as_str() {
        "auto" => Ok(PreprocessChoice::Auto),
        name => name.parse().map(PreprocessChoice::Fixed),
    })
}

fn views() -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=1000)
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match parts {
        Some((index, count)) if 1 <= index && index <= count => Ok(Shard { index, count }),
        _ => Err("expected I/N with I from 1 to N, such as 2/4".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn clap_finds_no_contradiction() {
        ExtractArgs::command().debug_assert();
    }

    #[test]
    fn bases_have_hyphens_or_underscores() {
        for name in ["vgg16", "inception-v3", "inception_resnet_v2", "mobilenet_0.25"] {
            let args = ["extract", "summary", "--backbone", name, "--include-top"];
            assert!(ExtractArgs::try_parse_from(args).is_ok(), "{name}");
        }
        let unknown = ExtractArgs::try_parse_from(["extract", "--backbone", "vgg99"]);
        let message = unknown.unwrap_err().to_string();
        assert!(message.contains("mobilenet-v2") && !message.contains("0.25"), "{message}");
    }

    #[test]
    fn shards_are_counted_from_one() {
        assert_eq!(parse_shard("2/4"), Ok(Shard { index: 2, count: 4 }));
        for bad in ["0/4", "5/4", "1", "1/0", "a/b", "1/2/3", "-1/2"] {
            assert!(parse_shard(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn preprocess_takes_auto_and_every_name() {
        for name in ["auto", "rescale", "torch", "caffe", "tf"] {
            assert!(
                ExtractArgs::try_parse_from(["extract", "--preprocess", name]).is_ok(),
                "{name}"
            );
        }
        assert!(ExtractArgs::try_parse_from(["extract", "--preprocess", "none"]).is_err());
    }
}
