//! A head of dense layers on rows.

use super::validation::ValidationSet;
use super::{Model, State, check, class_indices, class_weights};
use crate::convnet::Checkpoint;
use crate::network::{self, Network, Step, Sums};
use crate::optimizer::Rule;
use crate::sparse::{BatchColumns, RowStore};
use crate::views::{Schedule, Unrolled};
use crate::{FitConfig, Head, HeadError, Randomness, Split, check_split};

/// The head and its rows.
pub(super) struct OnRows<'a> {
    network: Network,
    /// Every view of every row.
    rows: RowStore<'a>,
    views: Schedule,
    labels: Vec<usize>,
    weights: Vec<f64>,
    validation: Option<ValidationSet<'a>>,
    config: &'a FitConfig,
    width: usize,
    mask: Vec<f32>,
}

impl<'a> OnRows<'a> {
    /// A new head for so many classes. `all` are the views of the rows of `train`, of which at most `cache` bytes are kept.
    pub(super) fn new(
        classes: usize,
        config: &'a FitConfig,
        mut cache: usize,
        random: &mut dyn Randomness,
        (train, all): (&Split<'_>, &'a Unrolled<'_>),
        validation: Option<&Split<'a>>,
    ) -> Result<Self, HeadError> {
        check::check_config(config, validation.is_some())?;
        check_split("train", train, classes, &config.class_names)?;
        let width = train.features.width();
        if let Some(v) = validation {
            check_split("validation", v, classes, &config.class_names)?;
            if v.features.width() != width {
                return Err(HeadError::Width {
                    what: "validation features".to_owned(),
                    expected: width,
                    found: v.features.width(),
                });
            }
        }
        let widths = network::widths(width, &config.hidden, classes);
        let views = train.features.views();
        check::check_sizes(train.features.len(), views, &widths, config)?;

        let labels = class_indices(train.labels);
        let weights = class_weights(&labels, classes, config.class_weight);
        let rows = RowStore::read("train", all, &mut cache).map_err(|e| all.error_of_row(e))?;
        let views = Schedule::new(train.features.len(), views, random);
        let validation = validation.map(|v| ValidationSet::read(v, cache)).transpose()?;
        let network = Network::random(&widths, config.optimizer, random);
        let mask = Vec::new();
        Ok(Self { network, rows, views, labels, weights, validation, config, width, mask })
    }

    /// The head as it is.
    pub(super) fn head(&self) -> Head {
        self.network.head()
    }
}

impl Model for OnRows<'_> {
    /// `None` where no one will go back to them.
    type Weights = Option<Head>;

    fn epoch(
        &mut self,
        epoch: usize,
        steps: &mut u32,
        random: &mut dyn Randomness,
    ) -> Result<Sums, HeadError> {
        let Self { network, rows, views, labels, weights, config, width, mask, .. } = self;
        let mut order: Vec<u32> = (0..labels.len() as u32).collect();
        random.order(epoch - 1, &mut order);
        views.items(epoch - 1, &mut order);
        let batches: Vec<&[u32]> = order.chunks(config.batch_size).collect();
        let [mut now, mut next, mut after] = std::array::from_fn(|_| BatchColumns::new(*width));
        rows.columns(batches[0], &mut now);
        if let Some(batch) = batches.get(1) {
            rows.columns(batch, &mut next);
        }
        network.enter(&now);
        let rate = config.schedule.rate(config.learning_rate, epoch, config.epochs);
        let mut sums = Sums::default();
        for i in 0..batches.len() {
            *steps += 1;
            let labels: Vec<usize> =
                batches[i].iter().map(|&item| labels[views.row(item)]).collect();
            let step = Step {
                number: *steps,
                labels: &labels,
                weights,
                dropout: config.dropout,
                rule: Rule::new(config.optimizer, rate, *steps),
            };
            sums.add(network.step(&step, random, mask));
            // While weights are traversed, the batch after the next is laid out.
            rayon::join(
                || network.finish(&step, &now, batches.get(i + 1).map(|_| &next)),
                || batches.get(i + 2).into_iter().for_each(|batch| rows.columns(batch, &mut after)),
            );
            std::mem::swap(&mut now, &mut next);
            std::mem::swap(&mut next, &mut after);
        }
        Ok(sums)
    }

    fn validate(&mut self) -> Result<Option<Sums>, HeadError> {
        let Self { network, validation, .. } = self;
        Ok(validation.as_mut().map(|validation| validation.evaluate(network)))
    }

    fn weights(&self) -> Self::Weights {
        self.config.early_stopping.map(|_| self.head())
    }

    fn checkpoint(&self, _: &State<Self::Weights>) -> Option<Checkpoint> {
        None
    }
}
