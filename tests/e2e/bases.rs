//! Bases other than VGG16: what is listed, extracted, and classified without a head.

use std::path::Path;

use crate::drawing::{Picture, TWO, split};
use crate::npy::Npy;
use crate::support::*;

fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// The class of each label and its probability, by `predict --backbone`.
fn classes(base: &str, picture: &Path) -> Vec<(String, f32)> {
    top(1000, base, picture)
}

/// The most probable of them.
fn top(count: usize, base: &str, picture: &Path) -> Vec<(String, f32)> {
    let run = Tool::new(PREDICT).arg("--backbone").arg(base);
    let run = run.flags(&format!("--weights random:3 --json --top {count}"));
    let json = run.arg(picture).run().exits(0).json();
    let classes = json[0]["predictions"].as_array().unwrap().iter().map(|one| {
        let probability = one["probability"].as_f64().unwrap() as f32;
        (one["class"].as_str().unwrap().to_owned(), probability)
    });
    classes.collect()
}

/// The probabilities of one picture, by `extract --layer predictions`.
fn probabilities(base: &str, picture: &Picture) -> Vec<f32> {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    for class in TWO {
        picture.save(&data.join("train").join(class).join("one.png"));
    }
    let run = Tool::new(EXTRACT).path("--data", &data).path("--features", &features);
    let run = run.arg("--backbone").arg(base).flags("--weights random:3 --layer predictions");
    run.flags("--interpolation nearest --pooling avg").run().exits(0);
    let npy = Npy::features(&features, "train");
    assert_eq!(npy.shape, [2, 1000]);
    f32s(&npy.data)[..1000].to_vec()
}

/// Probabilities and classes belong together, the most probable first.
#[track_caller]
fn assert_classified(found: &[(String, f32)], expected: &[f32]) {
    let mut sorted = expected.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let bits = |values: &mut dyn Iterator<Item = f32>| values.map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(&mut found.iter().map(|(_, p)| *p)), bits(&mut sorted.iter().copied()));
    let names = include_str!("../../crates/backbone/src/imagenet.txt").lines();
    let label = expected.iter().position(|p| *p == sorted[0]).unwrap();
    assert_eq!(names.clone().nth(label), Some(found[0].0.as_str()));
}

#[test]
fn a_keras_classifier_sees_the_whole_picture() {
    let root = temp();
    // Stretched by the filter that `extract` is given, too.
    let picture = Picture::random(5, 301, 207);
    let path = root.path().join("one.png");
    picture.save(&path);
    // Of this width only Keras publishes weights.
    let expected = probabilities("mobilenet-0.25", &picture);
    let found = classes("mobilenet-0.25", &path);
    assert_classified(&found, &expected);
    assert_eq!(top(3, "mobilenet-0.25", &path), found[..3]);
    assert_eq!(top(1, "mobilenet-0.25", &path), found[..1]);
}

/// With the filter that its publisher names.
#[test]
fn a_pytorch_classifiers_picture_is_resized_first() {
    let root = temp();
    let whole = Picture::random(7, 130, 97);
    let path = root.path().join("whole.png");
    whole.save(&path);
    let Picture { width, height, pixels: data } = whole;
    let whole = images::Rgb8Image { width, height, data, format: images::Format::Png };
    let (size, filter) = (images::ImageSize::square(224), images::Interpolation::Bicubic);
    let middle = images::center_crop(&whole, 256, size, filter).unwrap();
    let middle = Picture { width: 224, height: 224, pixels: middle.data };
    let expected = probabilities("mobilenet-v2", &middle);
    assert_classified(&classes("mobilenet-v2", &path), &expected);
}

#[test]
fn a_pytorch_classifier_sees_the_middle_of_the_picture() {
    let root = temp();
    // Its shorter side has 256 pixels already: nothing is resized, and 224 by 224 are cut out.
    let whole = Picture::random(6, 301, 256);
    let path = root.path().join("whole.png");
    whole.save(&path);
    // round((301 - 224) / 2) is 38 in Python, round((256 - 224) / 2) is 16.
    let (left, top) = (38, 16);
    let rows = (top..top + 224).flat_map(|y| {
        let start = (y * 301 + left) * 3;
        whole.pixels[start..start + 224 * 3].to_vec()
    });
    let middle = Picture { width: 224, height: 224, pixels: rows.collect() };
    let expected = probabilities("mobilenet-v2", &middle);
    assert_classified(&classes("mobilenet_v2", &path), &expected);
}

#[test]
fn every_base_is_listed_with_its_size_and_work() {
    let list = Tool::new(EXTRACT).flags("bases --json").run().exits(0).json();
    let list = list.as_array().unwrap();
    let find = |name: &str| list.iter().find(|base| base["name"] == name).unwrap();
    assert_eq!(list.len(), 16);
    let resnet = find("resnet50");
    assert_eq!(resnet["features"], serde_json::json!([7, 7, 2048]));
    // torchvision's table says 4.09 GFLOPS for version 1.5, and counts multiplications, with the classifier's 2 million.
    let operations = resnet["operations"].as_f64().unwrap() / 2e9;
    assert!((4.07..4.10).contains(&operations), "{operations}");
    assert_eq!((&resnet["parameters"], &resnet["image_size"]), (&23_561_152.into(), &224.into()));
    assert_eq!(
        (&resnet["licence"], &resnet["weights"]),
        (&"BSD-3-Clause".into(), &"timm/resnet50.tv_in1k".into())
    );
    assert!(list.iter().all(|base| base["images_per_second"].is_null()));
    // Only Keras has weights of this width.
    assert_eq!(find("mobilenet-0.25")["weights"], "mobilenet_2_5_224_tf_no_top.h5");
    assert_eq!(find("vgg16")["image_size"], 150);
    assert_eq!(find("vgg16")["weights"], "timm/vgg16.tv_in1k");
    let text = Tool::new(EXTRACT).flags("bases").run().exits(0);
    text.says(&["inception-resnet-v2", "54,3", "BSD-3-Clause", "GFLOP"]);
}

#[test]
fn other_bases_are_extracted_and_say_what_they_are() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 2);
    let small = "--backbone mobilenet-v2-0.35 --image-size 33x47";
    extract(&data, &features).flags(small).run().exits(0);
    let manifest = manifest(&features, "train");
    assert_eq!(manifest["settings"]["backbone"], "mobilenet-v2-0.35");
    assert_eq!(manifest["settings"]["layer"], "out_relu");
    assert_eq!(manifest["settings"]["preprocess"], "tf");
    assert_eq!(Npy::features(&features, "train").shape, [4, 2, 2, 1280]);
    // The rows of another base are not taken for these.
    let other =
        extract(&data, &features).flags("--backbone mobilenet-0.25 --image-size 33x47").run();
    other.refuses(&["backbone", "mobilenet-0.25"]);
}

#[test]
fn a_base_of_which_the_hub_has_no_weights_asks_for_a_file() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    let run = Tool::new(EXTRACT).path("--data", &data).path("--features", &features);
    run.flags("--backbone xception").run().refuses(&["xception", "--weights FILE"]);
    let mirror = Tool::new(EXTRACT).path("--data", &data).path("--features", &features);
    mirror.flags("--backbone vgg19 --weights mirror").run().refuses(&["vgg16 without"]);
}

#[test]
fn dense_layers_take_images_of_one_size() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 1);
    let run = extract(&data, &features).flags("--layer fc1 --image-size 150").run();
    run.refuses(&["224x224", "--image-size 224"]);
}
