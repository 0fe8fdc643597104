//! Ctrl-C and friends: the first asks the run to stop at the next safe point and ends the process after a while if it
//! doesn't get there; the second ends it at once.

use anyhow::Context as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::console::error_line;

/// Exit code after Ctrl-C, as shells have it: 128 + SIGINT.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// How often the watching thread looks for the first signal. Waiting for signals without looking is not to be had on every
/// system.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What the last words may take where standard error is a pipe that nobody reads.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Set once the user asked to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for SIGINT and SIGTERM. On Unix a write over a file-size limit (`ulimit -f`) becomes an error instead of a
    /// signal that kills the process.
    ///
    /// A run that hasn't ended `grace` after the first signal is ended, wherever it is, even if the system holds it while it
    /// opens a file. Nothing is lost by that: files get their names when they are complete. `hint` says how to go on.
    ///
    /// # Errors
    /// The system refuses the handlers or the thread.
    pub(crate) fn listen(grace: Duration, hint: &'static str) -> anyhow::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // In this order the first signal only sets the flag, the second finds it set and ends the process.
            let code = i32::from(EXIT_INTERRUPTED);
            signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&flag))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
                .context("cannot listen for Ctrl-C")?;
        }
        #[cfg(unix)]
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)))
            .context("cannot catch SIGXFSZ")?;
        let interrupt = Self(flag);
        let watched = interrupt.clone();
        thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(move || watched.end_after(grace, hint))
            .context("cannot start a thread")?;
        Ok(interrupt)
    }

    /// By a flag that somebody else sets.
    pub(crate) fn by(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }

    /// Whether the run should stop.
    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits for the first signal, then `grace`, then ends the process.
    fn end_after(&self, grace: Duration, hint: &'static str) {
        while !self.requested() {
            thread::sleep(LOOK_EVERY);
        }
        thread::sleep(grace);
        let words = thread::Builder::new().spawn(move || {
            error_line("warning: stopped");
            error_line(&format!("hint: {hint}"));
        });
        let said = Instant::now();
        while words.as_ref().is_ok_and(|words| !words.is_finished()) && said.elapsed() < LAST_WORDS
        {
            thread::sleep(Duration::from_millis(1));
        }
        // Without the usual cleaning up, which may wait for what the run holds.
        signal_hook::low_level::exit(i32::from(EXIT_INTERRUPTED));
    }
}
