//! `train`: networks on pictures, from scratch and on a frozen base.

use std::fs;
use std::path::{Path, PathBuf};

use crate::drawing::{Picture, Random, split};
use crate::support::*;

/// What a training leaves in its folder.
const FILES: [&str; 9] = [
    "confusion.svg",
    "curves.svg",
    "head.json",
    "head.safetensors",
    "history.csv",
    "metrics.json",
    "predictions_train.csv",
    "predictions_validation.csv",
    "report.html",
];

/// Two classes that a network tells apart within two epochs: dark and light pictures.
pub fn shades(data: &Path) {
    for (name, n) in [("train", 6), ("validation", 2)] {
        for (i, (class, shift)) in [("dark", 0), ("light", 120)].into_iter().enumerate() {
            for k in 0..n {
                let mut random = Random(k + 100 * i as u64 + name.len() as u64 * 1000);
                let mut picture = Picture::random(random.next(), 40, 36);
                picture.pixels.iter_mut().for_each(|p| *p = *p / 3 + shift);
                picture.save(&data.join(name).join(class).join(format!("{k}.png")));
            }
        }
    }
}

fn losses(model: &Path) -> Vec<f64> {
    let mut table = csv::Reader::from_path(model.join("history.csv")).unwrap();
    table.records().map(|record| record.unwrap()[1].parse().unwrap()).collect()
}

fn tensors(model: &Path) -> Vec<u8> {
    fs::read(model.join("head.safetensors")).unwrap()
}

/// It trained: the loss fell, every file is there and none beside, and `predict` says the same as the table.
#[track_caller]
fn learnt(model: &Path, data: &Path) {
    let losses = losses(model);
    let lowest = losses[1..].iter().copied().fold(f64::INFINITY, f64::min);
    assert!(lowest < losses[0], "{losses:?}");
    assert_eq!(names(model), FILES);
    predicts_its_table(model, data, "validation");
}

#[test]
fn the_lessons_four_runs() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let data = path("data");
    shades(&data);
    let common = "--epochs 3 --batch-size 4";

    // The built-in network needs 47 pixels.
    let scratch = path("scratch");
    Tool::new(PROGRAM)
        .arg("train")
        .path("--data", &data)
        .path("--model", &scratch)
        .flags("--backbone none --image-size 48 --lr 1e-3")
        .flags(common)
        .run()
        .exits(0)
        .says(&[
            "pictures train 12, validation 4",
            "dense 512 relu → dense 1 sigmoid",
            "trainable tensors: 12",
        ]);
    learnt(&scratch, &data);

    let augmented = path("augmented");
    Tool::new(PROGRAM)
        .arg("train")
        .path("--data", &data)
        .path("--model", &augmented)
        .flags("--backbone none --image-size 48 --lr 1e-4 --augment --dropout 0.2")
        .flags(common)
        .run()
        .exits(0)
        .says(&["another of each picture of train in each epoch: rotation=40", "dropout 0.2"]);
    learnt(&augmented, &data);
    assert_ne!(tensors(&scratch), tensors(&augmented));

    let frozen = path("frozen");
    let on_base =
        |model: &Path| train(&data, model).flags("--weights random:0 --hidden 8 --augment");
    on_base(&frozen).flags(common).flags("--lr 1e-2").run().exits(0).says(&[
        "vgg16 up to block5_pool",
        "14,718,801 parameters",
        "trainable tensors: 30 → 4 after freezing",
    ]);
    learnt(&frozen, &data);

    let tuned = path("tuned");
    on_base(&tuned)
        .flags(common)
        .flags("--lr 1e-4 --unfreeze block5_conv3")
        .path("--from", &frozen)
        .run()
        .exits(0)
        .says(&["vgg16 up to block5_conv2", "trainable tensors: 30 → 6 after freezing"]);
    learnt(&tuned, &data);
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(tuned.join("head.json")).unwrap()).unwrap();
    assert_eq!(
        (&record["format_version"], &record["network"]["input"]),
        (&3.into(), &serde_json::json!([2, 2, 512]))
    );

    // Side by side with a head on features.
    let (features, head) = (path("features"), path("head"));
    extract(&data, &features).flags("--image-size 32").run().exits(0);
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    let models = [&scratch, &augmented, &frozen, &tuned, &head];
    let compare = Tool::new(PROGRAM).arg("compare").flags("--split validation");
    let said = models.into_iter().fold(compare, |tool, model| tool.arg(model)).run().exits(0);
    let _ = said.says(&["scratch", "augmented", "frozen", "tuned", "head", "14,718,801"]);
}

#[test]
fn threads_change_nothing_and_the_seed_everything() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let (data, file) = (path("data"), path("small.toml"));
    shades(&data);
    fs::write(&file, SMALL).unwrap();
    let own = |name: &str, flags: &str| -> PathBuf {
        let model = path(name);
        train_own(&data, &model, &file)
            .flags("--epochs 2 --batch-size 5 --augment")
            .flags(flags)
            .run()
            .exits(0);
        model
    };
    let one = own("one", "--threads 1");
    assert_eq!(tensors(&one), tensors(&own("three", "--threads 3")));
    assert_ne!(tensors(&one), tensors(&own("seed", "--seed 1")));
    let tuned = |name: &str, threads: &str| {
        let model = path(name);
        train(&data, &model)
            .flags("--weights random:0 --hidden 8 --unfreeze block5_conv3 --epochs 1 --threads")
            .arg(threads)
            .run()
            .exits(0);
        tensors(&model)
    };
    assert_eq!(tuned("base-one", "1"), tuned("base-three", "3"));
}

#[test]
fn a_network_of_ones_own() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let (data, file) = (path("data"), path("own.toml"));
    shades(&data);
    // Its own classifier, which is then the last layer.
    let ended = format!(
        "{SMALL}\n[[layer]]\nop = \"dense\"\nname = \"top\"\nunits = 1\nactivation = \"sigmoid\"\n"
    );
    for (name, text) in [("open", SMALL), ("ended", &ended)] {
        fs::write(&file, text).unwrap();
        let model = path(name);
        let json = train_own(&data, &model, &file)
            .flags("--epochs 3 --batch-size 4 --lr 1e-3 --json")
            .run()
            .exits(0)
            .json();
        // 3·3·3·6 + 4·6 + 15·15·6·8 + 8 + 8 + 1.
        assert_eq!(json["parameters"], 162 + 24 + 10_808 + 9);
        learnt(&model, &data);
    }
    // Three classes: a softmax.
    let three = path("three");
    for name in ["train", "test"] {
        split(&three, name, &["ants", "bees", "cats"], 2);
    }
    fs::write(&file, SMALL).unwrap();
    let model = path("softmax");
    train_own(&three, &model, &file).flags("--epochs 1").run().exits(0).says(&["dense 3 softmax"]);
    predicts_its_table(&model, &three, "test");
    let ended = format!(
        "{SMALL}\n[[layer]]\nop = \"dense\"\nunits = 3\n[[layer]]\nop = \"activation\"\nactivation = \"softmax\"\n"
    );
    fs::write(&file, ended).unwrap();
    train_own(&three, &model, &file).flags("--epochs 1").run().exits(0);
    predicts_its_table(&model, &three, "test");
}
