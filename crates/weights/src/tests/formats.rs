//! Every format gives the same tensors, bit by bit.

use std::io::Cursor;

use graph::Role;

use super::*;
use crate::format::FormatError;
use crate::source::{local, random};
use crate::{PreprocessHint, Weights};

fn read(name: &str) -> Result<Weights, FormatError> {
    local::read_file(&golden(name), name, name.to_owned(), &architecture())
}

#[track_caller]
fn assert_equals(name: &str, preprocess: PreprocessHint) {
    let weights = read(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    let file = if preprocess == PreprocessHint::Torch {
        "canonical.safetensors"
    } else {
        "canonical_caffe.safetensors"
    };
    let expected = golden_bytes(file);
    assert_eq!(weights.preprocess, preprocess, "{name}");
    assert!(canonical_bytes(&weights) == expected, "{name}: other tensors than {file}");
    assert_eq!(weights.sha256, sha256(&expected), "{name}");
}

#[test]
fn torchvision_names_in_every_format_and_precision() {
    let files = [
        "torch.safetensors",
        "torch_module_f16.safetensors",
        "torch_bf16.safetensors",
        "torch_f64.safetensors",
        "torch.npz",
        "torch_fortran.npz",
        "torch.pth",
        "torch_legacy.pth",
        "torch_wrapped_f16.pth",
        "canonical.safetensors",
    ];
    files.iter().for_each(|f| assert_equals(f, PreprocessHint::Torch));
}

#[test]
fn keras_names_in_every_format_and_group_structure() {
    let files = [
        "keras.safetensors",
        "keras.npz",
        "keras_1.h5",
        "keras_2.h5",
        "keras_2_model_chunked.h5",
        "keras_2_latest.h5",
        "keras_2_v110_chunked.h5",
        "keras_3.weights.h5",
        "keras_3_model.h5",
        "keras_3_nested.weights.h5",
        "canonical_caffe.safetensors",
    ];
    files.iter().for_each(|f| assert_equals(f, PreprocessHint::Caffe));
}

#[test]
fn flax_pickles_of_every_protocol() {
    for protocol in 2..=5 {
        assert_equals(&format!("flax_p{protocol}.ckpt"), PreprocessHint::Torch);
    }
}

#[test]
fn accessors_give_kernels_and_biases_by_keras_name() {
    let weights = read("torch.pth").expect("golden");
    let shape = |node: &str, role| weights.get(node, role).map(|t| t.shape.clone());
    assert_eq!(shape("block1_conv2", Role::Kernel), Some(vec![5, 4, 3, 3]));
    assert_eq!(shape("block1_conv1", Role::Bias), Some(vec![4]));
    assert!(shape("block9_conv1", Role::Kernel).is_none());
    assert!(shape("block1_conv1", Role::Gamma).is_none());
    assert_eq!(weights.iter().count(), 4);
}

#[test]
fn random_weights_are_those_of_the_python_in_the_documentation() {
    let tensors = random::tensors(7, &architecture().variants[0]);
    let weights = local::finish(tensors, "random:7", String::new(), "timm", PreprocessHint::Torch)
        .expect("memory");
    assert!(canonical_bytes(&weights) == golden_bytes("random_7.safetensors"));
}

#[test]
fn a_missing_layer_and_a_wrong_shape_are_named_together() {
    let mut wanted = architecture_of(&[
        ("block1_conv1", "features.0", 8),
        ("block1_conv2", "features.2", 5),
        ("block2_conv1", "features.5", 5),
    ]);
    // The second layer of the files takes 4 channels.
    for variant in &mut wanted.variants {
        variant.parameters[2].spec.shape[2] = 4;
    }
    let read = |name: &str| match local::read_file(&golden(name), name, String::new(), &wanted) {
        Err(FormatError::Architecture(text)) => text,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(
        read("torch.pth"),
        "features.0.weight: expected shape [8, 3, 3, 3], found [4, 3, 3, 3]; features.0.bias: expected shape [8], found [4]; \
         features.5.weight is missing; features.5.bias is missing"
    );
    assert!(
        read("keras_2.h5")
            .contains("block1_conv1_1/kernel:0: expected shape [3, 3, 3, 8], found [3, 3, 3, 4]"),
        "{}",
        read("keras_2.h5")
    );
    assert!(read("keras_2.h5").contains("block2_conv1/kernel is missing"));
    assert!(
        read("flax_p3.ckpt").contains("VGG16_0/Conv_2/kernel is missing"),
        "{}",
        read("flax_p3.ckpt")
    );
}

#[test]
fn a_file_of_other_tensors_says_what_it_holds() {
    let wanted = architecture_of(&[("xblock1_conv1", "xfeatures.0", 4)]);
    let error = local::read_file(&golden("torch.npz"), "", String::new(), &wanted)
        .expect_err("other names")
        .to_string();
    assert!(
        error.contains("expected xfeatures.0.weight (PyTorch)")
            && error.contains("classifier.0.bias"),
        "{error}"
    );
}

#[test]
fn kernels_in_theano_order_are_refused_not_misread() {
    let error = read("keras_1_theano.h5").map(drop).expect_err("Theano").to_string();
    assert!(error.contains("Theano's order"), "{error}");
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let mut bytes = golden_bytes("canonical.safetensors");
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = local::read(Box::new(Cursor::new(bytes)), "", String::new(), &architecture())
        .expect_err("NaN");
    assert_eq!(error.to_string(), "damaged: block1_conv2/kernel: value 179 is NaN");
}

#[test]
fn files_of_other_kinds_are_refused_with_their_kind() {
    let read = |bytes: &[u8]| {
        let input = Box::new(Cursor::new(bytes.to_vec()));
        local::read(input, "", String::new(), &architecture()).map(drop).unwrap_err().to_string()
    };
    assert!(read(b"").contains("empty"));
    assert!(read(b"<!doctype html><html>").contains("not a weight file of a known kind"));
    assert!(
        read(b"version https://git-lfs.github.com/spec/v1\noid sha256:1").contains("git lfs pull")
    );
    assert!(read(b"\x93NUMPY\x01\x00v\x00{'descr'").contains(".npz"));
    assert!(read(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03").contains("gzip"));
}
