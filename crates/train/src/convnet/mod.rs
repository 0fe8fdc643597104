//! A network that is trained layer by layer of its graph: convolutions, pools, normalisation, dense layers.
//!
//! A [`ConvNet`] holds a [`Graph`], its tensors in Keras's layouts, and each layer made ready for one image size and
//! instruction set. What comes before it, a frozen base, is not its matter: its input is pixels, or the activations of a
//! layer of such a base. Layers that are not trained run in inference form; gradients go no further back than they must.

mod backward;
mod checkpoint;
mod fit;
mod forward;
mod layer;
mod rows;
mod step;
mod tensor;

use crate::{HeadError, Randomness};
use graph::{Activation, Graph, Op, ParamSpec, Role, Shape};
use kernels::{Isa, Precision};
use step::Step;

pub use checkpoint::{CHECKPOINT, Checkpoint};
pub use fit::{Inputs, Labelled, probabilities};
pub use rows::RowInputs;
pub use tensor::Tensor;

/// How a network is made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Instruction set of the kernels.
    pub isa: Isa,
    /// Of convolutions forward, and of their gradients by the input.
    pub precision: Precision,
}

/// A network that is trained, with room for one batch.
#[derive(Debug)]
pub struct ConvNet {
    graph: Graph,
    isa: Isa,
    input: Shape,
    steps: Vec<Step>,
    tensors: Vec<Tensor>,
    /// The step whose output are the logits: the last, before its sigmoid or softmax.
    logits: usize,
}

/// Which tensors of a network are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TensorCounts {
    /// Tensors with gradients.
    pub trainable: usize,
    /// All tensors that could have one: the statistics of batch normalisation have none.
    pub all: usize,
    /// Values of all tensors, statistics included.
    pub values: usize,
}

impl ConvNet {
    /// A network of `graph` for inputs of `[height, width]`. `trainable` says by name whether a layer's tensors are trained; `init`
    /// fills each tensor, in the order of [`Graph::params`].
    ///
    /// The last layer must be a sigmoid of one value (two classes) or a softmax, by itself or of a dense layer.
    ///
    /// # Errors
    /// [`HeadError::Layer`] for layers that can't be trained or run here, and those of shapes.
    pub fn new(
        graph: Graph,
        input: [usize; 2],
        machine: Machine,
        trainable: &dyn Fn(&str) -> bool,
        init: &mut dyn FnMut(&ParamSpec, &mut [f32]),
    ) -> Result<Self, HeadError> {
        let shapes = graph.shapes(input)?;
        let tensors: Vec<Tensor> = graph
            .params(input)?
            .into_iter()
            .map(|spec| {
                let mut values = vec![0.0; spec.values()];
                init(&spec, &mut values);
                let is_trainable = spec.role.is_trainable() && trainable(&spec.node);
                Tensor::new(spec, values, is_trainable)
            })
            .collect();
        let last = logits(&graph, &shapes)?;
        let (steps, logits) = step::steps(&graph, &shapes, last, machine, &tensors, trainable)?;
        let mut net = Self { graph, isa: machine.isa, input: shapes[0], steps, tensors, logits };
        net.repack(true)?;
        Ok(net)
    }

    /// What the network is.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Its tensors, in the order of [`Graph::params`].
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The same, to read an optimizer's state back.
    pub(crate) fn tensors_mut(&mut self) -> &mut [Tensor] {
        &mut self.tensors
    }

    /// Shape of one input.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// Number of classes, at least 2.
    pub fn classes(&self) -> usize {
        self.outputs().max(2)
    }

    /// Logits a row.
    pub fn outputs(&self) -> usize {
        self.steps[self.logits].shape.values()
    }

    /// How many tensors there are, and how many of them are trained.
    pub fn counts(&self) -> TensorCounts {
        let could = self.tensors.iter().filter(|tensor| tensor.spec().role.is_trainable());
        TensorCounts {
            trainable: self.tensors.iter().filter(|tensor| tensor.is_trainable()).count(),
            all: could.count(),
            values: self.tensors.iter().map(|tensor| tensor.values().len()).sum(),
        }
    }

    /// Takes other values for all tensors, in their order.
    ///
    /// # Errors
    /// [`HeadError::Width`] when there are more or fewer tensors, or one has another number of values.
    pub fn set_tensors(&mut self, values: &[Vec<f32>]) -> Result<(), HeadError> {
        let (expected, found) = (self.tensors.len(), values.len());
        if expected != found {
            return Err(HeadError::Width { what: "lists of tensors".to_owned(), expected, found });
        }
        for (tensor, values) in self.tensors.iter_mut().zip(values) {
            tensor.set(values)?;
        }
        self.repack(true)
    }

    /// Gives changed weights to the layers that keep them packed: of trained layers, or of all.
    fn repack(&mut self, all: bool) -> Result<(), HeadError> {
        for step in &mut self.steps {
            if all || step.is_trained {
                step.repack(&self.tensors)?;
            }
        }
        Ok(())
    }
}

/// The node whose output are the logits.
fn logits(graph: &Graph, shapes: &[Shape]) -> Result<usize, HeadError> {
    let last = shapes.len() - 1;
    let node = &graph.nodes()[last];
    let (activation, at) = match node.op {
        Op::Dense(dense) => (dense.activation, last),
        Op::Act(activation) => (Some(activation), node.inputs[0]),
        _ => (None, last),
    };
    match (activation, shapes[last]) {
        (Some(Activation::Sigmoid), Shape::Vector { len: 1 })
        | (Some(Activation::Softmax), Shape::Vector { len: 2.. }) => Ok(at),
        _ => Err(HeadError::Layer {
            layer: node.name.clone(),
            detail: "expected a sigmoid of one value or a softmax of a vector as the last layer"
                .to_owned(),
        }),
    }
}

/// First values as in Keras: Glorot uniform kernels, each from the stream of its place among the kernels; biases, betas and
/// means 0; gammas and variances 1.
pub fn glorot(random: &mut dyn Randomness) -> impl FnMut(&ParamSpec, &mut [f32]) + '_ {
    let mut kernels = 0;
    move |spec, values| match spec.role {
        Role::Kernel | Role::DepthwiseKernel | Role::PointwiseKernel => {
            let (field, ends) = spec.shape.split_at(spec.shape.len() - 2);
            let field: usize = field.iter().product();
            random.kernel(kernels, field * ends[0], field * ends[1], values);
            kernels += 1;
        }
        Role::Bias | Role::Beta | Role::Mean => values.fill(0.0),
        Role::Gamma | Role::Variance => values.fill(1.0),
    }
}
