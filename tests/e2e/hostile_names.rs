//! Names and texts that would steer a terminal or a spreadsheet: they are shown, have no effect, and are read back whole.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::drawing::Picture;
use crate::shared::shared;
use crate::support::*;

/// Whether a text can be printed as it is.
#[track_caller]
fn harmless(outcome: &Outcome) {
    for text in [&outcome.out, &outcome.err] {
        let lines: Vec<&str> = text.split('\n').collect();
        for line in lines {
            assert_eq!(without_what_steers(line), line, "{}", outcome.text());
        }
    }
}

/// What the tools must not print: by hand, so that the test doesn't believe the code.
fn without_what_steers(line: &str) -> String {
    line.chars()
        .filter(|c| {
            !c.is_control()
                && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
        })
        .collect()
}

fn edit_json(path: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    edit(&mut value);
    fs::write(path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn folders_and_files_with_such_names() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    let train = data.join("train");
    let classes = ["+1", "-x", "=1+1", "@SUM(A1)", "cats\u{202e}stac", "dogs\u{9b}2J"];
    for (i, class) in classes.iter().enumerate() {
        Picture::random(i as u64, 20, 20).save(&train.join(class).join("a.png"));
    }
    fs::write(train.join("-x/=bad\u{1b}]0;x\u{7}.png"), b"hello").unwrap();
    let run = |flags: &str| quick(&data, &features).flags(flags).run();
    let outcome = run("").exits(3);
    harmless(&outcome);
    let _ = outcome.complains(&[r"train/\x2dx/=bad\x1b]0;x\x07.png: not an image (text?)"]);

    let text = fs::read_to_string(features.join("train_index.csv")).unwrap();
    let mut names = Vec::new();
    for record in csv::Reader::from_reader(text.as_bytes()).records() {
        let record = record.unwrap();
        for cell in record.iter().filter(|cell| cell.parse::<i64>().is_err()) {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
        }
        names.push((record[1].to_owned(), record[2].to_owned()));
    }
    // The class column is what the manifest says, cell for cell.
    let manifest = manifest(&features, "train");
    let stored = manifest["settings"]["classes"].as_array().unwrap();
    for name in [r"+1", r"\x2dx", r"\x3d1+1", r"\x40SUM(A1)", "cats\u{202e}stac", r"dogs\xc2\x9b2J"]
    {
        assert!(stored.contains(&json!(name)) && names.iter().any(|n| n.1 == name), "{name}");
    }
    assert!(names.iter().any(|n| n.0 == r"\x3d1+1/a.png"), "{names:?}");

    let outcome = run("--json");
    harmless(&outcome);
    assert!(outcome.out.contains(r"cats\u202estac"), "{}", outcome.text());
    assert_eq!(outcome.json()["splits"][0]["classes"], manifest["settings"]["classes"]);
    for command in ["info", "verify"] {
        harmless(&cache(command, &features).run().exits(0));
    }
    let outcome = fit_head(&features, &root.path().join("head")).flags("--epochs 1").run().exits(0);
    harmless(&outcome);
}

#[test]
fn a_cache_from_somebody_else() {
    let (root, it) = (temp(), shared());
    let features = root.path().join("features");
    copy_dir(&it.features, &features);
    let calm = cache("info", &features).run().exits(0);
    edit_json(&features.join("train.json"), |m| {
        m["settings"]["classes"][0] = json!("ca\u{1b}[31m\nerror: forged\u{202e}");
        m["settings"]["weights"]["name"] = json!("w\r\u{9b}2J");
    });
    let outcome = cache("info", &features).run().exits(0);
    harmless(&outcome);
    assert_eq!(outcome.out.lines().count(), calm.out.lines().count());
    let _ = outcome.says(&[r"ca\u{1b}[31m\nerror: forged\u{202e} ", r"w\r\u{9b}2J"]);
    harmless(&cache("info", &features).flags("--json").run().exits(0));
    for outcome in [
        fit_head(&features, &root.path().join("head")).run(),
        cache("verify", &features).run(),
        quick(&it.data, &features).run(),
    ] {
        harmless(&outcome);
        assert!(outcome.err.lines().all(|line| !line.starts_with("error: forged")));
    }
}

#[test]
fn a_head_from_somebody_else() {
    let (root, it) = (temp(), shared());
    let head = root.path().join("head");
    copy_dir(&it.head, &head);
    let formula = "=HYPERLINK(\"http://x\")";
    edit_json(&head.join("head.json"), |m| m["classes"] = json!([formula, "\u{1b}]0;x\u{7}\nb"]));
    let file = it.data.join("test/cats/0.png");
    let run = |flags: &str| predict(&head).flags("--top 2").flags(flags).arg(&file).run().exits(0);
    let text = run("");
    harmless(&text);
    assert_eq!(text.out.lines().count(), 1);
    let _ = text.says(&[formula, r"\u{1b}]0;x\u{7}\nb"]);
    let json = run("--json");
    harmless(&json);
    assert!(json.json()[0]["predictions"].to_string().contains(r"\u001b]0;x\u0007\nb"));
    let csv = run("--csv");
    let cells: Vec<String> = csv::Reader::from_reader(csv.out.as_bytes())
        .records()
        .map(|record| record.unwrap()[2].to_owned())
        .collect();
    assert!(cells.contains(&r#"\x3dHYPERLINK("http://x")"#.to_owned()), "{cells:?}");
    // Into a file the text goes as it is.
    assert!(cells.contains(&"\u{1b}]0;x\u{7}\nb".to_owned()), "{cells:?}");
}

#[test]
fn arguments_that_a_shell_made_of_file_names() {
    let (root, it) = (temp(), shared());
    for argument in ["--\u{1b}[2J\u{202e}", "-q\u{9b}2J\u{1b}c"] {
        for program in [EXTRACT, FIT_HEAD, PREDICT, CACHE] {
            let outcome = Tool::new(program).arg(argument).run().exits(2);
            harmless(&outcome);
        }
    }
    let name = "no\u{1b}[2J\nerror: forged.jpg";
    harmless(&predict(&it.head).arg(root.path().join(name)).run().exits(1));
    harmless(&quick(&root.path().join(name), &root.path().join("features")).run().exits(1));
    harmless(&cache("info", &root.path().join(name)).run().exits(1));
    harmless(&fit_head(&it.features, &it.features.join("train.json").join(name)).run());
}
