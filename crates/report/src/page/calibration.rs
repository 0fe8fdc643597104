//! How far the probabilities can be taken at their word, and what the validation split chose.

use maud::{Markup, html};
use train::calibration::{BINS, SplitCalibration};
use train::metrics::Metrics;
use util::visible;

use crate::model::{Chosen, Run, SplitResult};
use crate::numbers::{counted, metric, optional};
use crate::reliability;

/// Nothing where no split was judged.
pub(super) fn section(run: &Run) -> Markup {
    let judged: Vec<(&SplitResult, &SplitCalibration)> =
        run.splits.iter().filter_map(|split| Some((split, split.calibration.as_ref()?))).collect();
    html! {
        @if !judged.is_empty() {
            section {
                h2 { "Calibration" }
                p.soft {
                    "Of the images that the model is 90% sure of it should get 90% right. The expected calibration error (ECE) is the mean "
                    "distance from that, over " (BINS) " bins of confidence weighted by their images (Guo et al. 2017)."
                }
                (chosen(run.calibration.as_ref()))
                div.pair {
                    @for (split, calibration) in &judged {
                        figure { (reliability::inline(&visible(&split.name), &calibration.before, calibration.after.as_ref())) }
                    }
                }
                (effect(&judged))
                @if let [_, positive] = &run.classes[..] { (threshold(run.calibration.as_ref(), positive, &judged)) }
            }
        }
    }
}

fn chosen(chosen: Option<&Chosen>) -> Markup {
    let Some(Chosen { split, choice }) = chosen else {
        return html! { p { "There is no validation split to choose a temperature on: test is for judging alone." } };
    };
    let split = visible(split);
    html! {
        p {
            @if let Some(temperature) = choice.calibration.temperature {
                "Temperature " b { (metric(temperature)) } ", of the lowest log loss on "
                (counted(choice.calibration.rows, "image", "images")) " of " (split)
                @if temperature > 1.0 { ": as trained, the model is surer than it should be." }
                @else { ": as trained, the model is less sure than it could be." }
            } @else if let Some(why) = choice.no_temperature {
                "No temperature from " (split) ": " (why) "."
            }
        }
    }
}

fn effect(judged: &[(&SplitResult, &SplitCalibration)]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Calibration by split" {
            table.spaced {
                thead { tr {
                    th scope="col" { "split" }
                    th scope="col" { "ECE" }
                    th scope="col" { "log loss" }
                } }
                tbody {
                    @for (split, SplitCalibration { before, after, .. }) in judged { tr {
                        th scope="row" { (visible(&split.name)) }
                        td { (change(before.ece, after.as_ref().map(|after| after.ece))) }
                        td { (change(before.log_loss, after.as_ref().map(|after| after.log_loss))) }
                    } }
                }
            }
        }
    }
}

fn change(before: f64, after: Option<f64>) -> String {
    match after {
        Some(after) => format!("{} → {}", metric(before), metric(after)),
        None => metric(before),
    }
}

/// What another threshold than one half does.
fn threshold(
    chosen: Option<&Chosen>,
    positive: &str,
    judged: &[(&SplitResult, &SplitCalibration)],
) -> Markup {
    let Some((Chosen { split: on, .. }, threshold)) =
        chosen.and_then(|chosen| Some((chosen, chosen.choice.calibration.threshold?)))
    else {
        return html! {};
    };
    let row = |split: &str, at: f64, metrics: &Metrics| {
        html! { tr {
            th scope="row" { (split) }
            td { (metric(at)) }
            td { (metric(metrics.accuracy)) }
            td { (optional(metrics.precision)) }
            td { (optional(metrics.recall)) }
        } }
    };
    html! {
        h3 { "Decision threshold" }
        p {
            "An image is “" (visible(positive)) "” above " b { (metric(threshold)) }
            ", the threshold of the highest accuracy on " (visible(on)) " (of equally good ones the nearest to 0.5)."
        }
        @if threshold != 0.5 {
            div.scroll tabindex="0" role="group" aria-label="Thresholds by split" {
                table {
                    thead { tr {
                        th scope="col" { "split" }
                        th scope="col" { "threshold" }
                        th scope="col" { "accuracy" }
                        th scope="col" { "precision" }
                        th scope="col" { "recall" }
                    } }
                    tbody {
                        @for (split, calibration) in judged {
                            @if let (Some(before), Some(after)) = (&split.metrics, &calibration.at_threshold) {
                                (row(&visible(&split.name), 0.5, before))
                                (row(&visible(&split.name), threshold, after))
                            }
                        }
                    }
                }
            }
        }
    }
}
