//! Confusion matrices as tables, so that they stay text: legible when small, read aloud, copied.

use maud::{Markup, html};
use util::visible;

use crate::confusion::{MOST_NAMED, shade};
use crate::model::SplitResult;
use crate::numbers::{counted, grouped, metric, percent};
use crate::stats;
use crate::text::fitted;

/// Up to this many classes, cells are large and tell their share of the row.
const FEW: usize = 4;
/// Room for the names of columns and rows, in ems; the table of each class has them in full.
const COLUMN_EM: f64 = 11.0;
const ROW_EM: f64 = 14.0;
/// How many pairs of confused classes to list.
const MOST_PAIRS: usize = 12;
/// Classes in the table of each against the rest before it folds.
const MOST_OPEN: usize = 12;

/// Matrix, each class against the rest, and, where there are many classes, the pairs confused most.
pub(super) fn of_split(split: &SplitResult, classes: &[String]) -> Markup {
    let confusion = &split.confusion;
    let total = stats::total(confusion);
    html! {
        div.split {
            h3 { (visible(&split.name)) }
            @if total == 0 {
                p { "No labelled images." }
            } @else {
                div.parts {
                    @if classes.len() <= MOST_NAMED {
                        div { (matrix(confusion, classes, &split.name)) }
                    } @else {
                        p { (grouped(classes.len() as u64)) " classes: too many for a table. confusion.svg shows the whole matrix." }
                    }
                    @if classes.len() > FEW { (pairs(confusion, classes)) }
                    (each_class(confusion, classes, &split.name))
                }
            }
        }
    }
}

fn matrix(confusion: &[Vec<u64>], classes: &[String], split: &str) -> Markup {
    let few = classes.len() <= FEW;
    let total = stats::total(confusion);
    html! {
        p.soft.key { (counted(total, "image", "images")) "; rows: true class, columns: predicted class" }
        div.scroll tabindex="0" role="group" aria-label={ "Confusion matrix, " (split) } {
            table.matrix.few[few].many[!few] aria-label={ "Confusion matrix, " (split) } {
                thead {
                    tr {
                        td.blank {}
                        th.axis colspan=(classes.len()) scope="colgroup" { "predicted" }
                    }
                    tr {
                        th.corner scope="col" { "true" }
                        @for class in classes {
                            @if few {
                                th scope="col" { (visible(class)) }
                            } @else {
                                th.upright scope="col" title=(visible(class)) { span { (fitted(&visible(class), COLUMN_EM)) } }
                            }
                        }
                    }
                }
                tbody {
                    @for (truth, row) in confusion.iter().enumerate() {
                        tr {
                            th scope="row" title=(visible(&classes[truth])) { (fitted(&visible(&classes[truth]), ROW_EM)) }
                            @for (predicted, count) in row.iter().enumerate() {
                                (cell(*count, row.iter().sum(), truth == predicted, few))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(count: u64, row: u64, hit: bool, few: bool) -> Markup {
    let colour = if hit { "--blue" } else { "--orange" };
    let share = shade(count, row) * 100.0;
    html! {
        td.hit[hit].none[count == 0]
            style=[(count > 0).then(|| format!("background:color-mix(in srgb,var({colour}) {share:.1}%,var(--paper))"))] {
            (grouped(count))
            @if few && row > 0 { small { (percent(count, row)) } }
        }
    }
}

fn pairs(confusion: &[Vec<u64>], classes: &[String]) -> Markup {
    let pairs = stats::confusions(confusion);
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

fn each_class(confusion: &[Vec<u64>], classes: &[String], split: &str) -> Markup {
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
                    @for (class, stats) in classes.iter().zip(stats::per_class(confusion)) {
                        tr {
                            th scope="row" { (visible(class)) }
                            td { (grouped(stats.support)) }
                            td { (metric(stats.precision)) }
                            td { (metric(stats.recall)) }
                            td { (metric(stats.f1)) }
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
