//! `feature-cache compare`: trained models side by side.

mod args;

use anyhow::Result;
use report::{ComparedModel, Comparison};
use std::process::ExitCode;

use crate::console::Console;
use crate::failure::exit_with;
use crate::text;
pub(crate) use args::CompareArgs;

/// Runs it with these arguments.
pub(crate) fn execute(args: &CompareArgs) -> ExitCode {
    exit_with(|| run(args, Console::new(args.quiet, args.json)))
}

/// Compares and reports.
pub(crate) fn run(args: &CompareArgs, console: Console<'_>) -> Result<ExitCode> {
    let comparison = pipeline::compare::compare(&args.models, &args.split, console.command_line())?;
    for reason in comparison.reasons() {
        console.warn(reason);
    }
    let page = args.page();
    report::write_comparison(&comparison, &page).map_err(pipeline::Error::from)?;
    for line in text::table(models(&comparison)) {
        console.say(line)?;
    }
    let pairs = pairs(&comparison);
    if pairs.len() > 1 {
        console.say("")?;
        console.say("pictures that one alone predicts right; McNemar's exact test:")?;
        for line in text::table(pairs) {
            console.say(line)?;
        }
    }
    console.say("")?;
    console.say(format!("page {}", page.display()))?;
    console.json(&comparison.to_json())?;
    Ok(ExitCode::SUCCESS)
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

fn number(value: Option<f64>) -> String {
    value.map_or("not defined".to_owned(), |value| format!("{value:.4}"))
}

fn models(comparison: &Comparison) -> Vec<Vec<String>> {
    let header = ["model", "accuracy", "95% (Wilson)", "F1", "ROC AUC", "log loss", "ECE"];
    let mut rows = vec![row(header)];
    rows[0].extend(row(["parameters", "weights", "training"]));
    rows.extend(comparison.models.iter().map(|model| {
        let ComparedModel { name, metrics, reliability, facts, weight_bytes, .. } = model;
        let interval = model.interval().map(|(low, high)| format!("{low:.3} to {high:.3}"));
        vec![
            name.clone(),
            number(Some(metrics.accuracy)),
            interval.unwrap_or_default(),
            number(metrics.f1),
            number(metrics.roc_auc),
            number(Some(metrics.log_loss)),
            number(Some(reliability.ece)),
            facts.map_or("unknown".to_owned(), |facts| {
                text::thousands(usize::try_from(facts.parameters).unwrap_or(usize::MAX))
            }),
            indicatif::DecimalBytes(*weight_bytes).to_string(),
            facts.map_or("unknown".to_owned(), |facts| {
                let time = std::time::Duration::try_from_secs_f64(facts.training_seconds);
                time.map_or("unknown".to_owned(), text::duration)
            }),
        ]
    }));
    rows
}

fn pairs(comparison: &Comparison) -> Vec<Vec<String>> {
    let name = |i: usize| comparison.models[i].name.clone();
    let mut rows = vec![row(["first", "second", "first only", "second only", "p"])];
    rows.extend(comparison.pairs.iter().filter_map(|pair| {
        let test = pair.test.as_ref().ok()?;
        let p =
            if test.p_value < 1e-4 { "< 0.0001".to_owned() } else { number(Some(test.p_value)) };
        let counts = [test.only_first, test.only_second].map(|count| count.to_string());
        let [first, second] = counts;
        Some(vec![name(pair.first), name(pair.second), first, second, p])
    }));
    rows
}
