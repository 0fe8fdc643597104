//! `predict` gives what extract and the head gave, bitwise.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::drawing::Picture;
use crate::shared::shared;
use crate::support::*;

/// Bits of p(cats), p(dogs) by file, from `predictions_test.csv`.
fn expected(head: &Path) -> HashMap<String, [u32; 2]> {
    let mut table = csv::Reader::from_path(head.join("predictions_test.csv")).unwrap();
    let bits = |text: &str| text.parse::<f32>().unwrap().to_bits();
    let rows = table.records().map(|record| {
        let record = record.unwrap();
        (record[1].to_owned(), [bits(&record[5]), bits(&record[6])])
    });
    rows.collect()
}

/// The same from `predict --csv --top 2`.
fn predicted(out: &str, below: &Path) -> HashMap<String, [u32; 2]> {
    let mut all: HashMap<String, [u32; 2]> = HashMap::new();
    for record in csv::Reader::from_reader(out.as_bytes()).records() {
        let record = record.unwrap();
        let file = Path::new(&record[0]).strip_prefix(below).unwrap().to_str().unwrap().to_owned();
        let class = usize::from(&record[2] == "dogs");
        all.entry(file).or_default()[class] = record[3].parse::<f32>().unwrap().to_bits();
    }
    all
}

#[test]
fn predictions_are_bitwise_those_of_the_report() {
    let it = shared();
    let test = it.data.join("test");
    for flags in ["", "--batch-size 1 --threads 1", "--batch-size 5 --threads 3"] {
        let run = predict(&it.head).flags("--csv --top 2").flags(flags).arg(&test).run().exits(0);
        assert_eq!(predicted(&run.out, &test), expected(&it.head), "{flags}");
    }
}

#[test]
fn half_precision_features_predict_the_same_too() {
    let (root, it) = (temp(), shared());
    let (features, head) = (root.path().join("features"), root.path().join("head"));
    extract(&it.data, &features).flags("--image-size 32 --dtype f16 --pooling max").run().exits(0);
    fit_head(&features, &head).flags("--epochs 3").run().exits(0);
    let test = it.data.join("test");
    let run = predict(&head).flags("--csv --top 2").arg(&test).run().exits(0);
    assert_eq!(predicted(&run.out, &test), expected(&head));
}

#[test]
fn files_and_folders_in_three_forms() {
    let it = shared();
    let file = it.data.join("test/cats/0.png");
    let folder = it.data.join("test/dogs");
    let text = predict(&it.head).arg(&file).arg(&folder).run().exits(0);
    assert_eq!(text.out.lines().count(), 1 + 6);
    let first = text.out.lines().next().unwrap();
    assert!(first.starts_with(&format!("{}: ", file.display())), "{first}");
    let (class, p) = first.rsplit_once(": ").unwrap().1.split_once(' ').unwrap();
    assert!(["cats", "dogs"].contains(&class));
    assert!((0.5..=1.0).contains(&p.parse::<f64>().unwrap()));

    let json = predict(&it.head).flags("--json --top 2").arg(&file).run().exits(0).json();
    let best = &json[0]["predictions"];
    assert_eq!(best[0]["class"], class);
    assert!(best[0]["probability"].as_f64() >= best[1]["probability"].as_f64());
    let csv = predict(&it.head).flags("--csv").arg(&file).run().exits(0);
    assert_eq!(csv.out.lines().next(), Some("file,rank,class,probability,error"));
    // More classes than there are is all of them.
    let all = predict(&it.head).flags("--csv --top 99").arg(&file).run().exits(0);
    assert_eq!(all.out.lines().count(), 3);
}

#[test]
fn bad_files_are_named_and_the_rest_is_done() {
    let (root, it) = (temp(), shared());
    let folder = root.path().join("mixed");
    Picture::random(1, 30, 30).save(&folder.join("good.png"));
    Picture::random(2, 30, 30).save(&folder.join("below/good.jpg"));
    fs::write(folder.join("bad.png"), b"hello").unwrap();
    fs::write(folder.join("empty.jpg"), b"").unwrap();
    let run = |flags: &str| predict(&it.head).flags(flags).arg(&folder);
    let text = run("").run().exits(3).complains(&["bad.png: not an image (text?)", "empty file"]);
    assert_eq!(text.out.lines().count(), 2);
    let csv = run("--csv").run().exits(3);
    assert!(csv.out.lines().any(|l| l.contains("bad.png,,,,not an image")), "{}", csv.text());
    let json = run("--json").run().exits(3).json();
    let errors = json.as_array().unwrap().iter().filter(|one| one["error"].is_string());
    assert_eq!(errors.count(), 2);

    predict(&it.head).arg(folder.join("bad.png")).run().refuses(&["no file could be classified"]);
    predict(&it.head).arg(folder.join("nowhere.png")).run().exits(1).complains(&["nowhere.png"]);
    let empty = root.path().join("empty");
    fs::create_dir_all(&empty).unwrap();
    predict(&it.head).arg(&empty).run().refuses(&["no image among the given paths"]);
}

#[test]
fn other_weights_than_the_heads_are_refused() {
    let it = shared();
    let file = it.data.join("test/cats/0.png");
    let other = predict(&it.head).flags("--weights random:1").arg(&file).run();
    let sha = expected_sha(&it.head);
    other.refuses(&["weights", "sha256", &sha, "--weights"]);
}

fn expected_sha(head: &Path) -> String {
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(head.join("head.json")).unwrap()).unwrap();
    json["features"]["weights"]["sha256"].as_str().unwrap().to_owned()
}
