//! The two files of a head belong together, also where its writing ended early or an older version wrote it.

use super::*;

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
    assert_eq!(read_json(&head.join("head.json"))["features"]["numerics"], 5);
    change_json(&head.join("head.json"), |json| json["features"]["numerics"] = 99.into());
    let _ = one().run().exits(0).complains(&["warning: ", "numerics 99", "fit-head"]);
    change_json(&head.join("head.json"), |json| {
        json["features"].as_object_mut().unwrap().remove("numerics");
    });
    let _ = one().run().exits(0).complains(&["warning: ", "numerics"]);
}
