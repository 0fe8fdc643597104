//! What was run, and what was left out.

use maud::{Markup, html};
use util::visible;

use crate::model::Run;
use crate::numbers::counted;

/// Skipped files up to this many are shown; the rest is in the index files.
const MOST_SKIPPED: usize = 200;
/// Up to this many are shown unfolded.
const MOST_OPEN: usize = 10;

/// Command line and settings.
pub(super) fn section(run: &Run) -> Markup {
    html! {
        section {
            h2 { "What was run" }
            @if !run.command_line.is_empty() { pre { code { (visible(&run.command_line)) } } }
            div.run-details {
                @for section in &run.sections {
                    div {
                        h3 { (visible(&section.title)) }
                        dl {
                            @for (name, value) in &section.rows {
                                dt { (visible(name)) }
                                dd { (visible(value)) }
                            }
                        }
                    }
                }
                @if !run.classes.is_empty() {
                    div {
                        h3 { (counted(run.classes.len() as u64, "class", "classes")) }
                        @if run.classes.len() <= MOST_OPEN {
                            (labels(&run.classes))
                        } @else {
                            details { summary { "Names by label" } (labels(&run.classes)) }
                        }
                    }
                }
            }
        }
    }
}

fn labels(classes: &[String]) -> Markup {
    html! {
        dl {
            @for (i, class) in classes.iter().enumerate() {
                dt { "label " (i) }
                dd { (visible(class)) }
            }
        }
    }
}

/// Files that gave no row, with the reason.
pub(super) fn skipped(run: &Run) -> Markup {
    if run.skipped.is_empty() {
        return html! {};
    }
    let count = counted(run.skipped.len() as u64, "file", "files");
    html! {
        section {
            h2 { "Skipped files" }
            details open[run.skipped.len() <= MOST_OPEN] {
                summary { (count) " gave no row" }
                div.scroll tabindex="0" role="group" aria-label="Skipped files" {
                    table {
                        thead { tr {
                            th.text scope="col" { "file" }
                            th.text scope="col" { "split" }
                            th.text scope="col" { "reason" }
                        } }
                        tbody {
                            @for skipped in run.skipped.iter().take(MOST_SKIPPED) { tr {
                                th.text scope="row" { bdi { (visible(&skipped.file)) } }
                                td.text { (visible(&skipped.split)) }
                                td.text { (visible(&skipped.reason)) }
                            } }
                        }
                    }
                }
                @if run.skipped.len() > MOST_SKIPPED {
                    p.soft { "The first " (MOST_SKIPPED) " are shown; metrics.json lists all." }
                }
            }
        }
    }
}
