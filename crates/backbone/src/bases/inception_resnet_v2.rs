//! Inception-ResNet V2: Szegedy et al. 2016 (arXiv:1602.07261).
//!
//! Keras names few of its layers; the others are counted in the order in which this file writes them. Its batch
//! normalisation has no gamma, timm's has one.

use super::definition::{Definition, INPUT, predictions};
use super::variant::{Filter, KerasFile, Options, Source, Variant};
use graph::Padding::{Same, Valid};
use graph::{Activation, Builder, Conv, NodeId, Op, Padding, Pool, PoolKind};
use weights::PreprocessHint::Tf;

pub(super) const INCEPTION_RESNET_V2: Definition = Definition {
    name: "inception-resnet-v2",
    alpha: 1.0,
    default_size: 299,
    top_size: 299,
    least_size: 75,
    licence: "Apache-2.0",
    variants: &[
        Variant::torch(Source::Timm, &["timm/inception_resnet_v2.tf_in1k"], Tf, 1e-3)
            .view(333, Filter::Bicubic),
        Variant::keras(
            &[
                KerasFile {
                    name: "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels.h5",
                    md5: Some("e693bd0210a403b3192acc6073ad2e96"),
                },
                KerasFile {
                    name: "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
                    md5: Some("d19885ff4a710c122648d3b5c3b684e4"),
                },
            ],
            Tf,
            1e-3,
        ),
    ],
    build: |builder, options| InceptionResnet { builder, options }.build(),
};

struct InceptionResnet<'a> {
    builder: &'a mut Builder,
    options: &'a Options,
}

/// One convolution of a branch: filters and kernel.
type Conv2d = (usize, [usize; 2]);

/// A kind of residual block.
struct Residual {
    /// Keras's name.
    name: &'static str,
    /// The first branch is one 1×1 convolution of so many filters.
    first: usize,
    /// The other branches.
    others: &'static [&'static [Conv2d]],
    /// Channels of the block's input and output.
    channels: usize,
}

const BLOCK35: Residual = Residual {
    name: "block35",
    first: 32,
    others: &[&[(32, [1, 1]), (32, [3, 3])], &[(32, [1, 1]), (48, [3, 3]), (64, [3, 3])]],
    channels: 320,
};
const BLOCK17: Residual = Residual {
    name: "block17",
    first: 192,
    others: &[&[(128, [1, 1]), (160, [1, 7]), (192, [7, 1])]],
    channels: 1088,
};
const BLOCK8: Residual = Residual {
    name: "block8",
    first: 192,
    others: &[&[(192, [1, 1]), (224, [1, 3]), (256, [3, 1])]],
    channels: 2080,
};

impl InceptionResnet<'_> {
    fn build(&mut self) -> NodeId {
        let mut x = self.builder.input(INPUT, 3);
        x = self.conv_at(x, (32, [3, 3]), 2, Valid, "conv2d_1a");
        x = self.conv_at(x, (32, [3, 3]), 1, Valid, "conv2d_2a");
        x = self.conv(x, (64, [3, 3]), "conv2d_2b");
        x = self.max_pool(x);
        x = self.conv_at(x, (80, [1, 1]), 1, Valid, "conv2d_3b");
        x = self.conv_at(x, (192, [3, 3]), 1, Valid, "conv2d_4a");
        x = self.max_pool(x);
        x = self.mixed_5b(x);
        for index in 1..=10 {
            x = self.residual(x, &BLOCK35, index, 0.17, &format!("repeat.{}", index - 1));
        }
        x = self.mixed_6a(x);
        for index in 1..=20 {
            x = self.residual(x, &BLOCK17, index, 0.1, &format!("repeat_1.{}", index - 1));
        }
        x = self.mixed_7a(x);
        for index in 1..=9 {
            x = self.residual(x, &BLOCK8, index, 0.2, &format!("repeat_2.{}", index - 1));
        }
        // The tenth is not scaled down and has no ReLU after it.
        x = self.sum(x, &BLOCK8, 10, 1.0, "block8");
        let last = Conv::new(1536, [1, 1]).padding(Same).bias(false);
        x = self.builder.add("conv_7b", Op::Conv(last), &[x]);
        self.options.tensors(self.builder, x, "conv2d_7b.conv");
        x = self.builder.add("conv_7b_bn", self.norm(), &[x]);
        self.options.tensors(self.builder, x, "conv2d_7b.bn");
        x = self.builder.add("conv_7b_ac", Op::Act(Activation::Relu), &[x]);
        if !self.options.include_top {
            return x;
        }
        let pool = Op::GlobalPool { kind: PoolKind::Avg, keep_dims: false };
        x = self.builder.add("avg_pool", pool, &[x]);
        predictions(self.builder, self.options, x, "classif")
    }

    fn mixed_5b(&mut self, x: NodeId) -> NodeId {
        let b0 = self.conv(x, (96, [1, 1]), "mixed_5b.branch0");
        let b1 = self.branch(x, &[(48, [1, 1]), (64, [5, 5])], "mixed_5b.branch1");
        let b2 = self.branch(x, &[(64, [1, 1]), (96, [3, 3]), (96, [3, 3])], "mixed_5b.branch2");
        let pool = Pool::avg([3, 3], [1, 1]).padding(Same);
        let pool = self.builder.add_unnamed(Op::Pool(pool), &[x]);
        let b3 = self.conv(pool, (64, [1, 1]), "mixed_5b.branch3.1");
        self.builder.add("mixed_5b", Op::Concat, &[b0, b1, b2, b3])
    }

    /// Halves the map.
    fn mixed_6a(&mut self, x: NodeId) -> NodeId {
        let b0 = self.conv_at(x, (384, [3, 3]), 2, Valid, "mixed_6a.branch0");
        let b1 = self.branch(x, &[(256, [1, 1]), (256, [3, 3])], "mixed_6a.branch1");
        let b1 = self.conv_at(b1, (384, [3, 3]), 2, Valid, "mixed_6a.branch1.2");
        let pool = self.max_pool(x);
        self.builder.add("mixed_6a", Op::Concat, &[b0, b1, pool])
    }

    /// Halves the map.
    fn mixed_7a(&mut self, x: NodeId) -> NodeId {
        let b0 = self.branch(x, &[(256, [1, 1])], "mixed_7a.branch0");
        let b0 = self.conv_at(b0, (384, [3, 3]), 2, Valid, "mixed_7a.branch0.1");
        let b1 = self.branch(x, &[(256, [1, 1])], "mixed_7a.branch1");
        let b1 = self.conv_at(b1, (288, [3, 3]), 2, Valid, "mixed_7a.branch1.1");
        let b2 = self.branch(x, &[(256, [1, 1]), (288, [3, 3])], "mixed_7a.branch2");
        let b2 = self.conv_at(b2, (320, [3, 3]), 2, Valid, "mixed_7a.branch2.2");
        let pool = self.max_pool(x);
        self.builder.add("mixed_7a", Op::Concat, &[b0, b1, b2, pool])
    }

    fn residual(
        &mut self,
        x: NodeId,
        block: &Residual,
        index: usize,
        scale: f64,
        torch: &str,
    ) -> NodeId {
        let sum = self.sum(x, block, index, scale, torch);
        let name = format!("{}_{index}_ac", block.name);
        self.builder.add(name, Op::Act(Activation::Relu), &[sum])
    }

    /// The input plus `scale` times what the branches make of it.
    fn sum(
        &mut self,
        x: NodeId,
        block: &Residual,
        index: usize,
        scale: f64,
        torch: &str,
    ) -> NodeId {
        let mut branches = vec![self.conv(x, (block.first, [1, 1]), &format!("{torch}.branch0"))];
        for (number, convs) in (1..).zip(block.others) {
            branches.push(self.branch(x, convs, &format!("{torch}.branch{number}")));
        }
        let name = format!("{}_{index}", block.name);
        let mixed = self.builder.add(format!("{name}_mixed"), Op::Concat, &branches);
        let up = Conv::new(block.channels, [1, 1]).padding(Same);
        let up = self.builder.add(format!("{name}_conv"), Op::Conv(up), &[mixed]);
        self.options.tensors(self.builder, up, format!("{torch}.conv2d"));
        self.builder.add_unnamed(Op::Add { scale: Some(scale) }, &[x, up])
    }

    fn branch(&mut self, x: NodeId, convs: &[Conv2d], torch: &str) -> NodeId {
        let numbered = (0..).zip(convs);
        numbered.fold(x, |x, (number, &conv)| self.conv(x, conv, &format!("{torch}.{number}")))
    }

    fn max_pool(&mut self, x: NodeId) -> NodeId {
        self.builder.add_unnamed(Op::Pool(Pool::max([3, 3], [2, 2])), &[x])
    }

    fn norm(&self) -> Op {
        self.options.norm(self.options.is_torch())
    }

    fn conv(&mut self, x: NodeId, conv: Conv2d, torch: &str) -> NodeId {
        self.conv_at(x, conv, 1, Same, torch)
    }

    /// Convolution without bias, batch normalisation, ReLU.
    fn conv_at(
        &mut self,
        x: NodeId,
        (filters, kernel): Conv2d,
        stride: usize,
        padding: Padding,
        torch: &str,
    ) -> NodeId {
        let conv = Conv::new(filters, kernel).stride(stride).padding(padding).bias(false);
        let x = self.builder.add_unnamed(Op::Conv(conv), &[x]);
        self.options.tensors(self.builder, x, format!("{torch}.conv"));
        let x = self.builder.add_unnamed(self.norm(), &[x]);
        self.options.tensors(self.builder, x, format!("{torch}.bn"));
        self.builder.add_unnamed(Op::Act(Activation::Relu), &[x])
    }
}
