//! A base that was chosen: its name, its limits, and its layers up to the one whose output is the features.

use crate::bases::{self, Definition, Source, Variant};
use crate::weights::ConvSpec;
use graph::{Graph, GraphError, Op, Role, Shape};
use thiserror::Error;

/// So many layers are listed in an error message; of a deeper base that would fill the screen.
const LISTED_LAYERS: usize = 40;

/// Why a base can't be had as asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BaseError {
    /// No base has this name.
    #[error("unknown base '{0}': expected one of {1}")]
    UnknownBase(String, String),
    /// The base is described, but no engine runs it yet.
    #[error("base '{0}' can be summarised, not yet extracted: expected one of {1}")]
    NotExtractable(&'static str, String),
    /// The base has no such layer.
    #[error("{base} has no layer '{layer}': expected one of {names}")]
    UnknownLayer {
        /// The base's name.
        base: &'static str,
        /// The layer that was asked for.
        layer: String,
        /// The layers that exist.
        names: String,
    },
    /// The image is smaller than the base takes.
    #[error(
        "image size {width}x{height} is too small for {base}: expected at least {minimum}x{minimum}"
    )]
    TooSmall {
        /// The base's name.
        base: &'static str,
        /// Width asked for.
        width: usize,
        /// Height asked for.
        height: usize,
        /// The least extent.
        minimum: usize,
    },
    /// The layers have no shapes at this size.
    #[error("{base}: {source}")]
    Graph {
        /// The base's name.
        base: &'static str,
        /// What the graph says.
        source: GraphError,
    },
}

impl BaseError {
    /// What would fix it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownBase(..) | Self::Graph { .. } => None,
            Self::NotExtractable(name, _) => Some(format!(
                "`extract summary --backbone {name}` shows its layers; leave out --backbone to extract"
            )),
            Self::UnknownLayer { .. } => {
                Some("`extract summary` shows every layer with its shape".to_owned())
            }
            Self::TooSmall { minimum, .. } => {
                Some(format!("give --image-size {minimum} or more on both sides"))
            }
        }
    }
}

/// A pretrained base's layers up to the one whose output is the features.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// Name on the command line, such as `vgg16`.
    pub name: &'static str,
    /// The hub id of its usual weights; empty where there is none.
    pub default_weights: &'static str,
    /// Least width and height of an image, as in Keras's `include_top=False` models.
    pub minimum_size: usize,
    /// Width and height of an image if nothing else is asked for.
    pub default_size: usize,
    graph: Graph,
}

impl Base {
    /// Names of the bases that an engine runs.
    pub const EXTRACTABLE: &'static [&'static str] = &["vgg16"];

    /// The whole base of this name with its usual weights, without its classifier.
    ///
    /// # Errors
    /// [`BaseError::UnknownBase`], [`BaseError::NotExtractable`].
    pub fn named(name: &str) -> Result<Self, BaseError> {
        let definition = find(name)?;
        if !Self::EXTRACTABLE.contains(&definition.name) {
            return Err(BaseError::NotExtractable(definition.name, Self::EXTRACTABLE.join(", ")));
        }
        let variant = definition.variants.first();
        Self::new(definition, variant, false)
    }

    /// The whole base of this name as Keras has it, with its classifier or without.
    ///
    /// # Errors
    /// [`BaseError::UnknownBase`].
    pub fn of_keras(name: &str, include_top: bool) -> Result<Self, BaseError> {
        let definition = find(name)?;
        Self::new(definition, definition.variant(Source::Keras), include_top)
    }

    fn new(
        definition: &'static Definition,
        variant: Option<&'static Variant>,
        include_top: bool,
    ) -> Result<Self, BaseError> {
        let base = definition.name;
        let variant = variant.ok_or_else(|| unknown(base))?;
        let graph = definition
            .graph(variant, include_top)
            .map_err(|source| BaseError::Graph { base, source })?;
        Ok(Self {
            name: base,
            default_weights: variant.ids.first().copied().unwrap_or_default(),
            minimum_size: definition.least_size,
            default_size: if include_top { definition.top_size } else { definition.default_size },
            graph,
        })
    }

    /// This base, ending with the given layer.
    ///
    /// # Errors
    /// [`BaseError::UnknownLayer`]; the input layer can't be the last.
    pub fn up_to(self, layer: &str) -> Result<Self, BaseError> {
        let names: Vec<&str> =
            self.graph.nodes().iter().skip(1).map(|node| node.name.as_str()).collect();
        if !names.contains(&layer) {
            let names = if names.len() <= LISTED_LAYERS {
                names.join(", ")
            } else {
                let start = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
                format!("{start}, … {} ({} layers)", self.last_layer(), names.len())
            };
            let layer = layer.to_owned();
            return Err(BaseError::UnknownLayer { base: self.name, layer, names });
        }
        let graph = self.graph.cut(layer).map_err(|source| self.graph_error(source))?;
        Ok(Self { graph, ..self })
    }

    /// The layers.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The last layer's name.
    pub fn last_layer(&self) -> &str {
        &self.graph.output().name
    }

    /// Each layer's output shape for images of this size.
    ///
    /// # Errors
    /// [`BaseError::TooSmall`], [`BaseError::Graph`].
    pub fn shapes(&self, height: usize, width: usize) -> Result<Vec<Shape>, BaseError> {
        if height < self.minimum_size || width < self.minimum_size {
            return Err(BaseError::TooSmall {
                base: self.name,
                width,
                height,
                minimum: self.minimum_size,
            });
        }
        self.graph.shapes([height, width]).map_err(|source| self.graph_error(source))
    }

    /// The last layer's output (height, width, channels) for images of this size; a vector counts as one pixel.
    ///
    /// # Errors
    /// [`BaseError::TooSmall`], [`BaseError::Graph`].
    pub fn output_shape(&self, height: usize, width: usize) -> Result<[usize; 3], BaseError> {
        let shapes = self.shapes(height, width)?;
        Ok(match shapes.last() {
            Some(&Shape::Map { height, width, channels }) => [height, width, channels],
            Some(&Shape::Tokens { count, width }) => [1, count, width],
            Some(&Shape::Vector { len }) => [1, 1, len],
            None => [0; 3],
        })
    }

    /// The convolutions that need weights, in order.
    pub fn architecture(&self) -> Vec<ConvSpec> {
        // Kernels of convolutions do not depend on the size; every base takes its default one.
        let specs = self.graph.params([self.default_size; 2]).unwrap_or_default();
        let kernels = specs.iter().filter(|spec| spec.role == Role::Kernel);
        let spec_of = |name: &str| kernels.clone().find(|spec| spec.node == name);
        let mut convolutions = Vec::new();
        for node in self.graph.nodes() {
            if let (Op::Conv(conv), Some(spec)) = (&node.op, spec_of(&node.name))
                && let [_, _, in_channels, out_channels] = spec.shape[..]
            {
                convolutions.push(ConvSpec {
                    keras_name: node.name.clone(),
                    torch_name: node.tensors.clone().unwrap_or_else(|| node.name.clone()),
                    out_channels,
                    in_channels,
                    kernel: conv.kernel,
                });
            }
        }
        convolutions
    }

    fn graph_error(&self, source: GraphError) -> BaseError {
        BaseError::Graph { base: self.name, source }
    }
}

fn find(name: &str) -> Result<&'static Definition, BaseError> {
    bases::find(name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> BaseError {
    let names: Vec<_> = bases::ALL.iter().map(|definition| definition.name).collect();
    BaseError::UnknownBase(name.to_owned(), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_names_its_convolutions_for_keras_and_torchvision() {
        let base = Base::named("vgg16").unwrap();
        let architecture = base.architecture();
        let torch: Vec<_> = architecture.iter().map(|c| c.torch_name.as_str()).collect();
        let expected =
            [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28].map(|i| format!("features.{i}"));
        assert_eq!(torch, expected);
        let values = architecture.iter().map(|c| c.oihw().iter().product::<usize>());
        assert_eq!(values.sum::<usize>(), 14_714_688 - 4224);
        assert_eq!(architecture[2].keras_name, "block2_conv1");
        assert_eq!(architecture[2].hwio(), [3, 3, 64, 128]);
    }

    #[test]
    fn a_base_ends_at_any_of_its_layers() {
        let base = Base::named("vgg16").unwrap();
        for node in base.graph().nodes().iter().skip(1) {
            let cut = base.clone().up_to(&node.name).unwrap();
            assert_eq!(cut.last_layer(), node.name);
        }
        let cut = base.clone().up_to("block3_conv2").unwrap();
        assert_eq!(cut.output_shape(150, 90).unwrap(), [37, 22, 256]);
        assert_eq!(cut.architecture().len(), 6);
        for bad in ["input_1", "block6_pool", "", "fc1"] {
            let message = base.clone().up_to(bad).unwrap_err().to_string();
            assert!(message.contains("block5_pool"), "{message}");
        }
    }

    #[test]
    fn a_deep_base_does_not_list_all_its_layers() {
        let base = Base::of_keras("inception-resnet-v2", false).unwrap();
        let message = base.up_to("mixed_9").unwrap_err().to_string();
        assert!(message.contains("conv_7b_ac (779 layers)") && message.len() < 200, "{message}");
    }

    #[test]
    fn too_small_images_and_unknown_bases_are_refused() {
        let base = Base::named("vgg16").unwrap();
        assert!(base.output_shape(32, 32).is_ok());
        let message = base.output_shape(40, 31).unwrap_err().to_string();
        assert!(message.contains("31x40") && message.contains("32x32"), "{message}");
        assert!(Base::named("vgg17").unwrap_err().to_string().contains("vgg16"));
        let later = Base::named("inception_v3").unwrap_err();
        assert_eq!(later, BaseError::NotExtractable("inception-v3", "vgg16".to_owned()));
        assert!(later.hint().unwrap().contains("summary --backbone inception-v3"));
    }
}
