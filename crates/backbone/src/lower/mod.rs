//! From a graph with its parameters to a program for the kernels, for one size of image.
//!
//! Paddings are resolved for the size; batch normalisation is folded into the convolution before it in f64 and rounded
//! once; activations, sums and zero padding become a part of the operation beside them where nothing else reads what is
//! between. The graph is cut before, so a layer that was asked for is its output, which nothing reads: it is never swallowed.

mod fold;
mod operation;

use graph::{Graph, GraphError, Op, Role, Shape};
use kernels::{Operation, Program, Value};
use operation::Draft;

/// Why a graph could not be lowered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LowerError {
    /// The layers have no shapes at this size.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A parameter is missing, or has not as many values as its shape says.
    #[error("weights: layer {node} lacks its {role:?} of {expected} values: found {found}")]
    Parameter {
        /// The layer.
        node: String,
        /// Which of its parameters.
        role: Role,
        /// Values that its shape asks for.
        expected: usize,
        /// Values that there are.
        found: usize,
    },
    /// The CPU kernels have no such operation.
    #[error("layer {node}: the CPU engine can't run {what}")]
    Unsupported {
        /// The layer.
        node: String,
        /// What it asks for.
        what: String,
    },
}

/// The values of one parameter of a node, if there is such a parameter. Kernels are in PyTorch's layout: (out, in / groups,
/// height, width), of a dense layer (out, in).
pub type Parameters<'a> = dyn Fn(&str, Role) -> Option<Vec<f32>> + 'a;

/// What an engine runs, and which layer of the graph each operation is.
#[derive(Debug)]
pub struct Lowered {
    /// The operations.
    pub program: Program,
    /// The layer of each operation: the convolution, where batch normalisation, an activation, a sum or zero padding became
    /// a part of it.
    pub layers: Vec<String>,
}

/// The program of a graph for images of `[height, width]`.
///
/// # Errors
/// [`LowerError`]
pub fn lower(
    graph: &Graph,
    image: [usize; 2],
    parameters: &Parameters<'_>,
) -> Result<Lowered, LowerError> {
    let shapes = graph.shapes(image)?;
    let mut readers = vec![0; graph.nodes().len()];
    for input in graph.nodes().iter().flat_map(|node| &node.inputs) {
        readers[*input] += 1;
    }
    let mut draft = Drafts::default();
    for (position, node) in graph.nodes().iter().enumerate() {
        draft.node = position;
        let inputs: Vec<usize> = node.inputs.iter().map(|input| draft.of_node[*input]).collect();
        let input_shapes: Vec<Shape> = node.inputs.iter().map(|input| shapes[*input]).collect();
        let layer = operation::Layer { node, inputs: &input_shapes };
        let made = match &node.op {
            Op::Input { .. } => draft.push(Draft::Input, Vec::new()),
            // The same values under another name.
            Op::Dropout { .. } => inputs[0],
            Op::Reshape(_) if is_vector(shapes[position]) && is_vector(input_shapes[0]) => {
                inputs[0]
            }
            _ => {
                let mut inputs = inputs;
                for one in layer.drafts(parameters)? {
                    let made = fold::add(&mut draft, one, inputs);
                    inputs = vec![made];
                }
                inputs[0]
            }
        };
        draft.of_node.push(made);
        // What more than one layer reads, or none, stays as it is.
        if readers[position] != 1 {
            draft.close(made);
        }
    }
    draft.program(graph)
}

/// Whether values in this shape are one pixel.
fn is_vector(shape: Shape) -> bool {
    matches!(shape, Shape::Vector { .. } | Shape::Map { height: 1, width: 1, .. })
}

/// The program while it is put together.
#[derive(Default)]
struct Drafts {
    /// `None` where an operation became a part of another.
    drafts: Vec<Option<(Draft, Vec<usize>)>>,
    /// Whether the operation may still change: exactly one later operation reads it.
    open: Vec<bool>,
    /// The operation that makes each node's output.
    of_node: Vec<usize>,
    /// The node that each operation is.
    node_of: Vec<usize>,
    /// The node whose operations are added.
    node: usize,
}

impl Drafts {
    fn push(&mut self, draft: Draft, inputs: Vec<usize>) -> usize {
        self.drafts.push(Some((draft, inputs)));
        self.open.push(true);
        self.node_of.push(self.node);
        self.drafts.len() - 1
    }

    fn close(&mut self, index: usize) {
        self.open[index] = false;
    }

    /// An operation that only the one to be added reads.
    fn only_read_here(&mut self, index: usize) -> Option<&mut Draft> {
        let draft = self.drafts[index].as_mut().filter(|_| self.open[index])?;
        Some(&mut draft.0)
    }

    /// Takes an operation away: it becomes a part of one that is added.
    fn take(&mut self, index: usize) -> Option<(Draft, Vec<usize>)> {
        self.drafts[index].take()
    }

    fn program(self, graph: &Graph) -> Result<Lowered, LowerError> {
        let mut program = Program::default();
        let mut layers = Vec::new();
        let mut values: Vec<Option<Value>> = Vec::with_capacity(self.drafts.len());
        for (draft, node) in self.drafts.into_iter().zip(self.node_of) {
            let Some((draft, inputs)) = draft else {
                values.push(None);
                continue;
            };
            let Some(layer) = draft.layer() else {
                values.push(Some(Value::Input));
                continue;
            };
            let inputs: Vec<Value> = inputs.iter().filter_map(|input| values[*input]).collect();
            program.operations.push(Operation { layer, inputs });
            layers.push(graph.nodes()[node].name.clone());
            values.push(Some(Value::Of(program.operations.len() - 1)));
        }
        // The last operation's output is the program's: so it must be the graph's.
        let output = self.of_node.last().and_then(|index| values[*index]);
        match output {
            Some(Value::Of(last)) if last + 1 == program.operations.len() => {
                Ok(Lowered { program, layers })
            }
            Some(Value::Input) if program.operations.is_empty() => Ok(Lowered { program, layers }),
            _ => Err(LowerError::Unsupported {
                node: graph.output().name.clone(),
                what: "a graph whose output is not its last layer".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
