//! Work on a thread of its own, while the calling one listens for Ctrl-C and tells Python of the progress.

use anyhow::anyhow;
use pyo3::prelude::*;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure;
use crate::listener::{Message, Talk};

/// How often Python's signal handlers get their turn.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the work may take to stop, as in the shell. After that it is left to end by itself: nothing is lost by that, since
/// files get their names when they are complete.
const GRACE: Duration = Duration::from_secs(5);

/// What a worker has: where to talk to, and whether it should stop.
pub(crate) struct Worker {
    pub(crate) talk: Talk,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Worker {
    /// Whether the caller wants no more.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A panic, caught.
#[derive(Debug, thiserror::Error)]
#[error("internal error: {0}")]
pub(crate) struct Panicked(String);

/// Runs `work` without the GIL. `progress(kind, text, number, total)` is called on the thread that this is called on; where it raises, or
/// a signal's handler does, the work is stopped and that is raised.
pub(crate) fn run<T: Send + 'static>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    command_line: String,
    work: impl FnOnce(&Worker) -> anyhow::Result<T> + Send + 'static,
) -> PyResult<T> {
    let stop = Arc::new(AtomicBool::new(false));
    let (tell, messages) = channel();
    let worker = Worker { talk: Talk::new(tell, command_line), stop: Arc::clone(&stop) };
    let handle = thread::Builder::new().name("feature-cache".to_owned()).spawn(move || {
        // What a panic leaves half done is dropped with the worker, or is behind a lock that is poisoned.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&worker)));
        outcome.unwrap_or_else(|payload| Err(Panicked(panic_text(&*payload)).into()))
    })?;
    let raised = attend(py, progress, &Mutex::new(messages), &stop);
    if let Some((error, abandoned)) = raised {
        if !abandoned {
            let _ = py.detach(|| handle.join());
        }
        return Err(error);
    }
    match py.detach(|| handle.join()) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failure::raise(py, &error)),
        Err(payload) => Err(failure::raise(py, &anyhow!(Panicked(panic_text(&*payload))))),
    }
}

/// Until the worker has ended: what was raised meanwhile, and whether the worker was left to end by itself.
fn attend(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    messages: &Mutex<Receiver<Message>>,
    stop: &AtomicBool,
) -> Option<(PyErr, bool)> {
    let mut raised: Option<(PyErr, Instant)> = None;
    loop {
        let (batch, ended) = py.detach(|| collect(messages));
        let heard = py.check_signals();
        match (&raised, heard) {
            // A second Ctrl-C.
            (Some(_), Err(error)) => return Some((error, true)),
            (None, Err(error)) => {
                stop.store(true, Ordering::Relaxed);
                raised = Some((error, Instant::now()));
            }
            (Some((_, since)), Ok(())) if !ended && since.elapsed() > GRACE => {
                return raised.map(|(error, _)| (error, true));
            }
            _ => {}
        }
        if let (None, Some(progress)) = (&raised, progress) {
            for message in batch {
                if let Err(error) = message.call(progress) {
                    stop.store(true, Ordering::Relaxed);
                    raised = Some((error, Instant::now()));
                    break;
                }
            }
        }
        if ended {
            return raised.map(|(error, _)| (error, false));
        }
    }
}

/// Waits a moment for messages; gives those that there are, steps of the same bar as one, and whether no more will come.
fn collect(messages: &Mutex<Receiver<Message>>) -> (Vec<Message>, bool) {
    let messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
    let mut batch: Vec<Message> = Vec::new();
    let mut add = |message| match (batch.last_mut(), message) {
        (Some(Message::Advance(n)), Message::Advance(more)) => *n += more,
        (_, message) => batch.push(message),
    };
    // Python is asked no more often than that, however many messages there are.
    let end = Instant::now() + LOOK_EVERY;
    loop {
        match messages.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(message) => add(message),
            Err(RecvTimeoutError::Timeout) => return (batch, false),
            Err(RecvTimeoutError::Disconnected) => return (batch, true),
        }
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".to_owned())
}
