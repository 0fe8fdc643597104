//! A head of dense layers on rows.

use super::rows::HeadRows;
use super::{Model, State, class_weights};
use crate::batch::{Batch, Use};
use crate::convnet::Checkpoint;
use crate::network::{self, Network, Step, Sums};
use crate::optimizer::Rule;
use crate::views::Schedule;
use crate::{FitConfig, Head, HeadError, Randomness};

/// The head and its rows.
pub(super) struct OnRows<'a> {
    network: Network,
    rows: &'a HeadRows<'a>,
    views: Schedule,
    weights: Vec<f64>,
    config: &'a FitConfig,
    mask: Vec<f32>,
    /// The batch in hand, the next, and the one after.
    batches: [Batch; 3],
    /// For a batch of validation rows that is not kept.
    scratch: Batch,
}

impl<'a> OnRows<'a> {
    /// A new head on these rows.
    pub(super) fn new(
        rows: &'a HeadRows<'a>,
        config: &'a FitConfig,
        random: &mut dyn Randomness,
    ) -> Result<Self, HeadError> {
        rows.check(config)?;
        let widths = network::widths(rows.width, &config.hidden, rows.classes);
        let weights = class_weights(&rows.labels, rows.classes, config.class_weight);
        let views = Schedule::new(rows.labels.len(), rows.views, random);
        let network = Network::random(&widths, config.optimizer, random);
        let batches = std::array::from_fn(|_| Batch::new(rows.width));
        let (mask, scratch) = (Vec::new(), Batch::new(rows.width));
        Ok(Self { network, rows, views, weights, config, mask, batches, scratch })
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
        let Self { network, rows, views, weights, config, mask, batches: laid_out, .. } = self;
        let [now, next, after] = laid_out;
        let HeadRows { rows, labels, .. } = &**rows;
        let mut order: Vec<u32> = (0..labels.len() as u32).collect();
        random.order(epoch - 1, &mut order);
        views.items(epoch - 1, &mut order);
        let batches: Vec<&[u32]> = order.chunks(config.batch_size).collect();
        rows.lay_out(batches[0], Use::Training, now);
        if let Some(batch) = batches.get(1) {
            rows.lay_out(batch, Use::Training, next);
        }
        network.enter(now);
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
            // A step takes one thread, but for its traversal of all weights: meanwhile others lay out the batch after the next.
            rayon::in_place_scope(|scope| {
                if let Some(batch) = batches.get(i + 2) {
                    scope.spawn(|_| rows.lay_out(batch, Use::Training, after));
                }
                sums.add(network.step(&step, random, mask));
            });
            network.finish(&step, now, batches.get(i + 1).map(|_| &*next));
            std::mem::swap(now, next);
            std::mem::swap(next, after);
        }
        Ok(sums)
    }

    fn validate(&mut self) -> Result<Option<Sums>, HeadError> {
        let Self { network, rows, scratch, .. } = self;
        Ok(rows.validation.as_ref().map(|validation| validation.evaluate(network, scratch)))
    }

    fn weights(&self) -> Self::Weights {
        self.config.early_stopping.map(|_| self.head())
    }

    fn checkpoint(&self, _: &State<Self::Weights>) -> Option<Checkpoint> {
        None
    }
}
