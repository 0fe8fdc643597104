//! The flags of `predict`.

use crate::source_args::SourceArgs;
use backbone::Device;
use clap::Parser;
use pipeline::predict::Threshold;
use std::path::PathBuf;

/// Classify images with a head that `fit-head` trained.
///
/// The head's own manifest decides base, weights, size and preprocessing, so a prediction is bitwise what `extract` and
/// the head give for the same file. Folders are searched for images, in sorted order.
#[derive(Debug, Parser)]
#[command(name = "predict", version)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some files were skipped, 130 interrupted.\n\n\
    Examples:\n  predict photo.jpg\n  predict --head models/head --csv holiday/ > classes.csv\n  predict --top 3 --json a.png b.png\n  \
    predict --calibrated --threshold auto photo.jpg    as the validation split chose\n  \
    predict --backbone resnet50 --top 5 photo.jpg     the 1,000 classes of ImageNet, without a head"
)]
pub(crate) struct PredictArgs {
    /// Images, or folders of images.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Folder of the head.
    #[arg(long, value_name = "DIR", default_value = "models/head", conflicts_with = "backbone")]
    pub(crate) head: PathBuf,
    /// No head: name the classes of ImageNet that the base's own classifier sees. Takes the weights with the classifier, 4 to
    /// 553 MB. For classes of your own train a head instead: these 1,000 are what the classifier was made for and nothing
    /// else, and the lesson advises against using it again.
    #[arg(long, value_name = "NAME", value_parser = crate::choices::bases())]
    pub(crate) backbone: Option<String>,
    /// How many classes to name for each file, the most probable first.
    #[arg(long, value_name = "K", default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) top: u16,
    /// Probabilities with the temperature that fit-head chose on the validation split: 90% sure is then right about 90 times of
    /// 100.
    #[arg(long, conflicts_with = "backbone")]
    pub(crate) calibrated: bool,
    /// Two classes: predict the second where its probability is above T, from 0 to 1, instead of 0.5; auto: the threshold that
    /// fit-head chose. The predicted class is named first.
    #[arg(long, value_name = "T", conflicts_with = "backbone", value_parser = threshold)]
    pub(crate) threshold: Option<Threshold>,
    /// Print one JSON array.
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Print CSV: file, rank, class, probability, error.
    #[arg(long)]
    pub(crate) csv: bool,
    /// Write the table of --csv to this file as parquet instead of printing, when all is done. What is there is replaced.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "csv"])]
    pub(crate) parquet: Option<PathBuf>,
    /// Where the base's weights are; they must be the same bits as when the features were made. Only known weights (such as
    /// the default ones of extract) and random ones are taken on the head's word alone.
    #[arg(long, value_name = "SPEC")]
    pub(crate) weights: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Where the base runs: auto, cpu, cuda, cuda:N or metal.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: Device,
    /// Images the base takes at once. Does not change the result.
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) batch_size: u32,
    /// Threads [default: one a core]. Does not change the result.
    #[arg(long, value_name = "N", value_parser = crate::threads::parse)]
    pub(crate) threads: Option<usize>,
    /// No warnings about the engine; errors of single files are still reported.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// `auto`, or a number from 0 to 1.
pub(crate) fn threshold(text: &str) -> Result<Threshold, String> {
    if text == "auto" {
        return Ok(Threshold::Chosen);
    }
    match text.parse() {
        Ok(t) if (0.0..=1.0).contains(&t) => Ok(Threshold::At(t)),
        _ => Err("expected auto or a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn clap_finds_no_contradiction() {
        PredictArgs::command().debug_assert();
        assert!(PredictArgs::try_parse_from(["predict"]).is_err());
        assert!(PredictArgs::try_parse_from(["predict", "--json", "--csv", "a.jpg"]).is_err());
        let threshold = |t: &str| {
            let args = PredictArgs::try_parse_from(["predict", "--threshold", t, "a.jpg"]);
            args.ok().and_then(|args| args.threshold)
        };
        assert_eq!(threshold("auto"), Some(Threshold::Chosen));
        assert_eq!(threshold("0.25"), Some(Threshold::At(0.25)));
        for bad in ["", "1.5", "nan", "inf", "Auto"] {
            assert_eq!(threshold(bad), None, "{bad}");
        }
    }
}
