//! MobileNet: Howard et al. 2017 (arXiv:1704.04861), in four widths.

use super::definition::{Definition, INPUT};
use super::variant::{Filter, KerasFile, Options, Source, Variant};
use graph::{Activation, Builder, Conv, Depthwise, NodeId, Op, Pad, Padding, PoolKind, Shape};
use weights::PreprocessHint::Tf;

pub(super) const MOBILENET: Definition = Definition::of_width(
    "mobilenet",
    1.0,
    &[
        Variant::torch(Source::Timm, &["timm/mobilenetv1_100.ra4_e3600_r224_in1k"], Tf, 1e-5)
            .view(256, Filter::Bicubic),
        Variant::keras(
            &[file("mobilenet_1_0_224_tf.h5"), file("mobilenet_1_0_224_tf_no_top.h5")],
            Tf,
            1e-3,
        ),
    ],
    build,
);
pub(super) const MOBILENET_075: Definition = Definition::of_width(
    "mobilenet-0.75",
    0.75,
    &[Variant::keras(
        &[file("mobilenet_7_5_224_tf.h5"), file("mobilenet_7_5_224_tf_no_top.h5")],
        Tf,
        1e-3,
    )],
    build,
);
pub(super) const MOBILENET_050: Definition = Definition::of_width(
    "mobilenet-0.5",
    0.5,
    &[Variant::keras(
        &[file("mobilenet_5_0_224_tf.h5"), file("mobilenet_5_0_224_tf_no_top.h5")],
        Tf,
        1e-3,
    )],
    build,
);
pub(super) const MOBILENET_025: Definition = Definition::of_width(
    "mobilenet-0.25",
    0.25,
    &[Variant::keras(
        &[file("mobilenet_2_5_224_tf.h5"), file("mobilenet_2_5_224_tf_no_top.h5")],
        Tf,
        1e-3,
    )],
    build,
);

/// Keras's source has no hash for these. It has more of them, trained at 128, 160 and 192 pixels.
const fn file(name: &'static str) -> KerasFile {
    KerasFile { name, md5: None }
}

/// Filters of each block at width 1, and whether it halves the map.
const BLOCKS: [(usize, bool); 13] = [
    (64, false),
    (128, true),
    (128, false),
    (256, true),
    (256, false),
    (512, true),
    (512, false),
    (512, false),
    (512, false),
    (512, false),
    (512, false),
    (1024, true),
    (1024, false),
];

fn build(builder: &mut Builder, options: &Options) -> NodeId {
    let scaled = |filters: usize| (filters as f64 * options.alpha) as usize;
    let mut x = builder.input(INPUT, 3);
    let stem = Conv::new(scaled(32), [3, 3]).stride(2).padding(options.strided(3));
    x = builder.add("conv1", Op::Conv(stem.bias(false)), &[x]);
    options.tensors(builder, x, "conv_stem");
    x = norm_relu(builder, options, x, "conv1", "bn1");
    // timm counts stages by map size, and blocks within a stage.
    let (mut stage, mut block) = (0, 0);
    for (number, (filters, halve)) in (1..).zip(BLOCKS) {
        (stage, block) = match (number, halve) {
            (1, _) => (0, 0),
            (2, _) | (_, true) => (stage + 1, 0),
            (_, false) => (stage, block + 1),
        };
        let torch = format!("blocks.{stage}.{block}");
        let depthwise = if halve {
            // Keras pads below and to the right, whatever the size; PyTorch on all sides.
            let sides = if options.is_torch() { [1; 4] } else { [0, 0, 1, 1] };
            x = builder.add(format!("conv_pad_{number}"), Op::Pad(Pad::Fixed(sides)), &[x]);
            Depthwise::new([3, 3], 2, Padding::Valid)
        } else {
            Depthwise::new([3, 3], 1, Padding::Same)
        };
        let name = format!("conv_dw_{number}");
        x = builder.add(name.as_str(), Op::Depthwise(depthwise), &[x]);
        options.tensors(builder, x, format!("{torch}.conv_dw"));
        x = norm_relu(builder, options, x, &name, &format!("{torch}.bn1"));
        let name = format!("conv_pw_{number}");
        let pointwise = Conv::new(scaled(filters), [1, 1]).padding(Padding::Same).bias(false);
        x = builder.add(name.as_str(), Op::Conv(pointwise), &[x]);
        options.tensors(builder, x, format!("{torch}.conv_pw"));
        x = norm_relu(builder, options, x, &name, &format!("{torch}.bn2"));
    }
    if !options.include_top {
        return x;
    }
    let pool = Op::GlobalPool { kind: PoolKind::Avg, keep_dims: true };
    x = builder.add_unnamed(pool, &[x]);
    x = builder.add("dropout", Op::Dropout { rate: 0.001 }, &[x]);
    let last = Conv::new(options.classes, [1, 1]).padding(Padding::Same);
    x = builder.add("conv_preds", Op::Conv(last), &[x]);
    options.tensors(builder, x, "classifier");
    x = builder.add("reshape_2", Op::Reshape(Shape::Vector { len: options.classes }), &[x]);
    builder.add("predictions", Op::Act(Activation::Softmax), &[x])
}

fn norm_relu(
    builder: &mut Builder,
    options: &Options,
    x: NodeId,
    name: &str,
    tensors: &str,
) -> NodeId {
    let x = builder.add(format!("{name}_bn"), options.norm(true), &[x]);
    options.tensors(builder, x, tensors);
    builder.add(format!("{name}_relu"), Op::Act(Activation::Relu6), &[x])
}
