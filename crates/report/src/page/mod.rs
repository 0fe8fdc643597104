//! `report.html`: one file, no scripts, nothing fetched from elsewhere.

mod calibration;
pub(crate) mod compare;
mod matrix;
mod mistakes;
mod results;
mod run_details;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use train::metrics::{Metrics, wilson};
use util::visible;

use crate::curves;
use crate::model::{Run, SplitResult};
use crate::numbers::{NOT_DEFINED, counted, grouped, optional};
use crate::theme;

const STYLE: &str = include_str!("style.css");

/// The page's bytes. `files` are the names of those beside it.
pub(crate) fn page(run: &Run, files: &[String]) -> Vec<u8> {
    let title = visible(&run.title);
    let body = html! {
        header {
            h1 { (title) }
            p.made.soft { (made(&run.created, &run.tool_version)) }
            (headline(run))
            @if !run.notes.is_empty() {
                ul.notes aria-label="Notes" {
                    @for note in &run.notes { li { (visible(note)) } }
                }
            }
        }
        main {
            (results::metrics(run))
            (curves_section(run))
            (results::repeats(run))
            (confusion_section(run))
            (calibration::section(run))
            (mistakes::section(run))
            (run_details::section(run))
            (run_details::skipped(run))
        }
        (footer(files))
    };
    document(&title, &run.tool_version, &body)
}

/// A page with this body.
fn document(title: &str, tool: &str, body: &Markup) -> Vec<u8> {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Nothing from outside, and no script: also not by way of a file name that slipped through.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                meta name="generator" content=(tool);
                title { (title) }
                style { (PreEscaped(theme::page_style())) (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    markup.into_string().into_bytes()
}

fn made(created: &str, tool: &str) -> String {
    let parts = [created, tool].into_iter().filter(|part| !part.is_empty());
    parts.map(visible).collect::<Vec<_>>().join(" · ")
}

/// The one figure that most readers came for.
fn headline(run: &Run) -> Markup {
    let Some(split) = run.headline() else {
        return html! { p { "No split was evaluated." } };
    };
    html! {
        div.first {
            p.figure { b { (optional(split.metrics.as_ref().map(|m| m.accuracy))) } (visible(&split.name)) " accuracy" }
            p.says { (says(split, run.classes.len())) }
        }
    }
}

fn says(split: &SplitResult, classes: usize) -> String {
    let total = split.metrics.as_ref().map_or(0, |metrics| metrics.rows);
    let right = split.metrics.as_ref().map_or(0, Metrics::right);
    let classes = counted(classes as u64, "class", "classes");
    match wilson(right, total) {
        None => format!("Accuracy is {NOT_DEFINED}: no labelled images in this split ({classes})."),
        Some((low, high)) => format!(
            "{} of {} images of {classes} predicted right, {} wrong. 95% interval {low:.3} to {high:.3} (Wilson).",
            grouped(right),
            grouped(total),
            grouped(total - right)
        ),
    }
}

fn curves_section(run: &Run) -> Markup {
    html! {
        section {
            h2 { "Training" }
            div.pair {
                @for panel in curves::panels(&run.history) {
                    figure {
                        (curves::inline(&panel))
                        figcaption { (curves::caption(&panel)) }
                    }
                }
            }
            (results::history(run))
        }
    }
}

fn confusion_section(run: &Run) -> Markup {
    let first = run.headline();
    let others =
        run.splits.iter().filter(|split| first.is_some_and(|first| first.name != split.name));
    html! {
        section {
            h2 { "Confusion matrix" }
            div.splits {
                @for split in first.into_iter().chain(others) {
                    (matrix::of_split(split, &run.classes))
                }
            }
            @if first.is_none() { p { "No split was evaluated." } }
        }
    }
}

fn footer(files: &[String]) -> Markup {
    html! {
        footer {
            "Beside this page, in full precision: "
            @for (i, file) in files.iter().enumerate() {
                @if i > 0 { ", " }
                a href=(file) { (file) }
            }
            "."
        }
    }
}
