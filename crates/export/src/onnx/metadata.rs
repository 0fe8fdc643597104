//! `metadata_props`: what a user of the file must know, and where it comes from.

use images::Interpolation;
use serde_json::json;

use crate::{Model, Part};

/// Keys and values.
pub(super) fn of(model: &Model, with_resize: bool) -> Vec<(String, String)> {
    let mut all: Vec<(&str, String)> = vec![
        ("name", model.name.clone()),
        ("classes", json!(model.classes).to_string()),
        ("tool", format!("feature-cache {}", env!("CARGO_PKG_VERSION"))),
        ("trained_with", format!("feature-cache {}", model.trained_with)),
        ("part", if model.pixels.is_some() { Part::Whole } else { Part::Head }.to_string()),
    ];
    if let Some(spec) = model.pixels {
        let resize = json!({
            "width": spec.size.width,
            "height": spec.size.height,
            "filter": spec.interpolation.name(),
            "like": like(spec.interpolation),
            "keep_aspect_ratio": false,
            "in_graph": with_resize,
        });
        all.push(("resize", resize.to_string()));
        all.push(("channels", "RGB".to_owned()));
        all.push(("preprocessing", format!("{} (in the graph)", spec.preprocess)));
    }
    if let Some(base) = &model.base {
        all.push(("base", base.name.clone()));
        all.push(("base_layer", base.layer.clone()));
        all.push(("weights", base.weights.clone()));
        all.push(("weights_sha256", base.weights_sha256.clone()));
    }
    all.extend(model.temperature.map(|t| ("temperature", t.to_string())));
    all.extend(model.threshold.map(|t| ("threshold", t.to_string())));
    all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Who else resizes so.
fn like(interpolation: Interpolation) -> &'static str {
    match interpolation {
        Interpolation::Bilinear => "PIL.Image.resize(size, PIL.Image.BILINEAR)",
        Interpolation::Nearest => "PIL.Image.resize(size, PIL.Image.NEAREST)",
        Interpolation::Bicubic => "PIL.Image.resize(size, PIL.Image.BICUBIC)",
        Interpolation::Lanczos => "PIL.Image.resize(size, PIL.Image.LANCZOS)",
        Interpolation::TfBilinear => "tf.image.resize(image, size, 'bilinear', antialias=False)",
    }
}
