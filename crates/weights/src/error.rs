//! The one error of this module: what was wanted, each way that was tried and why it failed, and what fixes it.

use util::Hint;

use super::format::FormatError;

/// What kind of failure ended the search; for callers that act on it and for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The specification itself makes no sense.
    Spec,
    /// The local file is not there or cannot be read.
    File,
    /// Nothing in the cache and the network may not be used.
    Offline,
    /// The network, the hub or the package index failed.
    Network,
    /// A file was read, but it is damaged, hostile, or of an unknown kind.
    Format,
    /// The file is sound, but does not hold the architecture's tensors.
    Architecture,
    /// A sha256 is not the pinned one.
    Checksum,
    /// Writing under the models folder failed.
    Cache,
}

/// One way that was tried, and why it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The way, such as `hub https://huggingface.co/timm/vgg16.tv_in1k`.
    pub way: String,
    /// Why it gave nothing.
    pub reason: String,
}

/// No weights could be had. Displayed as one line saying what was wanted and one line for each way that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightsError {
    pub(super) kind: ErrorKind,
    pub(super) spec: String,
    pub(super) tried: Vec<Tried>,
    pub(super) hint: String,
}

impl WeightsError {
    /// The failure that ended the search.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was asked for.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// Each way that was tried, in order.
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }
}

impl Hint for WeightsError {
    fn hint(&self) -> Option<String> {
        Some(self.hint.clone()).filter(|hint| !hint.is_empty())
    }
}

impl std::fmt::Display for WeightsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot get the weights '{}'", util::visible(&self.spec))?;
        match self.tried.as_slice() {
            [] => Ok(()),
            [one] => write!(f, ": {}: {}", one.way, one.reason),
            many => {
                f.write_str(":")?;
                many.iter().try_for_each(|t| write!(f, "\n  {}: {}", t.way, t.reason))
            }
        }
    }
}

impl std::error::Error for WeightsError {}

/// Why one way gave nothing.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) reason: String,
    /// What fixes it, where this way knows better than the search as a whole.
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(super) fn new(kind: ErrorKind, reason: impl Into<String>) -> Self {
        // Files and servers are quoted here.
        let reason = util::visible(&reason.into()).into_owned();
        Self { kind, reason, hint: None }
    }
}

impl From<FormatError> for Failure {
    fn from(e: FormatError) -> Self {
        let kind = match e {
            FormatError::Io(_) => ErrorKind::File,
            FormatError::Architecture(_) => ErrorKind::Architecture,
            _ => ErrorKind::Format,
        };
        Self::new(kind, e.to_string())
    }
}
