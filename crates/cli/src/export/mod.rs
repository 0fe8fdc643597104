//! `feature-cache export`: a trained model for another program.

mod args;

use anyhow::Result;
use export::{Model, Part, onnx, web};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::console::Console;
use crate::failure::exit_with;
use crate::hints::hinted;
use crate::progress::Transfer;
pub(crate) use args::ExportArgs;
use args::Format;

/// Runs it with these arguments.
pub(crate) fn execute(args: &ExportArgs) -> ExitCode {
    exit_with(|| run(args))
}

fn run(args: &ExportArgs) -> Result<ExitCode> {
    let console = Console::new(args.quiet, args.json);
    if args.with_resize && (args.format, args.part) != (Format::Onnx, Part::Whole) {
        return Err(hinted(
            "--with-resize is for whole models as ONNX alone",
            "leave it out: a page resizes by itself, other formats take pictures of one size",
        ));
    }
    if args.external_data && args.format != Format::Onnx {
        return Err(hinted("--external-data is for ONNX alone", "leave it out"));
    }
    let transfer = Transfer::new(console);
    let search = args.source.search(&transfer);
    let model = pipeline::export::model(&args.head, args.part, args.weights.as_deref(), &search)?;
    for remark in &model.remarks {
        console.warn(remark.to_string());
    }
    let files = write(args, &model)?;
    let files: Vec<(String, u64)> = files
        .iter()
        .map(|file| {
            let bytes = std::fs::metadata(file).map_or(0, |meta| meta.len());
            (images::display_name(file), bytes)
        })
        .collect();
    console.say(described(&model, args.with_resize))?;
    for (file, bytes) in &files {
        console.say(format!("wrote {file} ({})", indicatif::DecimalBytes(*bytes)))?;
    }
    console.json(&result(args, &model, &files))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the files and names them, the one to open first.
fn write(args: &ExportArgs, model: &Model) -> Result<Vec<PathBuf>> {
    match args.format {
        Format::Onnx => {
            let usual = onnx::Options::default();
            let options = onnx::Options {
                with_resize: args.with_resize,
                largest_file: if args.external_data { 0 } else { usual.largest_file },
            };
            let written = onnx::write(model, &args.output, &options);
            Ok(written.map_err(pipeline::Error::from)?)
        }
        Format::Keras => {
            export::keras::write(model, &args.output).map_err(pipeline::Error::from)?;
            Ok(vec![args.output.clone()])
        }
        Format::Web => page(args, model),
    }
}

/// Writes the page, and says how it is opened.
fn page(args: &ExportArgs, model: &Model) -> Result<Vec<PathBuf>> {
    // Without a folder the error says what is missing.
    let runtime = args.runtime.clone().unwrap_or_default();
    let options = web::Options { runtime: &runtime, largest_embedded: web::LARGEST_EMBEDDED };
    let page = web::write(model, &args.output, &options).map_err(pipeline::Error::from)?;
    if !page.works_as_file {
        Console::new(args.quiet, args.json).say(format!(
            "too large to be opened as a file: run `python3 -m http.server` in {} and open http://localhost:8000",
            images::display_name(&args.output)
        ))?;
    }
    Ok(page.files)
}

/// What goes in and comes out, in a line.
fn described(model: &Model, with_resize: bool) -> String {
    let classes = model.classes.join(", ");
    let axes = util::shape(&model.input_axes);
    match model.pixels {
        Some(_) if with_resize => {
            format!("a picture of any size, RGB, 0 to 255, to the probabilities of {classes}")
        }
        Some(_) => format!("pixels {axes}, RGB, 0 to 255, to the probabilities of {classes}"),
        None => format!("features {axes} to the probabilities of {classes}"),
    }
}

fn result(args: &ExportArgs, model: &Model, files: &[(String, u64)]) -> Value {
    let files: Vec<Value> =
        files.iter().map(|(file, bytes)| json!({ "file": file, "bytes": bytes })).collect();
    let remarks: Vec<String> = model.remarks.iter().map(ToString::to_string).collect();
    json!({
        "format": args.format.name(),
        "part": args.part.name(),
        "input_shape": model.input_axes,
        "classes": model.classes,
        "files": files,
        "remarks": remarks,
    })
}
