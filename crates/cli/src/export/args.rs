//! The flags of `feature-cache export`.

use crate::source_args::SourceArgs;
use clap::Args;
use export::Part;
use std::path::PathBuf;

/// For which program a model is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Keras,
    Onnx,
    Web,
}

util::named!(Format, "format", { Keras = "keras", Onnx = "onnx", Web = "web" });

/// Write a trained model for another program: a `.keras` file, an ONNX file, or a page for the browser.
///
/// The whole model takes pixels, 0 to 255, of the size that the base saw in training; what makes numbers of them is inside. The head
/// alone takes rows of the cached features. `docs/exports.md` says how each format is used, and how near its probabilities are to
/// those of predict.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage.\n\n\
    Examples:\n  export --format onnx --output cats-dogs.onnx\n  \
    export --head models/head --format keras --output cats-dogs.keras\n  \
    export --format onnx --part head --output head.onnx    takes rows of train_features.npy\n  \
    export --format web --runtime package --output page")]
pub(crate) struct ExportArgs {
    /// Folder of the head or model.
    #[arg(long, value_name = "DIR", default_value = "models/head")]
    pub(crate) head: PathBuf,
    /// For which program.
    #[arg(long, value_name = "FORMAT", value_parser = crate::choices::choice(Format::ALL, Format::name))]
    pub(crate) format: Format,
    /// The file to write; for a page the folder. What is there is replaced.
    #[arg(long, value_name = "PATH")]
    pub(crate) output: PathBuf,
    /// whole: from pixels, with the base; head: from cached features.
    #[arg(long, value_name = "PART", default_value = "whole", value_parser = crate::choices::choice(Part::ALL, Part::name))]
    pub(crate) part: Part,
    /// For onnx: take one picture of any size and resize it inside, level for level as predict does. Not for nearest and
    /// tf-bilinear.
    #[arg(long)]
    pub(crate) with_resize: bool,
    /// For onnx: the weights go to a file of their own beside it, FILE.data. Above 2 GB they always do.
    #[arg(long)]
    pub(crate) external_data: bool,
    /// For web: the folder of the npm package onnxruntime-web, which runs the model in the browser and is copied. Its version and
    /// how to get it is said where it is left out.
    #[arg(long, value_name = "DIR")]
    pub(crate) runtime: Option<PathBuf>,
    /// Where the base's weights are; they must be the same bits as when the features were made. Only known weights (such as
    /// the default ones of extract) and random ones are taken on the head's word alone.
    #[arg(long, value_name = "SPEC")]
    pub(crate) weights: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Print warnings and errors only.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
