//! The flags of `feature-cache compare`.

use clap::Args;
use std::path::PathBuf;

/// Put trained models side by side: accuracy with its interval, curves, size, time, and whether they differ at all.
///
/// A model is the folder that a training wrote. All must have been evaluated on the same split with the same classes; where they
/// saw the very same pictures, by name and content, McNemar's test says of every two whether one is better.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage.\n\n\
    Examples:\n  compare models/scratch models/augmented models/pretrained\n  \
    compare models/* --split validation --out validation.html\n  compare models/a models/b --json")]
pub(crate) struct CompareArgs {
    /// Folders of models, 2 to 8.
    #[arg(value_name = "MODEL", required = true, num_args = 2..=pipeline::compare::MOST_MODELS)]
    pub(crate) models: Vec<PathBuf>,
    /// The split to compare on.
    #[arg(long, value_name = "NAME", default_value = "test")]
    pub(crate) split: String,
    /// The page to write [default: compare.html beside the first model's folder].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print warnings and errors only.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl CompareArgs {
    /// Where the page goes.
    pub(crate) fn page(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| {
            let first = self.models.first().map(PathBuf::as_path);
            first.and_then(|folder| folder.parent()).unwrap_or("".as_ref()).join("compare.html")
        })
    }
}
