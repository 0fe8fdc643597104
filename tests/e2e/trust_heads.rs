//! Features and heads that somebody else made: what they say is data. `fit-head` and `predict` open, write, remove and
//! remember only what the person at the keyboard asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use cache::{Dtype, Input, OpenOptions, Opened, RowSource, RunStats, Settings};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::drawing::split;
use crate::shared::shared;
use crate::support::*;

/// A training that leaves the random weights nearly as they are, so that about half of the rows are mistakes.
const UNTRAINED: &str = "--epochs 1 --lr 1e-9";
/// A picture in the page.
const PICTURE: &str = "data:image/jpeg;base64,";
/// What a hostile file may make a tool take, in KiB.
const LITTLE_MEMORY: u64 = 768 << 10;

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn change_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut json = read_json(path);
    change(&mut json);
    fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
}

/// Changes the fields of each line of an index, and makes the manifest agree with it as whoever made both could have.
fn change_index(features: &Path, split: &str, change: impl Fn(&mut Vec<String>)) {
    let path = features.join(format!("{split}_index.csv"));
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(&path).unwrap();
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    for (i, record) in reader.records().enumerate() {
        let mut fields: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
        if i > 0 {
            change(&mut fields);
        }
        writer.write_record(&fields).unwrap();
    }
    let bytes = writer.into_inner().unwrap();
    change_json(&features.join(format!("{split}.json")), |manifest| {
        manifest["files"]["index"]["bytes"] = bytes.len().into();
        manifest["files"]["index"]["sha256"] = hex(&bytes).into();
    });
    fs::write(&path, bytes).unwrap();
}

/// The column `file` of an index.
const FILE: usize = 1;

/// Trains on features and counts the pictures in the report.
#[track_caller]
fn pictures(features: &Path, head: &Path, data: Option<&Path>) -> (usize, Outcome) {
    let mut tool = fit_head(features, head).flags(UNTRAINED);
    if let Some(data) = data {
        tool = tool.path("--data", data);
    }
    let outcome = tool.run().exits(0);
    let page = fs::read_to_string(head.join("report.html")).unwrap();
    (page.matches(PICTURE).count(), outcome)
}

/// A copy of the shared features and pictures, and a folder for a head.
fn own(root: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let it = shared();
    let (data, features) = (root.join("pictures"), root.join("features"));
    copy_dir(&it.data, &data);
    copy_dir(&it.features, &features);
    (data, features, root.join("head"))
}

#[test]
fn thumbnails_are_of_the_folder_that_the_user_names() {
    let root = temp();
    let (data, features, head) = own(root.path());
    let (shown, outcome) = pictures(&features, &head, Some(&data));
    assert!((1..=12).contains(&shown), "{shown} pictures");
    assert!(!outcome.text().contains("picture"), "{}", outcome.text());
    // Where `extract` looks if nothing is said, `fit-head` does too.
    fs::rename(&data, root.path().join("data")).unwrap();
    let outcome = fit_head(&features, &head)
        .flags(UNTRAINED)
        .with(|command| {
            command.current_dir(root.path());
        })
        .run()
        .exits(0);
    let page = fs::read_to_string(head.join("report.html")).unwrap();
    assert_eq!(page.matches(PICTURE).count(), shown, "{}", outcome.text());
}

#[test]
fn the_folder_that_a_manifest_names_is_not_opened() {
    let root = temp();
    let (_, features, head) = own(root.path());
    // The manifest names the folder of the shared pictures, which is there and holds all of them.
    let named = manifest(&features, "test")["run"]["extra"]["data"].as_str().unwrap().to_owned();
    assert!(Path::new(&named).join("cats/0.png").is_file());
    let (shown, outcome) = pictures(&features, &head, None);
    assert_eq!(shown, 0);
    let _ = outcome.says(&["without pictures", "--data"]);
}

#[test]
fn no_name_in_an_index_leads_out_of_the_folder() {
    let root = temp();
    let (data, features, head) = own(root.path());
    let secret = root.path().join("secret");
    copy_dir(&data, &secret);
    let there = secret.join("test").to_str().unwrap().to_owned();
    type Rename<'a> = Box<dyn Fn(&str) -> String + 'a>;
    let inside = data.join("test").to_str().unwrap().to_owned();
    let renames: [(&str, Rename<'_>); 5] = [
        ("absolute", Box::new(|file| format!("{there}/{file}"))),
        ("above", Box::new(|file| format!("../../secret/test/{file}"))),
        ("absolute and inside", Box::new(|file| format!("{inside}/{file}"))),
        ("up and inside", Box::new(|file| format!("cats/../{file}"))),
        ("down and up", Box::new(|file| format!("cats/../../../secret/test/{file}"))),
    ];
    for (what, rename) in renames {
        let changed = root.path().join(what);
        copy_dir(&features, &changed);
        change_index(&changed, "test", |fields| fields[FILE] = rename(&fields[FILE]));
        let (shown, outcome) = pictures(&changed, &head, Some(&data));
        assert_eq!(shown, 0, "{what}");
        let _ = outcome.complains(&["no picture", "expected a path below the data folder"]);
    }
}

#[cfg(unix)]
#[test]
fn no_link_in_the_folder_leads_out_of_it() {
    use std::os::unix::fs::symlink;
    let root = temp();
    let (data, features, head) = own(root.path());
    let (all, _) = pictures(&features, &head, Some(&data));
    let secret = root.path().join("secret");
    fs::rename(data.join("test"), &secret).unwrap();
    symlink(&secret, data.join("test")).unwrap();
    let (shown, outcome) = pictures(&features, &head, Some(&data));
    assert!(all > 0 && shown == 0, "{all}, {shown}");
    let _ = outcome.complains(&["no picture", "leads out"]);
    // Links of single files, too.
    fs::remove_file(data.join("test")).unwrap();
    for path in files(&secret) {
        let link = data.join("test").join(path.strip_prefix(&secret).unwrap());
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(path, link).unwrap();
    }
    assert_eq!(pictures(&features, &head, Some(&data)).0, 0);
    // Links that stay inside are people's own way to keep their pictures.
    fs::rename(&secret, data.join("kept")).unwrap();
    fs::remove_dir_all(data.join("test")).unwrap();
    symlink("kept", data.join("test")).unwrap();
    assert_eq!(pictures(&features, &head, Some(&data)).0, all);
}

#[test]
fn a_picture_that_is_not_the_rows_is_not_shown() {
    let root = temp();
    let (data, features, head) = own(root.path());
    let (all, _) = pictures(&features, &head, Some(&data));
    // Another picture by the name of each: what the user's folder holds of another set.
    for path in files(&data.join("test")) {
        fs::copy(data.join("train/cats/0.png"), path).unwrap();
    }
    let (shown, outcome) = pictures(&features, &head, Some(&data));
    assert!(all > 0 && shown == 0, "{all}, {shown}");
    let _ = outcome.complains(&["no picture", "sha256"]);
}

#[test]
fn only_what_an_earlier_run_wrote_is_removed() {
    let root = temp();
    let (_, features, head) = own(root.path());
    fs::create_dir_all(head.join("predictions_folder.csv")).unwrap();
    for name in ["predictions_mine.csv", "predictions_.csv", "predictions_validation.csv.csv"] {
        fs::write(head.join(name), b"mine").unwrap();
    }
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    assert_eq!(fs::read(head.join("predictions_mine.csv")).unwrap(), b"mine");
    // A split that is no longer there takes its predictions along.
    for name in
        ["test.json", "test.stamps", "test_features.npy", "test_index.csv", "test_labels.npy"]
    {
        fs::remove_file(features.join(name)).unwrap();
    }
    assert!(head.join("predictions_test.csv").exists());
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    assert!(!head.join("predictions_test.csv").exists());
    for name in ["predictions_mine.csv", "predictions_.csv", "predictions_validation.csv.csv"] {
        assert_eq!(fs::read(head.join(name)).unwrap(), b"mine");
    }
    assert!(head.join("predictions_folder.csv").is_dir());
}

#[cfg(unix)]
#[test]
fn a_list_of_files_to_remove_is_not_believed_blindly() {
    let root = temp();
    let (_, features, head) = own(root.path());
    fs::create_dir_all(&head).unwrap();
    let mine = root.path().join("predictions_mine.csv");
    fs::write(&mine, b"mine").unwrap();
    fs::create_dir_all(head.join("predictions_x")).unwrap();
    std::os::unix::fs::symlink(&mine, head.join("predictions_link.csv")).unwrap();
    fs::create_dir_all(head.join("predictions_folder.csv")).unwrap();
    let splits = json!({
        "x/../../predictions_mine": {}, "link": {}, "folder": {}, "": {}, "..": {}, "a\0b": {},
        mine.with_extension("").to_str().unwrap(): {},
    });
    for text in [
        json!({ "format_version": 1, "splits": splits }).to_string(),
        "[".repeat(100_000),
        String::new(),
        json!({ "splits": ["link"] }).to_string(),
    ] {
        fs::write(head.join("metrics.json"), text).unwrap();
        fit_head(&features, &head).flags("--epochs 1").run().exits(0);
        assert_eq!(fs::read(&mine).unwrap(), b"mine");
        assert!(fs::symlink_metadata(head.join("predictions_link.csv")).unwrap().is_symlink());
        assert!(head.join("predictions_folder.csv").is_dir());
    }
}

#[cfg(unix)]
#[test]
fn links_in_the_heads_folder_are_replaced_and_not_followed() {
    let root = temp();
    let (_, features, head) = own(root.path());
    fs::create_dir_all(&head).unwrap();
    let written = names(&shared().head);
    for name in &written {
        let target = root.path().join(format!("mine-{name}"));
        fs::write(&target, b"mine").unwrap();
        std::os::unix::fs::symlink(&target, head.join(name)).unwrap();
    }
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    assert_eq!(names(&head), written);
    for name in &written {
        assert_eq!(fs::read(root.path().join(format!("mine-{name}"))).unwrap(), b"mine");
        assert!(fs::symlink_metadata(head.join(name)).unwrap().is_file(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn the_lock_is_no_link_and_no_file_of_somebody_else() {
    let root = temp();
    let (_, features, head) = own(root.path());
    fs::create_dir_all(&head).unwrap();
    let (lock, mine) = (head.join("head.lock"), root.path().join("mine"));
    fs::write(&mine, b"mine").unwrap();
    std::os::unix::fs::symlink(&mine, &lock).unwrap();
    fit_head(&features, &head).flags("--epochs 1").run().refuses(&["head.lock", "link"]);
    fs::remove_file(&lock).unwrap();
    fs::write(&lock, b"mine").unwrap();
    fit_head(&features, &head).flags("--epochs 1").run().refuses(&["head.lock"]);
    assert_eq!(
        (fs::read(&lock).unwrap(), fs::read(&mine).unwrap()),
        (b"mine".into(), b"mine".into())
    );
    assert_eq!(names(&head), ["head.lock"]);
    // That of a run that was killed holds nobody.
    fs::write(&lock, br#"{"pid":1,"host":"elsewhere","started_unix":1}"#).unwrap();
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    assert!(!lock.exists());
}

/// Waits for a child's first line on standard output, and holds it there.
#[cfg(unix)]
fn held_while_training(features: &Path, head: &Path) -> Child {
    use std::io::{BufRead as _, BufReader};
    let mut child = fit_head(features, head).flags("--epochs 100000").spawn();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Epoch") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "it ended before the first epoch");
    }
    signal(&child, "STOP");
    child
}

#[cfg(unix)]
#[test]
fn the_second_fit_head_on_a_folder_is_refused() {
    let root = temp();
    let (_, features, head) = own(root.path());
    let mut first = held_while_training(&features, &head);
    let pid = first.id().to_string();
    let second = fit_head(&features, &head).flags("--epochs 1").run();
    first.kill().unwrap();
    first.wait().unwrap();
    let outcome = second.refuses(&[&format!("process {pid}"), "--head"]);
    assert!(!outcome.out.contains("Epoch"), "before any training: {}", outcome.text());
    // The lock of a dead process holds nobody, and nothing of it stays.
    fit_head(&features, &head).flags("--epochs 1").run().exits(0);
    assert_eq!(names(&head), names(&shared().head));
    predict(&head).arg(shared().data.join("test")).run().exits(0);
}

/// Two heads of the same shape, and what the first predicts.
fn two_heads(root: &Path) -> (PathBuf, PathBuf, [String; 2]) {
    let it = shared();
    let (a, b) = (root.join("a"), root.join("b"));
    fit_head(&it.features, &a).flags("--epochs 2 --lr 1e-3 --seed 1").run().exits(0);
    fit_head(&it.features, &b).flags("--epochs 2 --lr 1e-3 --seed 2").run().exits(0);
    let says = [&a, &b].map(|head| classified(head).exits(0).out);
    assert_ne!(says[0], says[1]);
    (a, b, says)
}

fn classified(head: &Path) -> Outcome {
    predict(head).flags("--csv --top 2").arg(shared().data.join("test")).run()
}

#[test]
fn files_of_two_heads_are_no_head() {
    let root = temp();
    let (a, b, _) = two_heads(root.path());
    fs::copy(b.join("head.safetensors"), a.join("head.safetensors")).unwrap();
    let outcome = classified(&a);
    outcome.refuses(&["head.safetensors", "sha256", "fit-head"]);
}

#[test]
fn a_head_is_the_old_one_or_the_new_one_wherever_its_writing_ended() {
    let root = temp();
    let (a, b, says) = two_heads(root.path());
    let (tensors, json) = ("head.safetensors", "head.json");
    let staged = "head.safetensors.new";
    // What a run that replaces a by b has on disk after each of its steps.
    /// From which head, its file, under which name.
    type Copied<'a> = (&'a Path, &'a str, &'a str);
    let states: [(&str, [Copied<'_>; 3], usize); 4] = [
        ("staged", [(&a, json, json), (&a, tensors, tensors), (&b, tensors, staged)], 0),
        ("committed", [(&b, json, json), (&a, tensors, tensors), (&b, tensors, staged)], 1),
        ("named", [(&b, json, json), (&b, tensors, tensors), (&b, tensors, tensors)], 1),
        ("no old tensors", [(&b, json, json), (&b, tensors, staged), (&b, tensors, staged)], 1),
    ];
    for (what, files, which) in states {
        let head = root.path().join(what);
        fs::create_dir_all(&head).unwrap();
        for (from, name, to) in files {
            fs::copy(from.join(name), head.join(to)).unwrap();
        }
        assert_eq!(classified(&head).exits(0).out, says[which], "{what}");
        // The next training replaces whatever there is, and leaves only what it always leaves.
        fit_head(&shared().features, &head).flags("--epochs 2 --lr 1e-3 --seed 1").run().exits(0);
        assert_eq!(classified(&head).exits(0).out, says[0], "{what}");
        assert!(!head.join(staged).exists(), "{what}");
    }
}

#[test]
fn a_head_of_the_first_format_still_predicts() {
    let root = temp();
    let it = shared();
    let head = root.path().join("head");
    copy_dir(&it.head, &head);
    change_json(&head.join("head.json"), |json| {
        json["format_version"] = 1.into();
        json.as_object_mut().unwrap().remove("tensors");
        json["features"].as_object_mut().unwrap().remove("numerics");
    });
    assert_eq!(classified(&head).exits(0).out, classified(&it.head).exits(0).out);
    // Its files are bound by their shapes alone.
    let mut tensors = fs::read(head.join("head.safetensors")).unwrap();
    tensors.truncate(tensors.len() - 4);
    fs::write(head.join("head.safetensors"), tensors).unwrap();
    classified(&head).refuses(&["head.safetensors"]);
}

#[test]
fn other_numerics_than_the_features_are_said() {
    let root = temp();
    let head = root.path().join("head");
    copy_dir(&shared().head, &head);
    let one = || predict(&head).arg(shared().data.join("test/cats/0.png"));
    assert_eq!(one().run().exits(0).err.matches("numerics").count(), 0);
    assert_eq!(read_json(&head.join("head.json"))["features"]["numerics"], 1);
    change_json(&head.join("head.json"), |json| json["features"]["numerics"] = 99.into());
    let _ = one().run().exits(0).complains(&["warning: ", "numerics 99", "fit-head"]);
    change_json(&head.join("head.json"), |json| {
        json["features"].as_object_mut().unwrap().remove("numerics");
    });
    let _ = one().run().exits(0).complains(&["warning: ", "numerics"]);
}

/// Runs to the end, or kills it after a time in which nothing of this size takes so long.
#[track_caller]
fn within(seconds: u64, tool: Tool) -> Outcome {
    let mut child = tool.spawn();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(seconds) {
            child.kill().unwrap();
            let outcome = Outcome::of(child.wait_with_output().unwrap());
            panic!("it waits: {}", outcome.text());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Outcome::of(child.wait_with_output().unwrap())
}

#[cfg(unix)]
fn pipe(path: &Path) -> bool {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    let made = made.is_ok_and(|status| status.success());
    if !made {
        println!("skipped: no mkfifo");
    }
    made
}

#[cfg(unix)]
#[test]
fn a_pipe_in_a_head_is_not_waited_for() {
    let root = temp();
    let picture = shared().data.join("test/cats/0.png");
    for name in ["head.json", "head.safetensors"] {
        let head = root.path().join(name).join("head");
        copy_dir(&shared().head, &head);
        fs::remove_file(head.join(name)).unwrap();
        if !pipe(&head.join(name)) {
            return;
        }
        let outcome = within(60, predict(&head).arg(&picture));
        outcome.refuses(&[name, "pipe"]);
    }
    // And where `fit-head` looks and writes.
    for name in ["metrics.json", "head.json", "head.safetensors", "head.safetensors.new"] {
        let head = root.path().join("fit").join(name);
        fs::create_dir_all(&head).unwrap();
        assert!(pipe(&head.join(name)));
        within(60, fit_head(&shared().features, &head).flags("--epochs 1")).exits(0);
        assert_eq!(names(&head), names(&shared().head), "{name}");
    }
    let head = root.path().join("lock");
    fs::create_dir_all(&head).unwrap();
    assert!(pipe(&head.join("head.lock")));
    let outcome = within(60, fit_head(&shared().features, &head).flags("--epochs 1"));
    outcome.refuses(&["head.lock", "pipe"]);
}

/// A tool that may take so many KiB of memory that is not a file's.
#[cfg(target_os = "linux")]
fn limited(kib: u64, tool: &Tool) -> Tool {
    let shell = Tool::new("sh").arg("-c").arg(format!("ulimit -d {kib}; exec \"$@\"")).arg("sh");
    tool.words().into_iter().fold(shell, Tool::arg)
}

/// A head whose `head.json` was made by hand: `{before} "key": {value} }`, with `value` too long for a `Value` here.
#[cfg(target_os = "linux")]
fn with_text(dir: &Path, key: &str, value: &str) {
    copy_dir(&shared().head, dir);
    let mut json = read_json(&dir.join("head.json"));
    json.as_object_mut().unwrap().remove(key);
    let text = json.to_string();
    let text = format!("{},\"{key}\":{value}}}", text.strip_suffix('}').unwrap());
    assert!(text.len() < 64 << 20);
    fs::write(dir.join("head.json"), text).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_small_head_json_never_takes_much_memory() {
    let root = temp();
    let picture = shared().data.join("test/cats/0.png");
    let many =
        |one: &str| format!("[{}{one}]", format!("{one},").repeat((60 << 20) / (one.len() + 1)));
    for (what, key, value) in [
        ("lists in features", "features", many("[]")),
        ("class names", "classes", many("\"\"")),
        ("long class names", "classes", format!("[\"a\",\"{}\"]", "b".repeat(60 << 20))),
        ("an unknown key", "more", many("[]")),
        (
            "layers",
            "layers",
            many("{\"name\":\"dense\",\"inputs\":1,\"outputs\":1,\"activation\":\"relu\"}"),
        ),
        (
            "a long activation",
            "layers",
            format!(
                "[{{\"name\":\"dense\",\"inputs\":1,\"outputs\":1,\"activation\":\"{}\"}}]",
                "b".repeat(50 << 20)
            ),
        ),
    ] {
        let head = root.path().join(what);
        with_text(&head, key, &value);
        let outcome = within(120, limited(LITTLE_MEMORY, &predict(&head).arg(&picture)));
        assert!(matches!(outcome.code, Some(0 | 1)), "{what}: {:?}", outcome.code);
        assert!(outcome.err.len() < 10_000, "{what}: {} bytes of message", outcome.err.len());
        assert_eq!(outcome.code == Some(0), key == "more", "{what}: {}", outcome.err);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_huge_file_of_weights_is_refused_by_its_size() {
    let root = temp();
    let picture = shared().data.join("test/cats/0.png");
    let head = root.path().join("head");
    copy_dir(&shared().head, &head);
    let tensors = fs::OpenOptions::new().write(true).open(head.join("head.safetensors")).unwrap();
    let honest = tensors.metadata().unwrap().len();
    // A hole: no bytes on disk.
    tensors.set_len(8 << 30).unwrap();
    let run = || within(60, limited(LITTLE_MEMORY, &predict(&head).arg(&picture)));
    run().refuses(&["head.safetensors", &format!("expected {honest} bytes")]);
    // With a head.json that goes with it.
    change_json(&head.join("head.json"), |json| {
        json["tensors"]["bytes"] = (8_u64 << 30).into();
        json["layers"][0]["outputs"] = (1 << 21).into();
        json["layers"][1]["inputs"] = (1 << 21).into();
        let inputs = json["layers"][0]["inputs"].as_u64().unwrap();
        assert_eq!(inputs, 512);
        json["layers"][0]["outputs"] = ((8_u64 << 30) / 4 / 514).into();
        json["layers"][1]["inputs"] = ((8_u64 << 30) / 4 / 514).into();
    });
    run().refuses(&["head", "GiB", "are available"]);
    // The same in the first format.
    change_json(&head.join("head.json"), |json| {
        json["format_version"] = 1.into();
        json.as_object_mut().unwrap().remove("tensors");
    });
    run().refuses(&["head", "GiB", "are available"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_huge_image_size_is_refused_before_anything_is_decoded() {
    let root = temp();
    let head = root.path().join("head");
    copy_dir(&shared().head, &head);
    change_json(&head.join("head.json"), |json| {
        json["features"]["image_size"] = json!([16_000, 16_000]);
        json["features"]["pooling"] = "avg".into();
        json["features"]["row_shape"] = json!([512]);
    });
    let tool = predict(&head).arg(shared().data.join("test/cats/0.png"));
    let outcome = within(120, limited(2 << 20, &tool));
    outcome.refuses(&["16000x16000", "GiB", "are available"]);
}

/// Features of width 1: a row a class.
fn narrow(features: &Path, classes: Vec<String>) {
    let inputs: Vec<Input> = (0..classes.len())
        .map(|class| Input { name: format!("{class:07}.png"), path: features.to_owned(), class })
        .collect();
    let settings = Settings {
        recipe: serde_json::from_value(recipe()).unwrap(),
        dtype: Dtype::F32,
        classes,
        row_shape: vec![1],
        views: 1,
    };
    let opened = cache::open(features, "train", settings, inputs, OpenOptions::default()).unwrap();
    let Opened::Writer(writer) = opened else { panic!("it is there already") };
    for row in 0..writer.total() {
        let mut sha256 = [0; 32];
        sha256[..8].copy_from_slice(&row.to_le_bytes());
        let source = RowSource { sha256, bytes: 0, width: 1, height: 1, phash: None };
        writer.write_row(row, &[1.0], source).unwrap();
    }
    writer.finish(RunStats::default()).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn so_many_classes_that_their_confusions_fill_the_memory_are_refused() {
    let root = temp();
    let features = root.path().join("features");
    narrow(&features, (0..20_000).map(|i| format!("class {i}")).collect());
    let head = root.path().join("head");
    let tool = fit_head(&features, &head).flags("--epochs 1 --hidden 0");
    let outcome = within(120, limited(LITTLE_MEMORY, &tool));
    outcome.refuses(&["20,000 classes", "GiB", "are available"]);
    assert!(!head.exists());
}

#[test]
fn class_names_that_no_head_can_have_are_refused_before_training() {
    let root = temp();
    let head = root.path().join("head");
    for (what, classes) in [
        ("twice", vec!["a".to_owned(), "a".to_owned()]),
        ("bytes", vec!["a".to_owned(), "b".repeat(5000)]),
    ] {
        let features = root.path().join(what);
        narrow(&features, classes);
        let outcome = fit_head(&features, &head).flags("--epochs 1").run();
        assert!(!outcome.out.contains("Epoch"), "{}", outcome.text());
        assert!(outcome.err.len() < 2000, "{}", outcome.err.len());
        outcome.refuses(&["class", what]);
        assert!(!head.exists());
    }
}

#[test]
fn a_description_that_no_head_can_hold_is_refused_before_it_is_printed() {
    let root = temp();
    let (_, features, head) = own(root.path());
    for split in ["train", "validation", "test"] {
        change_json(&features.join(format!("{split}.json")), |manifest| {
            manifest["settings"]["layer"] = "x".repeat(100_000).into();
        });
    }
    let outcome = fit_head(&features, &head).flags("--epochs 1").run().exits(1);
    assert!(outcome.text().len() < 2000, "{} bytes", outcome.text().len());
    let _ = outcome.complains(&["description of the features", "65536"]);
    assert!(!head.exists());
}

#[test]
fn a_history_that_no_head_can_hold_is_refused_before_training() {
    let root = temp();
    let head = root.path().join("head");
    let outcome = within(60, fit_head(&shared().features, &head).flags("--epochs 10000000"));
    assert!(!outcome.out.contains("Epoch"), "{}", outcome.text());
    outcome.refuses(&["epochs", "10000000"]);
}

#[test]
fn labels_that_lie_are_refused() {
    let root = temp();
    let it = shared();
    for (what, label) in [("above", 2_i64), ("below", -1), ("far", i64::MAX), ("swapped", 1)] {
        let features = root.path().join(what);
        copy_dir(&it.features, &features);
        let path = features.join("train_labels.npy");
        let mut bytes = fs::read(&path).unwrap();
        let first = bytes.len() - 8 * 20;
        bytes[first..first + 8].copy_from_slice(&label.to_le_bytes());
        change_json(&features.join("train.json"), |manifest| {
            manifest["files"]["labels"]["sha256"] = hex(&bytes).into();
        });
        fs::write(&path, bytes).unwrap();
        let head = root.path().join("head");
        fit_head(&features, &head).flags("--epochs 1").run().refuses(&["train_labels.npy"]);
        assert!(!head.exists(), "{what}");
    }
}

#[test]
fn evil_names_stay_text_in_every_file_of_the_report() {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    let evil = "<script>alert(1)\u{202e}<";
    for name in ["train", "test"] {
        split(&data, name, &[evil, "=1+1"], 2);
    }
    quick(&data, &features).flags("--pooling avg").run().exits(0);
    let head = root.path().join("head");
    fit_head(&features, &head).flags(UNTRAINED).run().exits(0);
    for name in ["report.html", "curves.svg", "confusion.svg"] {
        let text = fs::read_to_string(head.join(name)).unwrap();
        assert!(!text.contains("<script") && !text.contains('\u{202e}'), "{name}");
    }
    let mut table = csv::Reader::from_path(head.join("predictions_test.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = table.records().map(|record| record.unwrap()).collect();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().any(|row| &row[2] == r"\x3d1+1"), "{rows:?}");
    for cell in rows.iter().flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
}
