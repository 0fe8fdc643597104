//! Bases of every kind are fine-tuned on pictures: what is frozen stays, what is not moves, and the model predicts what it was
//! judged by.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use backbone::{Base, Device, EngineOptions, Pooling};
use images::{ImageSize, Interpolation};
use pipeline::predict::{Decision, Predictor};
use pipeline::train::{Architecture, PictureTraining, TrainOptions};
use pipeline::{Error, Picture, Silent, WeightsSearch};
use train::{FitConfig, SavedModel};
use weights::{NoProgress, Weights};

/// Pictures a class.
const EACH: usize = 4;
const CLASSES: [&str; 2] = ["dark", "light"];
const SIDE: u32 = 75;

/// Two kinds of noise, by their brightness.
fn draw(data: &Path, split: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (class, level) in CLASSES.iter().zip([40u8, 200]) {
        let dir = data.join(split).join(class);
        fs::create_dir_all(&dir).unwrap();
        for i in 0..EACH {
            let noise = |n: usize| (n * 7919 + i * 104_729 + split.len() * 31) as u8 % 50;
            let mut bytes = b"P6 32 32 255\n".to_vec();
            bytes.extend((0..32 * 32 * 3).map(|n| level + noise(n)));
            let file = dir.join(format!("{i}.ppm"));
            fs::write(&file, bytes).unwrap();
            files.push(file);
        }
    }
    files
}

fn search(models: &Path) -> WeightsSearch<'_> {
    WeightsSearch { models_dir: models, offline: true, index_url: None, progress: &NoProgress }
}

fn options(root: &Path, base: &Base, unfreeze: Option<&str>) -> TrainOptions {
    TrainOptions {
        data: root.join("data"),
        model: root.join("model"),
        architecture: Architecture::OnBase {
            base: Box::new(base.clone()),
            unfreeze: unfreeze.map(str::to_owned),
            pooling: Pooling::Avg,
            weights_spec: "random:3".to_owned(),
        },
        size: ImageSize::square(SIDE),
        interpolation: Interpolation::Bilinear,
        preprocess: None,
        augmentation: None,
        engine: EngineOptions { device: Device::Cpu, precision: None, isa: None },
        config: FitConfig {
            hidden: vec![8],
            dropout: 0.0,
            epochs: 1,
            batch_size: 3,
            learning_rate: 1e-3,
            ..FitConfig::default()
        },
        start: None,
        checkpoint_every: None,
        resume: false,
    }
}

/// Each tensor of the saved model, by `layer/role`.
fn saved(model: &Path) -> HashMap<String, Vec<f32>> {
    let (model, _) = SavedModel::load_within(u64::MAX, model).unwrap();
    model.into_tensors().into_iter().collect()
}

fn tune(root: &Path, name: &str, unfreeze: &str) -> (Weights, Vec<f32>) {
    let base = Base::named(name).unwrap();
    let weights = search(root).resolve(&base, "random:3").unwrap();
    let options = options(root, &base, Some(unfreeze));
    let mut training = PictureTraining::new(options, Some(&weights), &Silent).unwrap().unwrap();
    let done = training.run(&Silent).unwrap().unwrap();
    let (name, test) = done.outcome.evaluated.last().unwrap();
    assert_eq!(name, "test");
    (weights, test.probabilities.clone())
}

#[test]
fn bases_of_every_kind_are_fine_tuned() {
    // A layer that is trained, and one after the cut that is not: it comes before the first one in the base's order.
    for (name, unfreeze, trained, frozen) in [
        ("vgg16", "block5_conv3", "block5_conv3/kernel", None),
        (
            "resnet50",
            "conv5_block3_2_conv",
            "conv5_block3_2_bn/gamma",
            Some("conv5_block3_1_conv/kernel"),
        ),
        ("mobilenet-v2-0.35", "block_16_project", "block_16_project_BN/beta", None),
        ("xception", "block14_sepconv1", "block14_sepconv1/depthwise_kernel", None),
    ] {
        let root = tempfile::tempdir().unwrap();
        let files = draw(&root.path().join("data"), "test");
        draw(&root.path().join("data"), "train");
        let (weights, judged) = tune(root.path(), name, unfreeze);
        let tensors = saved(&root.path().join("model"));
        let of_base = |key: &str| {
            let (layer, role) = key.split_once('/').unwrap();
            let found = weights.iter().find(|(parameter, _)| {
                parameter.spec.node == layer && parameter.spec.role.keras_name() == role
            });
            let mut values = found.unwrap_or_else(|| panic!("{name} has no {key}")).1.data.clone();
            values.sort_by(f32::total_cmp);
            values
        };
        let sorted = |key: &str| {
            let mut values = tensors.get(key).unwrap_or_else(|| panic!("no {key}")).clone();
            values.sort_by(f32::total_cmp);
            values
        };
        assert_ne!(sorted(trained), of_base(trained), "{name}: {trained} did not move");
        if let Some(frozen) = frozen {
            assert_eq!(sorted(frozen), of_base(frozen), "{name}: {frozen} moved");
        }
        // The model predicts, from the files, exactly what it was judged by.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let model = root.path().join("model");
        let find = search(root.path());
        let predictor = pool.install(|| {
            let decision = Decision::default();
            Predictor::with_head(&model, decision, 2, Some("random:3"), &find, Device::Cpu).unwrap()
        });
        let pictures: Vec<Picture> = files.iter().cloned().map(Picture::File).collect();
        let mut found: Vec<f32> = Vec::new();
        predictor
            .run(
                &pictures,
                &pool,
                2,
                || false,
                |_, prediction| {
                    found.extend(prediction.unwrap().probabilities);
                    Ok::<(), Error>(())
                },
            )
            .unwrap();
        assert_eq!(found, judged, "{name}");
    }
}

#[test]
fn what_does_not_fit_is_refused_before_any_training() {
    let root = tempfile::tempdir().unwrap();
    draw(&root.path().join("data"), "train");
    let base = Base::named("vgg16").unwrap();
    let weights = search(root.path()).resolve(&base, "random:3").unwrap();
    let refused = |options: TrainOptions| {
        let made = PictureTraining::new(options, Some(&weights), &Silent);
        made.map(|_| ()).unwrap_err().to_string()
    };
    let unknown = refused(options(root.path(), &base, Some("block9_conv1")));
    assert!(unknown.contains("block9_conv1"), "{unknown}");
    let mut small = options(root.path(), &base, None);
    small.size = ImageSize::square(16);
    assert!(refused(small).contains("too small"));
    let mut empty = options(root.path(), &base, None);
    empty.data = root.path().join("nothing");
    assert!(refused(empty).contains("nothing"));
}
