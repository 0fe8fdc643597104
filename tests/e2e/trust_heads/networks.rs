//! Networks in a `head.json` that somebody else made.

use super::*;
use crate::train::shades;

#[test]
fn a_network_that_was_made_to_harm_is_refused_soon() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let (data, good, file) = (path("data"), path("good"), path("small.toml"));
    shades(&data);
    fs::write(&file, SMALL).unwrap();
    train_own(&data, &good, &file).flags("--epochs 1").run().exits(0);
    let picture = data.join("validation/dark/0.png");
    #[cfg(target_os = "linux")]
    limited(LITTLE_MEMORY, &predict(&good).arg(&picture)).run().exits(0);
    let layer = json!({ "op": "activation", "activation": "relu" });
    let many = |n: usize| Value::Array(vec![layer.clone(); n]);
    let changes: [(&str, &str, Value); 9] = [
        ("a huge input", "/network/input", json!([4_000_000_000_u64, 4_000_000_000_u64, 3])),
        ("an input of nothing", "/network/input", json!([0, 0, 0])),
        ("another input", "/network/input", json!([16, 16, 3])),
        ("as many layers as can be", "/network/layers/layer", many(10_000)),
        ("more layers", "/network/layers/layer", many(10_001)),
        ("a huge layer", "/network/layers/layer/0/filters", 16_000_000.into()),
        ("another layer", "/network/layers/layer/0/filters", 5.into()),
        ("an unknown op", "/network/layers/layer/0/op", "call".into()),
        ("a huge pad", "/network/layers/layer/2", json!({ "op": "pad", "padding": 8_000_000 })),
    ];
    let refused = |what: &str, change: &dyn Fn(&mut Value)| {
        let head = path(what);
        copy_dir(&good, &head);
        change_json(&head.join("head.json"), |json| change(json));
        let tool = predict(&head).arg(&picture);
        #[cfg(target_os = "linux")]
        let tool = limited(LITTLE_MEMORY, &tool);
        let outcome = within(20, tool).exits(1);
        assert_eq!(outcome.err.matches("error: ").count(), 1, "{what}: {}", outcome.text());
        assert!(outcome.out.is_empty() && outcome.err.len() < 2000, "{what}: {}", outcome.text());
    };
    for (what, pointer, value) in changes {
        refused(what, &|json| {
            *json.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value.clone();
        });
    }
    refused("no network", &|json| {
        json.as_object_mut().unwrap().remove("network");
    });
    refused("layers beside it", &|json| {
        json["layers"] =
            json!([{ "name": "dense", "inputs": 1, "outputs": 1, "activation": "sigmoid" }]);
    });
    refused("a network in version 2", &|json| json["format_version"] = 2.into());
}
