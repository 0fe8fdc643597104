//! Pages without a browser; `scripts/test_web.sh` opens them in one.

use super::{Options, embed, page, write};
use crate::ExportError;
use crate::onnx::tests::{features, pixels};
use serde_json::json;

#[test]
fn names_of_classes_are_text_and_no_markup() {
    let mut model = pixels();
    model.name = "<b>{{script}}</b>".to_owned();
    model.classes = vec!["</script><script>alert(1)</script>".to_owned(), "{{config}}".to_owned()];
    let config = json!({ "classes": model.classes });
    let text = page(&model, &config, true);
    assert!(!text.contains("alert(1)</script>"), "{text}");
    assert!(text.contains("&lt;b&gt;{{script}}&lt;/b&gt;"));
    assert!(text.contains("&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;, {{config}}"));
    let at = text.find("type=\"application/json\">").unwrap() + 24;
    let stored = text[at..].split_once("</script>").unwrap().0;
    assert_eq!(serde_json::from_str::<serde_json::Value>(stored).unwrap(), config);
    assert_eq!(embed(&json!("<\u{2028}")), r#""\u003c\u2028""#);
}

#[test]
fn the_browser_itself_keeps_everything_inside() {
    let text = page(&pixels(), &json!({}), true);
    assert!(text.contains("default-src 'none'") && text.contains("connect-src data:;"));
    assert!(text.contains("<script src=\"model.js\">"));
    assert!(!text.contains("http:") || text.matches("http:").count() == 1, "only the local server");
    assert!(!text.contains("https:"));
    let served = page(&pixels(), &json!({}), false);
    assert!(served.contains("connect-src 'self';") && !served.contains("model.js\">"));
}

#[test]
fn a_runtime_that_is_another_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("page");
    let options = Options { runtime: dir.path(), largest_embedded: 0 };
    let error = write(&pixels(), &out, &options).unwrap_err();
    assert!(error.to_string().contains("onnxruntime-web 1.30.0"), "{error}");
    let dist = dir.path().join("node_modules/onnxruntime-web/dist");
    std::fs::create_dir_all(&dist).unwrap();
    for name in ["ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"] {
        std::fs::write(dist.join(name), b"alert(1)").unwrap();
    }
    let error = write(&pixels(), &out, &options).unwrap_err();
    assert!(error.to_string().ends_with("found another file"), "{error}");
    let error = write(&features(&[6]), &out, &options).unwrap_err();
    assert!(matches!(error, ExportError::NoPixels), "{error}");
    assert!(!out.exists());
}
