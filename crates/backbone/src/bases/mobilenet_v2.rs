//! MobileNetV2: Sandler et al. 2018 (arXiv:1801.04381), in six widths.

use super::definition::{Definition, INPUT, predictions};
use super::variant::{Filter, KerasFile, Options, Source, Variant};
use graph::{Activation, Builder, Conv, Depthwise, NodeId, Op, Pad, Padding, PoolKind, Window};
use weights::PreprocessHint::{Tf, Torch};

/// Keras's files of a width, trained at 224 pixels; others are of 96, 128, 160 and 192. Its source has no hashes for them.
macro_rules! keras {
    ($alpha:literal) => {
        Variant::keras(
            &[
                KerasFile {
                    name: concat!(
                        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_",
                        $alpha,
                        "_224.h5"
                    ),
                    md5: None,
                },
                KerasFile {
                    name: concat!(
                        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_",
                        $alpha,
                        "_224_no_top.h5"
                    ),
                    md5: None,
                },
            ],
            Tf,
            1e-3,
        )
    };
}

pub(super) const MOBILENET_V2: Definition = Definition::of_width(
    "mobilenet-v2",
    1.0,
    &[
        Variant::torch(Source::Timm, &["timm/mobilenetv2_100.ra_in1k"], Torch, 1e-5)
            .view(256, Filter::Bicubic),
        Variant::torch(
            Source::Torchvision,
            &["mobilenet_v2-b0353104.pth", "mobilenet_v2-7ebf99e0.pth"],
            Torch,
            1e-5,
        ),
        keras!("1.0"),
    ],
    build,
);
pub(super) const MOBILENET_V2_140: Definition =
    Definition::of_width("mobilenet-v2-1.4", 1.4, &[keras!("1.4")], build);
pub(super) const MOBILENET_V2_130: Definition =
    Definition::of_width("mobilenet-v2-1.3", 1.3, &[keras!("1.3")], build);
pub(super) const MOBILENET_V2_075: Definition =
    Definition::of_width("mobilenet-v2-0.75", 0.75, &[keras!("0.75")], build);
pub(super) const MOBILENET_V2_050: Definition =
    Definition::of_width("mobilenet-v2-0.5", 0.5, &[keras!("0.5")], build);
pub(super) const MOBILENET_V2_035: Definition =
    Definition::of_width("mobilenet-v2-0.35", 0.35, &[keras!("0.35")], build);

/// Blocks of one stage: how many, filters at width 1, stride of the first, and by how much a block widens its input.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (2, 24, 2, 6),
    (3, 32, 2, 6),
    (4, 64, 2, 6),
    (3, 96, 1, 6),
    (3, 160, 2, 6),
    (1, 320, 1, 6),
];

/// The nearest multiple of 8, at least 8 and no more than a tenth below `filters`, as in the authors' code.
fn divisible_by_8(filters: f64) -> usize {
    let rounded = (((filters + 4.0) as usize) / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * filters { rounded + 8 } else { rounded }
}

fn build(builder: &mut Builder, options: &Options) -> NodeId {
    let torchvision = options.variant.source == Source::Torchvision;
    let pick = |tv: &'static str, timm: &'static str| if torchvision { tv } else { timm };
    let mut x = builder.input(INPUT, 3);
    let mut channels = divisible_by_8(32.0 * options.alpha);
    let stem = Conv::new(channels, [3, 3]).stride(2).padding(options.strided(3));
    x = builder.add("Conv1", Op::Conv(stem.bias(false)), &[x]);
    options.tensors(builder, x, pick("features.0.0", "conv_stem"));
    x = builder.add("bn_Conv1", options.norm(true), &[x]);
    options.tensors(builder, x, pick("features.0.1", "bn1"));
    x = builder.add("Conv1_relu", Op::Act(Activation::Relu6), &[x]);
    let mut number = 0;
    for (stage, (blocks, filters, stride, expansion)) in STAGES.into_iter().enumerate() {
        for index in 0..blocks {
            let block = Block {
                number,
                place: [stage, index],
                channels,
                filters: divisible_by_8((filters as f64 * options.alpha).floor()),
                stride: if index == 0 { stride } else { 1 },
                expansion,
            };
            x = block.build(builder, options, x);
            channels = block.filters;
            number += 1;
        }
    }
    // A narrow network keeps its last layer wide.
    let last = divisible_by_8(1280.0 * options.alpha.max(1.0));
    x = builder.add("Conv_1", Op::Conv(Conv::new(last, [1, 1]).bias(false)), &[x]);
    options.tensors(builder, x, pick("features.18.0", "conv_head"));
    x = builder.add("Conv_1_bn", options.norm(true), &[x]);
    options.tensors(builder, x, pick("features.18.1", "bn2"));
    x = builder.add("out_relu", Op::Act(Activation::Relu6), &[x]);
    if !options.include_top {
        return x;
    }
    let pool = Op::GlobalPool { kind: PoolKind::Avg, keep_dims: false };
    x = builder.add_unnamed(pool, &[x]);
    predictions(builder, options, x, pick("classifier.1", "classifier"))
}

/// An inverted residual block: widen by 1×1, depthwise 3×3, narrow by 1×1 without activation.
struct Block {
    /// From 0.
    number: usize,
    /// Stage, and place in the stage.
    place: [usize; 2],
    /// Channels in.
    channels: usize,
    /// Channels out.
    filters: usize,
    stride: usize,
    /// By how much the input is widened; 1 leaves that step out.
    expansion: usize,
}

impl Block {
    fn build(&self, builder: &mut Builder, options: &Options, input: NodeId) -> NodeId {
        let name = match self.number {
            0 => "expanded_conv".to_owned(),
            n => format!("block_{n}"),
        };
        let mut x = input;
        if self.expansion > 1 {
            let expand = Conv::new(self.expansion * self.channels, [1, 1]).padding(Padding::Same);
            let expand = Op::Conv(expand.bias(false));
            x = self.step(builder, options, x, &format!("{name}_expand"), expand, Step::Expand);
            x = builder.add(format!("{name}_expand_relu"), Op::Act(Activation::Relu6), &[x]);
        }
        let depthwise = if self.stride > 1 {
            let pad = if options.is_torch() {
                Pad::Fixed([1; 4])
            } else {
                Pad::SameFor(Window::new([3, 3], [self.stride; 2]))
            };
            x = builder.add(format!("{name}_pad"), Op::Pad(pad), &[x]);
            Depthwise::new([3, 3], self.stride, Padding::Valid)
        } else {
            Depthwise::new([3, 3], 1, Padding::Same)
        };
        let depthwise = Op::Depthwise(depthwise);
        let depthwise_name = format!("{name}_depthwise");
        x = self.step(builder, options, x, &depthwise_name, depthwise, Step::Depthwise);
        x = builder.add(format!("{name}_depthwise_relu"), Op::Act(Activation::Relu6), &[x]);
        let project = Conv::new(self.filters, [1, 1]).padding(Padding::Same);
        let project = Op::Conv(project.bias(false));
        x = self.step(builder, options, x, &format!("{name}_project"), project, Step::Project);
        if self.stride == 1 && self.channels == self.filters {
            x = builder.add(format!("{name}_add"), Op::Add { scale: None }, &[input, x]);
        }
        x
    }

    /// A convolution and its batch normalisation.
    fn step(
        &self,
        builder: &mut Builder,
        options: &Options,
        x: NodeId,
        name: &str,
        conv: Op,
        step: Step,
    ) -> NodeId {
        let [conv_tensors, norm_tensors] = self.tensors(options.variant.source, step);
        let x = builder.add(name, conv, &[x]);
        options.tensors(builder, x, conv_tensors);
        let x = builder.add(format!("{name}_BN"), options.norm(true), &[x]);
        options.tensors(builder, x, norm_tensors);
        x
    }

    /// Names in the state dict of a convolution and its batch normalisation.
    fn tensors(&self, source: Source, step: Step) -> [String; 2] {
        // The first block has no widening, so what follows counts from one less.
        let position = step as usize - usize::from(self.expansion == 1);
        if source == Source::Torchvision {
            let prefix = format!("features.{}.conv", self.number + 1);
            return match step {
                // Convolution, normalisation and ReLU6 are one module; the last convolution has no ReLU6, so no module.
                Step::Expand | Step::Depthwise => {
                    [format!("{prefix}.{position}.0"), format!("{prefix}.{position}.1")]
                }
                Step::Project => {
                    [format!("{prefix}.{position}"), format!("{prefix}.{}", position + 1)]
                }
            };
        }
        let [stage, index] = self.place;
        let conv = match (step, self.expansion) {
            (Step::Depthwise, _) => "conv_dw",
            (Step::Expand, _) | (Step::Project, 1) => "conv_pw",
            (Step::Project, _) => "conv_pwl",
        };
        let prefix = format!("blocks.{stage}.{index}");
        [format!("{prefix}.{conv}"), format!("{prefix}.bn{}", position + 1)]
    }
}

/// The convolutions of a block, in order.
#[derive(Clone, Copy)]
enum Step {
    Expand,
    Depthwise,
    Project,
}

#[cfg(test)]
mod tests {
    use super::divisible_by_8;

    #[test]
    fn widths_are_multiples_of_8_and_not_much_too_small() {
        let rounded = [3.0, 11.2, 12.0, 33.6, 44.8, 1664.0].map(divisible_by_8);
        assert_eq!(rounded, [8, 16, 16, 32, 48, 1664]);
    }
}
