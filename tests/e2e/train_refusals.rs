//! What `train` can't train on, or with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::*;
use crate::train::shades;

struct Case {
    _root: tempfile::TempDir,
    data: PathBuf,
    model: PathBuf,
    file: PathBuf,
}

fn case() -> Case {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let (data, model, file) = (path("data"), path("model"), path("small.toml"));
    shades(&data);
    fs::write(&file, SMALL).unwrap();
    Case { _root: root, data, model, file }
}

impl Case {
    fn own(&self) -> Tool {
        train_own(&self.data, &self.model, &self.file).flags("--epochs 1")
    }

    fn with(&self, toml: &str) -> Outcome {
        fs::write(&self.file, toml).unwrap();
        self.own().run()
    }
}

#[test]
fn pictures() {
    let it = case();
    let bad = it.data.join("train/dark/bad.jpg");
    fs::write(&bad, "no picture").unwrap();
    it.own().run().exits(3).complains(&["skipped train/dark/bad.jpg: not an image (text?)"]);
    assert!(it.model.join("head.json").exists());
    fs::remove_dir_all(&it.model).unwrap();

    fs::rename(it.data.join("validation/light"), it.data.join("validation/mice")).unwrap();
    it.own().run().refuses(&["'validation'", "classes of train (dark, light)", "dark, mice"]);
    fs::rename(it.data.join("validation/mice"), it.data.join("validation/light")).unwrap();

    for file in files(&it.data.join("validation/light")) {
        fs::write(file, "no picture").unwrap();
    }
    it.own().run().refuses(&["'validation'", "at least 1 picture of class 'light'"]);
    for file in files(&it.data.join("validation/dark")) {
        fs::write(file, "no picture").unwrap();
    }
    it.own().run().refuses(&["'validation'", "found none in 4 files: dark/0.png: not an image"]);
    fs::remove_dir_all(it.data.join("validation")).unwrap();
    it.own().flags("--early-stopping 2").run().refuses(&["early stopping", "validation"]);
    fs::remove_dir_all(it.data.join("train/light")).unwrap();
    it.own().run().refuses(&["at least 2 classes, found 1"]);
    fs::rename(it.data.join("train"), it.data.join("test")).unwrap();
    it.own().run().refuses(&["'train'", "--data"]);
    train_own(Path::new("nowhere"), &it.model, &it.file).run().refuses(&["nowhere", "--data"]);
    assert!(!it.model.exists());
}

#[test]
fn settings() {
    let it = case();
    for (flags, words) in [
        ("--lr=-1", "lr"),
        ("--lr=nan", "lr"),
        ("--epochs=0", "epochs"),
        ("--batch-size=0", "batch_size"),
    ] {
        let tool = train_own(&it.data, &it.model, &it.file).flags(flags);
        let refused = tool.run().refuses(&[&format!("setting '{words}'"), "expected"]);
        assert!(refused.out.is_empty(), "after some work: {}", refused.text());
    }
    train(&it.data, &it.model).flags("--backbone none --dropout 1").run().refuses(&["dropout"]);
    it.own().flags("--dropout 0.5").run().refuses(&["--dropout", "op = \"dropout\""]);
    it.own().flags("--hidden 8").run().refuses(&["--hidden", "--backbone"]);
    it.own().flags("--pooling avg").run().refuses(&["--pooling", "--backbone"]);
    it.own().flags("--unfreeze block5_conv1").run().refuses(&["--unfreeze", "--backbone"]);
    let base = || train(&it.data, &it.model).flags("--weights random:0");
    base().flags("--unfreeze block9").run().refuses(&["no layer 'block9'", "extract summary"]);
    base().path("--architecture", &it.file).run().refuses(&["--architecture", "--backbone none"]);
    base().flags("--hidden 2000000000").run().refuses(&["GiB", "are available"]);
    it.own().path("--from", Path::new("nowhere")).run().refuses(&["nowhere", "--from"]);
    fs::write(&it.model, "mine").unwrap();
    it.own().run().refuses(&["expected a folder or nothing, found a file", "--model"]);
    let below = it.model.join("below");
    train_own(&it.data, &below, &it.file).run().refuses(&["below", "--model"]);
}

#[test]
fn networks() {
    let it = case();
    it.with("[[layer]]\nop = \"convv\"\n").refuses(&["layer 1 (convv)", "unknown op 'convv'"]);
    it.with("[[layer]]\nop = conv\n").refuses(&["small.toml", "line 2"]);
    it.with("").exits(1);
    let conv = "[[layer]]\nop = \"conv\"\nfilters = 4\nkernel = 40\n";
    it.with(conv).refuses(&["32x32", "40x40", "--image-size"]);
    let wide = "[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"dense\"\nunits = 16000000\n";
    it.with(wide).refuses(&["GiB", "are available"]);
    let pad = "[[layer]]\nop = \"pad\"\npadding = 1000000\n[[layer]]\nop = \"global-max-pool\"\n";
    it.with(pad).refuses(&["GiB", "are available"]);
    fs::remove_file(&it.file).unwrap();
    it.own().run().refuses(&["cannot read network", "small.toml"]);
    let lesson = train(&it.data, &it.model).flags("--backbone none");
    lesson.run().refuses(&["32x32", "--image-size"]);
    assert!(!it.model.exists());
}

#[test]
fn a_model_that_does_not_fit() {
    let it = case();
    it.own().run().exits(0);
    let other = it.model.with_file_name("other");
    fs::write(&it.file, SMALL.replace("filters = 6", "filters = 5")).unwrap();
    let tool = train_own(&it.data, &other, &it.file).path("--from", &it.model);
    tool.run().refuses(&["conv2d/kernel: expected 135 values, found 162"]);
    fs::write(&it.file, SMALL.replace("op = \"batch-norm\"", "op = \"dropout\"\nrate = 0.1"))
        .unwrap();
    let tool = train_own(&it.data, &other, &it.file).path("--from", &it.model);
    tool.run().refuses(&["whose layers are all in the network", "batch_normalization"]);
    assert!(!other.exists());
}

#[test]
fn a_loss_that_is_no_number() {
    let it = case();
    let tool = train_own(&it.data, &it.model, &it.file).flags("--epochs 3 --lr 1e30");
    tool.run().refuses(&["diverged in epoch", "saved", "--lr"]);
    assert!(!it.model.join("checkpoint.safetensors").exists());
}
