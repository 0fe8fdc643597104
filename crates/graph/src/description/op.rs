//! The operations of a description, by name and fields.

use super::field::Fields;
use crate::{
    Activation, Conv, Dense, Depthwise, Norm, Op, Pad, Padding, Pool, PoolKind, Separable,
};

/// Every operation with the fields that it takes.
pub(super) const OPS: &[(&str, &[&str])] = &[
    (
        "conv",
        &["filters", "kernel", "stride", "padding", "dilation", "groups", "bias", "activation"],
    ),
    ("depthwise-conv", &["kernel", "stride", "padding", "dilation", "multiplier", "bias"]),
    (
        "separable-conv",
        &["filters", "kernel", "stride", "padding", "dilation", "multiplier", "bias"],
    ),
    ("batch-norm", &["epsilon", "momentum", "center", "scale"]),
    ("activation", &["activation"]),
    ("max-pool", &["size", "stride", "padding"]),
    ("average-pool", &["size", "stride", "padding", "count-padding"]),
    ("global-max-pool", &["keep-dims"]),
    ("global-average-pool", &["keep-dims"]),
    ("add", &["scale"]),
    ("concat", &[]),
    ("multiply", &[]),
    ("pad", &["padding", "same-for"]),
    ("flatten", &[]),
    ("reshape", &["shape"]),
    ("dense", &["units", "bias", "activation"]),
    ("dropout", &["rate"]),
];

/// Takes an operation's fields. Names and numbers of `fields` have not been checked but for being those of [`OPS`].
pub(super) fn read(name: &str, fields: &mut Fields) -> Result<Op, String> {
    Ok(match name {
        "conv" => Op::Conv(Conv {
            filters: fields.required("filters")?,
            kernel: fields.required("kernel")?,
            stride: fields.or("stride", [1, 1])?,
            padding: fields.or("padding", Padding::Valid)?,
            groups: fields.or("groups", 1)?,
            dilation: fields.or("dilation", [1, 1])?,
            bias: fields.or("bias", true)?,
            activation: fields.optional("activation")?,
        }),
        "depthwise-conv" => {
            let bias = fields.or("bias", true)?;
            Op::Depthwise(Depthwise { bias, ..depthwise(fields)? })
        }
        "separable-conv" => Op::Separable(Separable {
            filters: fields.required("filters")?,
            depthwise: depthwise(fields)?,
            bias: fields.or("bias", true)?,
        }),
        "batch-norm" => {
            let Norm { epsilon, momentum, center, scale } = Norm::default();
            Op::Norm(Norm {
                epsilon: within("epsilon", fields.or("epsilon", epsilon)?, 0.0, 1.0)?,
                momentum: within("momentum", fields.or("momentum", momentum)?, 0.0, 1.0)?,
                center: fields.or("center", center)?,
                scale: fields.or("scale", scale)?,
            })
        }
        "activation" => Op::Act(fields.required("activation")?),
        "max-pool" => Op::Pool(pool(PoolKind::Max, fields)?),
        "average-pool" => Op::Pool(pool(PoolKind::Avg, fields)?),
        "global-max-pool" => {
            Op::GlobalPool { kind: PoolKind::Max, keep_dims: fields.or("keep-dims", false)? }
        }
        "global-average-pool" => {
            Op::GlobalPool { kind: PoolKind::Avg, keep_dims: fields.or("keep-dims", false)? }
        }
        "add" => Op::Add { scale: fields.optional("scale")? },
        "concat" => Op::Concat,
        "multiply" => Op::Multiply,
        "pad" => match (fields.optional("padding")?, fields.optional("same-for")?) {
            (Some(_), Some(_)) => return Err("expected padding or same-for, found both".to_owned()),
            (sides, None) => Op::Pad(Pad::Fixed(sides.unwrap_or([1; 4]))),
            (None, Some(window)) => Op::Pad(Pad::SameFor(window)),
        },
        "flatten" => Op::Flatten,
        "reshape" => Op::Reshape(fields.required("shape")?),
        "dense" => Op::Dense(Dense {
            units: fields.required("units")?,
            bias: fields.or("bias", true)?,
            activation: fields.optional::<Activation>("activation")?,
        }),
        "dropout" => Op::Dropout { rate: within("rate", fields.required("rate")?, 0.0, 1.0)? },
        _ => {
            let known: Vec<&str> = OPS.iter().map(|(name, _)| *name).collect();
            let found = util::visible(name);
            return Err(format!("unknown op '{found}'; expected one of {}", known.join(", ")));
        }
    })
}

/// A depthwise convolution without bias.
fn depthwise(fields: &mut Fields) -> Result<Depthwise, String> {
    Ok(Depthwise {
        multiplier: fields.or("multiplier", 1)?,
        kernel: fields.required("kernel")?,
        stride: fields.or("stride", [1, 1])?,
        padding: fields.or("padding", Padding::Valid)?,
        dilation: fields.or("dilation", [1, 1])?,
        bias: false,
    })
}

fn pool(kind: PoolKind, fields: &mut Fields) -> Result<Pool, String> {
    let size = fields.or("size", [2, 2])?;
    Ok(Pool {
        kind,
        size,
        stride: fields.or("stride", size)?,
        padding: fields.or("padding", Padding::Valid)?,
        count_padding: fields.or("count-padding", false)?,
    })
}

fn within(name: &str, number: f64, least: f64, below: f64) -> Result<f64, String> {
    if (least..below).contains(&number) {
        return Ok(number);
    }
    Err(format!("{name}: expected a number from {least} to below {below}, found {number}"))
}

/// An operation's name and the fields that don't have their defaults; `None` for an input, which is no layer.
pub(super) fn write(op: &Op, fields: &mut Fields) -> Option<&'static str> {
    Some(match op {
        Op::Input { .. } => return None,
        Op::Conv(conv) => {
            fields.put("filters", &conv.filters);
            fields.put("kernel", &conv.kernel);
            fields.put_unless("stride", &conv.stride, &[1, 1]);
            fields.put_unless("padding", &conv.padding, &Padding::Valid);
            fields.put_unless("dilation", &conv.dilation, &[1, 1]);
            fields.put_unless("groups", &conv.groups, &1);
            fields.put_unless("bias", &conv.bias, &true);
            fields.put_some("activation", conv.activation.as_ref());
            "conv"
        }
        Op::Depthwise(depthwise) => {
            put_depthwise(depthwise, fields);
            fields.put_unless("bias", &depthwise.bias, &true);
            "depthwise-conv"
        }
        Op::Separable(separable) => {
            fields.put("filters", &separable.filters);
            put_depthwise(&separable.depthwise, fields);
            fields.put_unless("bias", &separable.bias, &true);
            "separable-conv"
        }
        Op::Norm(norm) => {
            let usual = Norm::default();
            fields.put_unless("epsilon", &norm.epsilon, &usual.epsilon);
            fields.put_unless("momentum", &norm.momentum, &usual.momentum);
            fields.put_unless("center", &norm.center, &usual.center);
            fields.put_unless("scale", &norm.scale, &usual.scale);
            "batch-norm"
        }
        Op::Act(activation) => {
            fields.put("activation", activation);
            "activation"
        }
        Op::Pool(pool) => {
            fields.put_unless("size", &pool.size, &[2, 2]);
            fields.put_unless("stride", &pool.stride, &pool.size);
            fields.put_unless("padding", &pool.padding, &Padding::Valid);
            match pool.kind {
                PoolKind::Max => "max-pool",
                PoolKind::Avg => {
                    fields.put_unless("count-padding", &pool.count_padding, &false);
                    "average-pool"
                }
            }
        }
        Op::GlobalPool { kind, keep_dims } => {
            fields.put_unless("keep-dims", keep_dims, &false);
            match kind {
                PoolKind::Max => "global-max-pool",
                PoolKind::Avg => "global-average-pool",
            }
        }
        Op::Add { scale } => {
            fields.put_some("scale", scale.as_ref());
            "add"
        }
        Op::Concat => "concat",
        Op::Multiply => "multiply",
        Op::Pad(Pad::Fixed(sides)) => {
            fields.put_unless("padding", sides, &[1; 4]);
            "pad"
        }
        Op::Pad(Pad::SameFor(window)) => {
            fields.put("same-for", window);
            "pad"
        }
        Op::Flatten => "flatten",
        Op::Reshape(shape) => {
            fields.put("shape", shape);
            "reshape"
        }
        Op::Dense(dense) => {
            fields.put("units", &dense.units);
            fields.put_unless("bias", &dense.bias, &true);
            fields.put_some("activation", dense.activation.as_ref());
            "dense"
        }
        Op::Dropout { rate } => {
            fields.put("rate", rate);
            "dropout"
        }
    })
}

fn put_depthwise(depthwise: &Depthwise, fields: &mut Fields) {
    fields.put("kernel", &depthwise.kernel);
    fields.put_unless("stride", &depthwise.stride, &[1, 1]);
    fields.put_unless("padding", &depthwise.padding, &Padding::Valid);
    fields.put_unless("dilation", &depthwise.dilation, &[1, 1]);
    fields.put_unless("multiplier", &depthwise.multiplier, &1);
}
