//! HTTP for weights: a client that never gives a secret to the wrong host nor leaves TLS, and files that are read in parts.

mod client;
mod pace;
mod remote;

pub(super) use client::{Client, Secret, is_loopback, shown};
pub(super) use remote::{MAX_GAP, Remote};

use std::time::Duration;

/// Longest pause that a server can ask for.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// The server answered, and not with the file.
    #[error("the server answered {status}{}", status_text(*.status))]
    Status { status: u16 },
    /// No server was reached.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The transfer broke, and broke again.
    #[error("the transfer broke: {0}")]
    Broken(String),
    /// The server's answers contradict one another.
    #[error("{0}")]
    Inconsistent(String),
    /// What is asked for would leave TLS, or can't be asked for at all.
    #[error("refused: {0}")]
    Refused(String),
    /// The settings of this machine are at fault.
    #[error("{0}")]
    Setup(String),
}

fn status_text(status: u16) -> &'static str {
    match status {
        401 => " (not authorised)",
        403 => " (forbidden)",
        404 => " (not found)",
        429 => " (too many requests)",
        500..=599 => " (a failure of its own)",
        _ => "",
    }
}

/// A failure and whether trying again may help.
struct Attempt {
    error: HttpError,
    retry: bool,
    pause: Option<Duration>,
}

impl Attempt {
    fn broken(reason: impl Into<String>) -> Self {
        Self { error: HttpError::Broken(reason.into()), retry: true, pause: None }
    }

    fn fatal(error: HttpError) -> Self {
        Self { error, retry: false, pause: None }
    }
}
