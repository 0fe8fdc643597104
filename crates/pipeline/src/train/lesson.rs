//! The lesson's own small network, trained from scratch.

use graph::{Activation, Builder, Conv, Dense, Graph, Op, Pool};

use crate::error::Error;

/// Four convolutions of 3×3 without padding (32, 64, 128, 128 filters, ReLU), each with a 2×2 max-pool, then flattened, with a
/// dropout if its rate is above 0, and a dense layer of 512 (Chollet, Deep Learning with Python, section 5.2). With one sigmoid
/// unit on it that is 3,453,121 parameters at 150×150.
///
/// # Errors
/// None: the layers fit together at any size that they fit.
pub fn lesson_network(dropout: f32) -> Result<Graph, Error> {
    let mut builder = Builder::new();
    let mut value = builder.input("input_1", 3);
    for filters in [32, 64, 128, 128] {
        let conv = Conv::new(filters, [3, 3]).activation(Activation::Relu);
        value = builder.add_unnamed(Op::Conv(conv), &[value]);
        value = builder.add_unnamed(Op::Pool(Pool::max([2, 2], [2, 2])), &[value]);
    }
    value = builder.add_unnamed(Op::Flatten, &[value]);
    if dropout > 0.0 {
        value = builder.add_unnamed(Op::Dropout { rate: f64::from(dropout) }, &[value]);
    }
    let dense = Dense { units: 512, bias: true, activation: Some(Activation::Relu) };
    value = builder.add_unnamed(Op::Dense(dense), &[value]);
    Ok(builder.finish(value)?)
}
