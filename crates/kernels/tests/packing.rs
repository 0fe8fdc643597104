//! What is in memory while weights are packed, counted by the allocator itself.
//!
//! One test, and a binary of its own: everything that the process allocates is counted.

mod reference;

use kernels::{Isa, Layer, Network, Precision, Program};
use peak_alloc::PeakAlloc;
use reference::Random;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const LAYERS: usize = 8;
const CHANNELS: usize = 256;

#[test]
fn a_layer_s_weights_are_dropped_once_they_are_packed() {
    let mut random = Random(5);
    let mut program = Program::default();
    let mut value = kernels::Value::Input;
    for _ in 0..LAYERS {
        let conv = random.conv([CHANNELS; 2], [3, 3], [1, 1], [1, 1], 1, true);
        value = program.push(Layer::Conv(conv), vec![value]);
    }
    let plain = LAYERS * CHANNELS * CHANNELS * 9 * size_of::<f32>();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    pool.broadcast(|_| {});
    ALLOCATED.reset_peak_usage();
    let without = ALLOCATED.current_usage() - plain;
    let compiled = pool
        .install(|| Network::compile(program, [16, 16, CHANNELS], Isa::best(), Precision::Highest));
    let network = compiled.expect("sound");
    let most = ALLOCATED.peak_usage() - without;
    let packed = network.packed_bytes();
    // The last layer in both forms, and what one is packed in: not all of them in both.
    assert!(most <= packed + plain / 2, "{most} bytes at most: {packed} packed, {plain} plain");
}
