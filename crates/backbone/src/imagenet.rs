//! Names of the classes of ImageNet-1k, which the classifiers of all bases tell apart.

/// The list of torchvision 0.29 (`torchvision/models/_meta.py`, BSD-3-Clause), a name a line, in the order of the labels.
const NAMES: &str = include_str!("imagenet.txt");

/// The 1,000 names in the order of the labels. No two are equal.
pub fn imagenet_classes() -> Vec<&'static str> {
    NAMES.lines().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_name_for_each_class() {
        let names = imagenet_classes();
        assert_eq!(names.len(), 1000);
        for (label, name) in
            [(0, "tench"), (281, "tabby"), (207, "golden retriever"), (999, "toilet tissue")]
        {
            assert_eq!(names[label], name);
        }
        assert!(names.iter().all(|name| !name.is_empty() && name.trim() == *name));
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 1000);
    }
}
