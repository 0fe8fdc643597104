//! The one error of this module: what was wanted, each way that was tried and why it failed, and what fixes it.

use std::path::PathBuf;

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
    pub(super) remedies: Vec<Remedy>,
}

/// One thing that would help. Displayed as a sentence without its full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// What the way that failed knows.
    Advice(String),
    /// Let the search use the network.
    AllowNetwork,
    /// Fetch the file with another program and name it as the specification.
    FetchByHand {
        /// The hub id.
        id: String,
        /// Where it may be put instead. Only where its sha256 is pinned: others are not trusted there.
        place: Option<PathBuf>,
    },
}

impl std::fmt::Display for Remedy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Advice(text) => f.write_str(text),
            Self::AllowNetwork => f.write_str("allow the network"),
            Self::FetchByHand { id, place } => {
                write!(f, "fetch model.safetensors of {} by hand and ", util::visible(id))?;
                if let Some(place) = place {
                    write!(f, "put it at {}, or ", place.display())?;
                }
                f.write_str("give it as the weights")
            }
        }
    }
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

    /// What would help; any one of them.
    pub fn remedies(&self) -> &[Remedy] {
        &self.remedies
    }
}

impl Hint for WeightsError {
    fn hint(&self) -> Option<String> {
        let texts: Vec<String> = self.remedies.iter().map(ToString::to_string).collect();
        (!texts.is_empty()).then(|| texts.join("; or "))
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
