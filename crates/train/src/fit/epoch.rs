//! One pass over the training rows.

use crate::network::{Network, Step, Sums};
use crate::optimizer::Rule;
use crate::sparse::{BatchColumns, RowStore};
use crate::views::Schedule;
use crate::{FitConfig, Randomness};

/// What lasts from epoch to epoch beside the network.
pub(super) struct Run<'a> {
    /// Every view of every row.
    pub(super) rows: RowStore<'a>,
    pub(super) views: Schedule,
    pub(super) labels: Vec<usize>,
    pub(super) weights: Vec<f64>,
    pub(super) config: &'a FitConfig,
    pub(super) width: usize,
    pub(super) step: u32,
    pub(super) mask: Vec<f32>,
}

impl Run<'_> {
    pub(super) fn epoch(
        &mut self,
        epoch: usize,
        network: &mut Network,
        random: &mut dyn Randomness,
    ) -> Sums {
        let mut order: Vec<u32> = (0..self.labels.len() as u32).collect();
        random.order(epoch - 1, &mut order);
        self.views.items(epoch - 1, &mut order);
        let batches: Vec<&[u32]> = order.chunks(self.config.batch_size).collect();
        let [mut now, mut next, mut after] = std::array::from_fn(|_| BatchColumns::new(self.width));
        self.rows.columns(batches[0], &mut now);
        if let Some(batch) = batches.get(1) {
            self.rows.columns(batch, &mut next);
        }
        network.enter(&now);
        let config = self.config;
        let rate = config.schedule.rate(config.learning_rate, epoch, config.epochs);
        let mut sums = Sums::default();
        for i in 0..batches.len() {
            self.step += 1;
            let labels: Vec<usize> =
                batches[i].iter().map(|&item| self.labels[self.views.row(item)]).collect();
            let step = Step {
                number: self.step,
                labels: &labels,
                weights: &self.weights,
                dropout: self.config.dropout,
                rule: Rule::new(config.optimizer, rate, self.step),
            };
            sums.add(network.step(&step, random, &mut self.mask));
            // While weights are traversed, the batch after the next is laid out.
            let rows = &self.rows;
            rayon::join(
                || network.finish(&step, &now, batches.get(i + 1).map(|_| &next)),
                || batches.get(i + 2).into_iter().for_each(|batch| rows.columns(batch, &mut after)),
            );
            std::mem::swap(&mut now, &mut next);
            std::mem::swap(&mut next, &mut after);
        }
        sums
    }
}
