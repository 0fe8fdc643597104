//! Xception: Chollet 2016 (arXiv:1610.02357). ReLU comes before the convolutions of a block, not after.

use super::definition::{Definition, INPUT, predictions};
use super::variant::{Filter, KerasFile, Options, Source, Variant};
use graph::{Activation, Builder, Conv, Depthwise, NodeId, Op, Padding, Pool, PoolKind, Separable};
use weights::PreprocessHint::Tf;

pub(super) const XCEPTION: Definition = Definition {
    name: "xception",
    alpha: 1.0,
    default_size: 299,
    top_size: 299,
    least_size: 71,
    licence: "Apache-2.0",
    variants: &[
        // The hub has none; timm fetches this file by a URL.
        Variant::torch(Source::Timm, &["xception-43020ad28.pth"], Tf, 1e-5)
            .view(333, Filter::Bicubic),
        Variant::keras(
            &[
                KerasFile {
                    name: "xception_weights_tf_dim_ordering_tf_kernels.h5",
                    md5: Some("0a58e3b7378bc2990ea3b43d5981f1f6"),
                },
                KerasFile {
                    name: "xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
                    md5: Some("b0042744bf5b25fce3cb969f33bebb97"),
                },
            ],
            Tf,
            1e-3,
        ),
    ],
    build: |builder, options| Xception { builder, options }.build(),
};

struct Xception<'a> {
    builder: &'a mut Builder,
    options: &'a Options,
}

impl Xception<'_> {
    fn build(&mut self) -> NodeId {
        let mut x = self.builder.input(INPUT, 3);
        for (number, filters, stride) in [(1, 32, 2), (2, 64, 1)] {
            let name = format!("block1_conv{number}");
            let conv = Conv::new(filters, [3, 3]).stride(stride).bias(false);
            x = self.builder.add(name.as_str(), Op::Conv(conv), &[x]);
            self.options.tensors(self.builder, x, format!("conv{number}"));
            x = self.norm(x, &name, &format!("bn{number}"));
            x = self.relu(x, &name);
        }
        x = self.downsampling(x, 2, [128, 128]);
        x = self.downsampling(x, 3, [256, 256]);
        x = self.downsampling(x, 4, [728, 728]);
        for block in 5..=12 {
            x = self.middle(x, block);
        }
        x = self.downsampling(x, 13, [728, 1024]);
        for (number, filters) in [(1, 1536), (2, 2048)] {
            let name = format!("block14_sepconv{number}");
            let torch = number + 2;
            x = self.separable(x, &name, filters, [format!("conv{torch}"), format!("bn{torch}")]);
            x = self.relu(x, &name);
        }
        if !self.options.include_top {
            return x;
        }
        let pool = Op::GlobalPool { kind: PoolKind::Avg, keep_dims: false };
        x = self.builder.add("avg_pool", pool, &[x]);
        predictions(self.builder, self.options, x, "fc")
    }

    /// Two separable convolutions and a max pool beside a strided 1×1 convolution: halves the map.
    fn downsampling(&mut self, input: NodeId, block: usize, filters: [usize; 2]) -> NodeId {
        let torch = format!("block{}", block - 1);
        let conv = Conv::new(filters[1], [1, 1]).stride(2).padding(Padding::Same).bias(false);
        let shortcut = self.builder.add_unnamed(Op::Conv(conv), &[input]);
        self.options.tensors(self.builder, shortcut, format!("{torch}.skip"));
        let shortcut = self.builder.add_unnamed(self.options.norm(true), &[shortcut]);
        self.options.tensors(self.builder, shortcut, format!("{torch}.skipbn"));
        let mut x = input;
        for (number, filters) in (1..).zip(filters) {
            // The first block follows a ReLU, so it has none at its start.
            let leading = block > 2;
            let name = format!("block{block}_sepconv{number}");
            if leading || number > 1 {
                x = self.relu(x, &name);
            }
            x = self.separable(x, &name, filters, rep(&torch, number, leading));
        }
        let pool = Pool::max([3, 3], [2, 2]).padding(self.options.strided(3));
        x = self.builder.add(format!("block{block}_pool"), Op::Pool(pool), &[x]);
        self.builder.add_unnamed(Op::Add { scale: None }, &[x, shortcut])
    }

    /// Three separable convolutions beside the identity.
    fn middle(&mut self, input: NodeId, block: usize) -> NodeId {
        let torch = format!("block{}", block - 1);
        let mut x = input;
        for number in 1..=3 {
            let name = format!("block{block}_sepconv{number}");
            x = self.relu(x, &name);
            x = self.separable(x, &name, 728, rep(&torch, number, true));
        }
        self.builder.add_unnamed(Op::Add { scale: None }, &[x, input])
    }

    /// Separable convolution and batch normalisation.
    fn separable(
        &mut self,
        x: NodeId,
        name: &str,
        filters: usize,
        [conv_tensors, norm_tensors]: [String; 2],
    ) -> NodeId {
        let depthwise = Depthwise::new([3, 3], 1, Padding::Same);
        let separable = Separable { filters, depthwise, bias: false };
        let x = self.builder.add(name, Op::Separable(separable), &[x]);
        self.options.tensors(self.builder, x, conv_tensors);
        self.norm(x, name, &norm_tensors)
    }

    fn norm(&mut self, x: NodeId, name: &str, tensors: &str) -> NodeId {
        let x = self.builder.add(format!("{name}_bn"), self.options.norm(true), &[x]);
        self.options.tensors(self.builder, x, tensors);
        x
    }

    fn relu(&mut self, x: NodeId, name: &str) -> NodeId {
        self.builder.add(format!("{name}_act"), Op::Act(Activation::Relu), &[x])
    }
}

/// timm's names of a block's `number`th convolution and its normalisation. A block is a sequence of (ReLU, convolution,
/// normalisation), the first ReLU being there or not.
fn rep(torch: &str, number: usize, leading_relu: bool) -> [String; 2] {
    let conv = 3 * (number - 1) + usize::from(leading_relu);
    [format!("{torch}.rep.{conv}"), format!("{torch}.rep.{}", conv + 1)]
}
