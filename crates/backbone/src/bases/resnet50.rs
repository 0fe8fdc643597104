//! ResNet50: He et al. 2015 (arXiv:1512.03385). Keras has the paper's form, v1; timm and torchvision have v1.5, whose stride
//! is on the 3×3 convolution of a block instead of the first 1×1, and whose convolutions have no bias.

use super::definition::{Definition, INPUT, predictions};
use super::variant::{KerasFile, Options, Source, Variant};
use graph::{Activation, Builder, Conv, NodeId, Op, Pad, Padding, Pool, PoolKind};
use weights::PreprocessHint::{Caffe, Torch};

pub(super) const RESNET50: Definition = Definition {
    name: "resnet50",
    alpha: 1.0,
    default_size: 224,
    top_size: 224,
    least_size: 32,
    licence: "BSD-3-Clause",
    variants: &[
        Variant::torch(
            Source::Timm,
            &["timm/resnet50.tv_in1k", "timm/resnet50.a1_in1k"],
            Torch,
            1e-5,
        ),
        Variant::torch(
            Source::Torchvision,
            &["resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth"],
            Torch,
            1e-5,
        ),
        Variant::keras(
            &[
                KerasFile {
                    name: "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
                    md5: Some("2cb95161c43110f7111970584f804107"),
                },
                KerasFile {
                    name: "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
                    md5: Some("4d473c1dd8becc155b73f8504c6f6626"),
                },
            ],
            Caffe,
            1.001e-5,
        ),
    ],
    build,
};

fn build(builder: &mut Builder, options: &Options) -> NodeId {
    let mut x = builder.input(INPUT, 3);
    x = builder.add("conv1_pad", Op::Pad(Pad::Fixed([3; 4])), &[x]);
    let stem = Conv::new(64, [7, 7]).stride(2);
    x = conv_norm(builder, options, "conv1", ["conv1", "bn1"], stem, x);
    x = relu(builder, "conv1_relu", x);
    x = builder.add("pool1_pad", Op::Pad(Pad::Fixed([1; 4])), &[x]);
    x = builder.add("pool1_pool", Op::Pool(Pool::max([3, 3], [2, 2])), &[x]);
    for (stage, (filters, blocks)) in (1..).zip([(64, 3), (128, 4), (256, 6), (512, 3)]) {
        for index in 0..blocks {
            let stride = if stage > 1 && index == 0 { 2 } else { 1 };
            let block = Block { stage, index, filters, stride };
            x = block.build(builder, options, x);
        }
    }
    if !options.include_top {
        return x;
    }
    let pool = Op::GlobalPool { kind: PoolKind::Avg, keep_dims: false };
    x = builder.add("avg_pool", pool, &[x]);
    predictions(builder, options, x, "fc")
}

/// A bottleneck block: 1×1, 3×3 and 1×1 convolutions beside a shortcut.
struct Block {
    /// From 1, as PyTorch counts; Keras counts the stem as the first.
    stage: usize,
    /// Within its stage, from 0.
    index: usize,
    filters: usize,
    stride: usize,
}

impl Block {
    fn build(&self, builder: &mut Builder, options: &Options, input: NodeId) -> NodeId {
        let name = format!("conv{}_block{}", self.stage + 1, self.index + 1);
        let torch = format!("layer{}.{}", self.stage, self.index);
        let (strides, same) = if options.is_torch() {
            ([1, self.stride], options.strided(3))
        } else {
            ([self.stride, 1], Padding::Same)
        };
        // The first block of a stage changes the number of channels, so its shortcut is a convolution.
        let shortcut = if self.index == 0 {
            let conv = Conv::new(4 * self.filters, [1, 1]).stride(self.stride);
            let tensors = [format!("{torch}.downsample.0"), format!("{torch}.downsample.1")];
            conv_norm(builder, options, &format!("{name}_0"), tensors, conv, input)
        } else {
            input
        };
        let convs = [
            Conv::new(self.filters, [1, 1]).stride(strides[0]),
            Conv::new(self.filters, [3, 3]).stride(strides[1]).padding(same),
            Conv::new(4 * self.filters, [1, 1]),
        ];
        let mut x = input;
        for (number, conv) in (1..).zip(convs) {
            let name = format!("{name}_{number}");
            let tensors = [format!("{torch}.conv{number}"), format!("{torch}.bn{number}")];
            x = conv_norm(builder, options, &name, tensors, conv, x);
            if number < 3 {
                x = relu(builder, &format!("{name}_relu"), x);
            }
        }
        x = builder.add(format!("{name}_add"), Op::Add { scale: None }, &[shortcut, x]);
        relu(builder, &format!("{name}_out"), x)
    }
}

fn conv_norm(
    builder: &mut Builder,
    options: &Options,
    name: &str,
    [conv_tensors, norm_tensors]: [impl Into<String>; 2],
    conv: Conv,
    x: NodeId,
) -> NodeId {
    let conv = conv.bias(!options.is_torch());
    let x = builder.add(format!("{name}_conv"), Op::Conv(conv), &[x]);
    options.tensors(builder, x, conv_tensors);
    let x = builder.add(format!("{name}_bn"), options.norm(true), &[x]);
    options.tensors(builder, x, norm_tensors);
    x
}

fn relu(builder: &mut Builder, name: &str, x: NodeId) -> NodeId {
    builder.add(name, Op::Act(Activation::Relu), &[x])
}
