//! The network that is trained: what of a base comes after the frozen part, and a head on it.

use backbone::{Base, Pooling};
use graph::{Activation, Builder, Dense, Graph, Op, PoolKind, Role, Shape};
use train::convnet::{ConvNet, Machine, glorot};
use train::{FitConfig, Seeded};
use weights::Weights;

use super::start::Start;
use crate::error::Error;
use crate::memory;

/// A network in two parts: a frozen base in inference form, and what is trained on its output.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// What comes after the frozen part.
    pub graph: Graph,
    /// `[height, width]` of its input.
    pub input: [usize; 2],
    /// The layer of the base whose output that is; `None` for pixels.
    pub cut: Option<String>,
    /// Layers of the base in `graph` that come before the first one that is trained.
    frozen: Vec<String>,
    /// Tensors that could be trained, and values, of the whole: with the frozen part.
    pub whole: Counts,
}

/// How large a network is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tensors that gradients could change.
    pub tensors: usize,
    /// Values of all tensors.
    pub parameters: usize,
}

impl Network {
    /// A base with a head on it. Of the base the layers from `unfreeze` on are trained, or none. The frozen part ends at layer
    /// `cut`, or as late as it can.
    ///
    /// # Errors
    /// [`Error::Base`] and [`Error::Graph`]: a layer that the base does not have, a size that is too small for it, a cut where the
    /// base can't be split in two, or after the first layer that is trained.
    pub fn on_base(
        base: &Base,
        size: [usize; 2],
        unfreeze: Option<&str>,
        cut: Option<&str>,
        pooling: Pooling,
        config: &FitConfig,
        classes: usize,
    ) -> Result<Self, Error> {
        // Refuses sizes by the base's own words.
        base.output_shape(size[0], size[1])?;
        if let Some(layer) = unfreeze {
            base.clone().up_to(layer)?;
        }
        let whole = with_head(base.graph(), size, pooling, config, classes)?;
        let latest = match unfreeze {
            Some(layer) => whole.split_before(layer)?,
            None => whole.position(base.last_layer())?,
        };
        let cut = match cut {
            Some(layer) => whole.position(layer)?,
            None => latest,
        };
        if cut > latest {
            return Err(Error::CutTooLate {
                layer: unfreeze.unwrap_or_default().to_owned(),
                cut: whole.nodes()[cut].name.clone(),
            });
        }
        let (graph, input) = whole.suffix(cut, size)?;
        let first = unfreeze.map(|layer| whole.position(layer)).transpose()?;
        let last = whole.position(base.last_layer())?;
        let between = cut + 1..first.unwrap_or(last + 1);
        let frozen = between.map(|at| whole.nodes()[at].name.clone()).collect();
        let cut = (cut > 0).then(|| whole.nodes()[cut].name.clone());
        Ok(Self { graph, input, cut, frozen, whole: counts(&whole, size)? })
    }

    /// A network of the user's own, on pixels. It ends before its classifier or with it: a dense layer for the classes is added
    /// where its last layer is none for them.
    ///
    /// # Errors
    /// [`Error::NetworkSize`]: its layers don't fit together or the size.
    pub fn of_graph(
        graph: &Graph,
        size: [usize; 2],
        config: &FitConfig,
        classes: usize,
    ) -> Result<Self, Error> {
        let config = FitConfig { hidden: Vec::new(), ..config.clone() };
        let of_size = |error| match error {
            Error::Graph(source) => Error::NetworkSize { size, source },
            other => other,
        };
        let graph = with_head(graph, size, Pooling::None, &config, classes).map_err(of_size)?;
        let whole = counts(&graph, size).map_err(of_size)?;
        Ok(Self { graph, input: size, cut: None, frozen: Vec::new(), whole })
    }

    /// Whether a layer's tensors are trained.
    fn is_trained(&self, layer: &str) -> bool {
        !self.frozen.iter().any(|frozen| frozen == layer)
    }

    /// Refuses a network that takes more memory than is available, trained on so many rows.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub(super) fn fits(&self, config: &FitConfig, rows: usize) -> Result<(), Error> {
        // Beside each weight its gradient, the optimizer's state, and those of the best epoch.
        const PER_WEIGHT: u64 = 4 * size_of::<f32>() as u64;
        let specs = self.graph.params(self.input)?;
        let needed = specs.iter().map(|spec| {
            let values = spec.values() as u64;
            let each =
                if self.is_trained(&spec.node) { PER_WEIGHT } else { size_of::<f32>() as u64 };
            values.saturating_mul(each)
        });
        let weights = needed.fold(0, u64::saturating_add);
        memory::check_network(&self.graph, self.input, weights, config.batch_size.min(rows.max(1)))
    }

    /// The network with values: the base's from `weights`, all others drawn from the seed, and over both what `start` has.
    ///
    /// # Errors
    /// Layers that can't be trained, a start that does not fit, a base's layer without weights.
    pub fn ready(
        &self,
        machine: Machine,
        weights: Option<&Weights>,
        start: Option<&Start>,
        seed: u64,
    ) -> Result<ConvNet, Error> {
        let mut seeded = Seeded::new(seed);
        let mut draw = glorot(&mut seeded);
        let mut wrong = None;
        let mut net = ConvNet::new(
            self.graph.clone(),
            self.input,
            machine,
            &|layer| self.is_trained(layer),
            &mut |spec, values| {
                draw(spec, values);
                if let Some(stored) = weights.and_then(|w| keras_values(w, &spec.node, spec.role)) {
                    match stored.len() == values.len() {
                        true => values.copy_from_slice(&stored),
                        false => wrong = Some(spec.node.clone()),
                    }
                }
            },
        )
        .map_err(Error::from)?;
        if let Some(layer) = wrong {
            return Err(Error::NoLayerWeights { layer });
        }
        if let Some(start) = start {
            let values = start.values(&net)?;
            net.set_tensors(&values).map_err(Error::from)?;
        }
        Ok(net)
    }
}

/// The values of a parameter in Keras's layout, with dense layers for maps that are flattened pixel by pixel.
pub(crate) fn keras_values(weights: &Weights, node: &str, role: Role) -> Option<Vec<f32>> {
    let shape = &weights.get(node, role)?.shape;
    let values = weights.nhwc_values(node, role)?;
    // (out, in, height, width) or (out, in): taps first, then inputs, then outputs.
    let [out, inputs, taps @ ..] = &shape[..] else { return Some(values) };
    let taps: usize = taps.iter().product();
    let mut to = vec![0.0; values.len()];
    for (at, value) in values.iter().enumerate() {
        let (output, input, tap) = (at / (inputs * taps), at / taps % inputs, at % taps);
        to[(tap * inputs + input) * out + output] = *value;
    }
    Some(to)
}

/// A graph with a head behind its output: flattened or pooled, hidden ReLU layers each with dropout, and the classes. A graph that
/// ends in a classifier for as many classes stays as it is.
fn with_head(
    graph: &Graph,
    size: [usize; 2],
    pooling: Pooling,
    config: &FitConfig,
    classes: usize,
) -> Result<Graph, Error> {
    let outputs = if classes == 2 { 1 } else { classes };
    let activation = if classes == 2 { Activation::Sigmoid } else { Activation::Softmax };
    let shape = graph.output_shape(size)?;
    let ends_so = |op: &Op| match op {
        Op::Dense(dense) => dense.activation == Some(activation),
        Op::Act(last) => *last == activation,
        _ => false,
    };
    if shape == (Shape::Vector { len: outputs }) && ends_so(&graph.output().op) {
        return Ok(graph.clone());
    }
    let mut builder = Builder::new();
    let mut value = builder.input("features", shape.channels());
    let global = |kind| Op::GlobalPool { kind, keep_dims: false };
    value = match (pooling, shape) {
        (_, Shape::Vector { .. }) => value,
        (Pooling::Avg, _) => builder.add("head_pooling", global(PoolKind::Avg), &[value]),
        (Pooling::Max, _) => builder.add("head_pooling", global(PoolKind::Max), &[value]),
        (Pooling::None, _) => builder.add(unused(graph, "flatten", 0), Op::Flatten, &[value]),
    };
    let widths = config.hidden.iter().map(|units| (*units, Activation::Relu));
    for (i, (units, activation)) in widths.chain([(outputs, activation)]).enumerate() {
        let dense = Dense { units, bias: true, activation: Some(activation) };
        value = builder.add(unused(graph, "dense", i), Op::Dense(dense), &[value]);
        if i < config.hidden.len() && config.dropout > 0.0 {
            let dropout = Op::Dropout { rate: f64::from(config.dropout) };
            value = builder.add(unused(graph, "dropout", i), dropout, &[value]);
        }
    }
    Ok(graph.append(&builder.finish(value)?)?)
}

/// Keras's next automatic name of this kind that the graph has no layer of.
fn unused(graph: &Graph, kind: &str, taken: usize) -> String {
    let names = (0..).map(|i| if i == 0 { kind.to_owned() } else { format!("{kind}_{i}") });
    let mut free = names.filter(|name| graph.position(name).is_err()).skip(taken);
    free.next().unwrap_or_default()
}

fn counts(graph: &Graph, size: [usize; 2]) -> Result<Counts, Error> {
    let specs = graph.params(size)?;
    let tensors = specs.iter().filter(|spec| spec.role.is_trainable()).count();
    Ok(Counts { tensors, parameters: specs.iter().map(|spec| spec.values()).sum() })
}
