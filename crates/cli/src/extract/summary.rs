//! `extract summary`: the base's layer table, as Keras has it.

use anyhow::Result;
use backbone::Base;
use std::process::ExitCode;

use super::args::SummaryArgs;
use crate::console::out;

pub(super) fn print(args: &SummaryArgs) -> Result<ExitCode> {
    let mut base = Base::of_keras(&args.base.backbone, args.include_top)?;
    if let Some(layer) = &args.base.layer {
        base = base.up_to(layer)?;
    }
    let size = args.base.image_size(&base);
    let table =
        backbone::summary(&base, args.base.pooling, size.height as usize, size.width as usize)?;
    for line in table.trim_end_matches('\n').lines() {
        out(line)?;
    }
    Ok(ExitCode::SUCCESS)
}
