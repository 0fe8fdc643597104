use rayon::prelude::*;

/// Runs `task(0..count)` on the current rayon pool, each index stolen by itself. A single task runs in place.
pub(crate) fn for_each(count: usize, task: impl Fn(usize) + Sync + Send) {
    if count <= 1 || rayon::current_num_threads() == 1 {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// Chunk `index` of `chunks` nearly equal chunks of `0..count`.
pub(crate) fn chunk_range(count: usize, chunks: usize, index: usize) -> std::ops::Range<usize> {
    count * index / chunks..count * (index + 1) / chunks
}
