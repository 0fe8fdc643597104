//! Gates of activations: what passes of a gradient.

use rayon::prelude::*;

use crate::simd::{Loops, vectorise};
use crate::{Activation, Isa};

/// Values a task.
const PIECE: usize = 64 * 1024;

/// Multiplies the gradient of an activation's outputs by the activation's slope at them: 1 where ReLU's output is above 0
/// (for ReLU6: and below 6), else 0. At the kinks the slope is 0, as in PyTorch and TensorFlow. Outputs that are NaN let it
/// pass.
///
/// # Panics
/// When the slices have not the same length, or `isa` is not available.
pub fn gate(isa: Isa, activation: Activation, outputs: &[f32], gradient: &mut [f32]) {
    assert_eq!(outputs.len(), gradient.len(), "outputs and gradient of another size");
    assert!(isa.is_available(), "{isa} is not available");
    if activation == Activation::None {
        return;
    }
    gradient.par_chunks_mut(PIECE).zip(outputs.par_chunks(PIECE)).for_each(
        |(gradient, outputs)| {
            vectorise(isa, Gate { activation, outputs, gradient });
        },
    );
}

struct Gate<'a> {
    activation: Activation,
    outputs: &'a [f32],
    gradient: &'a mut [f32],
}

impl Loops for Gate<'_> {
    #[inline(always)]
    fn run(self) {
        close(self.activation, self.outputs, self.gradient);
    }
}

/// The same without threads.
#[inline(always)]
pub(super) fn close(activation: Activation, outputs: &[f32], gradient: &mut [f32]) {
    // Nothing is above NaN.
    let most = match activation {
        Activation::None => return,
        Activation::Relu => f32::NAN,
        Activation::Relu6 => 6.0,
    };
    for (g, y) in gradient.iter_mut().zip(outputs) {
        let closed = *y <= 0.0 || *y >= most;
        *g = if closed { 0.0 } else { *g };
    }
}
