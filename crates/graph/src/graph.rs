//! A network as named nodes in topological order.

use crate::infer;
use crate::order;
use crate::params::{self, ParamSpec};
use crate::{GraphError, Op, Shape};
use std::collections::HashSet;

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Keras's name, such as `block5_pool`; no two nodes of a graph share one.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Positions of its inputs in [`Graph::nodes`], in the order that the operation takes them.
    pub inputs: Vec<usize>,
    /// What the names of its tensors start with in the weights file that the graph was built for, such as `features.0`;
    /// `None` where that is the node's name.
    pub tensors: Option<String>,
}

/// As many f32 as a single allocation can hold.
const MOST_VALUES: usize = isize::MAX as usize / 4;

/// A network with one input and one output. Nodes come after their inputs, the output last, in the order of Keras's
/// `model.layers`.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    /// The part of `nodes` that `output` depends on.
    ///
    /// # Errors
    /// [`GraphError::DuplicateName`], [`GraphError::Inputs`].
    pub(crate) fn new(nodes: &[Node], output: usize) -> Result<Self, GraphError> {
        let order = order::layer_order(|position| nodes[position].inputs.as_slice(), output);
        let mut position = vec![0; nodes.len()];
        for (new, &old) in order.iter().enumerate() {
            position[old] = new;
        }
        let kept: Vec<Node> = order
            .iter()
            .map(|&old| {
                let mut node = nodes[old].clone();
                node.inputs.iter_mut().for_each(|input| *input = position[*input]);
                node
            })
            .collect();
        let inputs = kept.iter().filter(|node| matches!(node.op, Op::Input { .. })).count();
        if inputs != 1 {
            return Err(GraphError::Inputs(inputs));
        }
        let mut names = HashSet::new();
        if let Some(twice) = kept.iter().find(|node| !names.insert(node.name.as_str())) {
            return Err(GraphError::DuplicateName(twice.name.clone()));
        }
        Ok(Self { nodes: kept })
    }

    /// All nodes, the input first and the output last.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node whose output is the graph's.
    pub fn output(&self) -> &Node {
        // `new` refuses a graph without an input, so there always is a last node.
        &self.nodes[self.nodes.len() - 1]
    }

    /// The position of a node in [`Graph::nodes`].
    ///
    /// # Errors
    /// [`GraphError::UnknownNode`].
    pub fn position(&self, name: &str) -> Result<usize, GraphError> {
        let found = self.nodes.iter().position(|node| node.name == name);
        found.ok_or_else(|| GraphError::UnknownNode(name.to_owned()))
    }

    /// The graph that ends at a node: what it depends on and nothing else.
    ///
    /// # Errors
    /// [`GraphError::UnknownNode`].
    pub fn cut(&self, name: &str) -> Result<Self, GraphError> {
        Self::new(&self.nodes, self.position(name)?)
    }

    /// This graph with one more node, which takes its output.
    ///
    /// # Errors
    /// [`GraphError::DuplicateName`], or [`GraphError::Arity`] if the operation does not take one input.
    pub fn then(&self, name: &str, op: Op) -> Result<Self, GraphError> {
        check_arity(name, &op, 1)?;
        let mut nodes = self.nodes.clone();
        let inputs = vec![nodes.len() - 1];
        nodes.push(Node { name: name.to_owned(), op, inputs, tensors: None });
        Self::new(&nodes, nodes.len() - 1)
    }

    /// The output shape of every node for an image of `[height, width]`, in the order of [`Graph::nodes`].
    ///
    /// # Errors
    /// [`GraphError::Shape`]: the image is too small, shapes do not go together, or an output is larger than any memory.
    pub fn shapes(&self, image: [usize; 2]) -> Result<Vec<Shape>, GraphError> {
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs: Vec<Shape> = node.inputs.iter().map(|&input| shapes[input]).collect();
            let shape = infer::output_shape(&node.op, image, &inputs);
            let shape =
                shape.map_err(|reason| GraphError::Shape { node: node.name.clone(), reason })?;
            if shape.values() > MOST_VALUES {
                let reason = format!("an output of {shape} fits into no memory");
                return Err(GraphError::Shape { node: node.name.clone(), reason });
            }
            shapes.push(shape);
        }
        Ok(shapes)
    }

    /// The graph's output shape for an image of `[height, width]`.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn output_shape(&self, image: [usize; 2]) -> Result<Shape, GraphError> {
        let shapes = self.shapes(image)?;
        Ok(shapes[shapes.len() - 1])
    }

    /// Every parameter, node by node, within a node in Keras's order. Only a dense layer after a flattening depends on the
    /// image's `[height, width]`.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn params(&self, image: [usize; 2]) -> Result<Vec<ParamSpec>, GraphError> {
        let shapes = self.shapes(image)?;
        let mut specs = Vec::new();
        for node in &self.nodes {
            if let Some(&input) = node.inputs.first() {
                specs.extend(params::of(node, shapes[input]));
            }
        }
        Ok(specs)
    }

    /// Number of parameters, batch normalisation's statistics included.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn parameters(&self, image: [usize; 2]) -> Result<usize, GraphError> {
        let specs = self.params(image)?;
        Ok(specs.iter().map(ParamSpec::values).fold(0, usize::saturating_add))
    }

    /// Whether each node takes the output of the one before and of no other.
    pub fn is_chain(&self) -> bool {
        self.nodes.iter().enumerate().skip(1).all(|(i, node)| node.inputs == [i - 1])
    }
}

/// Whether an operation takes so many inputs.
pub(crate) fn check_arity(name: &str, op: &Op, found: usize) -> Result<(), GraphError> {
    let (least, most) = op.arity();
    if (least..=most).contains(&found) {
        return Ok(());
    }
    let expected = if least == most { least.to_string() } else { format!("at least {least}") };
    Err(GraphError::Arity { node: name.to_owned(), expected, found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Builder, Conv, Dense, Pad, Padding, Pool, PoolKind, Role};
    use proptest::prelude::*;

    /// Two branches of unequal length that are joined.
    fn branches() -> Graph {
        let mut builder = Builder::new();
        let pixels = builder.input("input_1", 3);
        let short = builder.add("short", Op::Conv(Conv::new(4, [1, 1])), &[pixels]);
        let long = Conv::new(6, [3, 3]).padding(Padding::Same);
        let first = builder.add("long_1", Op::Conv(long), &[pixels]);
        let second = builder.add("long_2", Op::Conv(long), &[first]);
        builder.name_tensors(second, "features.7");
        let unused = builder.add("unused", Op::Act(Activation::Relu), &[second]);
        let _ = builder.add("unused_too", Op::Flatten, &[unused]);
        let joined = builder.add("joined", Op::Concat, &[short, second]);
        builder.finish(joined).unwrap()
    }

    fn names(graph: &Graph) -> Vec<&str> {
        graph.nodes().iter().map(|node| node.name.as_str()).collect()
    }

    #[test]
    fn nodes_come_by_falling_distance_from_the_output_and_unused_ones_go() {
        let graph = branches();
        assert_eq!(names(&graph), ["input_1", "long_1", "short", "long_2", "joined"]);
        assert_eq!(graph.output().name, "joined");
        assert_eq!(graph.nodes()[3].tensors.as_deref(), Some("features.7"));
        assert!(!graph.is_chain());
    }

    #[test]
    fn a_cut_keeps_what_the_node_depends_on() {
        let graph = branches();
        let long = graph.cut("long_2").unwrap();
        assert_eq!(names(&long), ["input_1", "long_1", "long_2"]);
        assert!(long.is_chain());
        assert_eq!(long.output_shape([9, 11]).unwrap().dims(), [9, 11, 6]);
        assert_eq!(graph.cut("joined").unwrap(), graph);
        assert_eq!(graph.cut("unused"), Err(GraphError::UnknownNode("unused".to_owned())));
    }

    #[test]
    fn a_node_can_follow_the_output() {
        let pool = Op::GlobalPool { kind: PoolKind::Avg, keep_dims: false };
        let pooled = branches().then("pool", pool).unwrap();
        assert_eq!(pooled.output_shape([9, 11]).unwrap(), Shape::Vector { len: 10 });
        let dense = Op::Dense(Dense { units: 2, bias: true, activation: None });
        let specs = pooled.then("top", dense).unwrap().params([9, 11]).unwrap();
        let last = specs.iter().rev().take(2).map(|s| (s.role, s.shape.clone()));
        let expected = [(Role::Bias, vec![2]), (Role::Kernel, vec![10, 2])];
        assert_eq!(last.collect::<Vec<_>>(), expected);
        assert!(matches!(pooled.then("short", pool), Err(GraphError::DuplicateName(_))));
        assert!(matches!(pooled.then("sum", Op::Concat), Err(GraphError::Arity { .. })));
    }

    #[test]
    fn a_dense_layer_after_a_flattening_depends_on_the_size() {
        let dense = Op::Dense(Dense { units: 5, bias: false, activation: None });
        let graph = branches().then("flat", Op::Flatten).unwrap().then("top", dense).unwrap();
        let base = branches().parameters([2, 3]).unwrap();
        assert_eq!(graph.parameters([2, 3]).unwrap() - base, 2 * 3 * 10 * 5);
        assert_eq!(graph.parameters([4, 3]).unwrap() - base, 4 * 3 * 10 * 5);
    }

    /// What is wrong with one operation on the pixels of a 6×4 image and what its two-input partner gives.
    fn refusal(op: Op, other: Option<Op>) -> String {
        let mut builder = Builder::new();
        let pixels = builder.input("input_1", 3);
        let inputs = match other {
            Some(other) => vec![pixels, builder.add("other", other, &[pixels])],
            None => vec![pixels],
        };
        let node = builder.add("node", op, &inputs);
        builder.finish(node).unwrap().shapes([6, 4]).unwrap_err().to_string()
    }

    #[test]
    fn shapes_that_do_not_go_together_are_refused() {
        let padded = Some(Op::Pad(Pad::Fixed([0, 0, 1, 1])));
        for op in [Op::Add { scale: None }, Op::Multiply, Op::Concat] {
            let message = refusal(op, padded);
            assert!(message.contains("'node'") && message.contains("(7, 5, 3)"), "{message}");
        }
        let grouped = Conv { groups: 2, ..Conv::new(4, [1, 1]) };
        assert!(refusal(Op::Conv(grouped), None).contains("groups"));
        let pool = Op::Pool(Pool::max([5, 5], [1, 1]));
        assert_eq!(
            refusal(pool, None),
            "node 'node': a window of 5x5 does not fit into a map of 6x4"
        );
        let dense = Op::Dense(Dense { units: 2, bias: true, activation: None });
        assert!(refusal(dense, None).contains("expected a vector"));
        assert!(refusal(Op::Reshape(Shape::Vector { len: 71 }), None).contains("(71,)"));
    }

    #[test]
    fn a_map_is_scaled_by_one_value_a_channel() {
        let mut builder = Builder::new();
        let pixels = builder.input("input_1", 3);
        let pool = Op::GlobalPool { kind: PoolKind::Avg, keep_dims: true };
        let scales = builder.add("scales", pool, &[pixels]);
        let scaled = builder.add("scaled", Op::Multiply, &[pixels, scales]);
        let graph = builder.finish(scaled).unwrap();
        assert_eq!(graph.output_shape([6, 4]).unwrap().dims(), [6, 4, 3]);
    }

    /// A network whose every node takes one or two earlier nodes; all maps have the image's size and 3 channels.
    fn random_graph(choices: &[(usize, usize)]) -> Graph {
        let mut builder = Builder::new();
        let mut ids = vec![builder.input("input_1", 3)];
        for (number, &(a, b)) in choices.iter().enumerate() {
            let (a, b) = (ids[a % ids.len()], ids[b % ids.len()]);
            let name = format!("node{number}");
            let relu = Op::Act(Activation::Relu);
            let next = if a == b {
                builder.add(name, relu, &[a])
            } else {
                builder.add(name, Op::Add { scale: None }, &[a, b])
            };
            ids.push(next);
        }
        builder.finish(ids[ids.len() - 1]).unwrap()
    }

    proptest! {
        #[test]
        fn inputs_always_come_first(choices in prop::collection::vec((0usize..99, 0usize..99), 0..30)) {
            let graph = random_graph(&choices);
            for (index, node) in graph.nodes().iter().enumerate() {
                prop_assert!(node.inputs.iter().all(|&input| input < index));
            }
            for node in graph.nodes() {
                let cut = graph.cut(&node.name).unwrap();
                prop_assert_eq!(&cut.output().name, &node.name);
                // Each input is the same node in both, whatever its position.
                for kept in cut.nodes() {
                    let whole = &graph.nodes()[graph.position(&kept.name).unwrap()];
                    let named = |g: &Graph, n: &Node| -> Vec<String> {
                        n.inputs.iter().map(|&i| g.nodes()[i].name.clone()).collect()
                    };
                    prop_assert_eq!(named(&cut, kept), named(&graph, whole));
                }
            }
        }
    }
}
