//! `extract --augment`: random views of each picture of train beside the picture itself.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::drawing::{Picture, TWO, split};
use crate::npy::Npy;
use crate::support::*;

/// [`quick`] with three views beside each picture.
fn viewed(data: &Path, features: &Path) -> Tool {
    quick(data, features).flags("--augment --views 3 --seed 5")
}

/// The bytes of view `view` of row `i` of four.
fn view(features: &Npy, i: usize, view: usize) -> &[u8] {
    let row = features.row(i);
    let size = row.len() / 4;
    &row[view * size..(view + 1) * size]
}

#[test]
fn train_has_the_picture_then_its_views_and_other_splits_the_pictures() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let (data, features) = (path("data"), path("features"));
    split(&data, "train", &TWO, 3);
    split(&data, "validation", &TWO, 1);
    fs::write(data.join("train/cats/bad.png"), "no picture").unwrap();
    viewed(&data, &features).run().exits(3).says(&[
        "3 of each picture of train beside itself: rotation=40,",
        ", seed 5",
        "pictures of validation as they are",
        "train: (6, 4, 8, 8, 128) f32",
        "validation: (2, 8, 8, 128) f32",
    ]);
    assert_complete(&features, &["train", "validation"]);
    let settings = manifest(&features, "train")["settings"].clone();
    let lesson = "rotation=40,width-shift=0.2,height-shift=0.2,shear=0.2,zoom=0.2,horizontal-flip,\
        fill=nearest,interpolation=bilinear";
    assert_eq!(settings["augmentation"], json!({ "transforms": lesson, "seed": 5 }));
    assert_eq!((&settings["views"], &settings["row_shape"]), (&json!(4), &json!([8, 8, 128])));

    // The first view and the other splits are what they are without views.
    let plain = path("plain");
    quick(&data, &plain).run().exits(3);
    assert_same(&plain, &features, "validation");
    let settings = manifest(&plain, "train")["settings"].clone();
    assert!(settings.get("views").is_none() && settings.get("augmentation").is_none());
    let (with, without) = (Npy::features(&features, "train"), Npy::features(&plain, "train"));
    assert_eq!(
        (&with.shape[..], &without.shape[..]),
        (&[6, 4, 8, 8, 128][..], &[6, 8, 8, 128][..])
    );
    for i in 0..6 {
        assert!(view(&with, i, 0) == without.row(i), "{i}");
        for (a, b) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
            assert!(view(&with, i, a) != view(&with, i, b), "{i}: {a} {b}");
        }
    }

    // The same whatever the batch and the threads; more views do not change the others.
    let other = path("other");
    viewed(&data, &other).flags("--batch-size 1 --threads 1").run().exits(3);
    assert_same(&features, &other, "train");
    viewed(&data, &other).flags("--batch-size 7 --overwrite").run().exits(3);
    assert_same(&features, &other, "train");
    quick(&data, &other).flags("--augment=lesson --views 1 --seed 5 --overwrite").run().exits(3);
    let fewer = Npy::features(&other, "train");
    assert_eq!(fewer.shape, [6, 2, 8, 8, 128]);
    for i in 0..6 {
        assert!(*fewer.row(i) == with.row(i)[..fewer.row(i).len()], "{i}");
    }
    cache("info", &features).run().exits(0).says(&["train: (6, 4, 8, 8, 128)"]);
    cache("verify", &features).run().exits(0);
    cache("leaks", &features).run().exits(0);
}

#[test]
fn a_mirrored_view_has_the_features_of_the_mirrored_picture() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    for (folder, mirrored) in [("data", false), ("mirrored", true)] {
        for i in 0..4 {
            let picture = Picture::random(i, 32, 32);
            let picture = if mirrored { picture.mirrored() } else { picture };
            picture.save(&path(folder).join(format!("train/{}/{i}.png", TWO[i as usize % 2])));
        }
    }
    quick(&path("mirrored"), &path("other")).run().exits(0);
    let flags = "--augment=horizontal-flip --views 3";
    quick(&path("data"), &path("features")).flags(flags).run().exits(0);
    let (all, other) =
        (Npy::features(&path("features"), "train"), Npy::features(&path("other"), "train"));
    let mut flipped = 0;
    for i in 0..4 {
        for number in 1..4 {
            let view_is = |row: &[u8]| view(&all, i, number) == row;
            assert!(view_is(view(&all, i, 0)) || view_is(other.row(i)), "{i} {number}");
            flipped += usize::from(view_is(other.row(i)));
        }
    }
    assert!((1..12).contains(&flipped), "{flipped}");
}

#[test]
fn views_go_through_updates_shards_and_merging() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let (data, features, parts) = (path("data"), path("features"), path("parts"));
    split(&data, "train", &TWO, 2);
    viewed(&data, &features).run().exits(0);
    viewed(&data, &features).run().exits(0).says(&["train: up to date"]);
    // Other views are another cache.
    let spec = |flags: &str| quick(&data, &features).flags(flags).run();
    spec("--augment --views 3").refuses(&["augmentation.seed was 5, is now 0"]);
    spec("--augment --views 2 --seed 5").refuses(&["views was 4, is now 3"]);
    spec("--augment=zoom=0.2 --views 3 --seed 5")
        .refuses(&["augmentation.transforms was \"rotation=40,", "is now \"zoom=0.2,"]);
    spec("").refuses(&["views was 4, is now absent"]);

    // A file that is moved keeps its views, one that is added gets its own.
    fs::rename(data.join("train/cats/0.png"), data.join("train/dogs/zero.png")).unwrap();
    Picture::random(99, 30, 20).save(&data.join("train/cats/00.png"));
    viewed(&data, &features).flags("--update").run().exits(0);
    assert_eq!(rows_computed(&features, "train"), 1);
    let fresh = path("fresh");
    viewed(&data, &fresh).run().exits(0);
    assert_same(&features, &fresh, "train");

    for shard in ["2/2", "1/2"] {
        viewed(&data, &parts).flags("--shard").arg(shard).run().exits(0);
    }
    cache("merge", &parts).run().exits(0).says(&["(5, 4, 8, 8, 128)"]);
    assert_same(&features, &parts, "train");
    let mixed = path("mixed");
    viewed(&data, &mixed).flags("--shard 1/2").run().exits(0);
    quick(&data, &mixed).flags("--augment --views 3 --shard 2/2").run().exits(0);
    cache("merge", &mixed).run().refuses(&["augmentation.seed"]);
}

#[test]
fn only_train_has_views_and_flags_need_each_other() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "test", &TWO, 1);
    viewed(&data, &features).run().exits(0).says(&["pictures of test as they are"]);
    assert!(manifest(&features, "test")["settings"].get("augmentation").is_none());
    quick(&data, &features).run().exits(0).says(&["test: up to date"]);
    quick(&data, &features).flags("--views 3").run().exits(2).complains(&["--augment"]);
    quick(&data, &features).flags("--seed 3").run().exits(2).complains(&["--augment"]);
    quick(&data, &features).flags("--augment --views 0").run().exits(2);
    quick(&data, &features).flags("--augment=zoom=2").run().exits(2).complains(&["below 1"]);
}

#[test]
fn a_head_sees_another_view_each_epoch_and_is_judged_by_the_pictures() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let (data, features) = (path("data"), path("features"));
    for (name, n) in [("train", 5), ("validation", 2), ("test", 2)] {
        split(&data, name, &TWO, n);
    }
    viewed(&data, &features).run().exits(0);
    let fit = |from: &Path, name: &str, flags: &str| {
        let head = path(name);
        let run = fit_head(from, &head)
            .flags("--hidden 16 --epochs 6 --lr 1e-3")
            .flags(flags)
            .run()
            .exits(0);
        // Views of train alone are nothing to warn of.
        assert!(!run.err.contains("train and"), "{}", run.text());
        (run, fs::read(head.join("head.safetensors")).unwrap())
    };
    let (run, weights) = fit(&features, "head", "--threads 1");
    let _ = run.says(&[
        "features (8, 8, 128) of f32",
        "views    4 of each picture of train, another each epoch",
    ]);
    let page = fs::read_to_string(path("head/report.html")).unwrap();
    assert!(page.contains("4 of each picture of train") && page.contains("rotation=40,"));
    for flags in ["--threads 2", "--threads 3"] {
        assert!(weights == fit(&features, "again", flags).1, "{flags}");
    }
    // The views are used: without them it is another head, and with views that change nothing the same.
    let plain = path("plain");
    quick(&data, &plain).run().exits(0);
    let (run, without) = fit(&plain, "without", "");
    assert!(!run.out.contains("views") && weights != without);
    let still = path("still");
    quick(&data, &still).flags("--augment=channel-shift=1e-30 --views 2").run().exits(0);
    let npy = Npy::features(&still, "train");
    assert!((0..10).all(|i| {
        npy.row(i).chunks(npy.row(i).len() / 3).all(|v| v == Npy::features(&plain, "train").row(i))
    }));
    assert!(without == fit(&still, "still-head", "").1);

    // What is said of train is said of the pictures themselves, as `predict` sees them.
    let table = fs::read_to_string(path("head/predictions_train.csv")).unwrap();
    let mut lines = table.lines();
    let column = lines.next().unwrap().split(',').position(|name| name == "p_dogs").unwrap();
    let mut expected: Vec<f64> =
        lines.map(|line| line.split(',').nth(column).unwrap().parse().unwrap()).collect();
    let found =
        predict(&path("head")).flags("--json").arg(data.join("train")).run().exits(0).json();
    let dogs = |file: &serde_json::Value| {
        let all = file["predictions"].as_array().unwrap();
        let dogs = all.iter().find(|one| one["class"] == "dogs");
        dogs.map_or_else(
            || 1.0 - all[0]["probability"].as_f64().unwrap(),
            |one| one["probability"].as_f64().unwrap(),
        )
    };
    let mut found: Vec<f64> = found.as_array().unwrap().iter().map(dogs).collect();
    expected.sort_by(f64::total_cmp);
    found.sort_by(f64::total_cmp);
    /// Both are f32; where only the other class is printed it is taken from 1.
    const PRINTED_TOLERANCE: f64 = 1e-6;
    assert_eq!(found.len(), expected.len());
    assert!(
        found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= PRINTED_TOLERANCE),
        "{found:?} {expected:?}"
    );
}

#[test]
fn a_head_on_the_first_views_is_that_of_a_cache_which_has_no_more() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let data = path("data");
    for (name, n) in [("train", 5), ("validation", 2)] {
        split(&data, name, &TWO, n);
    }
    let four = path("four");
    quick(&data, &four).flags("--augment --views 4 --seed 5").run().exits(0);
    // Some epochs more than there are views, so that each is taken and the first comes again.
    let fit = |from: &Path, name: &str, flags: &str| {
        let tool = fit_head(from, &path(name)).flags("--hidden 16 --epochs 7 --lr 1e-3");
        let run = tool.flags(flags).run().exits(0);
        let mut json: serde_json::Value =
            serde_json::from_slice(&fs::read(path(name).join("head.json")).unwrap()).unwrap();
        for epoch in json["training"]["history"].as_array_mut().unwrap() {
            epoch.as_object_mut().unwrap().remove("seconds").unwrap();
        }
        (run, (fs::read(path(name).join("head.safetensors")).unwrap(), json))
    };
    let (_, all) = fit(&four, "all", "");
    assert!(all == fit(&four, "all-four", "--views 4").1);
    for (count, flags) in [(2, "--augment --views 2 --seed 5"), (0, "")] {
        let fewer = path(&count.to_string());
        quick(&data, &fewer).flags(flags).run().exits(0);
        let (_, expected) = fit(&fewer, "fewer", "");
        let (run, found) = fit(&four, "first", &format!("--views {count}"));
        assert!(found == expected && found != all, "{count} views");
        assert_eq!(run.out.contains("views    3 of each picture of train"), count == 2);
        assert_eq!(run.out.contains("views    "), count == 2);
        let page = fs::read_to_string(path("first/report.html")).unwrap();
        assert_eq!(page.contains("3 of each picture of train"), count == 2);
        assert!(!page.contains("5 of each picture of train"));
        let refused = fit_head(&fewer, &path("refused")).flags("--views 3").run();
        let found = if count == 2 { "2 views" } else { "no view" };
        let hint = format!("--views {count} or fewer, or run extract with --augment --views 3");
        refused.refuses(&[
            &format!("3 views of each picture of train beside itself, found {found}"),
            &hint,
        ]);
        assert!(!path("refused").exists());
    }
    let huge = usize::MAX.to_string();
    fit_head(&four, &path("huge")).flags("--views").arg(huge).run().refuses(&["found 4 views"]);
    fit_head(&four, &path("minus")).flags("--views=-1").run().exits(2);
}
