//! The page that shows several models side by side.

use maud::{Markup, html};
use train::calibration::BINS;
use util::visible;

use super::results::capital;
use crate::comparison::{ComparedModel, Comparison, PairTest};
use crate::curves;
use crate::numbers::{bytes, counted, duration, grouped, metric, optional};

/// The page's bytes.
pub(crate) fn page(comparison: &Comparison) -> Vec<u8> {
    let Comparison { models, split, .. } = comparison;
    let title = format!("{} models on {}", models.len(), visible(split));
    let body = html! {
        header {
            h1 { (title) }
            p.made.soft { (super::made(&comparison.created, &comparison.tool_version)) }
            @if !comparison.reasons().is_empty() {
                ul.notes aria-label="Notes" {
                    @for reason in comparison.reasons() { li { (visible(reason)) } }
                }
            }
        }
        main {
            (accuracies(comparison))
            (training(models))
            (numbers(comparison))
            (pairs(comparison))
            section {
                h2 { "What was compared" }
                @if !comparison.command_line.is_empty() { pre { code { (visible(&comparison.command_line)) } } }
                dl {
                    @for model in models {
                        dt { (visible(&model.name)) }
                        dd { (visible(&model.folder)) }
                    }
                }
            }
        }
    };
    super::document(&title, &comparison.tool_version, &body)
}

/// A piece of the model's line.
fn swatch(i: usize) -> Markup {
    html! {
        svg.pic.swatch viewBox="0 0 34 10" aria-hidden="true" {
            line class={ "line s" (i) } x1="1" y1="5" x2="33" y2="5" {}
        }
    }
}

fn named(i: usize, model: &ComparedModel) -> Markup {
    html! { span.named { (swatch(i)) span { (visible(&model.name)) } } }
}

fn name(i: usize, model: &ComparedModel) -> Markup {
    html! { th.text.model scope="row" { (named(i, model)) } }
}

/// Every accuracy with its interval, on one axis.
fn accuracies(comparison: &Comparison) -> Markup {
    let models = &comparison.models;
    let intervals = || models.iter().filter_map(ComparedModel::interval);
    let low = intervals().map(|(low, _)| low).fold(1.0, f64::min);
    let high = intervals().map(|(_, high)| high).fold(0.0, f64::max);
    let place = |value: f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.5 };
        ((8.0 + 284.0 * share) * 10.0).round() / 10.0
    };
    let rows = models.first().map_or(0, |model| model.metrics.rows);
    let classes = counted(comparison.classes.len() as u64, "class", "classes");
    html! {
        section {
            h2 { "Accuracy" }
            p.soft {
                "Share of " (counted(rows, "image", "images")) " of " (classes) " predicted right, with Wilson's 95% interval."
            }
            table.accuracies {
                thead { tr {
                    th.text scope="col" { "model" }
                    th scope="col" { "accuracy" }
                    th scope="col" { "95% interval" }
                    th.text.wide scope="col" { (metric(low)) span.right { (metric(high)) } }
                } }
                tbody {
                    @for (i, model) in models.iter().enumerate() { tr {
                        (name(i, model))
                        td { b { (metric(model.metrics.accuracy)) } }
                        td.tight {
                            @if let Some((low, high)) = model.interval() { (format!("{low:.3}–{high:.3}")) }
                        }
                        td.text.wide {
                            @if let Some((low, high)) = model.interval() {
                                svg.pic.forest viewBox="0 0 300 22" aria-hidden="true" {
                                    line class={ "line solid s" (i) } x1=(place(low)) y1="11" x2=(place(high)) y2="11" {}
                                    circle class={ "dot s" (i) } cx=(place(model.metrics.accuracy)) cy="11" r="5" {}
                                }
                            }
                        }
                    } }
                }
            }
        }
    }
}

fn training(models: &[ComparedModel]) -> Markup {
    html! {
        section {
            h2 { "Training" }
            ul.legend {
                @for (i, model) in models.iter().enumerate() { li { (named(i, model)) } }
            }
            div.pair {
                @for panel in curves::over_each_other(models) {
                    figure { (curves::inline(&panel)) }
                }
            }
        }
    }
}

fn numbers(comparison: &Comparison) -> Markup {
    let models = &comparison.models;
    let named: Vec<_> =
        models.iter().map(|model| model.metrics.named(&comparison.classes)).collect();
    html! {
        section {
            h2 { "Side by side" }
            div.scroll tabindex="0" role="group" aria-label="Metrics, size and time of each model" {
                table {
                    thead { tr {
                        th.text scope="col" { "model" }
                        @for one in named.first().into_iter().flatten() {
                            th scope="col" title=(visible(&one.definition)) { (capital(one.label)) }
                        }
                        th scope="col" { "ECE" }
                        th scope="col" { "Parameters" }
                        th scope="col" { "Weights" }
                        th scope="col" { "Training" }
                        th scope="col" { "Epochs" }
                    } }
                    tbody {
                        @for (i, (model, named)) in models.iter().zip(&named).enumerate() { tr {
                            (name(i, model))
                            @for one in named { td { (optional(one.value)) } }
                            td { (metric(model.reliability.ece)) }
                            td { (model.facts.map_or("–".to_owned(), |facts| grouped(facts.parameters))) }
                            td.tight { (bytes(model.weight_bytes)) }
                            td.tight { (model.facts.map_or("–".to_owned(), |facts| duration(facts.training_seconds))) }
                            td { (grouped(model.history.len() as u64)) }
                        } }
                    }
                }
            }
            p.soft {
                @if let [_, positive] = &comparison.classes[..] { "Precision, recall, F1 and ROC AUC are those of “" (visible(positive)) "”. " }
                @else { "Precision, recall, F1 and ROC AUC are means over the classes. " }
                "ECE: expected calibration error over " (BINS) " bins. Training: time without the making of features."
            }
        }
    }
}

/// McNemar's test of every two.
fn pairs(comparison: &Comparison) -> Markup {
    let models = &comparison.models;
    let tested =
        || comparison.pairs.iter().filter_map(|pair| Some((pair, pair.test.as_ref().ok()?)));
    let tests = tested().count();
    html! {
        section {
            h2 { "Same pictures, two models" }
            @if tests == 0 {
                p { "No two models were evaluated on the same pictures, so McNemar's test does not apply." }
            } @else {
                p.soft {
                    "Pictures that one model alone predicts right. p: how often the counts would be at least as unequal, were both equally "
                    "good (McNemar's test, exact binomial)."
                    @if tests > 1 {
                        " With " (tests) " pairs, one in twenty falls below 0.05 by chance alone; below " (format!("{:.4}", 0.05 / tests as f64))
                        " it counts for all of them together (Bonferroni)."
                    }
                }
                div.scroll tabindex="0" role="group" aria-label="McNemar's test of each pair" {
                    table.pairs {
                        thead { tr {
                            th.text scope="col" { "pair" }
                            th scope="col" { "first only" }
                            th scope="col" { "second only" }
                            th scope="col" { "p" }
                        } }
                        tbody {
                            @for (pair, test) in tested() {
                                @let PairTest { only_first, only_second, p_value } = test;
                                tr {
                                    th.text scope="row" {
                                        (named(pair.first, &models[pair.first]))
                                        (named(pair.second, &models[pair.second]))
                                    }
                                    td { (grouped(*only_first)) }
                                    td { (grouped(*only_second)) }
                                    td {
                                        @if *p_value < 0.05 / tests as f64 { b { (metric(*p_value)) } } @else { (metric(*p_value)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
