//! A base that was chosen: its name, its limits, and its layers up to the one whose output is the features.

use crate::bases::{self, Definition, Source, Variant, View};
use graph::{Graph, GraphError, Op, Shape};
use thiserror::Error;
use util::Hint;
use weights::Architecture;

/// So many layers are listed in an error message; of a deeper base that would fill the screen.
const LISTED_LAYERS: usize = 40;

/// Why a base can't be had as asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BaseError {
    /// No base has this name.
    #[error("unknown base '{0}': expected one of {1}")]
    UnknownBase(String, String),
    /// Nobody of this name publishes weights of the base.
    #[error("base '{base}' has no variant '{variant}': expected one of {known}")]
    UnknownVariant {
        /// The base's name.
        base: &'static str,
        /// The variant that was asked for.
        variant: String,
        /// Those that there are.
        known: String,
    },
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
    /// The classifier takes images of one size.
    #[error("the classifier of {base} takes images of {expected}x{expected}, not {width}x{height}")]
    OtherSize {
        /// The base's name.
        base: &'static str,
        /// Width asked for.
        width: usize,
        /// Height asked for.
        height: usize,
        /// Width and height that its dense layers were trained at.
        expected: usize,
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

impl Hint for BaseError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownBase(..) | Self::UnknownVariant { .. } | Self::Graph { .. } => None,
            Self::UnknownLayer { .. } => {
                Some("the base's summary has every layer with its shape".to_owned())
            }
            Self::OtherSize { expected, .. } => {
                Some(format!("use images of {expected}x{expected}"))
            }
            Self::TooSmall { minimum, .. } => {
                Some(format!("use images of {minimum} pixels or more on both sides"))
            }
        }
    }
}

/// A pretrained base's layers up to the one whose output is the features.
#[derive(Clone, Debug)]
pub struct Base {
    /// Name on the command line, such as `vgg16`.
    pub name: &'static str,
    /// The hub id of its usual weights; `None` where the hub has none.
    pub default_weights: Option<&'static str>,
    /// Whose form of the base this is.
    pub source: Source,
    /// Least width and height of an image, as in Keras's `include_top=False` models.
    pub minimum_size: usize,
    /// Width and height of an image if nothing else is asked for.
    pub default_size: usize,
    definition: &'static Definition,
    include_top: bool,
    graph: Graph,
}

impl Base {
    /// The whole base of this name in its usual variant, without its classifier.
    ///
    /// # Errors
    /// [`BaseError::UnknownBase`].
    pub fn named(name: &str) -> Result<Self, BaseError> {
        Self::usual(name, false)
    }

    /// The whole base of this name in its usual variant, with its classifier.
    ///
    /// # Errors
    /// [`BaseError::UnknownBase`].
    pub fn with_classifier(name: &str) -> Result<Self, BaseError> {
        Self::usual(name, true)
    }

    /// The base of this name up to a layer, the last one without the classifier if none is named. The classifier is a part of
    /// it only where the layer is.
    ///
    /// # Errors
    /// [`BaseError::UnknownBase`], [`BaseError::UnknownLayer`].
    pub fn ending_at(name: &str, layer: Option<&str>) -> Result<Self, BaseError> {
        let base = Self::named(name)?;
        let Some(layer) = layer else { return Ok(base) };
        match base.up_to(layer) {
            Err(BaseError::UnknownLayer { .. }) => Self::with_classifier(name)?.up_to(layer),
            other => other,
        }
    }

    /// The whole base of this name as Keras has it, with its classifier or without.
    ///
    /// # Errors
    /// [`BaseError::UnknownBase`].
    pub fn of_keras(name: &str, include_top: bool) -> Result<Self, BaseError> {
        let definition = find(name)?;
        Self::new(definition, definition.variant(Source::Keras), include_top)
    }

    fn usual(name: &str, include_top: bool) -> Result<Self, BaseError> {
        let definition = find(name)?;
        Self::new(definition, definition.variants.first(), include_top)
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
            default_weights: definition.default_weights(),
            source: variant.source,
            minimum_size: definition.least_size,
            default_size: if include_top { definition.top_size } else { definition.default_size },
            definition,
            include_top,
            graph,
        })
    }

    /// This base, in the variant that weights are for ([`weights::Weights::variant`]), up to the same layer. Layers have the
    /// same names and shapes in all variants.
    ///
    /// # Errors
    /// [`BaseError::UnknownVariant`].
    pub fn for_variant(&self, name: &str) -> Result<Self, BaseError> {
        let variants = self.definition.variants;
        let variant = variants.iter().find(|variant| variant.source.name() == name);
        let variant = variant.ok_or_else(|| BaseError::UnknownVariant {
            base: self.name,
            variant: name.to_owned(),
            known: variants.iter().map(|v| v.source.name()).collect::<Vec<_>>().join(", "),
        })?;
        Self::new(self.definition, Some(variant), self.include_top)?.up_to(self.last_layer())
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

    /// The name of the variant where it changes what is computed: not of one whose layers are those of the usual variant.
    pub fn variant(&self) -> Option<&'static str> {
        let ops = |variant: &'static Variant| {
            let graph = self.definition.graph(variant, self.include_top).ok()?;
            Some(graph.nodes().iter().map(|node| node.op).collect::<Vec<_>>())
        };
        let [usual, own] = [self.definition.variants.first(), self.definition.variant(self.source)];
        (usual.and_then(ops) != own.and_then(ops)).then(|| self.source.name())
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
    /// [`BaseError::TooSmall`], [`BaseError::OtherSize`], [`BaseError::Graph`].
    pub fn shapes(&self, height: usize, width: usize) -> Result<Vec<Shape>, BaseError> {
        if height < self.minimum_size || width < self.minimum_size {
            return Err(BaseError::TooSmall {
                base: self.name,
                width,
                height,
                minimum: self.minimum_size,
            });
        }
        let expected = self.definition.top_size;
        if [height, width] != [expected; 2] && self.flattens() {
            return Err(BaseError::OtherSize { base: self.name, width, height, expected });
        }
        self.graph.shapes([height, width]).map_err(|source| self.graph_error(source))
    }

    /// The last layer's output (height, width, channels) for images of this size; a vector counts as one pixel.
    ///
    /// # Errors
    /// As [`Base::shapes`].
    pub fn output_shape(&self, height: usize, width: usize) -> Result<[usize; 3], BaseError> {
        let shapes = self.shapes(height, width)?;
        Ok(match shapes.last() {
            Some(&Shape::Map { height, width, channels }) => [height, width, channels],
            Some(&Shape::Tokens { count, width }) => [1, count, width],
            Some(&Shape::Vector { len }) => [1, 1, len],
            None => [0; 3],
        })
    }

    /// How the classifier saw pictures when its publisher measured it.
    pub fn view(&self) -> View {
        self.definition.variant(self.source).map_or(View::Stretched, |variant| variant.view)
    }

    /// What the whole base needs of weights files, whatever layer is the last.
    ///
    /// # Errors
    /// [`BaseError::Graph`]: none in practice.
    pub fn architecture(&self) -> Result<Architecture, BaseError> {
        let architecture = self.definition.architecture(self.include_top);
        architecture.map_err(|source| self.graph_error(source))
    }

    /// Whether a dense layer takes a whole map, so that only one size of image gives it as many values as it has weights.
    fn flattens(&self) -> bool {
        let nodes = self.graph.nodes();
        let is_flat = |input: &usize| matches!(nodes[*input].op, Op::Flatten);
        nodes.iter().any(|node| matches!(node.op, Op::Dense(_)) && node.inputs.iter().any(is_flat))
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
    fn a_base_names_its_parameters_for_keras_and_pytorch() {
        let architecture = Base::named("vgg16").unwrap().architecture().unwrap();
        let expected = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28];
        let expected =
            expected.map(|i| [format!("features.{i}.weight"), format!("features.{i}.bias")]);
        for variant in &architecture.variants {
            let names: Vec<_> = variant.parameters.iter().map(|p| p.tensor.as_str()).collect();
            assert_eq!(names, expected.concat(), "{}", variant.name);
            let values = variant.parameters.iter().map(|p| p.spec.values());
            assert_eq!(values.sum::<usize>(), 14_714_688);
        }
        let third = &architecture.variants[0].parameters[4];
        assert_eq!(third.spec.node, "block2_conv1");
        assert_eq!(
            (third.spec.shape.as_slice(), third.shape()),
            (&[3, 3, 64, 128][..], vec![128, 64, 3, 3])
        );
    }

    #[test]
    fn a_layer_of_the_classifier_brings_it_and_its_size() {
        let base = Base::ending_at("vgg16", Some("fc2")).unwrap();
        assert_eq!((base.last_layer(), base.default_size), ("fc2", 224));
        assert!(base.architecture().unwrap().with_classifier);
        assert_eq!(base.output_shape(224, 224).unwrap(), [1, 1, 4096]);
        let message = base.output_shape(150, 224).unwrap_err().to_string();
        assert!(message.contains("224x224, not 224x150"), "{message}");
        for (name, layer) in [("vgg16", Some("block3_pool")), ("vgg16", None), ("resnet50", None)] {
            let base = Base::ending_at(name, layer).unwrap();
            assert!(!base.architecture().unwrap().with_classifier, "{name} {layer:?}");
        }
        // Pooled before it is classified: any size will do.
        let pooled = Base::ending_at("resnet50", Some("predictions")).unwrap();
        assert_eq!(pooled.output_shape(150, 97).unwrap(), [1, 1, 1000]);
        let unknown = Base::ending_at("vgg16", Some("fc3")).unwrap_err();
        assert!(matches!(unknown, BaseError::UnknownLayer { .. }), "{unknown}");
    }

    #[test]
    fn a_variant_keeps_the_last_layer() {
        let base = Base::named("resnet50").unwrap().up_to("conv3_block4_out").unwrap();
        assert_eq!(base.source, Source::Timm);
        let keras = base.for_variant("keras").unwrap();
        assert_eq!((keras.source, keras.last_layer()), (Source::Keras, "conv3_block4_out"));
        assert_ne!(keras.graph(), base.graph());
        assert_eq!((keras.variant(), base.variant()), (Some("keras"), None));
        // The same layers, whoever's the weights are.
        assert_eq!(base.for_variant("torchvision").unwrap().variant(), None);
        let caffe = Base::named("vgg16").unwrap().for_variant("keras").unwrap();
        assert_eq!(caffe.variant(), None);
        assert_eq!(keras.for_variant("timm").unwrap().graph(), base.graph());
        let message = base.for_variant("caffe").unwrap_err().to_string();
        assert!(message.contains("timm, torchvision, keras"), "{message}");
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
        // Weights, and so their digest, are the whole base's.
        let parameters = |base: &Base| base.architecture().unwrap().variants[0].parameters.len();
        assert_eq!((parameters(&cut), parameters(&base)), (26, 26));
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
        assert_eq!(Base::named("inception_v3").unwrap().name, "inception-v3");
    }
}
