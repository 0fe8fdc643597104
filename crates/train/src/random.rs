//! Seeded randomness: initial weights, order of the rows, dropout, views.

use util::SplitMix64;

/// Where a training run gets its random choices from. [`Seeded`] is the ordinary one; tests that repeat another
/// program's run give their own.
pub trait Randomness {
    /// Fills the kernel of layer `layer` (Keras layout: `inputs` rows of `outputs` values). Biases start at zero.
    fn kernel(&mut self, layer: usize, inputs: usize, outputs: usize, kernel: &mut [f32]);
    /// Reorders `order`, which holds `0..N` on entry, for epoch `epoch` (from 0).
    fn order(&mut self, epoch: usize, order: &mut [u32]);
    /// At which step of epoch `epoch`, of `steps` (both from 0), a batch comes that is smaller than the others, where pictures or
    /// activations are trained on. The last, unless a run draws it.
    fn short_batch(&mut self, _epoch: usize, steps: usize) -> usize {
        steps.saturating_sub(1)
    }
    /// Fills `mask` (`rows * units`, row by row) with the factors of dropout behind hidden layer `layer` in step `step`
    /// (from 0, over all epochs): 0 for dropped, `1 / (1 - rate)` for kept.
    fn mask(&mut self, step: usize, layer: usize, units: usize, rate: f32, mask: &mut [f32]);
    /// Fills `first` with the view (below `views`, which is above 1) that each row takes in the first epoch. In each further
    /// epoch a row takes the next view, the first after the last.
    fn views(&mut self, views: u32, first: &mut [u32]) {
        (0..).zip(first).for_each(|(row, first): (u32, _)| *first = row % views);
    }
}

/// All choices from one seed, each from a SplitMix64 stream of its own, so that no choice shifts another.
///
/// With `mix(x)` for the first draw of a generator started at `x`, the stream of item `k` of kind `tag` starts at
/// `mix(rotate_left(mix(seed) + k, 32) ^ tag)`: kernel of layer l: `k = l`, tag 1; order of epoch e: `k = e`, tag 2; mask of
/// step s behind layer l: `k = s`, tag `3 + l`; the rows' first views, one after the other: `k = 0`, tag 0; place of the short batch
/// in epoch e: `k = e`, tag 2⁶⁴ − 1.
#[derive(Clone, Debug)]
pub struct Seeded {
    seed: u64,
}

impl Seeded {
    /// Randomness of one run.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    fn stream(&self, k: usize, tag: u64) -> SplitMix64 {
        let mix = |x| SplitMix64::new(x).next_u64();
        SplitMix64::new(mix(mix(self.seed).wrapping_add(k as u64).rotate_left(32) ^ tag))
    }
}

impl Randomness for Seeded {
    /// Glorot uniform: `U(-l, l)` with `l = sqrt(6 / (inputs + outputs))`.
    fn kernel(&mut self, layer: usize, inputs: usize, outputs: usize, kernel: &mut [f32]) {
        let limit = (6.0 / (inputs as f64 + outputs as f64)).sqrt() as f32;
        let mut rng = self.stream(layer, 1);
        kernel.iter_mut().for_each(|w| *w = (2.0 * rng.next_f32() - 1.0) * limit);
    }

    /// Fisher-Yates from the end.
    fn order(&mut self, epoch: usize, order: &mut [u32]) {
        let mut rng = self.stream(epoch, 2);
        for i in (1..order.len()).rev() {
            order.swap(i, rng.below(i as u64 + 1) as usize);
        }
    }

    /// Anywhere. An epoch that ended with a step on one or two pictures would leave the network bent towards their classes, and
    /// that is what is validated. Keras draws the order of a generator's batches for the same effect.
    fn short_batch(&mut self, epoch: usize, steps: usize) -> usize {
        self.stream(epoch, u64::MAX).below(steps.max(1) as u64) as usize
    }

    fn mask(&mut self, step: usize, layer: usize, _units: usize, rate: f32, mask: &mut [f32]) {
        let mut rng = self.stream(step, 3 + layer as u64);
        let kept = 1.0 / (1.0 - rate);
        mask.iter_mut().for_each(|m| *m = if rng.next_f32() < rate { 0.0 } else { kept });
    }

    fn views(&mut self, views: u32, first: &mut [u32]) {
        let mut rng = self.stream(0, 0);
        first.iter_mut().for_each(|first| *first = rng.below(u64::from(views)) as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_uniform_orders_are_permutations_masks_keep_their_share() {
        let mut random = Seeded::new(3);
        let mut kernel = vec![0.0; 20_000];
        random.kernel(0, 100, 200, &mut kernel);
        let limit = (6.0_f32 / 300.0).sqrt();
        assert!(kernel.iter().all(|w| w.abs() <= limit));
        let variance = kernel.iter().map(|w| w * w).sum::<f32>() / 20_000.0;
        assert!((variance / (limit * limit / 3.0) - 1.0).abs() < 0.03);
        let mut order: Vec<u32> = (0..1000).collect();
        random.order(2, &mut order);
        assert!(order.windows(2).any(|w| w[0] > w[1]));
        order.sort_unstable();
        assert!(order.iter().copied().eq(0..1000));
        let mut mask = vec![0.0; 20_000];
        random.mask(7, 0, 100, 0.25, &mut mask);
        let kept = mask.iter().filter(|m| **m != 0.0).count();
        assert!(kept.abs_diff(15_000) < 300 && mask.iter().all(|m| *m == 0.0 || *m == 1.0 / 0.75));
    }
}
