//! What can be wrong with a graph.

use thiserror::Error;

/// Why a graph can't be built, cut, or given a shape.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GraphError {
    /// Two nodes have one name.
    #[error("two nodes are named '{0}'")]
    DuplicateName(String),
    /// A node has too few or too many inputs.
    #[error("node '{node}': expected {expected} inputs, found {found}")]
    Arity {
        /// The node's name.
        node: String,
        /// How many its operation takes.
        expected: String,
        /// How many it was given.
        found: usize,
    },
    /// A node or the output refers to a node that the builder did not make.
    #[error("node '{0}' refers to a node of another builder")]
    ForeignNode(String),
    /// The graph must have one input, and every output must depend on it.
    #[error("expected one input node, found {0}")]
    Inputs(usize),
    /// No node has this name.
    #[error("no node is named '{0}'")]
    UnknownNode(String),
    /// The graph can't be split at this node.
    #[error("can't split the network at '{node}': {reason}")]
    Split {
        /// The node's name, or a position that no node has.
        node: String,
        /// What is in the way.
        reason: &'static str,
    },
    /// The image is too small, or shapes do not go together.
    #[error("node '{node}': {reason}")]
    Shape {
        /// The node's name.
        node: String,
        /// What does not fit.
        reason: String,
    },
}
