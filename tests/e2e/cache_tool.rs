//! `cache`: info, verify, leaks.

use std::fs;

use crate::drawing::{Picture, TWO, split};
use crate::shared::shared;
use crate::support::*;

#[test]
fn info_tells_people_and_programs() {
    let it = shared();
    let people = cache("info", &it.features).run().exits(0);
    let _ = people.says(&["train: (20, 1, 1, 512) f32", "cats 10, dogs 10", "random:0", "32x32"]);
    let all = cache("info", &it.features).flags("--json").run().exits(0).json();
    let states: Vec<_> = all.as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["complete"; 3]);
    assert_eq!(all[1]["manifest"]["rows"], 20);
    let root = temp();
    for command in ["info", "verify", "leaks"] {
        cache(command, root.path()).run().refuses(&["found nothing", "extract"]);
        cache(command, &root.path().join("nowhere")).run().refuses(&["nowhere"]);
    }
}

#[test]
fn verify_finds_every_flipped_byte() {
    let (root, it) = (temp(), shared());
    cache("verify", &it.features).run().exits(0).says(&["train: 20 rows", "test: 12 rows"]);
    for name in ["test_features.npy", "test_labels.npy", "test_index.csv", "test.json"] {
        let size = fs::metadata(it.features.join(name)).unwrap().len() as usize;
        // In the header, in the middle, at the end.
        for at in [8, size / 2, size - 2] {
            let features = root.path().join(format!("{name}-{at}"));
            copy_dir(&it.features, &features);
            let path = features.join(name);
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            let outcome = cache("verify", &features).run();
            if name == "test.json" && outcome.code == Some(0) {
                // Some bytes of a manifest promise nothing: times, versions, names.
                continue;
            }
            let _ = outcome.exits(1).complains(&["test: ", "1 split is damaged", "hint: "]);
        }
    }
}

#[test]
fn cut_and_lost_files_are_noticed_at_once() {
    let (root, it) = (temp(), shared());
    let head = root.path().join("head");
    for name in ["train_features.npy", "train_labels.npy", "train_index.csv"] {
        let features = root.path().join(name);
        copy_dir(&it.features, &features);
        let path = features.join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        fit_head(&features, &head).run().refuses(&[name, "damaged", "extract --update"]);
        extract(&it.data, &features).flags("--image-size 32").run().refuses(&[name, "--update"]);
        fs::remove_file(&path).unwrap();
        fit_head(&features, &head).run().exits(1).complains(&[name]);
        extract(&it.data, &features).flags("--image-size 32 --update").run().exits(0);
        assert_same(&features, &it.features, "train");
    }
    assert!(!head.exists());
}

#[test]
fn update_mends_what_verify_finds() {
    let (root, it) = (temp(), shared());
    let features = root.path().join("features");
    copy_dir(&it.features, &features);
    let path = features.join("train_features.npy");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 0x10;
    fs::write(&path, bytes).unwrap();
    cache("verify", &features).run().refuses(&["1 split is damaged", "--overwrite"]);
    extract(&it.data, &features).flags("--image-size 32 --overwrite").run().exits(0);
    cache("verify", &features).run().exits(0);
    assert_same(&features, &it.features, "train");
}

#[test]
fn pictures_in_two_splits_are_found_in_every_disguise() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 3);
    split(&data, "test", &TWO, 3);
    let [a, b, c] = [31, 32, 33].map(|seed| Picture::random(seed, 96, 72));
    for (picture, name) in [(&a, "a"), (&b, "b"), (&c, "c")] {
        picture.save(&data.join(format!("train/cats/{name}.png")));
    }
    fs::copy(data.join("train/dogs/0.png"), data.join("test/dogs/copied.png")).unwrap();
    fs::write(data.join("test/cats/encoded.jpg"), a.jpeg(60)).unwrap();
    b.halved().save(&data.join("test/cats/halved.png"));
    c.mirrored().save(&data.join("test/cats/mirrored.png"));
    let expected = [
        "test/cats/encoded.jpg and train/cats/a.png show nearly the same picture",
        "test/cats/halved.png and train/cats/b.png show nearly the same picture",
        "test/cats/mirrored.png and train/cats/c.png show nearly the same picture, mirrored",
        "test/dogs/copied.png and train/dogs/0.png are the same file",
    ];
    // The run names the first three and counts the rest; `cache leaks` names all.
    let run = quick(&data, &features).run().exits(0);
    run.complains(&[expected[0], expected[1], expected[2], "1 more shared by two splits"]);
    let outcome = cache("leaks", &features).run().exits(1);
    let found: Vec<&str> = outcome.out.lines().collect();
    assert_eq!(found[..4], expected, "{}", outcome.text());
    assert_eq!(found.len(), 5);
    let json = cache("leaks", &features).flags("--json").run().exits(1).json();
    assert_eq!(json.as_array().unwrap().len(), 4);
    // Bits that differ count only up to the requested distance.
    let strict = cache("leaks", &features).flags("--distance 0").run().exits(1);
    let _ = strict.says(&["copied.png"]);
}

#[test]
fn different_pictures_are_no_leak() {
    cache("leaks", &shared().features).run().exits(0).says(&["0 pairs of pictures"]);
}
