//! `feature-cache export`: a trained model for another program.

mod args;

use anyhow::Result;
use export::Model;
use pipeline::WeightsSearch;
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
    write(args, &model)?;
    Ok(ExitCode::SUCCESS)
}

fn write(args: &ExportArgs, model: &Model) -> Result<()> {
    match args.format {
        Format::Keras => Ok(export::keras::write(model, &args.output)?),
        Format::Onnx | Format::Web => {
            Err(hinted(format!("format {} is not there yet", args.format), "use another --format"))
        }
    }
}
