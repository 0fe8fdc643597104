//! Pipes that are not waited for, and sizes that are refused before they take memory.

use super::*;

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
