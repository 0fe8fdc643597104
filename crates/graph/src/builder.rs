//! Builds a graph node by node.

use crate::graph::check_arity;
use crate::{Graph, GraphError, Node, Op};
use std::collections::HashMap;

/// A node of a [`Builder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(usize);

/// Collects nodes. The first mistake is kept and returned by [`Builder::finish`], so that a network reads without a check on
/// every line.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    nodes: Vec<Node>,
    unnamed: HashMap<&'static str, usize>,
    mistake: Option<GraphError>,
}

impl Builder {
    /// No nodes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The pixels, (height, width, channels).
    pub fn input(&mut self, name: &str, channels: usize) -> NodeId {
        self.add(name, Op::Input { channels }, &[])
    }

    /// A node of this name. Inputs are in the order that the operation takes them.
    pub fn add(&mut self, name: impl Into<String>, op: Op, inputs: &[NodeId]) -> NodeId {
        let name = name.into();
        let checked = if inputs.iter().any(|input| input.0 >= self.nodes.len()) {
            Err(GraphError::ForeignNode(name.clone()))
        } else {
            check_arity(&name, &op, inputs.len())
        };
        if let Err(mistake) = checked {
            self.mistake.get_or_insert(mistake);
        }
        let inputs = inputs.iter().map(|input| input.0).collect();
        self.nodes.push(Node { name, op, inputs, tensors: None });
        NodeId(self.nodes.len() - 1)
    }

    /// A node that Keras names by itself: the class name in snake case, then `_1`, `_2`, … from the second on.
    pub fn add_unnamed(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        let class = op.class_name();
        let count = self.unnamed.entry(class).or_default();
        let name = match *count {
            0 => snake_case(class),
            n => format!("{}_{n}", snake_case(class)),
        };
        *count += 1;
        self.add(name, op, inputs)
    }

    /// A node's name; empty for a node of another builder.
    pub(crate) fn name(&self, node: NodeId) -> &str {
        self.nodes.get(node.0).map_or("", |node| node.name.as_str())
    }

    /// Says what the names of a node's tensors start with in the weights file. See [`Node::tensors`].
    pub fn name_tensors(&mut self, node: NodeId, prefix: impl Into<String>) {
        if let Some(node) = self.nodes.get_mut(node.0) {
            node.tensors = Some(prefix.into());
        }
    }

    /// The graph of all that `output` depends on.
    ///
    /// # Errors
    /// The first mistake in [`Builder::add`]: [`GraphError::Arity`] or [`GraphError::ForeignNode`]; else
    /// [`GraphError::Inputs`] or [`GraphError::DuplicateName`].
    pub fn finish(self, output: NodeId) -> Result<Graph, GraphError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        if output.0 >= self.nodes.len() {
            return Err(GraphError::ForeignNode("output".to_owned()));
        }
        Graph::new(&self.nodes, output.0)
    }
}

/// Keras's name for a layer of a class that nobody named: `MaxPooling2D` as `max_pooling2d`, `ReLU` as `re_lu`.
pub fn snake_case(class: &str) -> String {
    let mut name = String::with_capacity(class.len() + 4);
    let mut before: Option<char> = None;
    let mut letters = class.chars().peekable();
    while let Some(letter) = letters.next() {
        let starts_word = letters.peek().is_some_and(char::is_ascii_lowercase)
            || before.is_some_and(|b| b.is_ascii_lowercase());
        if letter.is_ascii_uppercase() && before.is_some() && starts_word {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
        before = Some(letter);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Pool};

    #[test]
    fn classes_become_names_as_in_keras() {
        for (class, name) in [
            ("Conv2D", "conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("CustomScaleLayer", "custom_scale_layer"),
            ("ReLU", "re_lu"),
            ("Add", "add"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }

    #[test]
    fn unnamed_nodes_are_counted_a_class_and_named_ones_are_not() {
        let mut builder = Builder::new();
        let mut x = builder.input("input_1", 3);
        x = builder.add("first", Op::Pool(Pool::max([2, 2], [2, 2])), &[x]);
        for _ in 0..2 {
            x = builder.add_unnamed(Op::Act(Activation::Relu), &[x]);
            x = builder.add_unnamed(Op::Pool(Pool::max([2, 2], [2, 2])), &[x]);
        }
        let graph = builder.finish(x).unwrap();
        let names: Vec<_> = graph.nodes().iter().skip(2).map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["activation", "max_pooling2d", "activation_1", "max_pooling2d_1"]);
    }

    #[test]
    fn mistakes_are_told_at_the_end() {
        let relu = Op::Act(Activation::Relu);
        let build = |make: fn(&mut Builder, NodeId, Op) -> NodeId| {
            let mut builder = Builder::new();
            let input = builder.input("input_1", 3);
            let output = make(&mut builder, input, relu);
            builder.finish(output).unwrap_err()
        };
        let twice = build(|b, x, relu| {
            let y = b.add("a", relu, &[x]);
            b.add("a", relu, &[y])
        });
        assert_eq!(twice, GraphError::DuplicateName("a".to_owned()));
        let arity = build(|b, x, _| b.add("sum", Op::Add { scale: None }, &[x]));
        assert_eq!(arity.to_string(), "node 'sum': expected 2 inputs, found 1");
        let concat = build(|b, x, _| b.add("joined", Op::Concat, &[x]));
        assert!(concat.to_string().contains("at least 2"), "{concat}");
        let foreign = build(|b, _, relu| b.add("a", relu, &[NodeId(7)]));
        assert_eq!(foreign, GraphError::ForeignNode("a".to_owned()));
        assert_eq!(build(|_, _, _| NodeId(9)), GraphError::ForeignNode("output".to_owned()));
        let inputs = build(|b, x, _| {
            let other = b.input("input_2", 3);
            b.add("sum", Op::Add { scale: None }, &[x, other])
        });
        assert_eq!(inputs, GraphError::Inputs(2));
    }
}
