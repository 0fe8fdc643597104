//! What needs the inside of training: the bounded cache.

use super::*;
use crate::{DenseRows, Optimizer};

fn history_and_head(cache: usize) -> (Vec<(u64, Option<u64>)>, Head) {
    let (rows, width) = (150, 1100);
    let mut rng = util::SplitMix64::new(9);
    let values: Vec<f32> = (0..rows * width)
        .map(|_| if rng.next_f32() < 0.2 { rng.next_f32() } else { 0.0 })
        .collect();
    let labels: Vec<i64> = (0..rows as i64).map(|i| i % 2).collect();
    let features = DenseRows::new(values, width);
    let split = Split { features: &features, labels: &labels };
    let config = FitConfig { hidden: vec![40], epochs: 3, ..FitConfig::default() };
    let random = &mut Seeded::new(1);
    let trainer = Trainer::new(&config).cache_bytes(cache);
    let fitted = trainer.random(random).fit_head(2, &split, Some(&split)).unwrap();
    let bits =
        fitted.outcome.history.iter().map(|e| (e.loss.to_bits(), e.val_loss.map(f64::to_bits)));
    (bits.collect(), fitted.head)
}

#[test]
fn rows_read_again_give_the_same_bits_as_rows_kept() {
    let kept = history_and_head(CACHE_BYTES);
    // Nothing, a part of the training rows, and those with a part of the validation rows.
    for cache in [0, 100_000, 400_000] {
        assert!(history_and_head(cache) == kept, "{cache}");
    }
}

#[test]
fn trainings_that_share_rows_have_the_bits_of_their_own_runs() {
    let (rows, width) = (70, 1100);
    let mut rng = util::SplitMix64::new(3);
    let values = (0..rows * width).map(|_| (rng.next_f32() - 0.6).max(0.0)).collect();
    let labels: Vec<i64> = (0..rows as i64).map(|i| i % 3).collect();
    let features = DenseRows::new(values, width);
    let split = Split { features: &features, labels: &labels };
    // Rows that are kept, and rows that are read again.
    for cache in [CACHE_BYTES, 50_000] {
        let shared = HeadRows::read(3, &[], cache, &split, Some(&split)).unwrap();
        for (seed, optimizer) in
            [(1, Optimizer::Rmsprop), (2, Optimizer::Adam), (1, Optimizer::Rmsprop)]
        {
            let config =
                FitConfig { hidden: vec![40], epochs: 2, seed, optimizer, ..FitConfig::default() };
            let fitted = Trainer::new(&config).fit_rows(&shared).unwrap();
            let own = Trainer::new(&config).fit_head(3, &split, Some(&split)).unwrap();
            assert!(fitted.head == own.head, "seed {seed}, {cache} bytes");
            assert_eq!(fitted.outcome.history.len(), own.outcome.history.len());
            for (a, b) in fitted.outcome.history.iter().zip(&own.outcome.history) {
                assert_eq!((a.loss, a.val_loss), (b.loss, b.val_loss));
            }
        }
    }
    // Settings are held against the rows each time.
    let config = FitConfig { early_stopping: Some(1), ..FitConfig::default() };
    let without = HeadRows::read(3, &[], CACHE_BYTES, &split, None).unwrap();
    let refused = Trainer::new(&config).fit_rows(&without);
    assert!(matches!(refused, Err(HeadError::NoValidation)));
}

#[test]
fn balanced_weights_are_scikit_learn_s() {
    // compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 0, 1, 1, 2])
    assert_eq!(class_weights(&[0, 0, 0, 1, 1, 2], 3, ClassWeight::Balanced), [2.0 / 3.0, 1.0, 2.0]);
    assert_eq!(class_weights(&[0, 0, 1], 2, ClassWeight::None), [1.0, 1.0]);
}
