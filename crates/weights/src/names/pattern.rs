//! Names that are known beforehand, but for a prefix.

use std::collections::{BTreeSet, HashMap};

use super::{Found, MAX_NAME, Scheme};
use crate::format::Entry;
use crate::layout::Layout;
use crate::{Framework, Parameter, Variant};
use graph::Role;

/// Prefixes that are tried of one pattern: a file may hold a running average beside the model, or a chain of models.
const MAX_PREFIXES: usize = 8;

/// The names of Keras 3's files of weights: `conv2d_1/vars/0`, counted in the order of the layers.
pub(super) fn keras_3(entries: &[Entry], variant: &Variant) -> Vec<Scheme> {
    let leaf = |_: &Parameter, place: usize| format!("vars/{place}");
    let names = numbered(&variant.parameters, snake_case, leaf);
    with_prefixes(entries, vec![(names, Layout::OutLast)])
}

/// The other patterns of a variant.
pub(super) fn schemes(entries: &[Entry], variant: &Variant) -> Vec<Scheme> {
    with_prefixes(entries, patterns(variant))
}

/// Patterns with every prefix under which the file has their first tensor.
fn with_prefixes(entries: &[Entry], patterns: Vec<(Vec<String>, Layout)>) -> Vec<Scheme> {
    let mut index: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, name) in named(entries) {
        index.entry(name).or_default().push(i);
    }
    let mut schemes = Vec::new();
    for (names, layout) in patterns {
        for prefix in prefixes(entries, names.first().map_or("", String::as_str)) {
            let found = |name: &String| {
                let name = format!("{prefix}{name}");
                Found { entries: index.get(name.as_str()).cloned().unwrap_or_default(), name }
            };
            schemes.push(Scheme { parameters: names.iter().map(found).collect(), layout });
        }
    }
    schemes
}

/// Entries that can be tensors of a base, with their names.
fn named(entries: &[Entry]) -> impl Iterator<Item = (usize, &str)> {
    let named = entries.iter().enumerate().map(|(i, e)| (i, e.name.as_str()));
    named.filter(|(_, name)| name.len() <= MAX_NAME)
}

/// What is before a name in the file, such as `module.` or the key of a checkpoint's dictionary; the shortest first,
/// which is the model itself.
fn prefixes<'a>(entries: &'a [Entry], first: &str) -> Vec<&'a str> {
    let mut prefixes = BTreeSet::new();
    for (_, name) in named(entries) {
        let prefix = name.strip_suffix(first);
        prefixes.extend(prefix.filter(|p| p.is_empty() || p.ends_with(['.', '/'])));
        if prefixes.len() == MAX_PREFIXES {
            break;
        }
    }
    let mut prefixes: Vec<&str> = prefixes.into_iter().collect();
    prefixes.sort_by_key(|prefix| prefix.len());
    if prefixes.is_empty() {
        prefixes.push("");
    }
    prefixes
}

/// Names of a variant's parameters, in its order, and the layout that they stand for.
fn patterns(variant: &Variant) -> Vec<(Vec<String>, Layout)> {
    let parameters = &variant.parameters;
    // Also the names in the files that this crate writes, whoever's the weights are.
    let state_dict = parameters.iter().map(|p| p.tensor.clone()).collect();
    let mut patterns = vec![(state_dict, Layout::OutFirst)];
    match variant.framework {
        Framework::Keras => {
            // Keras 2, layers that nobody named, in a file without an order.
            let leaf = |p: &Parameter, _: usize| format!("{}:0", p.spec.role.keras_name());
            patterns.push((numbered(parameters, snake_case, leaf), Layout::OutLast));
        }
        Framework::PyTorch => {
            let is_flax = |p: &Parameter| {
                matches!(p.spec.role, Role::Kernel | Role::Bias) && flax(p.class).is_some()
            };
            // Flax's models carry PyTorch's weights.
            if parameters.iter().all(is_flax) {
                let stem = |class: &str, number: usize| {
                    format!("{}_{number}", flax(class).unwrap_or(class))
                };
                let leaf = |p: &Parameter, _: usize| p.spec.role.keras_name().to_owned();
                patterns.push((numbered(parameters, stem, leaf), Layout::OutLast));
            }
        }
    }
    patterns
}

/// Flax's class for Keras's.
fn flax(class: &str) -> Option<&'static str> {
    match class {
        "Conv2D" => Some("Conv"),
        "Dense" => Some("Dense"),
        _ => None,
    }
}

/// `<stem>/<leaf>` of each parameter. Layers are counted by class; `leaf` is told the parameter's place in its layer.
fn numbered(
    parameters: &[Parameter],
    stem: impl Fn(&str, usize) -> String,
    leaf: impl Fn(&Parameter, usize) -> String,
) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut names = Vec::with_capacity(parameters.len());
    for layer in parameters.chunk_by(|a, b| a.spec.node == b.spec.node) {
        let class = layer[0].class;
        let number = counts.entry(class).or_default();
        for (place, parameter) in layer.iter().enumerate() {
            names.push(format!("{}/{}", stem(class, *number), leaf(parameter, place)));
        }
        *number += 1;
    }
    names
}

/// `conv2d`, `conv2d_1`, `batch_normalization_7`: Keras's names of layers by class and number.
fn snake_case(class: &str, number: usize) -> String {
    let mut name = String::new();
    let mut previous = 'A';
    for c in class.chars() {
        // `Conv2D` is one word, `BatchNormalization` two.
        if c.is_ascii_uppercase() && previous.is_ascii_lowercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
        previous = c;
    }
    if number > 0 {
        name += &format!("_{number}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `keras.src.utils.naming.to_snake_case` of Keras 3.15 gives these.
    #[test]
    fn classes_become_keras_s_names() {
        for (class, expected) in [
            ("Conv2D", "conv2d"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("SeparableConv2D", "separable_conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("Dense", "dense"),
        ] {
            assert_eq!(snake_case(class, 0), expected);
            assert_eq!(snake_case(class, 12), format!("{expected}_12"));
        }
    }
}
