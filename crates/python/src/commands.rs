//! Whole commands.

use anyhow::bail;
use cli::embed;
use pyo3::prelude::*;
use std::ffi::OsString;
use std::process::ExitCode;

use crate::{words, worker};

/// Runs a command by its name and flags, and gives its result as JSON; None where a progress callback stopped it.
#[pyfunction]
#[pyo3(signature = (words, command_line, progress=None))]
pub(crate) fn run(
    py: Python<'_>,
    words: Vec<OsString>,
    command_line: String,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<String> {
    worker::run(py, progress, command_line, move |worker| {
        let finished = words::checked(embed::run(words, &worker.talk, &worker.stop))?;
        if !finished {
            bail!("stopped");
        }
        Ok(worker.talk.take_result().to_string())
    })
}

/// Runs a program of the shell and gives its exit code. To be called by a process that does nothing else.
#[pyfunction]
pub(crate) fn shell(py: Python<'_>, program: &str, arguments: Vec<OsString>) -> u8 {
    const WRONG_USAGE: u8 = 2;
    let code = py.detach(|| embed::shell(program, arguments));
    let number = |code| (0..=u8::MAX).find(|&number| ExitCode::from(number) == code);
    code.and_then(number).unwrap_or(WRONG_USAGE)
}

/// Panics on a thread of a pool, to test that Python gets an exception.
#[pyfunction]
pub(crate) fn panic_for_tests(py: Python<'_>) -> PyResult<()> {
    worker::run(py, None, String::new(), |_| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        #[expect(clippy::panic, reason = "that is what it is for")]
        pool.install(|| panic!("as asked"))
    })
}
