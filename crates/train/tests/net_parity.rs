//! Training of networks equals Keras's, given the same weights, order, masks and views.
//! `tests/golden/train/make_parity.py` made the golden.
#![allow(clippy::unwrap_used)]

use graph::description::Description;
use kernels::{Isa, Precision};
use safetensors::SafeTensors;
use serde_json::Value;
use std::error::Error;
use std::path::PathBuf;
use train::convnet::{ConvNet, Inputs, Labelled, Machine};
use train::{ClassWeight, EpochStats, FitConfig, Randomness, Trainer};

/// Of losses, as asked for; both sides compute in f32, in different orders. The largest found is 4e-6.
const LOSS_TOLERANCE: f64 = 1e-4;
/// The same at full size, 30 steps of millions of weights, where RMSprop moves every weight whose gradients are nearly 0 by their
/// sign alone.
const FULL_LOSS_TOLERANCE: f64 = 1e-3;
/// The same of the validation loss, which shows what those weights do to other pictures: Keras's own backends TensorFlow and JAX
/// differ by 1.2e-2 there, and by 8.5e-4 in the training loss.
const FULL_VAL_LOSS_TOLERANCE: f64 = 2e-2;
/// Pictures at full size whose probability near one half falls on another side by that: 3 of 150 were found, where Keras's own
/// backends differ by 2.
const FULL_HITS_TOLERANCE: f64 = 3.0;
/// Of single weights after 18 steps of up to 3e-3: rounding of gradients, magnified where RMSprop and Adam divide small ones
/// by their size. The largest found is 4e-6.
const WEIGHT_TOLERANCE: f32 = 2e-5;

struct Golden {
    blob: Vec<u8>,
    meta: Value,
}

impl Golden {
    fn load() -> Self {
        let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/train");
        let folder = std::env::var_os("NET_PARITY").map_or_else(own, PathBuf::from);
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let meta = serde_json::from_slice(&read("parity.json")).unwrap();
        Self { blob: read("parity.safetensors"), meta }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.blob).unwrap()
    }

    fn bytes(&self, name: &str) -> &[u8] {
        self.tensors().tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")).data()
    }

    fn f32(&self, name: &str) -> Vec<f32> {
        self.bytes(name).as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    fn u32(&self, name: &str) -> Vec<u32> {
        self.bytes(name).as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
    }

    /// Classes of a split; all but the first are one where there are two.
    fn labels(&self, split: &str, classes: usize) -> Vec<i64> {
        let name = format!("{split}/labels");
        let all = self.bytes(&name).as_chunks().0.iter().map(|b| i64::from_le_bytes(*b));
        all.map(|label| label.min(classes as i64 - 1)).collect()
    }
}

/// Bytes of pictures, one array for each epoch or one for all.
struct Pictures<'a> {
    epochs: Vec<&'a [u8]>,
    rows: usize,
}

impl Inputs for Pictures<'_> {
    fn len(&self) -> usize {
        self.rows
    }

    fn width(&self) -> usize {
        self.epochs[0].len() / self.rows
    }

    fn read(
        &self,
        epoch: Option<usize>,
        rows: &[u32],
        out: &mut [f32],
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let all = self.epochs[epoch.map_or(0, |epoch| (epoch - 1) % self.epochs.len())];
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(self.width())) {
            let picture = &all[*row as usize * self.width()..];
            out.iter_mut().zip(picture).for_each(|(out, byte)| *out = f32::from(*byte) / 255.0);
        }
        Ok(())
    }
}

/// Order and masks as Keras had them.
struct Given<'a> {
    golden: &'a Golden,
    name: &'a str,
    batch: usize,
    steps_an_epoch: usize,
}

impl Randomness for Given<'_> {
    fn kernel(&mut self, _: usize, _: usize, _: usize, _: &mut [f32]) {
        unreachable!("kernels are given");
    }

    fn order(&mut self, epoch: usize, order: &mut [u32]) {
        order.copy_from_slice(&self.golden.u32(&format!("{}/order/{epoch}", self.name)));
    }

    fn mask(&mut self, step: usize, layer: usize, units: usize, rate: f32, mask: &mut [f32]) {
        let (epoch, step) = (step / self.steps_an_epoch, step % self.steps_an_epoch);
        let keep = self.golden.bytes(&format!("{}/keep/{layer}/{epoch}", self.name));
        let keep = &keep[step * self.batch * units..][..mask.len()];
        mask.iter_mut().zip(keep).for_each(|(m, k)| *m = f32::from(*k) / (1.0 - rate));
    }
}

/// A case with its data.
struct Case<'a> {
    golden: &'a Golden,
    case: &'a Value,
}

impl<'a> Case<'a> {
    fn text(&self, key: &str) -> &'a str {
        self.case[key].as_str().unwrap()
    }

    fn number(&self, key: &str) -> usize {
        self.case[key].as_u64().unwrap() as usize
    }

    fn history(&self) -> &'a [Value] {
        self.case["history"].as_array().unwrap()
    }

    fn config(&self) -> FitConfig {
        let balanced = self.case["balanced"].as_bool().unwrap();
        FitConfig {
            epochs: self.history().len(),
            batch_size: self.number("batch_size"),
            learning_rate: self.case["learning_rate"].as_f64().unwrap() as f32,
            optimizer: self.text("optimizer").parse().unwrap(),
            class_weight: if balanced { ClassWeight::Balanced } else { ClassWeight::None },
            ..FitConfig::default()
        }
    }

    fn net(&self, isa: Isa) -> ConvNet {
        let network: Description = serde_json::from_value(self.case["network"].clone()).unwrap();
        let size = [0, 1].map(|i| self.golden.meta["size"][i].as_u64().unwrap() as usize);
        let frozen = self.case["frozen"].as_array().unwrap();
        ConvNet::new(
            network.build(3).unwrap(),
            size,
            Machine { isa, precision: Precision::Highest },
            &|layer| frozen.iter().all(|name| name != layer),
            &mut |spec, values| {
                let key =
                    format!("{}/start/{}/{}", self.text("name"), spec.node, spec.role.keras_name());
                values.copy_from_slice(&self.golden.f32(&key));
            },
        )
        .unwrap()
    }

    fn train(&self, net: &mut ConvNet) -> Vec<EpochStats> {
        let (golden, name, config) = (self.golden, self.text("name"), self.config());
        let [train, validation] =
            ["train", "validation"].map(|split| golden.labels(split, self.number("classes")));
        let epochs: Vec<&[u8]> = match self.case["views"].as_bool().unwrap() {
            true => {
                let images = |epoch| golden.bytes(&format!("{name}/images/{epoch}"));
                (0..config.epochs).map(images).collect()
            }
            false => vec![golden.bytes("train/images")],
        };
        let pictures = Pictures { epochs, rows: train.len() };
        let seen =
            Pictures { epochs: vec![golden.bytes("validation/images")], rows: validation.len() };
        assert!(train.len() % config.batch_size != 0, "the golden has a smaller last batch");
        let steps_an_epoch = train.len().div_ceil(config.batch_size);
        let mut given = Given { golden, name, batch: config.batch_size, steps_an_epoch };
        Trainer::new(&config)
            .random(&mut given)
            .fit_network(
                net,
                Labelled { inputs: &pictures, labels: &train },
                Some(Labelled { inputs: &seen, labels: &validation }),
            )
            .unwrap()
            .history
    }

    fn loss_tolerances() -> [f64; 2] {
        if is_full() { [FULL_LOSS_TOLERANCE, FULL_VAL_LOSS_TOLERANCE] } else { [LOSS_TOLERANCE; 2] }
    }

    fn hits_tolerance() -> f64 {
        if is_full() { FULL_HITS_TOLERANCE } else { 0.0 }
    }

    /// Compares losses and accuracies; returns the largest difference of a loss.
    fn check_history(&self, found: &[EpochStats]) -> f64 {
        let rows = |split| self.golden.labels(split, 2).len() as f64;
        let mut worst = 0.0_f64;
        assert_eq!(found.len(), self.history().len());
        for (found, keras) in found.iter().zip(self.history()) {
            let of = |what: &str| keras[what].as_f64().unwrap();
            let context =
                format!("{} epoch {}: {found:?}, Keras {keras}", self.text("name"), found.epoch);
            let losses = [(found.loss, "loss"), (found.val_loss.unwrap(), "val_loss")];
            for ((value, what), tolerance) in losses.into_iter().zip(Self::loss_tolerances()) {
                let difference = (value - of(what)).abs();
                assert!(difference <= tolerance, "{what} of {context}");
                worst = worst.max(difference);
            }
            // Counts of rows: Keras's shares are f32.
            let hits = |share: f64, split| (share * rows(split)).round();
            let accuracies = [
                (found.accuracy, "accuracy", "train"),
                (found.val_accuracy.unwrap(), "val_accuracy", "validation"),
            ];
            for (accuracy, what, split) in accuracies {
                let difference = (hits(accuracy, split) - hits(of(what), split)).abs();
                assert!(difference <= Self::hits_tolerance(), "{what} of {context}");
            }
        }
        worst
    }

    /// Compares all tensors; returns the largest difference.
    fn check_tensors(&self, net: &ConvNet) -> f32 {
        let (golden, name) = (self.golden, self.text("name"));
        let frozen = self.case["frozen"].as_array().unwrap();
        let mut worst = 0.0_f32;
        for tensor in net.tensors() {
            let spec = tensor.spec();
            let key = format!("{}/{}", spec.node, spec.role.keras_name());
            let start = golden.f32(&format!("{name}/start/{key}"));
            if frozen.iter().any(|name| *name == spec.node) {
                assert_eq!(tensor.values(), start, "{name}: {key} is frozen");
                continue;
            }
            assert_ne!(tensor.values(), start, "{name}: {key} is trained");
            let end = golden.f32(&format!("{name}/end/{key}"));
            assert_eq!(tensor.values().len(), end.len(), "{name}: {key}");
            for (i, (found, keras)) in tensor.values().iter().zip(end).enumerate() {
                let difference = (found - keras).abs();
                // At full size losses are compared alone: a weight without a gradient may go either way.
                let is_close = difference <= WEIGHT_TOLERANCE;
                assert!(is_close || is_full(), "{name} {key} {i}: {found}, Keras {keras}");
                worst = worst.max(difference);
            }
        }
        worst
    }
}

/// Whether the networks are the lesson's own, which the script makes with `--full`.
fn is_full() -> bool {
    std::env::var_os("NET_PARITY").is_some()
}

/// All instruction sets; only the best at full size.
fn isas() -> Vec<Isa> {
    if is_full() { vec![Isa::best()] } else { Isa::available() }
}

#[test]
fn history_and_weights_are_keras_s() {
    let golden = Golden::load();
    for case in golden.meta["cases"].as_array().unwrap() {
        let case = Case { golden: &golden, case };
        for isa in isas() {
            let mut net = case.net(isa);
            let history = case.train(&mut net);
            // At full size, before anything is refused: they take minutes.
            for (found, keras) in history.iter().zip(case.history()).filter(|_| is_full()) {
                println!("{}: {found:?}\n    Keras {keras}", case.text("name"));
            }
            let [loss, weight] =
                [case.check_history(&history), f64::from(case.check_tensors(&net))];
            println!("{} ({isa:?}): loss {loss:.1e}, weight {weight:.1e}", case.text("name"));
        }
    }
}
