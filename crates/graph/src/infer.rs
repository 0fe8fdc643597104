//! The output shape of an operation.

use crate::op::Op;
use crate::{Padding, Shape, Window};

/// The output shape for such inputs, whose number suits the operation, or what does not fit.
pub(crate) fn output_shape(op: &Op, image: [usize; 2], inputs: &[Shape]) -> Result<Shape, String> {
    if let Op::Input { channels } = op {
        let [height, width] = image;
        return Ok(Shape::Map { height, width, channels: *channels });
    }
    let Some((&first, rest)) = inputs.split_first() else {
        return Err("it has no input".to_owned());
    };
    match op {
        Op::Input { .. } | Op::Norm(_) | Op::Act(_) | Op::Dropout { .. } => Ok(first),
        Op::Conv(conv) => {
            let (groups, channels) = (conv.groups, first.channels());
            if groups == 0 || channels % groups != 0 || conv.filters % groups != 0 {
                return Err(format!(
                    "expected groups that divide {channels} and {}, found {groups}",
                    conv.filters
                ));
            }
            slide(first, conv.padding, &conv.window(), conv.filters)
        }
        Op::Depthwise(depthwise) => {
            let channels = first.channels().saturating_mul(depthwise.multiplier);
            slide(first, depthwise.padding, &depthwise.window(), channels)
        }
        Op::Separable(separable) => {
            let depthwise = &separable.depthwise;
            slide(first, depthwise.padding, &depthwise.window(), separable.filters)
        }
        Op::Pool(pool) => slide(first, pool.padding, &pool.window(), first.channels()),
        Op::GlobalPool { keep_dims, .. } => {
            let channels = first.channels();
            match (first, keep_dims) {
                (Shape::Vector { .. }, _) => Err("expected a map or tokens, found a vector".into()),
                (Shape::Map { .. }, true) => Ok(Shape::Map { height: 1, width: 1, channels }),
                (Shape::Tokens { .. }, true) => Ok(Shape::Tokens { count: 1, width: channels }),
                (_, false) => Ok(Shape::Vector { len: channels }),
            }
        }
        Op::Add { .. } => rest.iter().try_fold(first, |sum, &next| same(sum, next)),
        Op::Multiply => rest.iter().try_fold(first, |product, &next| match next {
            Shape::Map { height: 1, width: 1, channels }
                if matches!(product, Shape::Map { .. }) && channels == product.channels() =>
            {
                Ok(product)
            }
            _ => same(product, next),
        }),
        Op::Concat => rest.iter().try_fold(first, |joined, &next| {
            let channels = joined.channels().saturating_add(next.channels());
            same(joined, next.with_channels(joined.channels()))?;
            Ok(joined.with_channels(channels))
        }),
        Op::Pad(pad) => {
            let Shape::Map { height, width, channels } = first else {
                return Err(format!("expected a map, found {first}"));
            };
            let [top, left, bottom, right] = pad.resolve([height, width]);
            Ok(Shape::Map {
                height: height.saturating_add(top).saturating_add(bottom),
                width: width.saturating_add(left).saturating_add(right),
                channels,
            })
        }
        Op::Flatten => Ok(Shape::Vector { len: first.values() }),
        Op::Reshape(shape) if shape.values() == first.values() => Ok(*shape),
        Op::Reshape(shape) => Err(format!("cannot reshape {first} to {shape}")),
        Op::Dense(dense) => match first {
            Shape::Map { .. } => Err(format!("expected a vector or tokens, found {first}")),
            _ => Ok(first.with_channels(dense.units)),
        },
    }
}

/// The map that a window's outputs form.
fn slide(
    input: Shape,
    padding: Padding,
    window: &Window,
    channels: usize,
) -> Result<Shape, String> {
    let Shape::Map { height, width, .. } = input else {
        return Err(format!("expected a map, found {input}"));
    };
    let outputs = padding.outputs([height, width], window);
    let [height, width] = outputs.ok_or_else(|| {
        let [h, w] = window.size;
        format!("a window of {h}x{w} does not fit into a map of {height}x{width}")
    })?;
    Ok(Shape::Map { height, width, channels })
}

fn same(a: Shape, b: Shape) -> Result<Shape, String> {
    if a == b { Ok(a) } else { Err(format!("its inputs differ: {a} and {b}")) }
}
