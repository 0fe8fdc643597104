//! How long a transfer may take, and how slow it may be.

use std::time::{Duration, Instant};

use super::{Attempt, HttpError};
use crate::Options;

/// Watches over everything that is fetched for one purpose, over all its requests.
///
/// A server that sends a byte now and then never stands still, and would hold the program for days.
pub(super) struct Pace {
    started: Instant,
    deadline: Duration,
    window: Duration,
    least_rate: u64,
    /// How many windows may yet be too slow.
    patience: u32,
    /// Time spent waiting for bytes in the present window, without the pauses between tries.
    busy: Duration,
    bytes: u64,
    mark: Instant,
}

impl Pace {
    pub(super) fn new(opts: &Options<'_>) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            deadline: opts.deadline,
            window: opts.rate_window,
            least_rate: opts.least_rate,
            patience: opts.retries,
            busy: Duration::ZERO,
            bytes: 0,
            mark: now,
        }
    }

    /// A request begins.
    ///
    /// # Errors
    /// The deadline has passed.
    pub(super) fn resume(&mut self) -> Result<(), Attempt> {
        self.mark = Instant::now();
        if self.started.elapsed() < self.deadline {
            return Ok(());
        }
        let minutes = self.deadline.as_secs_f64() / 60.0;
        Err(Attempt::fatal(HttpError::Broken(format!("not done after {minutes:.0} minutes"))))
    }

    /// So many bytes have arrived since the last call.
    ///
    /// # Errors
    /// The deadline has passed, or too little has arrived in a whole window of time.
    pub(super) fn arrived(&mut self, bytes: u64) -> Result<(), Attempt> {
        self.busy += self.mark.elapsed();
        self.bytes += bytes;
        self.resume()?;
        if self.busy < self.window {
            return Ok(());
        }
        let rate = self.bytes as f64 / self.busy.as_secs_f64();
        (self.busy, self.bytes) = (Duration::ZERO, 0);
        if rate < self.least_rate as f64 {
            let reason =
                format!("{rate:.0} bytes a second arrived, expected at least {}", self.least_rate);
            // Another connection may be faster, but a few bytes are no progress that would count as one.
            let Some(left) = self.patience.checked_sub(1) else {
                return Err(Attempt::fatal(HttpError::Broken(reason)));
            };
            self.patience = left;
            return Err(Attempt::broken(reason));
        }
        Ok(())
    }
}
