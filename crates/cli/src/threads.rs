//! The pool that decoding, convolution and training share.

use anyhow::Context as _;

/// A pool of `requested` threads, one a core where none are.
///
/// # Errors
/// The system refuses threads.
pub(crate) fn pool(requested: Option<usize>) -> anyhow::Result<rayon::ThreadPool> {
    let threads = requested.unwrap_or_else(available);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("worker-{i}"))
        .build()
        .with_context(|| format!("cannot start {threads} threads"))
}

/// Cores that this process may use.
fn available() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// `--threads`: at least 1.
pub(crate) fn parse(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=1024).contains(&n) => Ok(n),
        _ => Err("expected a number from 1 to 1024".to_owned()),
    }
}
