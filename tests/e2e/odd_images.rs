//! Every odd image gives the row of its pixels, or is left out with a line that says why.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::drawing::{Picture, TWO, split};
use crate::npy::Npy;
use crate::support::*;

/// Odd images with the pixels that Pillow makes of them; how they were made is beside them.
fn odd() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/tests/odd")
}

/// Decoded otherwise than by Pillow, for the reasons that the images crate's own tests give.
const OTHER_PIXELS: [&str; 7] =
    ["bmp555.bmp", "bmp565.bmp", "cmyk.tif", "jpeg.tif", "grey16.png", "grey16.tif", "deep.pgm"];
/// Decoded by Pillow, refused here.
const REFUSED_HERE: [&str; 3] = ["float.tif", "palette.tif", "noend.png"];

/// What the index must say of the ones that matter most.
const REASONS: [(&str, &str); 9] = [
    ("bomb.jpg", "30000x30000 is over the limit of 178,956,970 pixels"),
    ("bomb.png", "30000x30000 is over the limit of 178,956,970 pixels"),
    ("bomb.bmp", "30000x30000 is over the limit of 178,956,970 pixels"),
    ("empty.jpg", "empty file"),
    ("textnamed.jpg", "not an image (text?)"),
    ("truncated.jpg", "truncated JPEG"),
    ("truncated.png", "truncated PNG"),
    ("truncated.gif", "truncated GIF"),
    ("truncatedprogressive.jpg", "truncated JPEG"),
];

#[test]
fn odd_images_are_right_or_left_out_with_a_reason() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    let train = data.join("train");
    fs::create_dir_all(train.join("odd")).unwrap();
    let cases = fs::read_to_string(odd().join("cases.tsv")).unwrap();
    let mut refused = Vec::new();
    for case in cases.lines() {
        let cells: Vec<&str> = case.split('\t').collect();
        fs::copy(odd().join(cells[0]), train.join("odd").join(cells[0])).unwrap();
        if cells[1] == "-" || REFUSED_HERE.contains(&cells[0]) {
            refused.push(cells[0]);
            continue;
        }
        let pixels = fs::read(odd().join(format!("{}.rgb", cells[0]))).unwrap();
        let [width, height] = [1, 2].map(|i| cells[i].parse().unwrap());
        Picture { width, height, pixels }.save(&train.join(format!("plain/{}.png", cells[0])));
    }
    let flags = "--image-size 32 --layer block1_pool --pooling avg --interpolation nearest";
    let outcome = extract(&data, &features).flags(flags).run().exits(3);
    let _ = outcome.complains(&["warning: train/odd/bomb.bmp: 30000x30000", "files were skipped"]);

    let lines = index(&features, "train");
    let bad: Vec<&str> =
        lines.iter().filter(|l| l.status == "bad").map(|l| l.file.as_str()).collect();
    let expected: Vec<String> = refused.iter().map(|name| format!("odd/{name}")).collect();
    assert_eq!(bad, expected);
    assert_eq!(manifest(&features, "train")["skipped"], bad.len());
    for line in &lines {
        assert_eq!(line.row.is_some(), line.status == "ok");
        assert_eq!(line.reason.is_empty(), line.row.is_some(), "{line:?}");
        assert!(!line.reason.contains('\n'));
    }
    let by_name: HashMap<&str, &Line> = lines.iter().map(|l| (l.file.as_str(), l)).collect();
    for (name, reason) in REASONS {
        assert_eq!(by_name[format!("odd/{name}").as_str()].reason, reason, "{name}");
    }
    let rows = Npy::features(&features, "train");
    assert_eq!(rows.shape[0], lines.len() - bad.len());
    let mut same = 0;
    for line in lines.iter().filter(|l| l.class == "odd" && l.row.is_some()) {
        let name = line.file.strip_prefix("odd/").unwrap();
        if OTHER_PIXELS.contains(&name) {
            continue;
        }
        let plain = by_name[format!("plain/{name}.png").as_str()];
        assert!(rows.row(line.row.unwrap()) == rows.row(plain.row.unwrap()), "{name}");
        same += 1;
    }
    assert!(same > 60, "{same}");
    cache("verify", &features).run().exits(0);
}

#[test]
fn a_bad_image_ends_the_run_where_that_is_wished() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 2);
    fs::write(data.join("train/dogs/text.jpg"), b"hello").unwrap();
    let run = || quick(&data, &features);
    let failed = run().flags("--on-error fail").run();
    failed.refuses(&["dogs/text.jpg", "not an image (text?)", "--on-error skip"]);
    assert!(!features.join("train.json").exists());
    // What was finished is kept.
    run().run().exits(3);
    assert_eq!(index(&features, "train").iter().filter(|l| l.row.is_none()).count(), 1);
    // A cache that lists bad files is no success for those who want none.
    let again = run().run();
    assert_eq!(again.code, Some(3), "{}", again.text());
}

#[test]
fn a_bad_image_that_is_mended_is_noticed() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    split(&data, "train", &TWO, 2);
    let path = data.join("train/cats/1.jpg");
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    quick(&data, &features).run().exits(3).complains(&["cats/1.jpg: truncated JPEG"]);
    fs::write(&path, good).unwrap();
    quick(&data, &features).run().refuses(&["cats/1.jpg", "--update"]);
    quick(&data, &features).flags("--update").run().exits(0);
    assert_eq!(rows_computed(&features, "train"), 1);
    let fresh = root.path().join("fresh");
    quick(&data, &fresh).run().exits(0);
    assert_same(&features, &fresh, "train");
}

#[test]
fn nothing_but_bad_images_is_a_cache_without_rows() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    for class in TWO {
        let folder = data.join("train").join(class);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.png"), b"hello").unwrap();
    }
    quick(&data, &features).run().exits(3);
    assert_eq!(Npy::features(&features, "train").shape, [0, 8, 8, 128]);
    assert_eq!(Npy::labels(&features, "train"), [0i64; 0]);
    fit_head(&features, &root.path().join("head")).run().refuses(&["train", "no rows"]);
    assert!(!root.path().join("head").exists());
}
