//! Tables of metrics: by split, by epoch, by seed.

use maud::{Markup, html};
use train::metrics::Named;
use util::visible;

use crate::model::{RepeatedMetric, Run};
use crate::numbers::{NOT_DEFINED, grouped, metric, optional};

/// A row for each metric, with its definition; a column for each split.
pub(super) fn metrics(run: &Run) -> Markup {
    let splits = &run.splits;
    // One list a split, all of the same metrics; none for a split without labels.
    let values: Vec<Option<Vec<Named>>> = (splits.iter())
        .map(|split| split.metrics.as_ref().map(|metrics| metrics.named(&run.classes)))
        .collect();
    let rows = values.iter().flatten().next();
    html! {
        @if !splits.is_empty() {
            section {
                h2 { "Metrics" }
                div.scroll tabindex="0" role="group" aria-label="Metrics by split" {
                    table.metrics {
                        thead { tr {
                            th scope="col" { "metric" }
                            @for split in splits { th scope="col" { (visible(&split.name)) } }
                        } }
                        tbody {
                            tr {
                                th scope="row" { "Images" }
                                @for split in splits { td { (grouped(split.predictions.len() as u64)) } }
                            }
                            @for (i, row) in rows.into_iter().flatten().enumerate() { tr {
                                th scope="row" { (capital(row.label)) small { (visible(&row.definition)) } }
                                @for split in &values {
                                    td { (split.as_ref().map_or("–".to_owned(), |all| optional(all[i].value))) }
                                }
                            } }
                        }
                    }
                }
            }
        }
    }
}

/// The first letter as a capital one.
pub(super) fn capital(label: &str) -> String {
    let mut letters = label.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// The numbers behind the curves, folded away.
pub(super) fn history(run: &Run) -> Markup {
    let optional = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), metric);
    html! {
        @if !run.history.is_empty() {
            details {
                summary { "History as a table" }
                div.scroll tabindex="0" role="group" aria-label="History" {
                    table {
                        thead { tr {
                            @for name in ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"] { th scope="col" { (name) } }
                        } }
                        tbody {
                            @for epoch in &run.history { tr {
                                th scope="row" { (epoch.epoch) }
                                td { (metric(epoch.loss)) }
                                td { (metric(epoch.accuracy)) }
                                td { (optional(epoch.val_loss)) }
                                td { (optional(epoch.val_accuracy)) }
                            } }
                        }
                    }
                }
            }
        }
    }
}

/// Mean and interval over the seeds, where there were several.
pub(super) fn repeats(run: &Run) -> Markup {
    let Some(repeats) = &run.repeats else {
        return html! {};
    };
    let seeds: Vec<String> = repeats.seeds.iter().map(u64::to_string).collect();
    html! {
        section {
            h2 { "Over " (repeats.seeds.len()) " seeds" }
            p.soft { "The same training from other random starts (seeds " (seeds.join(", ")) "): mean and its 95% interval. Circles: single seeds, from the least value to the most; bar: the mean." }
            div.scroll tabindex="0" role="group" aria-label="Metrics over several seeds" {
                table {
                    thead { tr {
                        th scope="col" { "metric" }
                        th scope="col" { "mean" }
                        th scope="col" { "± 95%" }
                        th.text scope="col" { "seeds" }
                    } }
                    tbody { @for metric in &repeats.metrics { (repeat(metric)) } }
                }
            }
        }
    }
}

fn repeat(repeated: &RepeatedMetric) -> Markup {
    let finite = || repeated.values.iter().copied().filter(|value| value.is_finite());
    let least = finite().fold(f64::INFINITY, f64::min);
    let most = finite().fold(f64::NEG_INFINITY, f64::max);
    html! {
        tr {
            th scope="row" { (visible(&repeated.label)) }
            td { (metric(repeated.mean)) }
            td { (optional(repeated.half_width)) }
            td.text {
                @if least <= most {
                    (strip(repeated, least, most))
                    small.ends { span { (metric(least)) } span { (metric(most)) } }
                } @else {
                    (NOT_DEFINED)
                }
            }
        }
    }
}

/// A circle for each seed between the least and the most, a bar at the mean.
fn strip(repeated: &RepeatedMetric, least: f64, most: f64) -> Markup {
    let place = |value: f64| {
        let share = if most > least { (value - least) / (most - least) } else { 0.5 };
        ((8.0 + 160.0 * share) * 10.0).round() / 10.0
    };
    html! {
        svg.strip viewBox="0 0 176 22" aria-hidden="true" {
            line.span x1=(place(least)) y1="11" x2=(place(most)) y2="11" {}
            @for value in repeated.values.iter().filter(|value| value.is_finite()) {
                circle cx=(place(*value)) cy="11" r="4.5" {}
            }
            @if (least..=most).contains(&repeated.mean) {
                line x1=(place(repeated.mean)) y1="2" x2=(place(repeated.mean)) y2="20" {}
            }
        }
    }
}
