//! Splits a graph into two that run one after the other, and joins two such graphs.

use crate::{Graph, GraphError, Node, Op, Shape};

impl Graph {
    /// The last position `p` before the node `name` where the graph can be split in two: whatever comes after `p` in
    /// [`Graph::nodes`], so `name` and all after it too, takes nothing from the nodes up to `p` but `p`'s output.
    ///
    /// There always is one, since the input is such a position.
    ///
    /// # Errors
    /// [`GraphError::UnknownNode`]; [`GraphError::Split`] for the input, which nothing comes before.
    pub fn split_before(&self, name: &str) -> Result<usize, GraphError> {
        let least = self.least_inputs_after();
        let found = (0..self.position(name)?).rev().find(|&position| least[position] >= position);
        found.ok_or_else(|| refused(name, "nothing comes before it"))
    }

    /// The graph of all nodes after `position`, with an input in the place of the node there, and the `[height, width]` of
    /// what that input takes. `image` is the `[height, width]` of what the whole graph takes.
    ///
    /// The input has the name of the node at `position`, so that whatever took that node's output still names it. A node
    /// whose output is a vector becomes two: an input of 1×1 pixels under the node's name and the ending `_values`, and a
    /// flattening under the node's name. [`Graph::cut`] gives the other part.
    ///
    /// # Errors
    /// [`GraphError::Split`]: there is no such position, a later node takes something from before it (see
    /// [`Graph::split_before`]), or the node's output is tokens. [`GraphError::Shape`]. [`GraphError::DuplicateName`]:
    /// a later node has the name that ends in `_values`.
    pub fn suffix(
        &self,
        position: usize,
        image: [usize; 2],
    ) -> Result<(Self, [usize; 2]), GraphError> {
        let Some(at) = self.nodes().get(position) else {
            return Err(refused(&position.to_string(), "no node has this position"));
        };
        if self.least_inputs_after()[position] < position {
            return Err(refused(&at.name, "a later layer takes the output of an earlier one"));
        }
        let input = |name: String, channels| {
            let op = Op::Input { channels };
            Node { name, op, inputs: Vec::new(), tensors: None }
        };
        let (mut nodes, size) = match self.shapes(image)?[position] {
            Shape::Map { height, width, channels } => {
                (vec![input(at.name.clone(), channels)], [height, width])
            }
            Shape::Vector { len } => {
                let values = input(format!("{}_values", at.name), len);
                let flat =
                    Node { name: at.name.clone(), op: Op::Flatten, inputs: vec![0], tensors: None };
                (vec![values, flat], [1, 1])
            }
            Shape::Tokens { .. } => return Err(refused(&at.name, "its output is tokens")),
        };
        let first = nodes.len() - 1;
        nodes.extend(self.nodes().iter().skip(position + 1).cloned().map(|mut node| {
            node.inputs.iter_mut().for_each(|input| *input = *input - position + first);
            node
        }));
        Ok((Self::new(&nodes, nodes.len() - 1)?, size))
    }

    /// This graph, then `other` with this graph's output in the place of its input. How many channels `other`'s input has
    /// is not compared, since this graph's output may depend on the image's size; [`Graph::shapes`] follows the output.
    ///
    /// # Errors
    /// [`GraphError::DuplicateName`]: a layer of `other` is named like one of this graph.
    pub fn append(&self, other: &Self) -> Result<Self, GraphError> {
        let output = self.nodes().len() - 1;
        let mut nodes = self.nodes().to_vec();
        // The input of a graph is its first node, so it becomes this output when positions move.
        nodes.extend(other.nodes().iter().skip(1).cloned().map(|mut node| {
            node.inputs.iter_mut().for_each(|input| *input += output);
            node
        }));
        Self::new(&nodes, nodes.len() - 1)
    }

    /// For each position, the least position that the nodes after it take; `usize::MAX` for the last.
    fn least_inputs_after(&self) -> Vec<usize> {
        let mut after = vec![usize::MAX; self.nodes().len()];
        let mut least = usize::MAX;
        for (position, node) in self.nodes().iter().enumerate().rev() {
            after[position] = least;
            least = node.inputs.iter().copied().fold(least, usize::min);
        }
        after
    }
}

fn refused(node: &str, reason: &'static str) -> GraphError {
    GraphError::Split { node: node.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Builder, Conv, Dense, Padding, PoolKind};
    use proptest::prelude::*;

    const RELU: Op = Op::Act(Activation::Relu);

    /// A residual block between two layers, then a head.
    fn residual() -> Graph {
        let mut builder = Builder::new();
        let pixels = builder.input("input_1", 3);
        let conv = Conv::new(4, [3, 3]).stride(2).padding(Padding::Same);
        let stem = builder.add("stem", Op::Conv(conv), &[pixels]);
        builder.name_tensors(stem, "features.0");
        let first = builder.add("first", RELU, &[stem]);
        let second = builder.add("second", Op::Conv(Conv::new(4, [1, 1])), &[first]);
        builder.name_tensors(second, "features.1");
        let sum = builder.add("sum", Op::Add { scale: None }, &[stem, second]);
        let last = builder.add("last", RELU, &[sum]);
        let pool = Op::GlobalPool { kind: PoolKind::Avg, keep_dims: false };
        let pool = builder.add("pool", pool, &[last]);
        let dense = Op::Dense(Dense { units: 2, bias: true, activation: None });
        let top = builder.add("top", dense, &[pool]);
        builder.finish(top).unwrap()
    }

    fn names(graph: &Graph) -> Vec<&str> {
        graph.nodes().iter().map(|node| node.name.as_str()).collect()
    }

    #[test]
    fn a_split_never_goes_through_a_block() {
        let graph = residual();
        let before = |name| graph.nodes()[graph.split_before(name).unwrap()].name.as_str();
        let splits = [
            ("stem", "input_1"),
            ("first", "stem"),
            ("second", "stem"),
            ("sum", "stem"),
            ("last", "sum"),
            ("pool", "last"),
            ("top", "pool"),
        ];
        for (name, expected) in splits {
            assert_eq!(before(name), expected, "{name}");
        }
        assert!(matches!(graph.split_before("input_1"), Err(GraphError::Split { .. })));
        assert!(matches!(graph.split_before("no"), Err(GraphError::UnknownNode(_))));
    }

    #[test]
    fn a_suffix_starts_with_an_input_of_the_node_s_name() {
        let graph = residual();
        let (suffix, size) = graph.suffix(1, [9, 12]).unwrap();
        assert_eq!(size, [5, 6]);
        assert_eq!(names(&suffix), ["stem", "first", "second", "sum", "last", "pool", "top"]);
        assert_eq!(suffix.nodes()[0].op, Op::Input { channels: 4 });
        assert_eq!(suffix.nodes()[0].tensors, None);
        assert_eq!(suffix.nodes()[2].tensors.as_deref(), Some("features.1"));
        assert_eq!(suffix.nodes()[3].inputs, [0, 2]);
        let inside = graph.position("first").unwrap();
        assert!(matches!(graph.suffix(inside, [9, 12]), Err(GraphError::Split { .. })));
        assert!(matches!(graph.suffix(8, [9, 12]), Err(GraphError::Split { .. })));
        assert_eq!(graph.suffix(0, [9, 12]).unwrap(), (graph.clone(), [9, 12]));
        let (output, _) = graph.cut("last").unwrap().suffix(5, [9, 12]).unwrap();
        assert_eq!(names(&output), ["last"]);
    }

    #[test]
    fn a_vector_goes_in_as_one_pixel() {
        let graph = residual();
        let (suffix, size) = graph.suffix(6, [9, 12]).unwrap();
        assert_eq!((names(&suffix), size), (vec!["pool_values", "pool", "top"], [1, 1]));
        let shapes = suffix.shapes(size).unwrap();
        assert_eq!(shapes[1..], [Shape::Vector { len: 4 }, Shape::Vector { len: 2 }]);
        let taken = graph.then("pool_values", RELU).unwrap();
        let error = GraphError::DuplicateName("pool_values".to_owned());
        assert_eq!(taken.suffix(6, [9, 12]), Err(error));
        let tokens = Op::Reshape(Shape::Tokens { count: 30, width: 4 });
        let tokens = residual().cut("last").unwrap().then("tokens", tokens).unwrap();
        assert!(matches!(tokens.suffix(6, [9, 12]), Err(GraphError::Split { .. })));
    }

    #[test]
    fn two_parts_make_the_whole_again() {
        let graph = residual();
        for name in ["stem", "sum", "last", "top"] {
            let position = graph.split_before(name).unwrap();
            if graph.nodes()[position].name == "pool" {
                continue; // The flattening is one layer more.
            }
            let (suffix, _) = graph.suffix(position, [9, 12]).unwrap();
            let prefix = graph.cut(&graph.nodes()[position].name).unwrap();
            assert_eq!(prefix.append(&suffix).unwrap(), graph, "{name}");
        }
        let twice = graph.append(&graph);
        assert_eq!(twice, Err(GraphError::DuplicateName("stem".to_owned())));
    }

    proptest! {
        #[test]
        fn a_split_is_the_last_that_edges_allow(choices in prop::collection::vec((0usize..99, 0usize..99), 1..30)) {
            let mut builder = Builder::new();
            let mut ids = vec![builder.input("input_1", 3)];
            for (number, &(back, other)) in choices.iter().enumerate() {
                // Mostly the node before, so that there are positions to split at.
                let before = ids[ids.len() - 1];
                let other = ids[ids.len() - 1 - (other % 4).min(ids.len() - 1)];
                let name = format!("node{number}");
                ids.push(if back % 3 == 0 {
                    builder.add(name, Op::Add { scale: None }, &[before, other])
                } else {
                    builder.add(name, RELU, &[before])
                });
            }
            let graph = builder.finish(ids[ids.len() - 1]).unwrap();
            let edges: Vec<(usize, usize)> = graph.nodes().iter().enumerate()
                .flat_map(|(to, node)| node.inputs.iter().map(move |&from| (from, to))).collect();
            let fits = |p: usize| edges.iter().all(|&(from, to)| !(from <= p && p < to) || from == p);
            for (index, node) in graph.nodes().iter().enumerate().skip(1) {
                let expected = (0..index).rev().find(|&p| fits(p)).unwrap();
                prop_assert_eq!(graph.split_before(&node.name).unwrap(), expected);
            }
            for position in 0..graph.nodes().len() {
                let suffix = graph.suffix(position, [5, 6]);
                prop_assert_eq!(suffix.is_ok(), fits(position));
                if let Ok((suffix, _)) = suffix {
                    let prefix = graph.cut(&graph.nodes()[position].name).unwrap();
                    prop_assert_eq!(prefix.append(&suffix).unwrap(), graph.clone());
                }
            }
        }
    }
}
