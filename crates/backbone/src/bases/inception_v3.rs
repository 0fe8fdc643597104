//! Inception V3: Szegedy et al. 2015 (arXiv:1512.00567).
//!
//! Keras names few of its layers; the others are counted in the order in which this file writes them. Keras's batch
//! normalisation has no gamma, and its average pools leave padding out of the count; PyTorch's have one and count it.

use super::definition::{Definition, INPUT, predictions};
use super::variant::{Filter, KerasFile, Options, Source, Variant};
use graph::Padding::{Same, Valid};
use graph::{Activation, Builder, Conv, NodeId, Op, Padding, Pool, PoolKind};
use weights::PreprocessHint::Tf;

pub(super) const INCEPTION_V3: Definition = Definition {
    name: "inception-v3",
    alpha: 1.0,
    default_size: 299,
    top_size: 299,
    least_size: 75,
    licence: "Apache-2.0",
    variants: &[
        Variant::torch(Source::Timm, &["timm/inception_v3.tf_in1k"], Tf, 1e-3)
            .view(341, Filter::Bicubic),
        // torchvision's `transform_input` turns its own preprocessing into tf's before the first layer.
        Variant::torch(Source::Torchvision, &["inception_v3_google-0cc3c7bd.pth"], Tf, 1e-3)
            .view(342, Filter::Bilinear),
        Variant::keras(
            &[
                KerasFile {
                    name: "inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
                    md5: Some("9a0d58056eeedaa3f26cb7ebd46da564"),
                },
                KerasFile {
                    name: "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
                    md5: Some("bcbd6486424b2319ff4ef7d526e38f63"),
                },
            ],
            Tf,
            1e-3,
        ),
    ],
    build: |builder, options| Inception { builder, options }.build(),
};

struct Inception<'a> {
    builder: &'a mut Builder,
    options: &'a Options,
}

impl Inception<'_> {
    fn build(&mut self) -> NodeId {
        let mut x = self.builder.input(INPUT, 3);
        x = self.conv_at(x, 32, [3, 3], 2, Valid, "Conv2d_1a_3x3");
        x = self.conv_at(x, 32, [3, 3], 1, Valid, "Conv2d_2a_3x3");
        x = self.conv(x, 64, [3, 3], "Conv2d_2b_3x3");
        x = self.max_pool(x);
        x = self.conv_at(x, 80, [1, 1], 1, Valid, "Conv2d_3b_1x1");
        x = self.conv_at(x, 192, [3, 3], 1, Valid, "Conv2d_4a_3x3");
        x = self.max_pool(x);
        x = self.mixed_5(x, "mixed0", 32, "Mixed_5b");
        x = self.mixed_5(x, "mixed1", 64, "Mixed_5c");
        x = self.mixed_5(x, "mixed2", 64, "Mixed_5d");
        x = self.mixed_6a(x);
        x = self.mixed_6(x, "mixed4", 128, "Mixed_6b");
        x = self.mixed_6(x, "mixed5", 160, "Mixed_6c");
        x = self.mixed_6(x, "mixed6", 160, "Mixed_6d");
        x = self.mixed_6(x, "mixed7", 192, "Mixed_6e");
        x = self.mixed_7a(x);
        x = self.mixed_7(x, ["mixed9_0", "mixed9"], "Mixed_7b");
        x = self.mixed_7(x, ["mixed9_1", "mixed10"], "Mixed_7c");
        if !self.options.include_top {
            return x;
        }
        let pool = Op::GlobalPool { kind: PoolKind::Avg, keep_dims: false };
        x = self.builder.add("avg_pool", pool, &[x]);
        predictions(self.builder, self.options, x, "fc")
    }

    fn mixed_5(&mut self, x: NodeId, name: &str, pooled: usize, torch: &str) -> NodeId {
        let b1 = self.conv(x, 64, [1, 1], &format!("{torch}.branch1x1"));
        let b5 = self.conv(x, 48, [1, 1], &format!("{torch}.branch5x5_1"));
        let b5 = self.conv(b5, 64, [5, 5], &format!("{torch}.branch5x5_2"));
        let b3 = self.conv(x, 64, [1, 1], &format!("{torch}.branch3x3dbl_1"));
        let b3 = self.conv(b3, 96, [3, 3], &format!("{torch}.branch3x3dbl_2"));
        let b3 = self.conv(b3, 96, [3, 3], &format!("{torch}.branch3x3dbl_3"));
        let pool = self.pool_branch(x, pooled, torch);
        self.builder.add(name, Op::Concat, &[b1, b5, b3, pool])
    }

    /// Halves the map.
    fn mixed_6a(&mut self, x: NodeId) -> NodeId {
        let b3 = self.conv_at(x, 384, [3, 3], 2, Valid, "Mixed_6a.branch3x3");
        let dbl = self.conv(x, 64, [1, 1], "Mixed_6a.branch3x3dbl_1");
        let dbl = self.conv(dbl, 96, [3, 3], "Mixed_6a.branch3x3dbl_2");
        let dbl = self.conv_at(dbl, 96, [3, 3], 2, Valid, "Mixed_6a.branch3x3dbl_3");
        let pool = self.max_pool(x);
        self.builder.add("mixed3", Op::Concat, &[b3, dbl, pool])
    }

    fn mixed_6(&mut self, x: NodeId, name: &str, inner: usize, torch: &str) -> NodeId {
        let b1 = self.conv(x, 192, [1, 1], &format!("{torch}.branch1x1"));
        let mut b7 = self.conv(x, inner, [1, 1], &format!("{torch}.branch7x7_1"));
        b7 = self.conv(b7, inner, [1, 7], &format!("{torch}.branch7x7_2"));
        b7 = self.conv(b7, 192, [7, 1], &format!("{torch}.branch7x7_3"));
        let mut dbl = self.conv(x, inner, [1, 1], &format!("{torch}.branch7x7dbl_1"));
        dbl = self.conv(dbl, inner, [7, 1], &format!("{torch}.branch7x7dbl_2"));
        dbl = self.conv(dbl, inner, [1, 7], &format!("{torch}.branch7x7dbl_3"));
        dbl = self.conv(dbl, inner, [7, 1], &format!("{torch}.branch7x7dbl_4"));
        dbl = self.conv(dbl, 192, [1, 7], &format!("{torch}.branch7x7dbl_5"));
        let pool = self.pool_branch(x, 192, torch);
        self.builder.add(name, Op::Concat, &[b1, b7, dbl, pool])
    }

    /// Halves the map.
    fn mixed_7a(&mut self, x: NodeId) -> NodeId {
        let b3 = self.conv(x, 192, [1, 1], "Mixed_7a.branch3x3_1");
        let b3 = self.conv_at(b3, 320, [3, 3], 2, Valid, "Mixed_7a.branch3x3_2");
        let b7 = self.conv(x, 192, [1, 1], "Mixed_7a.branch7x7x3_1");
        let b7 = self.conv(b7, 192, [1, 7], "Mixed_7a.branch7x7x3_2");
        let b7 = self.conv(b7, 192, [7, 1], "Mixed_7a.branch7x7x3_3");
        let b7 = self.conv_at(b7, 192, [3, 3], 2, Valid, "Mixed_7a.branch7x7x3_4");
        let pool = self.max_pool(x);
        self.builder.add("mixed8", Op::Concat, &[b3, b7, pool])
    }

    fn mixed_7(&mut self, x: NodeId, [inner, name]: [&str; 2], torch: &str) -> NodeId {
        let b1 = self.conv(x, 320, [1, 1], &format!("{torch}.branch1x1"));
        let b3 = self.conv(x, 384, [1, 1], &format!("{torch}.branch3x3_1"));
        let wide = self.conv(b3, 384, [1, 3], &format!("{torch}.branch3x3_2a"));
        let tall = self.conv(b3, 384, [3, 1], &format!("{torch}.branch3x3_2b"));
        let b3 = self.builder.add(inner, Op::Concat, &[wide, tall]);
        let dbl = self.conv(x, 448, [1, 1], &format!("{torch}.branch3x3dbl_1"));
        let dbl = self.conv(dbl, 384, [3, 3], &format!("{torch}.branch3x3dbl_2"));
        let wide = self.conv(dbl, 384, [1, 3], &format!("{torch}.branch3x3dbl_3a"));
        let tall = self.conv(dbl, 384, [3, 1], &format!("{torch}.branch3x3dbl_3b"));
        let dbl = self.builder.add_unnamed(Op::Concat, &[wide, tall]);
        let pool = self.pool_branch(x, 192, torch);
        self.builder.add(name, Op::Concat, &[b1, b3, dbl, pool])
    }

    /// Average pool and 1×1 convolution.
    fn pool_branch(&mut self, x: NodeId, filters: usize, torch: &str) -> NodeId {
        let pool = Pool::avg([3, 3], [1, 1]).padding(Same).count_padding(self.options.is_torch());
        let x = self.builder.add_unnamed(Op::Pool(pool), &[x]);
        self.conv(x, filters, [1, 1], &format!("{torch}.branch_pool"))
    }

    fn max_pool(&mut self, x: NodeId) -> NodeId {
        self.builder.add_unnamed(Op::Pool(Pool::max([3, 3], [2, 2])), &[x])
    }

    fn conv(&mut self, x: NodeId, filters: usize, kernel: [usize; 2], torch: &str) -> NodeId {
        self.conv_at(x, filters, kernel, 1, Same, torch)
    }

    /// Convolution without bias, batch normalisation, ReLU.
    fn conv_at(
        &mut self,
        x: NodeId,
        filters: usize,
        kernel: [usize; 2],
        stride: usize,
        padding: Padding,
        torch: &str,
    ) -> NodeId {
        let conv = Conv::new(filters, kernel).stride(stride).padding(padding).bias(false);
        let x = self.builder.add_unnamed(Op::Conv(conv), &[x]);
        self.options.tensors(self.builder, x, format!("{torch}.conv"));
        let x = self.builder.add_unnamed(self.options.norm(self.options.is_torch()), &[x]);
        self.options.tensors(self.builder, x, format!("{torch}.bn"));
        self.builder.add_unnamed(Op::Act(Activation::Relu), &[x])
    }
}
