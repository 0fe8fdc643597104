//! The pool that decoding, convolution and training share.

use anyhow::Context as _;

/// A pool of `wish` threads, one a core without a wish.
///
/// # Errors
/// The system refuses threads.
pub(crate) fn pool(wish: Option<usize>) -> anyhow::Result<rayon::ThreadPool> {
    let threads = wish.unwrap_or_else(available);
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
