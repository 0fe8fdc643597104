//! VGG16 and VGG19: Simonyan and Zisserman 2014 (arXiv:1409.1556), configurations D and E.

use super::definition::{Definition, INPUT, predictions};
use super::variant::{KerasFile, Options, Source, Variant};
use graph::{Activation, Builder, Conv, Dense, NodeId, Op, Padding, Pool};
use weights::PreprocessHint::{Caffe, Torch};

/// Thirteen convolutions.
pub(super) const VGG16: Definition = Definition {
    name: "vgg16",
    alpha: 1.0,
    // The lesson's.
    default_size: 150,
    top_size: 224,
    least_size: 32,
    licence: "BSD-3-Clause",
    variants: &[
        Variant::torch(Source::Timm, &["timm/vgg16.tv_in1k"], Torch, 0.0),
        Variant::torch(Source::Torchvision, &["vgg16-397923af.pth"], Torch, 0.0),
        Variant::keras(
            &[
                KerasFile {
                    name: "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
                    md5: Some("64373286793e3c8b2b4e3219cbf3544b"),
                },
                KerasFile {
                    name: "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
                    md5: Some("6d6bbae143d832006294945121d1f1fc"),
                },
            ],
            Caffe,
            0.0,
        ),
    ],
    build: |builder, options| build(builder, options, [2, 2, 3, 3, 3]),
};

/// Sixteen convolutions.
pub(super) const VGG19: Definition = Definition {
    name: "vgg19",
    alpha: 1.0,
    default_size: 224,
    top_size: 224,
    least_size: 32,
    licence: "BSD-3-Clause",
    variants: &[
        Variant::torch(Source::Timm, &["timm/vgg19.tv_in1k"], Torch, 0.0),
        Variant::torch(Source::Torchvision, &["vgg19-dcbb9e9d.pth"], Torch, 0.0),
        Variant::keras(
            &[
                KerasFile {
                    name: "vgg19_weights_tf_dim_ordering_tf_kernels.h5",
                    md5: Some("cbe5617147190e668d6c5d5026f83318"),
                },
                KerasFile {
                    name: "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
                    md5: Some("253f8cb515780f3b799900260a226db6"),
                },
            ],
            Caffe,
            0.0,
        ),
    ],
    build: |builder, options| build(builder, options, [2, 2, 4, 4, 4]),
};

/// `convolutions` counts those of each block.
fn build(builder: &mut Builder, options: &Options, convolutions: [usize; 5]) -> NodeId {
    let mut x = builder.input(INPUT, 3);
    // PyTorch counts the ReLU after each convolution, and each pool, as a layer of its own.
    let mut torch_index = 0;
    for (block, (count, filters)) in
        (1..).zip(convolutions.into_iter().zip([64, 128, 256, 512, 512]))
    {
        for conv in 1..=count {
            let op = Conv::new(filters, [3, 3]).padding(Padding::Same).activation(Activation::Relu);
            x = builder.add(format!("block{block}_conv{conv}"), Op::Conv(op), &[x]);
            // Every variant has the same layers, so equal weights get equal names, and equal digests, whoever's they are.
            builder.name_tensors(x, format!("features.{torch_index}"));
            torch_index += 2;
        }
        let pool = Op::Pool(Pool::max([2, 2], [2, 2]));
        x = builder.add(format!("block{block}_pool"), pool, &[x]);
        torch_index += 1;
    }
    if !options.include_top {
        return x;
    }
    let [fc1, fc2, last] = if options.variant.source == Source::Timm {
        ["pre_logits.fc1", "pre_logits.fc2", "head.fc"]
    } else {
        ["classifier.0", "classifier.3", "classifier.6"]
    };
    x = builder.add("flatten", Op::Flatten, &[x]);
    for (name, tensors) in [("fc1", fc1), ("fc2", fc2)] {
        let dense = Dense { units: 4096, bias: true, activation: Some(Activation::Relu) };
        x = builder.add(name, Op::Dense(dense), &[x]);
        builder.name_tensors(x, tensors);
    }
    let x = predictions(builder, options, x, last);
    builder.name_tensors(x, last);
    x
}
