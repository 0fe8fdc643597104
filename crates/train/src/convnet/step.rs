//! The graph as steps, one after the other: a step a node, but two for a separable convolution.

use super::layer::{Description, Layer};
use super::{Machine, Tensor};
use crate::HeadError;
use graph::{Conv, Graph, Op, Role, Shape};
use kernels::Activation;
use kernels::train::BatchStatistics;
use std::collections::HashMap;

/// What one step computes, with room for a batch.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) layer: Layer,
    /// Steps that it reads.
    pub(super) inputs: Vec<usize>,
    pub(super) shape: Shape,
    pub(super) weights: Weights,
    /// What closes the gradient by its output before anything else.
    pub(super) own_gate: Activation,
    /// The same of its input, which alone this step reads: it is closed on the way there.
    pub(super) input_gate: Activation,
    /// Whether its tensors are trained.
    pub(super) is_trained: bool,
    /// Whether a gradient must come to its output.
    pub(super) is_reached: bool,
    /// Its output, and the gradient by it.
    pub(super) values: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    /// Factors of dropout.
    pub(super) mask: Vec<f32>,
    /// Of batch normalisation.
    pub(super) statistics: BatchStatistics,
}

/// Places of a step's tensors.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weights {
    /// Kernel or gamma.
    pub(super) kernel: Option<usize>,
    /// Bias or beta.
    pub(super) bias: Option<usize>,
    pub(super) mean: Option<usize>,
    pub(super) variance: Option<usize>,
}

impl Step {
    /// Packs the step's tensors, where its layer keeps them packed.
    pub(super) fn repack(&mut self, tensors: &[Tensor]) -> Result<(), HeadError> {
        if let Layer::Conv { conv, .. } = &mut self.layer {
            let zeros = vec![0.0; conv.output_shape()[2]];
            let bias = values(tensors, self.weights.bias).unwrap_or(&zeros);
            conv.set_weights(values(tensors, self.weights.kernel).unwrap_or_default(), bias)?;
        }
        Ok(())
    }
}

/// The values of a tensor, if there is one.
pub(super) fn values(tensors: &[Tensor], at: Option<usize>) -> Option<&[f32]> {
    at.map(|at| tensors[at].values())
}

/// The steps, and that of node `last`.
pub(super) fn steps(
    graph: &Graph,
    shapes: &[Shape],
    last: usize,
    machine: Machine,
    tensors: &[Tensor],
    trainable: &dyn Fn(&str) -> bool,
) -> Result<(Vec<Step>, usize), HeadError> {
    let mut steps = Steps { machine, trainable, tensors, steps: Vec::with_capacity(shapes.len()) };
    let mut of_node = Vec::with_capacity(shapes.len());
    let places: HashMap<(&str, Role), usize> = (tensors.iter().enumerate())
        .map(|(at, tensor)| ((&tensor.spec().node[..], tensor.spec().role), at))
        .collect();
    for (position, node) in graph.nodes().iter().enumerate() {
        let find = |roles: &[Role]| {
            roles.iter().find_map(|role| places.get(&(&node.name[..], *role)).copied())
        };
        let inputs: Vec<usize> = node.inputs.iter().map(|input| of_node[*input]).collect();
        let weights = Weights {
            kernel: find(&[Role::Kernel, Role::DepthwiseKernel, Role::Gamma]),
            bias: find(&[Role::Bias, Role::Beta]),
            mean: find(&[Role::Mean]),
            variance: find(&[Role::Variance]),
        };
        let description = Description { name: &node.name, is_logits: position == last };
        let shape = shapes[position];
        let made = match &node.op {
            Op::Separable(separable) => {
                let depthwise = Op::Depthwise(separable.depthwise);
                // The map between both halves has the output's size and the input's channels.
                let middle = shape.with_channels(shapes[node.inputs[0]].channels());
                let first = Weights { bias: None, ..weights };
                let first = steps.push(description, &depthwise, inputs, first, middle)?;
                let pointwise = Op::Conv(Conv::new(separable.filters, [1, 1]));
                let kernel = find(&[Role::PointwiseKernel]);
                let second = Weights { kernel, bias: weights.bias, ..Weights::default() };
                steps.push(description, &pointwise, vec![first], second, shape)?
            }
            op => steps.push(description, op, inputs, weights, shape)?,
        };
        of_node.push(made);
    }
    let mut steps = steps.steps;
    hand_on_gates(&mut steps);
    Ok((steps, of_node[last]))
}

/// A pool that alone reads an activation's output closes its gradient while it writes it.
fn hand_on_gates(steps: &mut [Step]) {
    let mut readers = vec![0; steps.len()];
    steps.iter().flat_map(|step| &step.inputs).for_each(|input| readers[*input] += 1);
    for index in 0..steps.len() {
        let (before, rest) = steps.split_at_mut(index);
        if let (Layer::Pool(_), [input]) = (&rest[0].layer, &rest[0].inputs[..])
            && readers[*input] == 1
        {
            rest[0].input_gate = std::mem::take(&mut before[*input].own_gate);
        }
    }
}

/// The steps so far.
struct Steps<'a> {
    machine: Machine,
    trainable: &'a dyn Fn(&str) -> bool,
    tensors: &'a [Tensor],
    steps: Vec<Step>,
}

impl Steps<'_> {
    fn push(
        &mut self,
        description: Description<'_>,
        op: &Op,
        inputs: Vec<usize>,
        weights: Weights,
        shape: Shape,
    ) -> Result<usize, HeadError> {
        let mut places = [weights.kernel, weights.bias].into_iter().flatten();
        // Normalisation without gamma and beta is trained too: it takes the batch's statistics and moves the stored ones.
        let is_trained = match op {
            Op::Norm(_) => (self.trainable)(description.name),
            _ => places.any(|at| self.tensors[at].is_trainable()),
        };
        let by_input = inputs.iter().any(|input| self.steps[*input].is_reached);
        let shapes: Vec<Shape> = inputs.iter().map(|input| self.steps[*input].shape).collect();
        let layer = Layer::new(description, op, &shapes, self.machine, by_input)?;
        let own_gate = layer.activation();
        self.steps.push(Step {
            layer,
            inputs,
            shape,
            weights,
            own_gate,
            input_gate: Activation::None,
            is_trained,
            is_reached: is_trained || by_input,
            values: Vec::new(),
            gradient: Vec::new(),
            mask: Vec::new(),
            statistics: BatchStatistics::default(),
        });
        Ok(self.steps.len() - 1)
    }
}
