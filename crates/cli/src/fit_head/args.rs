//! The flags of `fit-head`.

use clap::Parser;
use std::path::PathBuf;
use train::{ClassWeight, FitConfig, Optimizer, Schedule};

use crate::choices::choice;
use crate::source_args::SourceArgs;

/// Train a small dense classifier on cached features, in seconds, and report how well it does.
///
/// FEATURES holds what `extract` wrote: train, and where they exist validation (or val) and test. The defaults are the
/// lesson: Dense 256 ReLU, Dropout 0.5, one sigmoid unit (softmax for more than two classes), RMSprop at 2e-5,
/// 30 epochs of batches of 20. The same seed gives the same bits, whatever the number of threads.
#[derive(Debug, Parser)]
#[command(name = "fit-head", version)]
#[command(
    after_help = "Writes to the head's folder: head.safetensors and head.json (for `predict`), report.html, curves.svg, \
    confusion.svg, history.csv, metrics.json, predictions_<split>.csv.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n\n\
    Examples:\n  fit-head                                    the lesson on features/\n  \
    fit-head --repeats 10                       ten seeds, mean and 95% interval\n  \
    fit-head --hidden 512 --hidden 128          two hidden layers\n  \
    fit-head --hidden 0 --optimizer adam --lr 1e-4   logistic regression"
)]
pub(crate) struct FitArgs {
    /// Folder with the arrays that `extract` wrote.
    #[arg(long, value_name = "DIR", default_value = "features")]
    pub(crate) features: PathBuf,
    /// Folder of the pictures, as `extract --data` got it: the report shows mistakes from there and from nowhere else
    /// [default: data, where there is one].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Folder for the head and its report.
    #[arg(long, value_name = "DIR", default_value = "models/head")]
    pub(crate) head: PathBuf,
    /// Train the base from this layer on too, on rows of a layer before it: fine-tuning without running the frozen part again. The
    /// rows come from `extract --layer`, such as block4_pool for block5_conv1.
    #[arg(long, value_name = "LAYER", conflicts_with = "repeats")]
    pub(crate) unfreeze: Option<String>,
    /// Start from the tensors of this model: a head of fit-head or a model of train whose layers are all in the network.
    #[arg(long, value_name = "DIR", requires = "unfreeze")]
    pub(crate) from: Option<PathBuf>,
    /// Weights of the base that the rows were made with [default: those that the features name, if they are known ones].
    #[arg(long, value_name = "SPEC", requires = "unfreeze")]
    pub(crate) weights: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Train on the first K views of each picture beside itself, as if extract had stored no more; 0: on the pictures alone
    /// [default: all that the features have].
    #[arg(long, value_name = "K")]
    pub(crate) views: Option<usize>,
    /// Width of a hidden ReLU layer; give it again for more layers, 0 for none.
    #[arg(long, value_name = "UNITS", default_values_t = [256])]
    pub(crate) hidden: Vec<usize>,
    /// Share of each hidden layer's outputs that training drops.
    #[arg(long, value_name = "RATE", default_value_t = 0.5)]
    pub(crate) dropout: f32,
    /// Passes over the training rows, up to 100,000.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) epochs: usize,
    /// Rows a step.
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
    /// balanced: rows of rare classes count more in the loss.
    #[arg(long, value_name = "KIND", default_value = "none", value_parser = choice(ClassWeight::ALL, ClassWeight::name))]
    pub(crate) class_weight: ClassWeight,
    /// Stop after N epochs without a lower validation loss, and keep the best epoch's weights.
    #[arg(long, value_name = "N")]
    pub(crate) early_stopping: Option<usize>,
    /// Decides initial weights, order of rows, dropout, and which view of a picture each epoch takes.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Train with N seeds and report mean ± 95% interval; the first seed's head is kept.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) repeats: u16,
    /// Threads [default: one a core]. Does not change the result.
    #[arg(long, value_name = "N", value_parser = crate::threads::parse)]
    pub(crate) threads: Option<usize>,
    /// Refuse features of which two splits share a picture.
    #[arg(long)]
    pub(crate) fail_on_leak: bool,
    /// Print warnings and errors only.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl FitArgs {
    /// The training settings; the libraries check their ranges.
    pub(crate) fn config(&self, class_names: &[String]) -> FitConfig {
        FitConfig {
            hidden: self.hidden.iter().copied().filter(|&units| units > 0).collect(),
            dropout: self.dropout,
            epochs: self.epochs,
            batch_size: self.batch_size,
            learning_rate: self.lr,
            schedule: self.lr_schedule,
            optimizer: self.optimizer,
            class_weight: self.class_weight,
            early_stopping: self.early_stopping,
            seed: self.seed,
            class_names: class_names.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_defaults_are_the_lesson() {
        FitArgs::command().debug_assert();
        let args = FitArgs::try_parse_from(["fit-head"]).unwrap();
        assert_eq!(args.config(&[]), FitConfig::default());
    }

    #[test]
    fn hidden_layers_add_up_and_zero_means_none() {
        let hidden = |flags: &[&str]| {
            let args = FitArgs::try_parse_from([&["fit-head"], flags].concat()).unwrap();
            args.config(&[]).hidden
        };
        assert_eq!(hidden(&["--hidden", "512", "--hidden", "128"]), [512, 128]);
        assert_eq!(hidden(&["--hidden", "0"]), [0usize; 0]);
    }
}
