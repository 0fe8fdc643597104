//! What a base needs of a weights file: its parameters, under the names of everyone who publishes weights for it.

use graph::{Graph, GraphError, Op, ParamSpec, Role, Shape};

/// Which preprocessing of the pixels a set of weights was trained with.
///
/// The names are those of Keras's `imagenet_utils.preprocess_input`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PreprocessHint {
    /// RGB in 0..1, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225).
    Torch,
    /// BGR in 0..255, minus (103.939, 116.779, 123.68).
    Caffe,
    /// RGB, over 127.5, minus 1.
    Tf,
}

util::named!(PreprocessHint, "preprocessing", { Torch = "torch", Caffe = "caffe", Tf = "tf" });

/// Whose habits a variant's files follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framework {
    /// Kernels are (height, width, in, out); layers are named, numbered, or in order.
    Keras,
    /// Kernels are (out, in, height, width); tensors have the names of a state dict.
    PyTorch,
}

/// A digest that the publisher of a file made known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishedDigest {
    /// MD5, as Keras's source has it.
    Md5(&'static str),
    /// The first digits of the sha256, as PyTorch's hub puts them into names.
    Sha256Start(&'static str),
}

/// A file that somebody publishes, known by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedFile {
    /// Its name.
    pub name: &'static str,
    /// The digest that a file of this name must have.
    pub digest: PublishedDigest,
}

/// One parameter of a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Node, role, and shape in Keras's order of the axes.
    pub spec: ParamSpec,
    /// The tensor's name in a state dict, such as `layer1.0.bn2.running_var`.
    pub tensor: String,
    /// Keras's class of the layer, such as `Conv2D`.
    pub class: &'static str,
    /// Of a dense layer that reads a flattened map: the map's (height, width, channels). Keras counts its values pixel by
    /// pixel, PyTorch channel by channel.
    pub flattened: Option<[usize; 3]>,
}

impl Parameter {
    /// The shape as tensors are handed out: PyTorch's.
    ///
    /// # Shapes
    /// A convolution's kernel is (out, in / groups, height, width), a depthwise one (in * multiplier, 1, height, width), a
    /// dense one (out, in), all others (channels,).
    pub fn shape(&self) -> Vec<usize> {
        match (self.spec.role, self.spec.shape.as_slice()) {
            (Role::DepthwiseKernel, &[h, w, i, multiplier]) => {
                vec![i.saturating_mul(multiplier), 1, h, w]
            }
            (_, &[h, w, i, o]) => vec![o, i, h, w],
            (_, &[i, o]) => vec![o, i],
            (_, shape) => shape.to_vec(),
        }
    }
}

/// Everyone's form of a base's parameters, the usual one first.
#[derive(Clone, Debug)]
pub struct Architecture {
    /// The base's name, such as `vgg16`.
    pub base: String,
    /// Whether the classifier is part of it.
    pub with_classifier: bool,
    /// The forms. A file is read by the first whose tensors it has.
    pub variants: Vec<Variant>,
    /// Files whose digests are known.
    pub published: Vec<PublishedFile>,
}

/// The form of a base's parameters that one publisher gives them.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Who publishes it, such as `timm`.
    pub name: &'static str,
    /// Whose habits its files follow.
    pub framework: Framework,
    /// How pixels became numbers in training.
    pub preprocess: PreprocessHint,
    /// The parameters, node by node, within a node in Keras's order.
    pub parameters: Vec<Parameter>,
}

impl Variant {
    /// The parameters of a graph for images of `[height, width]`.
    ///
    /// # Errors
    /// As [`Graph::params`].
    pub fn new(
        name: &'static str,
        framework: Framework,
        preprocess: PreprocessHint,
        graph: &Graph,
        image: [usize; 2],
    ) -> Result<Self, GraphError> {
        let shapes = graph.shapes(image)?;
        let mut parameters = Vec::new();
        for spec in graph.params(image)? {
            let node = &graph.nodes()[graph.position(&spec.node)?];
            let prefix = node.tensors.as_ref().unwrap_or(&node.name);
            // PyTorch has no separable layer: timm's is a module of two convolutions.
            let half = match (&node.op, spec.role) {
                (Op::Separable(_), Role::DepthwiseKernel) => ".conv1",
                (Op::Separable(_), Role::PointwiseKernel) => ".pointwise",
                _ => "",
            };
            let tensor = format!("{prefix}{half}.{}", suffix(spec.role));
            let flattened = match (spec.role, node.inputs.first().map(|&i| &graph.nodes()[i])) {
                (Role::Kernel, Some(input)) if matches!(input.op, Op::Flatten) => {
                    match input.inputs.first().map(|&i| shapes[i]) {
                        Some(Shape::Map { height, width, channels }) => {
                            Some([height, width, channels])
                        }
                        _ => None,
                    }
                }
                _ => None,
            };
            let class = node.op.class_name();
            parameters.push(Parameter { spec, tensor, class, flattened });
        }
        Ok(Self { name, framework, preprocess, parameters })
    }
}

fn suffix(role: Role) -> &'static str {
    match role {
        Role::Kernel | Role::DepthwiseKernel | Role::PointwiseKernel | Role::Gamma => "weight",
        Role::Bias | Role::Beta => "bias",
        Role::Mean => "running_mean",
        Role::Variance => "running_var",
    }
}
