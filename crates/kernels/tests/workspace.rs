//! What a run allocates against what `workspace_bytes` says, counted by the allocator itself.
//!
//! One test, and a binary of its own: everything that the process allocates is counted.

mod reference;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use kernels::{Isa, Layer, Network, Precision};
use rayon::ThreadPool;
use reference::Random;

/// Counts the bytes that are allocated, and the most that ever were.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn add(bytes: usize) {
    let now = NOW.fetch_add(bytes, SeqCst) + bytes;
    PEAK.fetch_max(now, SeqCst);
}

// SAFETY: every call goes to the system's allocator as it is; counting touches no memory of the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promise is the one that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), SeqCst);
        // SAFETY: as in `alloc`: what is freed here came from the system's allocator with this layout.
        unsafe { System.dealloc(start, layout) }
    }
    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there for a moment.
        add(size);
        // SAFETY: as in `dealloc`.
        let moved = unsafe { System.realloc(start, layout, size) };
        NOW.fetch_sub(layout.size(), SeqCst);
        moved
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that lists of buffers and rayon's queues may take beside the buffers, or give back meanwhile.
const BOOKKEEPING: usize = 8 << 10;

/// How many times what one thread allocates the estimate may be. More threads take tasks as they come, and on a busy
/// machine one may take them all: then the estimate may be so many times more.
const LOOSENESS: f64 = 1.05;

/// Times a network runs: the first fills its buffers, the others may add those of further threads.
const RUNS: usize = 3;

fn pool() -> Layer {
    Layer::max_pool([2, 2], [2, 2])
}

/// Chains in which every kind of buffer is the largest once, with an image's shape.
fn chains() -> Vec<(&'static str, Vec<Layer>, [usize; 3])> {
    let mut random = Random(21);
    let mut conv = |from, to| Layer::Conv(random.conv([from, to], [3, 3], [1, 1], [1, 1], 1, true));
    let turns = vec![conv(64, 64), conv(64, 512), conv(512, 64), conv(64, 64), conv(64, 512)];
    let base = vec![
        conv(3, 64),
        conv(64, 64),
        pool(),
        conv(64, 128),
        conv(128, 128),
        pool(),
        conv(128, 256),
        conv(256, 256),
        pool(),
        conv(256, 512),
        conv(512, 512),
        pool(),
    ];
    let few = vec![conv(32, 32)];
    let mut random = Random(22);
    let mut other = |channels, kernel, groups| {
        Layer::Conv(random.conv(channels, kernel, [1, 1], [2, 2], groups, true))
    };
    let lines = vec![other([3, 40], [5, 5], 1), pool()];
    let table = vec![other([40, 48], [7, 7], 4), other([48, 24], [1, 1], 1)];
    let mut random = Random(23);
    let mut strided = |channels, kernel: [usize; 2], stride| {
        let padding = [kernel[0] / 2, kernel[1] / 2];
        Layer::Conv(random.conv(channels, kernel, stride, padding, 1, true))
    };
    let gathered = vec![
        strided([24, 40], [5, 5], [1, 1]),
        strided([40, 32], [1, 7], [2, 1]),
        strided([32, 512], [1, 1], [1, 1]),
        strided([512, 20], [3, 3], [2, 2]),
    ];
    let mut random = Random(24);
    let mut narrow = |channels: [usize; 2], kernel: usize, groups| {
        let padding = [kernel / 2; 2];
        Layer::Conv(random.conv(channels, [kernel; 2], [1, 1], padding, groups, true))
    };
    let strips = vec![narrow([24, 144], 1, 1), narrow([144, 144], 3, 144), narrow([144, 24], 1, 1)];
    let all = vec![
        ("one small layer", few, [6, 6, 32]),
        ("strips", strips, [31, 40, 24]),
        ("lines", lines, [40, 50, 3]),
        ("table", table, [20, 20, 40]),
        ("gathered", gathered, [19, 17, 24]),
        ("few and many weights by turns", turns, [13, 13, 64]),
        ("the start of a base", base, [24, 24, 3]),
    ];
    let count = reference::share(all.len()).max(2);
    all.into_iter().take(count).collect()
}

#[test]
fn the_estimate_is_what_a_run_allocates() {
    // They live to the end, with what their threads allocate as they start: none of it comes or goes while runs are counted.
    let pools = [1, 2, 5].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.broadcast(|_| {});
        // The first call from outside makes its queue.
        pool.install(|| rayon::join(|| (), || ()));
        // A first run, of another network, makes what each thread keeps for itself: queues and what is detected once.
        let (_, layers, shape) = chains().swap_remove(0);
        let network = Network::new(&layers, shape, Isa::best(), Precision::Highest);
        measure(&network.expect("sound"), &pool, 3 * threads);
        pool
    });
    for isa in Isa::available() {
        // Thousands of trapped instructions say nothing more here.
        if isa == Isa::Amx && cfg!(feature = "emulate-amx") {
            continue;
        }
        // Without a unit for bf16 `medium` is `high`.
        for precision in [Precision::Highest, Precision::High, Precision::Medium] {
            if precision == Precision::Medium && !matches!(isa, Isa::Amx | Isa::Avx512Bf16) {
                continue;
            }
            for (name, layers, shape) in chains() {
                for (pool, batch) in [(0, 1), (0, 5), (1, 1), (1, 3), (2, 1), (2, 9), (1, 40)] {
                    let (pool, threads) = (&pools[pool], pools[pool].current_num_threads());
                    // More than pass through together, where that is quickly done.
                    if batch > 32 && name != "one small layer" {
                        continue;
                    }
                    let network = Network::new(&layers, shape, isa, precision).expect("sound");
                    let (estimate, peak) = measure(&network, pool, batch);
                    let what = format!(
                        "{isa} {precision}, {name}, {threads} threads, batch {batch}: \
                         {estimate} bytes estimated, {peak} allocated"
                    );
                    assert!(peak <= estimate + BOOKKEEPING, "{what}");
                    let most = LOOSENESS * threads as f64 * (peak + BOOKKEEPING) as f64;
                    assert!(estimate as f64 <= most, "{what}");
                }
            }
        }
    }
}

/// Bytes that a network says it takes, and the most that it took.
fn measure(network: &Network, pool: &ThreadPool, batch: usize) -> (usize, usize) {
    let values = |shape: [usize; 3]| batch * shape.iter().product::<usize>();
    let input = vec![0.5f32; values(network.input_shape())];
    let mut output = vec![0.0f32; values(network.output_shape())];
    let estimate = pool.install(|| network.workspace_bytes(batch));
    let before = NOW.load(SeqCst);
    PEAK.store(before, SeqCst);
    for _ in 0..RUNS {
        pool.install(|| network.run(batch, &input, &mut output)).expect("right lengths");
    }
    (estimate, PEAK.load(SeqCst) - before)
}
