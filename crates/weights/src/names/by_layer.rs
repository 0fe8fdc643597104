//! Keras's names of layers, in any of its group structures.

use std::collections::{BTreeSet, HashMap};

use super::{Found, MAX_NAME, Scheme};
use crate::Variant;
use crate::format::Entry;
use crate::layout::Layout;
use graph::Role;

/// Tensors with the name of a layer somewhere in theirs. Each name is looked at once, however many layers there are.
pub(super) fn scheme(entries: &[Entry], variant: &Variant) -> Scheme {
    let parameters = &variant.parameters;
    let mut layers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, parameter) in parameters.iter().enumerate() {
        layers.entry(parameter.spec.node.as_str()).or_default().push(i);
    }
    let mut found: Vec<Found> = parameters
        .iter()
        .map(|parameter| Found { name: parameter.spec.path(), entries: Vec::new() })
        .collect();
    for (i, entry) in entries.iter().enumerate().filter(|(_, e)| e.name.len() <= MAX_NAME) {
        let parts: Vec<&str> = entry.name.split(['/', '.']).collect();
        let Some(last) = parts.last() else { continue };
        let in_keras_1 = keras_1(last);
        let mut matching: BTreeSet<usize> = BTreeSet::new();
        for layer in parts.iter().filter_map(|part| layers.get(part)) {
            let roles = |p: &&usize| is_leaf(last, parameters[**p].spec.role);
            matching.extend(layer.iter().filter(roles).copied());
        }
        if let Some((layer, role)) = in_keras_1 {
            let layer = layers.get(layer).into_iter().flatten();
            matching.extend(layer.filter(|p| parameters[**p].spec.role == role).copied());
        }
        for p in matching {
            found[p].entries.push(i);
        }
    }
    Scheme { parameters: found, layout: Layout::OutLast }
}

/// Whether the last part of a name stands for the role.
fn is_leaf(last: &str, role: Role) -> bool {
    let last = last.strip_suffix(":0").unwrap_or(last);
    match role {
        // Keras 3 has one name for all kernels but those of separable layers.
        Role::DepthwiseKernel if last == "kernel" => true,
        Role::Kernel | Role::DepthwiseKernel if last == "weight" => true,
        _ => last == role.keras_name(),
    }
}

/// Keras 1: `block1_conv1_W_1:0` and `block1_conv1_b_1:0`, as the layer's name and the role.
fn keras_1(last: &str) -> Option<(&str, Role)> {
    let mut name = last.strip_suffix(":0").unwrap_or(last);
    if let Some((rest, number)) = name.rsplit_once('_')
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        name = rest;
    }
    let (layer, role) = name.rsplit_once('_')?;
    match role {
        "W" => Some((layer, Role::Kernel)),
        "b" => Some((layer, Role::Bias)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keras_1_names_end_with_a_letter_and_maybe_a_number() {
        assert_eq!(keras_1("block1_conv1_W_1:0"), Some(("block1_conv1", Role::Kernel)));
        assert_eq!(keras_1("block1_conv1_b"), Some(("block1_conv1", Role::Bias)));
        for other in ["block1_conv1_W_x:0", "block1_conv1_W_1_2:0", "block1_conv1", "W", ""] {
            assert!(keras_1(other).is_none_or(|(layer, _)| layer != "block1_conv1"), "{other}");
        }
    }
}
