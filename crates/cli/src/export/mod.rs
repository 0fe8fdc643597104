//! `feature-cache export`: a trained model for another program.

mod args;

use anyhow::Result;
use export::{Model, onnx};
use pipeline::WeightsSearch;
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
    let transfer = Transfer::new(console);
    let search = WeightsSearch {
        models_dir: &args.models,
        offline: args.offline,
        index_url: args.index_url.as_ref(),
        progress: &transfer,
    };
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
    console.say(described(&model))?;
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
            let options = onnx::Options::default();
            let written = onnx::write(model, &args.output, &options);
            Ok(written.map_err(pipeline::Error::from)?)
        }
        Format::Keras => {
            export::keras::write(model, &args.output).map_err(pipeline::Error::from)?;
            Ok(vec![args.output.clone()])
        }
        Format::Web => {
            Err(hinted(format!("format {} is not there yet", args.format), "use another --format"))
        }
    }
}

/// What goes in and comes out, in a line.
fn described(model: &Model) -> String {
    let classes = model.classes.join(", ");
    let axes = util::shape(&model.input_axes);
    match model.pixels {
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
