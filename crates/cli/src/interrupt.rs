//! Ctrl-C and friends: the first asks the run to stop at the next safe point, the second ends the process at once.

use anyhow::Context as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code after Ctrl-C, as shells have it: 128 + SIGINT.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// Set once the user asked to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for SIGINT and SIGTERM. On Unix a write over a file-size limit (`ulimit -f`) becomes an error instead of a
    /// signal that kills the process.
    ///
    /// # Errors
    /// The system refuses the handlers.
    pub(crate) fn listen() -> anyhow::Result<Self> {
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
        Ok(Self(flag))
    }

    /// Whether the run should stop.
    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
