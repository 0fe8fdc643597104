//! What every base has.

use super::variant::{Options, Source, Variant};
use graph::{Activation, Builder, Dense, Graph, GraphError, NodeId, Op};
use weights::Architecture;

/// Classes of ImageNet-1k, which every base was trained on.
const CLASSES: usize = 1000;
/// The input's name, as the lesson shows it. Keras 3 calls it `input_layer`.
pub(super) const INPUT: &str = "input_1";

/// A base: its layers and the publications of its weights.
#[derive(Debug)]
pub struct Definition {
    /// Name on the command line, such as `vgg16` or `mobilenet-0.5`.
    pub name: &'static str,
    /// Width factor of a MobileNet, 1 elsewhere.
    pub alpha: f64,
    /// Width and height of an image if nothing else is asked for.
    pub default_size: usize,
    /// Width and height that the classifier was trained at.
    pub top_size: usize,
    /// The least width and height without the classifier, as in Keras.
    pub least_size: usize,
    /// Licence of the usual weights, as their publisher names it.
    pub licence: &'static str,
    /// Publications of the weights, the usual one first.
    pub variants: &'static [Variant],
    pub(super) build: fn(&mut Builder, &Options) -> NodeId,
}

impl Definition {
    /// A MobileNet of a width, as Keras has them: trained by its authors at 224 pixels.
    pub(super) const fn of_width(
        name: &'static str,
        alpha: f64,
        variants: &'static [Variant],
        build: fn(&mut Builder, &Options) -> NodeId,
    ) -> Self {
        Self {
            name,
            alpha,
            default_size: 224,
            top_size: 224,
            least_size: 32,
            licence: "Apache-2.0",
            variants,
            build,
        }
    }

    /// The publication by a source, if there is one.
    pub fn variant(&self, source: Source) -> Option<&'static Variant> {
        self.variants.iter().find(|variant| variant.source == source)
    }

    /// The hub id of the usual weights; `None` where the hub has none.
    pub fn default_weights(&self) -> Option<&'static str> {
        let ids = self.variants.first().map_or(&[][..], |variant| variant.ids);
        ids.iter().copied().find(|id| id.contains('/'))
    }

    /// The layers as `variant` has them, with the classifier or without.
    ///
    /// # Errors
    /// None in practice: a mistake in a definition, which its test finds.
    pub fn graph(&self, variant: &'static Variant, include_top: bool) -> Result<Graph, GraphError> {
        let mut builder = Builder::new();
        let options = Options { include_top, classes: CLASSES, alpha: self.alpha, variant };
        let output = (self.build)(&mut builder, &options);
        builder.finish(output)
    }
}

impl Definition {
    /// What the base needs of weights files, as each variant has it.
    ///
    /// # Errors
    /// None in practice: a mistake in a definition, which its test finds.
    pub fn architecture(&self, include_top: bool) -> Result<Architecture, GraphError> {
        // Only a dense layer after a flattening depends on the size, and it was trained at this one.
        let image = [if include_top { self.top_size } else { self.default_size }; 2];
        let variant = |variant: &'static Variant| {
            let graph = self.graph(variant, include_top)?;
            let source = variant.source;
            weights::Variant::new(
                source.name(),
                source.framework(),
                variant.preprocess,
                &graph,
                image,
            )
        };
        Ok(Architecture {
            base: self.name.to_owned(),
            with_classifier: include_top,
            variants: self.variants.iter().map(variant).collect::<Result<_, _>>()?,
            published: self.variants.iter().flat_map(Variant::published).collect(),
        })
    }
}

/// The classifier's last layer in most bases: a dense layer with softmax.
pub(super) fn predictions(
    builder: &mut Builder,
    options: &Options,
    x: NodeId,
    tensors: &str,
) -> NodeId {
    let activation = Some(Activation::Softmax);
    let dense = Dense { units: options.classes, bias: true, activation };
    let x = builder.add("predictions", Op::Dense(dense), &[x]);
    options.tensors(builder, x, tensors);
    x
}
