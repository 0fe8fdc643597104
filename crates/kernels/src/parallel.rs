use rayon::prelude::*;

/// Runs `task(0..count)` on the current rayon pool, each index stolen by itself. A single task runs in place.
pub(crate) fn for_each(count: usize, task: impl Fn(usize) + Sync + Send) {
    if count <= 1 || rayon::current_num_threads() == 1 {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// Who runs a step's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workers {
    /// All threads of the current rayon pool.
    Pool,
    /// The thread that asks, one of so many that have images of their own.
    OneOf(usize),
}

impl Workers {
    pub(crate) fn count(self) -> usize {
        match self {
            Self::Pool => rayon::current_num_threads(),
            Self::OneOf(_) => 1,
        }
    }

    /// Runs `task(0..count)`; on a pool each index is stolen by itself.
    pub(crate) fn each(self, count: usize, task: impl Fn(usize) + Sync + Send) {
        match self {
            Self::Pool => for_each(count, task),
            Self::OneOf(_) => (0..count).for_each(task),
        }
    }
}

/// Chunk `index` of `chunks` nearly equal chunks of `0..count`.
pub(crate) fn chunk_range(count: usize, chunks: usize, index: usize) -> std::ops::Range<usize> {
    count * index / chunks..count * (index + 1) / chunks
}
