//! `fit-head --unfreeze`: the rest of a base and a head, trained on cached rows.

use std::fs;
use std::path::Path;

use crate::support::*;
use crate::train::shades;

fn rows(data: &Path, features: &Path, flags: &str) {
    extract(data, features).flags("--image-size 32").flags(flags).run().exits(0);
}

fn tune(features: &Path, head: &Path) -> Tool {
    fit_head(features, head).flags(
        "--unfreeze block5_conv3 --hidden 8 --dropout 0.1 --batch-size 4 --epochs 2 --lr 1e-4",
    )
}

fn tensors(head: &Path) -> Vec<u8> {
    fs::read(head.join("head.safetensors")).unwrap()
}

#[test]
fn rows_of_an_earlier_layer_are_trained_on() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let data = path("data");
    shades(&data);
    let features = path("features");
    rows(&data, &features, "--layer block5_conv1");
    let head = path("head");
    let said = tune(&features, &head).flags("--threads 1").run().exits(0);
    let _ =
        said.says(&["block5_conv1 → 2 convolutions", "trainable tensors: 30 → 6 after freezing"]);
    assert!(head.join("report.html").exists() && head.join("curves.svg").exists());
    predicts_its_table(&head, &data, "validation");
    tune(&features, &path("three")).flags("--threads 3").run().exits(0);
    assert_eq!(tensors(&head), tensors(&path("three")));

    // From that model it goes on, and is another.
    tune(&features, &path("from")).path("--from", &head).run().exits(0);
    assert_ne!(tensors(&head), tensors(&path("from")));
    let wider = fit_head(&features, &path("wider")).flags("--unfreeze block5_conv3 --hidden 9");
    wider.path("--from", &head).run().refuses(&["dense/kernel: expected", "found"]);
    tune(&features, &path("gone")).path("--from", &path("nowhere")).run().refuses(&[
        "nowhere",
        "to start from",
        "--from",
    ]);

    tune(&features, &path("no"))
        .flags("--weights random:1")
        .run()
        .refuses(&["sha256", "--weights"]);
    let unknown = fit_head(&features, &path("no")).flags("--unfreeze block9");
    unknown.run().refuses(&["no layer 'block9'"]);
    // The layer of the rows itself.
    let late = fit_head(&features, &path("no")).flags("--unfreeze block5_conv1");
    late.run().refuses(&["block5_conv1", "expected rows of a layer before it", "earlier layer"]);
    let diverged = fit_head(&features, &path("no"));
    diverged.flags("--unfreeze block5_conv3 --epochs 2 --lr 1e20").run().refuses(&[
        "diverged in epoch 1",
        "nothing was saved",
        "--lr",
    ]);
    let huge =
        fit_head(&features, &path("no")).flags("--unfreeze block5_conv3 --hidden 2000000000");
    huge.run().refuses(&["GiB", "are available"]);
    assert!(!path("no").join("head.json").exists());
}

#[test]
fn halves_and_views_are_trained_on_and_pooled_rows_are_not() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let data = path("data");
    shades(&data);
    for (name, flags) in [
        ("half", "--layer block5_conv2 --dtype f16"),
        ("views", "--layer block5_conv2 --augment --views 2"),
    ] {
        rows(&data, &path(name), flags);
        let head = path(&format!("{name}-head"));
        tune(&path(name), &head).run().exits(0);
        if name == "views" {
            predicts_its_table(&head, &data, "train");
        }
    }
    rows(&data, &path("pooled"), "--layer block5_conv2 --pooling avg");
    tune(&path("pooled"), &path("head")).run().refuses(&["not pooled", "avg", "without pooling"]);
}
