//! `feature-cache export --format keras`. That Keras itself agrees is for `scripts/test_exports_keras.sh`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::*;
use crate::train::shades;

fn export(head: &Path, output: &Path) -> Tool {
    let tool = Tool::new(PROGRAM).arg("export").path("--head", head).path("--output", output);
    tool.flags("--format keras")
}

struct Case {
    root: tempfile::TempDir,
    data: PathBuf,
    features: PathBuf,
    head: PathBuf,
}

impl Case {
    /// A head on all of VGG16.
    fn new() -> Self {
        let root = temp();
        let path = |name: &str| root.path().join(name);
        let (data, features, head) = (path("data"), path("features"), path("head"));
        shades(&data);
        extract(&data, &features).flags("--image-size 32").run().exits(0);
        fit_head(&features, &head).flags("--hidden 8 --dropout 0.5 --epochs 1").run().exits(0);
        Self { root, data, features, head }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

#[test]
fn a_base_in_an_exported_model_gives_the_same_rows_to_the_bit() {
    let it = Case::new();
    let (whole, again) = (it.path("whole.keras"), it.path("again.keras"));
    export(&it.head, &whole).run().exits(0);
    export(&it.head, &again).run().exits(0);
    assert_eq!(fs::read(&whole).unwrap(), fs::read(&again).unwrap());
    let features = it.path("other");
    // A file cannot say that its layers are those of VGG16 with pixels as PyTorch has them.
    let tool = Tool::new(EXTRACT).path("--data", &it.data).path("--features", &features);
    tool.path("--weights", &whole).flags("--image-size 32 --preprocess torch").run().exits(0);
    let rows = |features: &Path| fs::read(features.join("train_features.npy")).unwrap();
    assert_eq!(rows(&features), rows(&it.features));

    // The head needs no base, and is small.
    let head = it.path("head.keras");
    export(&it.head, &head).flags("--part head --weights /nowhere").run().exits(0);
    let len = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(len(&head) < 60_000, "{}", len(&head));
    assert!(len(&whole) > 58_000_000, "{}", len(&whole));
}

#[test]
fn what_cannot_be_exported_is_said() {
    let it = Case::new();
    let output = it.path("model.keras");
    export(&it.path("gone"), &output).run().refuses(&["gone"]);
    let nowhere = it.path("nowhere").join("model.keras");
    export(&it.head, &nowhere).run().refuses(&["cannot write", "nowhere", "make its folder"]);
    fs::create_dir(it.path("folder")).unwrap();
    export(&it.head, &it.path("folder")).run().refuses(&["cannot write", "folder"]);

    // Padding of a kind that no layer of Keras has, around values that can be below zero.
    let pool = "[[layer]]\nop = \"max-pool\"\nsize = 3\nstride = 2\npadding = [2, 0, 0, 1]\n\n";
    let (file, model) = (it.path("own.toml"), it.path("own"));
    fs::write(&file, format!("{pool}{SMALL}")).unwrap();
    train_own(&it.data, &model, &file).flags("--epochs 1 --batch-size 4").run().exits(0);
    let words = ["max_pooling2d", "Keras has no max pooling with such padding", "another --format"];
    export(&model, &output).run().refuses(&words);
    export(&model, &output).flags("--part head").run().refuses(&["own"]);
    assert!(!output.exists());
}
