//! Training equals Keras's, given the same weights, order and masks. `tests/golden/head/make_parity.py` made the golden.
#![allow(clippy::unwrap_used)]

use safetensors::SafeTensors;
use serde_json::Value;
use std::path::PathBuf;
use train::{ClassWeight, DenseRows, FitConfig, Randomness, Split, Trainer};

/// Over 5 epochs, as asked for; both sides compute in f32, in different orders.
const PARITY_TOLERANCE: f64 = 1e-4;
/// Of single weights after 25 steps of size up to 1e-1 (SGD) or 3e-3 (RMSprop's first step).
const WEIGHT_TOLERANCE: f32 = 2e-5;

struct Golden<'a> {
    tensors: &'a SafeTensors<'a>,
    name: String,
    batch: usize,
    steps_an_epoch: usize,
}

fn floats(t: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let data = t.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    data.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn labels(t: &SafeTensors<'_>, name: &str) -> Vec<i64> {
    t.tensor(name)
        .unwrap()
        .data()
        .chunks_exact(8)
        .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

impl Randomness for Golden<'_> {
    fn kernel(&mut self, layer: usize, _: usize, _: usize, kernel: &mut [f32]) {
        kernel
            .copy_from_slice(&floats(self.tensors, &format!("{}/start/{layer}/kernel", self.name)));
    }
    fn order(&mut self, epoch: usize, order: &mut [u32]) {
        let t = self.tensors.tensor(&format!("{}/order/{epoch}", self.name)).unwrap();
        for (o, b) in order.iter_mut().zip(t.data().chunks_exact(4)) {
            *o = u32::from_le_bytes(b.try_into().unwrap());
        }
    }
    fn mask(&mut self, step: usize, layer: usize, units: usize, rate: f32, mask: &mut [f32]) {
        let (epoch, i) = (step / self.steps_an_epoch, step % self.steps_an_epoch);
        let t = self.tensors.tensor(&format!("{}/keep/{layer}/{epoch}", self.name)).unwrap();
        let keep = &t.data()[i * self.batch * units..];
        mask.iter_mut().zip(keep).for_each(|(m, k)| *m = f32::from(*k) / (1.0 - rate));
    }
}

#[test]
fn history_and_weights_are_keras_s() {
    let golden = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/head");
    let folder = std::env::var_os("HEAD_PARITY").map_or_else(golden, PathBuf::from);
    let blob = std::fs::read(folder.join("parity.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&blob).unwrap();
    let meta: Value =
        serde_json::from_slice(&std::fs::read(folder.join("parity.json")).unwrap()).unwrap();
    let mut worst = 0.0_f64;
    for case in meta["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap().to_owned();
        let classes = case["classes"].as_u64().unwrap() as usize;
        let history = case["history"].as_array().unwrap();
        let batch = case["batch_size"].as_u64().unwrap() as usize;
        let config = FitConfig {
            hidden: case["hidden"]
                .as_array()
                .unwrap()
                .iter()
                .map(|h| h.as_u64().unwrap() as usize)
                .collect(),
            dropout: case["dropout"].as_f64().unwrap() as f32,
            epochs: history.len(),
            batch_size: batch,
            learning_rate: case["learning_rate"].as_f64().unwrap() as f32,
            optimizer: case["optimizer"].as_str().unwrap().parse().unwrap(),
            class_weight: if case["balanced"].as_bool().unwrap() {
                ClassWeight::Balanced
            } else {
                ClassWeight::None
            },
            ..FitConfig::default()
        };
        let split = |s: &str| {
            let shape =
                tensors.tensor(&format!("{classes}/{s}/features")).unwrap().shape().to_vec();
            let features =
                DenseRows::new(floats(&tensors, &format!("{classes}/{s}/features")), shape[1]);
            (features, labels(&tensors, &format!("{classes}/{s}/labels")))
        };
        let (train, validation) = (split("train"), split("validation"));
        let steps_an_epoch = train.1.len().div_ceil(batch);
        assert!(train.1.len() % batch != 0, "the golden has a smaller last batch");
        let mut golden = Golden { tensors: &tensors, name: name.clone(), batch, steps_an_epoch };
        let validation = Split { features: &validation.0, labels: &validation.1 };
        let train = Split { features: &train.0, labels: &train.1 };
        let fitted = Trainer::new(&config)
            .random(&mut golden)
            .fit_head(classes, &train, Some(&validation))
            .unwrap();
        for (ours, keras) in fitted.outcome.history.iter().zip(history) {
            for (what, value) in [
                ("loss", ours.loss),
                ("accuracy", ours.accuracy),
                ("val_loss", ours.val_loss.unwrap()),
                ("val_accuracy", ours.val_accuracy.unwrap()),
            ] {
                let difference = (value - keras[what].as_f64().unwrap()).abs();
                worst = worst.max(difference);
                assert!(
                    difference <= PARITY_TOLERANCE,
                    "{name} epoch {}: {what} {value}, Keras {keras}",
                    ours.epoch
                );
            }
        }
        for (l, layer) in fitted.head.layers().iter().enumerate() {
            for (part, ours) in [("kernel", &layer.kernel), ("bias", &layer.bias)] {
                for (a, b) in ours.iter().zip(floats(&tensors, &format!("{name}/end/{l}/{part}"))) {
                    assert!(
                        (a - b).abs() <= WEIGHT_TOLERANCE,
                        "{name} layer {l} {part}: {a}, Keras {b}"
                    );
                }
            }
        }
    }
    println!("largest difference from Keras: {worst:.2e}");
}
