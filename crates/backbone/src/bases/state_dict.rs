//! What a graph's parameters are called in a PyTorch state dict.

use graph::{Graph, GraphError, Op, ParamSpec, Role};

/// A parameter and its tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDictEntry {
    /// What the graph needs, in Keras's shape.
    pub spec: ParamSpec,
    /// The tensor's name in the state dict, such as `layer1.0.bn2.running_var`.
    pub tensor: String,
}

/// The tensors that a graph needs of a state dict, for images of `[height, width]`, in the order of [`Graph::params`].
///
/// # Errors
/// As [`Graph::params`].
pub fn state_dict(graph: &Graph, image: [usize; 2]) -> Result<Vec<StateDictEntry>, GraphError> {
    let specs = graph.params(image)?;
    let mut entries = Vec::with_capacity(specs.len());
    for spec in specs {
        let node = &graph.nodes()[graph.position(&spec.node)?];
        let prefix = node.tensors.as_ref().unwrap_or(&node.name);
        // PyTorch has no separable layer: timm's is a module of two convolutions.
        let half = match (&node.op, spec.role) {
            (Op::Separable(_), Role::DepthwiseKernel) => ".conv1",
            (Op::Separable(_), Role::PointwiseKernel) => ".pointwise",
            _ => "",
        };
        let tensor = format!("{prefix}{half}.{}", suffix(spec.role));
        entries.push(StateDictEntry { spec, tensor });
    }
    Ok(entries)
}

fn suffix(role: Role) -> &'static str {
    match role {
        Role::Kernel | Role::DepthwiseKernel | Role::PointwiseKernel | Role::Gamma => "weight",
        Role::Bias | Role::Beta => "bias",
        Role::Mean => "running_mean",
        Role::Variance => "running_var",
    }
}

/// Whether a state dict's tensor of shape `found` can be this parameter.
///
/// # Shapes
/// A convolution's kernel (height, width, in, out) is stored as (out, in, height, width), a depthwise one
/// (height, width, in, multiplier) as (in * multiplier, 1, height, width), a dense one (in, out) as (out, in). A 1×1
/// convolution may be stored as a dense layer, and a dense layer as a convolution that covers its whole input map; the
/// latter counts values channel by channel, where a flattened map in NHWC counts them pixel by pixel.
pub fn fits(spec: &ParamSpec, found: &[usize]) -> bool {
    match (spec.role, spec.shape.as_slice(), found) {
        (Role::Kernel | Role::PointwiseKernel, &[h, w, i, o], found) => {
            found == [o, i, h, w] || ((h, w) == (1, 1) && found == [o, i])
        }
        (Role::DepthwiseKernel, &[h, w, i, multiplier], found) => {
            found == [i.saturating_mul(multiplier), 1, h, w]
        }
        (Role::Kernel, &[i, o], &[first, ref rest @ ..]) => {
            matches!(rest.len(), 1 | 3)
                && first == o
                && rest.iter().copied().fold(1, usize::saturating_mul) == i
        }
        (_, expected, found) => expected == found,
    }
}
