//! `feature-cache compare`: models side by side, and what can't be compared.

use std::fs;
use std::path::{Path, PathBuf};

use crate::drawing::{TWO, split};
use crate::shared::{COUNTS, shared};
use crate::support::*;

fn compare(models: &[&Path]) -> Tool {
    models.iter().fold(Tool::new(PROGRAM).arg("compare"), |tool, model| tool.arg(model))
}

/// Folders of models of the shared features, one a name, with these flags.
fn trained(root: &Path, models: &[(&str, &str)]) -> Vec<PathBuf> {
    let folder = |(name, flags): &(&str, &str)| {
        let head = root.join(name);
        fit_head(&shared().features, &head).flags("--lr 1e-3").flags(flags).run().exits(0);
        head
    };
    models.iter().map(folder).collect()
}

/// Changes the table of predictions.
fn rewrite(model: &Path, split: &str, change: impl Fn(&str) -> String) {
    let path = model.join(format!("predictions_{split}.csv"));
    let text = fs::read_to_string(&path).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed);
    fs::write(path, changed).unwrap();
}

#[test]
fn models_stand_side_by_side() {
    let root = temp();
    let all = trained(root.path(), &[("one", "--epochs 1"), ("longer", "--epochs 9 --hidden 8")]);
    let models: Vec<&Path> = all.iter().map(PathBuf::as_path).collect();
    let page = root.path().join("compare.html");
    let said = compare(&models).run().exits(0);
    assert!(said.err.is_empty(), "{}", said.text());
    let shown = page.display().to_string();
    let _ = said.says(&["one", "longer", "95% (Wilson)", "131,585", "McNemar", &shown]);
    let html = fs::read_to_string(&page).unwrap();
    for part in ["<h1>2 models on test</h1>", "Validation loss", "Wilson", "McNemar", "longer"] {
        assert!(html.contains(part), "{part}");
    }
    assert!(html.matches("class=\"line s1\"").count() >= 5 && !html.contains("<script"));

    let json = compare(&models).arg("--json").run().exits(0).json();
    let (first, second) = (&json["models"][0], &json["models"][1]);
    assert_eq!((&first["name"], &second["name"]), (&"one".into(), &"longer".into()));
    assert_eq!((&first["epochs"], &second["epochs"]), (&1.into(), &9.into()));
    assert_eq!(second["model"]["parameters"], 512 * 8 + 8 + 8 + 1);
    let bytes = fs::metadata(all[1].join("head.safetensors")).unwrap().len();
    assert_eq!(second["weight_bytes"], bytes);
    // The numbers are those of the models' own reports.
    for (model, folder) in [first, second].into_iter().zip(&all) {
        let own: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join("metrics.json")).unwrap()).unwrap();
        assert_eq!(model["metrics"], own["splits"]["test"]["metrics"]);
        assert_eq!(model["ece"], own["splits"]["test"]["calibration"]["before"]["ece"]);
    }
    let pair = &json["pairs"][0];
    let right = |model: &serde_json::Value| {
        let rows = model["metrics"]["rows"].as_f64().unwrap();
        (model["metrics"]["accuracy"].as_f64().unwrap() * rows).round() as i64
    };
    let only = |key: &str| pair[key].as_i64().unwrap();
    assert_eq!(only("only_first") - only("only_second"), right(first) - right(second));
    assert!((0.0..=1.0).contains(&pair["p_value"].as_f64().unwrap()));
}

#[test]
fn another_split_and_another_page() {
    let root = temp();
    let all = trained(root.path(), &[("a", "--epochs 1"), ("b", "--epochs 2")]);
    let page = root.path().join("new/folder/page.html");
    let run = compare(&[&all[0], &all[1]]).flags("--split validation --json").path("--out", &page);
    let json = run.run().exits(0).json();
    assert_eq!(json["models"][0]["metrics"]["rows"], 2 * COUNTS[1].1);
    assert!(page.is_file() && !root.path().join("compare.html").exists());
    let quiet = compare(&[&all[0], &all[1]]).arg("--quiet").run().exits(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    // Eight with equal names are told apart by their paths.
    let many: Vec<PathBuf> = (0..8).map(|i| root.path().join(format!("{i}/head"))).collect();
    many.iter().for_each(|to| copy_dir(&all[0], to));
    let paths: Vec<&Path> = many.iter().map(PathBuf::as_path).collect();
    let json = compare(&paths).arg("--json").run().exits(0).json();
    assert_eq!(json["models"][7]["name"], many[7].display().to_string());
    assert_eq!(json["pairs"].as_array().unwrap().len(), 28);
    assert_eq!(json["pairs"][27]["p_value"], 1.0);
}

#[test]
fn other_pictures_are_told_and_not_tested() {
    let root = temp();
    let all = trained(root.path(), &[("a", "--epochs 1"), ("b", "--epochs 1")]);
    let (a, b) = (all[0].as_path(), all[1].as_path());
    let original = fs::read_to_string(b.join("predictions_test.csv")).unwrap();
    let last = |text: &str| text.lines().last().unwrap().rsplit(',').next().unwrap().to_owned();
    type Change = fn(&str, &str) -> String;
    let changes: [(&str, Change); 4] = [
        ("has no sha256", |text, _| {
            text.lines().map(|line| format!("{}\n", line.rsplit_once(',').unwrap().0)).collect()
        }),
        ("the content of", |text, digest| text.replace(digest, &"0".repeat(64))),
        ("was not shown to", |text, _| text.replace("cats/0.png", "cats/other.png")),
        ("was not shown to b", |text, _| {
            text.lines().take(text.lines().count() - 1).map(|line| format!("{line}\n")).collect()
        }),
    ];
    for (words, change) in changes {
        fs::write(b.join("predictions_test.csv"), &original).unwrap();
        rewrite(b, "test", |text| change(text, &last(text)));
        // Both plurals of the first reason.
        let words = words.replace("has no", "no");
        let done = compare(&[a, b]).run().exits(0).complains(&["warning: No test of a and b"]);
        assert!(done.err.replace("have no", "no").contains(&words), "{}", done.text());
        assert!(!done.out.contains("McNemar"), "{}", done.text());
        let page = fs::read_to_string(root.path().join("compare.html")).unwrap();
        assert!(page.contains("No two models were evaluated on the same pictures"));
        let json = compare(&[a, b]).arg("--json").run().exits(0).json();
        assert!(json["pairs"][0]["p_value"].is_null() && json["pairs"][0]["reason"].is_string());
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let (root, it) = (temp(), shared());
    let all = trained(root.path(), &[("a", "--epochs 1"), ("b", "--epochs 1")]);
    let (a, b) = (all[0].as_path(), all[1].as_path());
    let gone = root.path().join("gone");
    compare(&[a, &gone]).run().refuses(&["gone", "folder of a trained model", "fit-head"]);
    compare(&[a, &it.features]).run().refuses(&["features", "history.csv"]);
    compare(&[a, &b.join("head.json")]).run().refuses(&["head.json", "history.csv"]);
    compare(&[a, &root.path().join("b/../a")]).run().refuses(&["given twice"]);
    for split in ["elsewhere", "../b/predictions_test", "", "a/b"] {
        let run = compare(&[a, b]).arg("--split").arg(split).run();
        run.refuses(&["predictions_", "--split"]);
    }
    compare(&[a]).run().exits(2).complains(&["MODEL"]);
    compare(&[]).run().exits(2).complains(&["MODEL"]);
    compare(&[a; 9]).run().exits(2).complains(&["MODEL"]);
    let blocked = compare(&[a, b]).path("--out", &b.join("head.json/page.html")).run();
    blocked.refuses(&["head.json"]);

    let (data, features) = (root.path().join("data"), root.path().join("features"));
    for name in ["train", "test"] {
        split(&data, name, &["bees", TWO[0]], 2);
    }
    quick(&data, &features).run().exits(0);
    let bees = root.path().join("bees");
    fit_head(&features, &bees).flags("--epochs 1").run().exits(0);
    compare(&[a, &bees]).run().refuses(&["bees", "expected the classes of", "cats, dogs"]);
    assert!(!root.path().join("compare.html").exists(), "nothing is written then");
}

#[test]
fn tables_that_are_something_else_are_refused_with_their_line() {
    let root = temp();
    let all = trained(root.path(), &[("a", "--epochs 1"), ("b", "--epochs 2")]);
    let (a, b) = (all[0].as_path(), all[1].as_path());
    let file = |name: &str| (b.join(name), fs::read_to_string(b.join(name)).unwrap());
    let (history, epochs) = file("history.csv");
    let (table, rows) = file("predictions_test.csv");
    type Bad<'a> = (&'a Path, String, &'a str);
    let bad: [Bad; 9] = [
        (&history, String::new(), "expected the columns epoch"),
        (&history, epochs.replacen("loss", "lost", 1), "expected the columns epoch"),
        (&history, epochs.replacen("\n1,", "\none,", 1), "line 2: expected a number in column 1"),
        (&table, String::new(), "expected the columns row"),
        (&table, rows.replacen("p_dogs", "q_dogs", 1), "p_ of each class"),
        (&table, rows.replacen(",cats,", ",\u{1b}[2Jmice,", 1), "no class '\\u{1b}[2Jmice'"),
        (&table, rows.replacen("\n0,", "\n-,", 1), "line 2: expected a number"),
        (&table, rows.lines().next().unwrap().to_owned(), "at least 1 row"),
        (&table, format!("{rows}1,2,3\n"), "expected 8 fields, found 3"),
    ];
    for (path, text, words) in bad {
        fs::write(&history, &epochs).unwrap();
        fs::write(&table, &rows).unwrap();
        fs::write(path, text).unwrap();
        compare(&[a, b]).run().refuses(&[words, "fit-head"]);
    }
    fs::write(&table, rows.replacen(",0.", ",7.", 1)).unwrap();
    compare(&[a, b]).run().refuses(&["expected probabilities from 0 to 1"]);
    fs::write(&table, &rows).unwrap();
    // Without size and time there is still a comparison.
    fs::write(b.join("metrics.json"), "{").unwrap();
    compare(&[a, b]).run().exits(0).says(&["unknown"]);
}
