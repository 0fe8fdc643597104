//! A page that classifies pictures in the browser: one folder that needs no server and no network.
//!
//! Browsers let a page that is opened as a file load scripts and nothing else. So the model and the program that runs it are
//! scripts that hold them as text. Only a model too large for that stays a file, and needs a server of files.

mod runtime;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

use crate::{ExportError, Model, onnx};
use runtime::Runtime;
pub use runtime::{PACKAGE, VERSION};

/// Bytes of a model up to which it is inside of the page: browsers have a limit for the length of a text.
pub const LARGEST_EMBEDDED: u64 = 128_000_000;

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const RESIZE: &str = include_str!("resize.js");
/// Of the runtime.
const LICENSE: &str = include_str!("runtime_license.txt");

/// How a page is written.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The folder of [`PACKAGE`] of [`VERSION`], as npm installs or packs it.
    pub runtime: &'a Path,
    /// Up to so many bytes the model is inside of the page.
    pub largest_embedded: u64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The files, the page itself first.
    pub files: Vec<PathBuf>,
    /// Whether it works when it is opened as a file; else its folder must be served.
    pub works_as_file: bool,
}

/// Writes the page of a whole model into a folder, which is made where it is missing.
///
/// # Errors
/// [`ExportError::NoPixels`] for the head alone, [`ExportError::TooLarge`], a runtime of another version, and those of
/// [`onnx::write`].
pub fn write(model: &Model, folder: &Path, options: &Options<'_>) -> Result<Page, ExportError> {
    let spec = model.pixels.ok_or(ExportError::NoPixels)?;
    let runtime = Runtime::read(options.runtime)?;
    let bytes = onnx::to_bytes(model)?;
    let embedded = bytes.len() as u64 <= options.largest_embedded;
    let inner = folder.join("runtime");
    fs::create_dir_all(&inner).map_err(ExportError::io(&inner))?;

    let mut files = Vec::new();
    let mut write = |name: &str, parts: &[&[u8]]| {
        let path = folder.join(name);
        let written =
            util::atomic::write(&path, |out| parts.iter().try_for_each(|part| out.write_all(part)));
        files.push(path.clone());
        written.map_err(ExportError::io(&path))
    };
    let base64 = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    write("runtime/LICENSE.txt", &[LICENSE.as_bytes()])?;
    write("runtime/ort.wasm.min.js", &[&runtime.script])?;
    let module = embed(&json!(runtime.module));
    let wasm = base64(&runtime.wasm);
    write(
        "runtime/wasm.js",
        &[
            format!(
                "// {} and {} of {PACKAGE} {VERSION}, MIT License, Microsoft Corporation.\n",
                "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
            )
            .as_bytes(),
            b"window.runtimeModule = ",
            module.as_bytes(),
            b";\nwindow.runtimeWasm = \"",
            wasm.as_bytes(),
            b"\";\n",
        ],
    )?;
    match embedded {
        true => {
            let text = base64(&bytes);
            write("model.js", &[b"window.modelBytes = \"", text.as_bytes(), b"\";\n"])?;
        }
        false => write("model.onnx", &[&bytes])?,
    }
    let config = json!({
        "classes": model.classes,
        "width": spec.size.width,
        "height": spec.size.height,
        "filter": spec.interpolation.name(),
        "embedded": embedded,
    });
    write("index.html", &[page(model, &config, embedded).as_bytes()])?;
    files.rotate_right(1);
    Ok(Page { files, works_as_file: embedded })
}

/// The page's text.
fn page(model: &Model, config: &Value, embedded: bool) -> String {
    /// So many classes are named on top.
    const NAMED: usize = 20;
    let mut classes: Vec<String> = model.classes.iter().take(NAMED).map(|c| escape(c)).collect();
    if model.classes.len() > NAMED {
        classes.push("…".to_owned());
    }
    let script = format!("{RESIZE}\n{SCRIPT}");
    let parts = [
        // A page with all inside asks nobody for anything, and the browser sees to that.
        ("connect", if embedded { "data:".to_owned() } else { "'self'".to_owned() }),
        ("title", escape(&model.name)),
        ("style", STYLE.trim_end().to_owned()),
        ("count", model.classes.len().to_string()),
        ("classes", classes.join(", ")),
        ("config", embed(config)),
        (
            "model",
            if embedded { "<script src=\"model.js\"></script>".to_owned() } else { String::new() },
        ),
        ("script", script.trim_end().to_owned()),
    ];
    // Piece by piece, so that nothing in a name is taken for a place.
    let mut rest = HTML;
    let mut page = String::new();
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let Some((name, after)) = after.split_once("}}") else { break };
        page.extend(parts.iter().filter(|(part, _)| *part == name).map(|(_, text)| &text[..]));
        rest = after;
    }
    page.push_str(rest);
    page
}

/// Text between tags.
fn escape(text: &str) -> String {
    let visible = util::visible(text);
    visible.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// JSON inside of a script: without anything that could end it.
fn embed(value: &Value) -> String {
    let text = value.to_string();
    text.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}
