//! Names of tensors against the state dicts of timm and torchvision.

use super::golden;
use crate::bases::{ALL, Source, Variant, find};
use std::collections::BTreeMap;

const TABLES: &[(&str, &str)] = golden!("state_dicts/":
    "timm_vgg16", "timm_vgg19", "timm_resnet50", "timm_inception_v3", "timm_inception_resnet_v2", "timm_xception",
    "timm_mobilenet", "timm_mobilenet_v2", "torchvision_vgg16", "torchvision_vgg19", "torchvision_resnet50",
    "torchvision_inception_v3", "torchvision_mobilenet_v2",
);

/// Tensors and shapes of a table; a module a line.
fn tensors(table: &str) -> BTreeMap<String, Vec<usize>> {
    let mut tensors = BTreeMap::new();
    for line in table.lines() {
        let (module, rest) = line.split_once('\t').unwrap();
        for tensor in rest.split(';') {
            let (name, dims) = tensor.split_once(' ').unwrap_or((tensor, ""));
            let dims = dims.split('x').filter(|n| !n.is_empty()).map(|n| n.parse().unwrap());
            tensors.insert(format!("{module}.{name}"), dims.collect());
        }
    }
    tensors
}

/// What no layer of the base has: counters, and the second classifier that torchvision's Inception trains with.
fn is_left_out(tensor: &str) -> bool {
    tensor.ends_with(".num_batches_tracked") || tensor.starts_with("AuxLogits.")
}

#[test]
fn every_variant_of_pytorch_has_a_table() {
    let mut count = 0;
    for definition in ALL {
        for variant in definition.variants.iter().filter(|v| v.source != Source::Keras) {
            let name = format!("{}_{}", variant.source.name(), definition.name.replace('-', "_"));
            assert!(TABLES.iter().any(|(table, _)| *table == name), "{name}");
            count += 1;
        }
    }
    assert_eq!(count, TABLES.len());
}

#[test]
fn every_parameter_is_a_tensor_of_the_right_shape_and_none_is_left_over() {
    for (name, table) in TABLES {
        let (library, base) = name.split_once('_').unwrap();
        let definition = find(base).unwrap();
        let is_it = |v: &&Variant| v.source.name() == library;
        let variant = definition.variants.iter().find(is_it).unwrap();
        let architecture = definition.architecture(true).unwrap();
        let mut architectures = architecture.variants.iter();
        let parameters = architectures.find(|v| v.name == variant.source.name()).unwrap();
        let mut left = tensors(table);
        for parameter in &parameters.parameters {
            let found = left.remove(&parameter.tensor);
            let found = found.unwrap_or_else(|| panic!("{name}: no tensor {}", parameter.tensor));
            assert!(
                weights::fits_state_dict(parameter, &found),
                "{name}: {parameter:?} is {found:?}"
            );
        }
        left.retain(|tensor, _| !is_left_out(tensor));
        assert!(left.is_empty(), "{name}: left over {left:?}");
    }
}
