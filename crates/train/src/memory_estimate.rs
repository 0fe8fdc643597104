//! How much memory a training takes, before it is begun.

use crate::fit::EVALUATION_BATCH;
use crate::sparse::CHUNK;
use crate::{FitConfig, network, optimizer};

const F32: u128 = 4;
/// A value of a batch that is not zero: its place and itself.
const ENTRY: u128 = 8;

/// Bytes that [`crate::Trainer::fit_head`], evaluating and saving the head take at their peak on `rows` rows of `width` features, but for the
/// features that are kept in memory. An estimate from above, as if no feature were zero.
pub fn training_bytes(rows: usize, width: usize, classes: usize, config: &FitConfig) -> u64 {
    let widths = network::widths(width, &config.hidden, classes);
    // Sizes that no machine has must not come out small: sums and products stay at the top instead of beginning at zero again.
    let total = |parts: &mut dyn Iterator<Item = u128>| parts.fold(0, u128::saturating_add);
    let weights =
        total(&mut widths.windows(2).map(|w| (w[0] as u128 + 1).saturating_mul(w[1] as u128)));
    // While training: weights with the optimizer's state, and the copy that is handed over; with early stopping the best
    // head so far and the next. While saving: the head, its bytes, the file.
    let slots = optimizer::slots(config.optimizer) as u128;
    let heads = if config.early_stopping.is_some() { 2 } else { 1 };
    let copies = (slots + heads).max(3);
    let evaluated = EVALUATION_BATCH as u128;
    let batch = config.batch_size.min(rows) as u128;
    let most = batch.max(evaluated);
    // The batch in hand and the two after it, each by column and by row, or the rows that are read to be evaluated; and the batch
    // of those.
    let features = ((6 * batch).max(evaluated) + evaluated)
        .saturating_mul(width as u128)
        .saturating_mul(ENTRY);
    let activations = total(&mut widths.windows(2).map(|w| {
        let products = w[0].div_ceil(CHUNK) as u128;
        // Products of each chunk; outputs, gates, masks, gradients, entries of the next layer.
        most.saturating_mul(w[1] as u128).saturating_mul(products * F32 + 8 * F32 + ENTRY)
    }));
    let heads = weights.saturating_mul(copies * F32);
    let bytes = heads.saturating_add(features).saturating_add(activations);
    bytes.try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Optimizer;
    use std::ops::RangeInclusive;

    fn needs(config: &FitConfig, mib: RangeInclusive<u64>) {
        let found = training_bytes(1581, 8192, 2, config) >> 20;
        assert!(mib.contains(&found), "expected {mib:?} MiB, found {found}");
    }

    #[test]
    fn grows_with_what_is_asked_for() {
        let lesson = FitConfig::default();
        // 2,097,665 weights of 4 bytes three times, and rows.
        needs(&lesson, 28..=40);
        needs(&FitConfig { hidden: vec![2560], ..lesson.clone() }, 240..=300);
        needs(&FitConfig { optimizer: Optimizer::Adam, ..lesson.clone() }, 36..=48);
        needs(&FitConfig { early_stopping: Some(3), ..lesson.clone() }, 36..=48);
        // A batch is never larger than the split.
        needs(&FitConfig { batch_size: 1 << 20, ..lesson.clone() }, 500..=720);
        let absurd = FitConfig { hidden: vec![usize::MAX, usize::MAX], ..lesson };
        assert_eq!(training_bytes(usize::MAX, usize::MAX, 2, &absurd), u64::MAX);
    }
}
