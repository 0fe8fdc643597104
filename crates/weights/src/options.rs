//! Settings of the search for weights, and how it tells what it is doing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::source::index::config::PackageIndex;

/// Largest file of a token.
const MAX_TOKEN: u64 = 64 << 10;

/// Hears what is being fetched, so that the caller can draw a bar. Nothing here is called from more than one thread at once.
pub trait Progress: Sync {
    /// A transfer begins; `total_bytes` where the size is known.
    fn start(&self, what: &str, total_bytes: Option<u64>);
    /// So many more bytes have arrived.
    fn advance(&self, bytes: u64);
    /// The transfer has ended, well or badly.
    fn finish(&self);
    /// One line that the user should see.
    fn note(&self, line: &str);
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn start(&self, _what: &str, _total_bytes: Option<u64>) {}
    fn advance(&self, _bytes: u64) {}
    fn finish(&self) {}
    fn note(&self, _line: &str) {}
}

/// Where to look, and what may be done.
///
/// [`Options::from_env`] fills in what comes from the environment; every field can be set by hand instead.
pub struct Options<'a> {
    /// Fetched weights are kept in `<models_dir>/weights`.
    pub models_dir: &'a Path,
    /// Use no network and start no program (also set by `HF_HUB_OFFLINE`).
    pub offline: bool,
    /// Hears what happens.
    pub progress: &'a dyn Progress,
    /// Address of the hub, without a slash at the end (`HF_ENDPOINT`).
    pub endpoint: String,
    /// The hub's own cache folder, read but never written (`HF_HUB_CACHE`, else `HF_HOME/hub`).
    pub hub_cache: Option<PathBuf>,
    /// Token for private or gated repositories (`HF_TOKEN`, else the file that the hub's tools keep).
    pub token: Option<String>,
    /// A PEM file of the authorities to trust instead of Mozilla's, for the hub (`REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`,
    /// `SSL_CERT_FILE`).
    pub certificates: Option<PathBuf>,
    /// The package indexes that pip is configured for; or why there are none.
    pub index: Result<PackageIndex, String>,
    /// A package index that was named for this run; see [`Options::use_index`].
    pub(crate) index_url: Option<Url>,
    /// The command that runs pip, a program and its first arguments, for a package index that can't be reached directly
    /// (`FEATURE_CACHE_PIP`, split at spaces). Without it no program is ever started.
    pub pip: Option<Vec<OsString>>,
    /// How long to wait for a connection, and for each answer to begin.
    pub connect_timeout: Duration,
    /// How long a transfer may stand still.
    pub stall_timeout: Duration,
    /// How long all of a transfer may take.
    pub deadline: Duration,
    /// Bytes a second that must arrive on average over each `rate_window`.
    pub least_rate: u64,
    /// The time over which the rate is taken.
    pub rate_window: Duration,
    /// How often a broken transfer is taken up again.
    pub retries: u32,
    /// Pause before the first retry; doubled for each further one.
    pub retry_pause: Duration,
}

impl<'a> Options<'a> {
    /// The settings that the environment asks for.
    pub fn from_env(models_dir: &'a Path, offline: bool, progress: &'a dyn Progress) -> Self {
        Self::from_lookup(models_dir, offline, progress, &|name| std::env::var_os(name))
    }

    /// [`Options::from_env`] with the environment given as a function, so that tests need not change the process's own.
    pub fn from_lookup(
        models_dir: &'a Path,
        offline: bool,
        progress: &'a dyn Progress,
        lookup: &dyn Fn(&str) -> Option<OsString>,
    ) -> Self {
        let text = |name: &str| {
            let value = lookup(name)?.into_string().ok()?;
            let value = value.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let path = |name: &str| lookup(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = path("HF_HOME")
            .or_else(|| path("XDG_CACHE_HOME").map(|p| p.join("huggingface")))
            .or_else(|| {
                path("HOME").or_else(|| path("USERPROFILE")).map(|p| p.join(".cache/huggingface"))
            });
        let token_file = path("HF_TOKEN_PATH").or_else(|| home.as_ref().map(|h| h.join("token")));
        let implicit = !text("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|v| is_true(&v));
        let token = text("HF_TOKEN").or_else(|| {
            let read = util::regular::read(&token_file.filter(|_| implicit)?, MAX_TOKEN).ok()?;
            let read = String::from_utf8(read).ok()?;
            let read = read.trim();
            (!read.is_empty()).then(|| read.to_owned())
        });
        let words = |line: &str| line.split_whitespace().map(OsString::from).collect::<Vec<_>>();
        Self {
            models_dir,
            offline: offline || text("HF_HUB_OFFLINE").is_some_and(|v| is_true(&v)),
            progress,
            endpoint: text("HF_ENDPOINT")
                .map(|e| e.trim_end_matches('/').to_owned())
                .unwrap_or_else(|| "https://huggingface.co".to_owned()),
            hub_cache: path("HF_HUB_CACHE")
                .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
                .or_else(|| home.map(|h| h.join("hub"))),
            token,
            certificates: ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"]
                .iter()
                .find_map(|name| path(name)),
            index: PackageIndex::from_lookup(lookup),
            index_url: None,
            pip: text("FEATURE_CACHE_PIP").map(|line| words(&line)),
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(2 * 60 * 60),
            least_rate: 4 << 10,
            rate_window: Duration::from_secs(60),
            retries: 4,
            retry_pause: Duration::from_millis(500),
        }
    }

    /// Asks this package index alone, instead of those that pip is configured for. Certificates and proxy stay those of
    /// pip's configuration; where that is at fault, it still is.
    pub fn use_index(&mut self, url: Url) {
        self.index = self.index.clone().map(|known| known.at(url.clone()));
        self.index_url = Some(url);
    }
}

/// The hub's own tools take 1, ON, YES and TRUE in any case as true.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].iter().any(|t| value.eq_ignore_ascii_case(t))
}

/// A transfer that ends its bar however it ends.
pub(super) struct Bar<'a>(&'a dyn Progress);

impl<'a> Bar<'a> {
    pub(super) fn start(opts: &Options<'a>, what: &str, total: Option<u64>) -> Self {
        opts.progress.start(what, total);
        Self(opts.progress)
    }

    pub(super) fn advance(&self, bytes: u64) {
        self.0.advance(bytes);
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.0.finish();
    }
}
