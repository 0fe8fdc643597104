//! Each split's confusion matrix, and what it says of each class.

use maud::{Markup, html};
use train::metrics::Metrics;
use util::visible;

use crate::confusion::{MOST_NAMED, inline};
use crate::model::SplitResult;
use crate::numbers::{counted, grouped, optional};

/// Up to this many classes, the matrix shows every confusion at a glance.
const FEW: usize = 4;
/// How many pairs of confused classes to list.
const MOST_PAIRS: usize = 12;
/// Classes in the table of each against the rest before it folds.
const MOST_OPEN: usize = 12;

/// Matrix, each class against the rest, and, where there are many classes, the pairs confused most.
pub(super) fn of_split(split: &SplitResult, classes: &[String]) -> Markup {
    html! {
        div.split {
            h3 { (visible(&split.name)) }
            @if let Some(metrics) = &split.metrics {
                div.parts {
                    @if classes.len() <= MOST_NAMED {
                        div {
                            p.soft.key { (counted(metrics.rows, "image", "images")) "; rows: true class, columns: predicted class" }
                            div.scroll tabindex="0" role="group" aria-label={ "Confusion matrix, " (split.name) } {
                                (inline(&split.name, metrics, classes))
                            }
                        }
                    } @else {
                        p { (grouped(classes.len() as u64)) " classes: too many to read here. confusion.svg shows the whole matrix." }
                    }
                    @if classes.len() > FEW { (pairs(metrics, classes)) }
                    (each_class(metrics, classes, &split.name))
                }
            } @else {
                p { "No labelled images." }
            }
        }
    }
}

fn pairs(metrics: &Metrics, classes: &[String]) -> Markup {
    let pairs = metrics.confusions();
    html! {
        @if !pairs.is_empty() {
            table {
                caption { "Confused most often" }
                thead { tr {
                    th.text scope="col" { "true" }
                    th.text scope="col" { "predicted" }
                    th scope="col" { "images" }
                } }
                tbody {
                    @for (truth, predicted, count) in pairs.iter().take(MOST_PAIRS) {
                        tr {
                            th.text scope="row" { (visible(&classes[*truth])) }
                            td.text.wrap { (visible(&classes[*predicted])) }
                            td { (grouped(*count)) }
                        }
                    }
                }
            }
        }
    }
}

fn each_class(metrics: &Metrics, classes: &[String], split: &str) -> Markup {
    let table = html! {
        div.scroll tabindex="0" role="group" aria-label={ "Each class against the rest, " (split) } {
            table {
                caption { "Each class against the rest" }
                thead { tr {
                    th scope="col" { "class" }
                    th scope="col" { "images" }
                    th scope="col" { "precision" }
                    th scope="col" { "recall" }
                    th scope="col" { "F1" }
                } }
                tbody {
                    @for (class, one) in classes.iter().zip(&metrics.per_class) {
                        tr {
                            th scope="row" { (visible(class)) }
                            td { (grouped(one.support)) }
                            td { (optional(one.precision)) }
                            td { (optional(one.recall)) }
                            td { (optional(one.f1)) }
                        }
                    }
                }
            }
        }
    };
    html! {
        @if classes.len() > MOST_OPEN {
            details { summary { "Each class against the rest" } (table) }
        } @else {
            (table)
        }
    }
}
