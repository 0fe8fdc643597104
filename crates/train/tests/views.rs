//! Rows of several views: training takes another each epoch, everything else sees the first.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Given, Naive, data};
use train::{
    DenseRows, FeatureRows, FitConfig, Fitted, HeadError, Optimizer, Randomness, Split, Trainer,
};

/// f32 against f64 over a dozen steps of gradient descent: rounding.
const NAIVE_TOLERANCE: f64 = 1e-5;

const ROWS: usize = 30;
const WIDTH: usize = 40;
const VIEWS: usize = 3;

/// (rows, views, width) in memory.
struct Views(Vec<f32>);

impl FeatureRows for Views {
    fn len(&self) -> usize {
        self.0.len() / (WIDTH * VIEWS)
    }
    fn width(&self) -> usize {
        WIDTH
    }
    fn read_row(&self, i: usize, out: &mut [f32]) {
        self.read_view(i, 0, out);
    }
    fn views(&self) -> usize {
        VIEWS
    }
    fn read_view(&self, i: usize, view: usize, out: &mut [f32]) {
        assert!(view < VIEWS);
        out.copy_from_slice(&self.0[(i * VIEWS + view) * WIDTH..][..WIDTH]);
    }
}

/// Views of the same classes, each of its own values.
fn views() -> (Vec<f32>, Vec<i64>) {
    let (_, labels) = data(ROWS, WIDTH, 2, 0.5, 0);
    let of: Vec<Vec<f32>> = (0..VIEWS).map(|v| data(ROWS, WIDTH, 2, 0.5, v as u64 + 1).0).collect();
    let row = |i: usize| {
        (0..VIEWS).flat_map({
            let of = &of;
            move |v| of[v][i * WIDTH..(i + 1) * WIDTH].to_vec()
        })
    };
    ((0..ROWS).flat_map(row).collect(), labels)
}

fn config() -> FitConfig {
    FitConfig {
        hidden: vec![8],
        epochs: 5,
        batch_size: 7,
        learning_rate: 0.05,
        optimizer: Optimizer::Sgd,
        seed: 3,
        ..FitConfig::default()
    }
}

/// All that a training gave, to the bit.
fn bits(fitted: &Fitted) -> (Vec<u32>, Vec<u64>) {
    let weights = fitted.head.layers().iter().flat_map(|l| l.kernel.iter().chain(&l.bias));
    let losses = fitted.outcome.history.iter().flat_map(|e| [e.loss, e.val_loss.unwrap_or(0.0)]);
    (weights.map(|w| w.to_bits()).collect(), losses.map(f64::to_bits).collect())
}

fn fit(features: &dyn FeatureRows, labels: &[i64], config: &FitConfig) -> Fitted {
    let split = Split { features, labels };
    Trainer::new(config).fit_head(2, &split, Some(&split)).unwrap()
}

/// Everything from [`Given`], and first views that go 2, 1, 0, 2, …
struct Backwards(Given);

impl Randomness for Backwards {
    fn kernel(&mut self, layer: usize, inputs: usize, outputs: usize, kernel: &mut [f32]) {
        self.0.kernel(layer, inputs, outputs, kernel);
    }
    fn order(&mut self, epoch: usize, order: &mut [u32]) {
        self.0.order(epoch, order);
    }
    fn mask(&mut self, step: usize, layer: usize, units: usize, rate: f32, mask: &mut [f32]) {
        self.0.mask(step, layer, units, rate, mask);
    }
    fn views(&mut self, views: u32, first: &mut [u32]) {
        assert_eq!(views as usize, VIEWS);
        (0..).zip(first).for_each(|(row, first): (u32, _)| *first = 2 - row % 3);
    }
}

#[test]
fn each_epoch_is_one_of_the_naive_training_on_the_next_views() {
    let (values, labels) = views();
    let config = config();
    let given = Given { seed: 11 };
    let mut naive = Naive::new(&[WIDTH, 8, 1], &given);
    let mut step = 0;
    let losses: Vec<f64> = (0..config.epochs)
        .map(|epoch| {
            let rows: Vec<Vec<f64>> = (0..ROWS)
                .map(|i| {
                    let view = (2 - i % 3 + epoch) % VIEWS;
                    let row = &values[(i * VIEWS + view) * WIDTH..][..WIDTH];
                    row.iter().map(|&v| f64::from(v)).collect()
                })
                .collect();
            let (batch, rate, lr) = (config.batch_size, config.dropout, config.learning_rate);
            let weights = [1.0, 1.0];
            let rule = config.optimizer;
            naive.epoch(&rows, &labels, &given, epoch, &mut step, batch, rate, &weights, rule, lr)
        })
        .collect();
    let features = Views(values);
    let train = Split { features: &features, labels: &labels };
    let random = &mut Backwards(Given { seed: 11 });
    let fitted = Trainer::new(&config).random(random).fit_head(2, &train, None).unwrap();
    for (epoch, (found, expected)) in fitted.outcome.history.iter().zip(&losses).enumerate() {
        let close = (found.loss - expected).abs() <= NAIVE_TOLERANCE;
        assert!(close, "epoch {epoch}: expected {expected}, found {}", found.loss);
    }
    let kernel = &fitted.head.layers()[0].kernel;
    for (i, (found, expected)) in kernel.iter().zip(&naive.layers[0].0).enumerate() {
        let close = (f64::from(*found) - expected.w).abs() <= NAIVE_TOLERANCE;
        assert!(close, "weight {i}: expected {}, found {found}", expected.w);
    }
}

#[test]
fn equal_views_are_as_rows_of_one_and_other_views_are_used() {
    let (values, labels) = data(ROWS, WIDTH, 2, 0.5, 1);
    let one = fit(&DenseRows::new(values.clone(), WIDTH), &labels, &config());
    let repeated = values.chunks(WIDTH).flat_map(|row| row.repeat(VIEWS)).collect();
    assert!(bits(&one) == bits(&fit(&Views(repeated), &labels, &config())));
    let (values, labels) = views();
    assert!(bits(&one) != bits(&fit(&Views(values), &labels, &config())));
}

#[test]
fn threads_and_the_cache_change_no_bit_and_the_seed_does() {
    let (values, labels) = views();
    let features = Views(values);
    let expected = bits(&fit(&features, &labels, &config()));
    let split = Split { features: &features, labels: &labels };
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for cache in [0, 8_000, train::CACHE_BYTES] {
            let fitted = pool.install(|| {
                let config = config();
                let trainer = Trainer::new(&config).cache_bytes(cache);
                trainer.fit_head(2, &split, Some(&split)).unwrap()
            });
            assert!(bits(&fitted) == expected, "{threads} threads, {cache} bytes");
        }
    }
    let other = FitConfig { seed: 4, ..config() };
    assert!(bits(&fit(&features, &labels, &other)) != expected);
}

#[test]
fn validation_and_prediction_see_the_first_view() {
    let (values, labels) = views();
    let mut only_first = values.clone();
    for row in only_first.chunks_mut(VIEWS * WIDTH) {
        row[WIDTH..].fill(f32::NAN);
    }
    let (all, first) = (Views(values), Views(only_first));
    let train = Split { features: &all, labels: &labels };
    let run = |features: &dyn FeatureRows| {
        let (split, config) = (Split { features, labels: &labels }, config());
        Trainer::new(&config).fit_head(2, &train, Some(&split)).unwrap()
    };
    let fitted = run(&first);
    assert!(bits(&fitted) == bits(&run(&all)));
    let predicted = fitted.head.predict_rows("validation", &first).unwrap();
    assert!(predicted == fitted.head.predict_rows("validation", &all).unwrap());
}

#[test]
fn a_value_that_is_no_number_is_found_in_any_view() {
    let (mut values, labels) = views();
    values[(4 * VIEWS + 2) * WIDTH + 5] = f32::INFINITY;
    let features = Views(values);
    let split = Split { features: &features, labels: &labels };
    let error = Trainer::new(&config()).fit_head(2, &split, None).unwrap_err();
    let HeadError::NotFinite { row, column, .. } = error else { panic!("{error}") };
    // The column of the stored row.
    assert_eq!((row, column), (4, 2 * WIDTH + 5));
}
