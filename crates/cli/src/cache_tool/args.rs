//! The flags of `cache`.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use tables::Format;

use crate::choices::choice;

/// Look at, check and join the arrays that `extract` writes.
#[derive(Debug, Parser)]
#[command(name = "cache", version)]
#[command(
    after_help = "Exit codes: 0 done (leaks: none found), 1 failed (leaks: some found; verify: damage found), 2 wrong usage, 130 interrupted."
)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what is in a features folder and how it was made.
    Info(FolderArgs),
    /// Read every byte and compare it with the manifests.
    Verify(FolderArgs),
    /// Join the shards of `extract --shard` into the files of one run.
    Merge(MergeArgs),
    /// Give the final names to files that were complete when their run was killed: needs neither images nor weights.
    Recover(RecoverArgs),
    /// List pictures that are in two splits: the same file, or the picture re-encoded, resized or mirrored.
    Leaks(LeaksArgs),
    /// Write features for other programs: a table of parquet or CSV, safetensors, or a folder for embedding-reader.
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FolderArgs {
    /// Folder with the arrays.
    #[arg(long, value_name = "DIR", default_value = "features")]
    pub(crate) features: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Folder with the shards.
    #[arg(long, value_name = "DIR", default_value = "features")]
    pub(crate) features: PathBuf,
    /// A split to join; may be given several times [default: all that have shards].
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Vec<String>,
    /// Keep the joined rows of pictures that did not change, take the others from the shards.
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) update: bool,
    /// Replace joined files that are there already.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print the manifests as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// Folder with the arrays.
    #[arg(long, value_name = "DIR", default_value = "features")]
    pub(crate) features: PathBuf,
    /// A split to recover; may be given several times [default: all].
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Vec<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LeaksArgs {
    /// Folder with the arrays.
    #[arg(long, value_name = "DIR", default_value = "features")]
    pub(crate) features: PathBuf,
    /// Perceptual hashes that differ in at most this many of 64 bits count as one picture.
    #[arg(long, value_name = "BITS", default_value_t = cache::leaks::DEFAULT_DISTANCE)]
    pub(crate) distance: u32,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Parquet, CSV and embedding-reader have a line for each view of each row, with the columns split, row, view, file, class, label, \
    sha256; safetensors has the array as it is. docs/tables.md says how to read them.\n\n\
    Examples:\n  cache export --format parquet --output tables                 tables/train.parquet and so on\n  \
    cache export --format csv --split test --output test.csv"
)]
pub(crate) struct ExportArgs {
    /// What to write.
    #[arg(long, value_name = "FORMAT", value_parser = choice(Format::ALL, Format::name))]
    pub(crate) format: Format,
    /// Folder for a file a split (embedding-reader: a folder a split), made where it is missing; or the file itself, if it ends as
    /// the format's files do and there is one split.
    #[arg(long, value_name = "PATH")]
    pub(crate) output: PathBuf,
    /// Folder with the arrays.
    #[arg(long, value_name = "DIR", default_value = "features")]
    pub(crate) features: PathBuf,
    /// A split to write; may be given several times [default: all].
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Vec<String>,
    /// Replace what an earlier export wrote there.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn clap_finds_no_contradiction() {
        CacheArgs::command().debug_assert();
    }
}
