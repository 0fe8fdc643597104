//! The lesson's two plots: accuracy and loss over the epochs, training and validation.

use maud::{Markup, PreEscaped, html};

use crate::model::Epoch;
use crate::numbers::{counted, metric};
use crate::plot::{HEIGHT, Panel, WIDTH};
use crate::theme;

/// Both panels, accuracy first.
pub(crate) fn panels(history: &[Epoch]) -> [Panel<'static>; 2] {
    let of = |value: fn(&Epoch) -> Option<f64>| -> Vec<(usize, f64)> {
        history.iter().filter_map(|epoch| Some((epoch.epoch, value(epoch)?))).collect()
    };
    [
        Panel {
            title: "Accuracy",
            unit: "share of images predicted right",
            bounds: (0.0, 1.0),
            min_span: 0.02,
            training: of(|epoch| Some(epoch.accuracy)),
            validation: of(|epoch| epoch.val_accuracy),
        },
        Panel {
            title: "Loss",
            unit: "mean cross-entropy, nats",
            bounds: (0.0, f64::INFINITY),
            min_span: 0.02,
            training: of(|epoch| Some(epoch.loss)),
            validation: of(|epoch| epoch.val_loss),
        },
    ]
}

/// `curves.svg`: one panel below the other, so that the text stays legible where the picture is shown small.
pub(crate) fn standalone(history: &[Epoch]) -> Vec<u8> {
    const MARGIN: f64 = 20.0;
    const GAP: f64 = 28.0;
    let (width, height) = (WIDTH + 2.0 * MARGIN, 2.0 * HEIGHT + GAP + 2.0 * MARGIN);
    let [accuracy, loss] = panels(history);
    let svg = html! {
        svg.pic xmlns="http://www.w3.org/2000/svg" role="img" width=(width) height=(height)
            viewBox={ "0 0 " (width) " " (height) } {
            title { "Accuracy and loss over the epochs" }
            desc { (describe(&accuracy)) " " (describe(&loss)) }
            style { (PreEscaped(theme::standalone_style())) }
            rect.ground width=(width) height=(height) {}
            g transform={ "translate(" (MARGIN) " " (MARGIN) ")" } { (accuracy.shapes()) }
            g transform={ "translate(" (MARGIN) " " (MARGIN + HEIGHT + GAP) ")" } { (loss.shapes()) }
        }
    };
    svg.into_string().into_bytes()
}

/// One panel for the page, in its colours.
pub(crate) fn inline(panel: &Panel<'_>) -> Markup {
    html! {
        svg.pic role="img" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-label=(describe(panel)) {
            (panel.shapes())
        }
    }
}

/// What the panel shows, in words.
pub(crate) fn describe(panel: &Panel<'_>) -> String {
    let ends = |points: &[(usize, f64)]| match points {
        [] => None,
        [only] => Some(metric(only.1)),
        [first, .., last] => Some(format!("{} to {}", metric(first.1), metric(last.1))),
    };
    let Some(training) = ends(&panel.training) else {
        return format!("{}: no epochs.", panel.title);
    };
    let epochs = counted(panel.training.len() as u64, "epoch", "epochs");
    let validation = ends(&panel.validation)
        .map_or_else(|| ", no validation".to_owned(), |ends| format!(", validation {ends}"));
    format!("{} over {epochs}: training {training}{validation}.", panel.title)
}

/// The caption: the best validation value, and where it was.
pub(crate) fn caption(panel: &Panel<'_>) -> String {
    let is_loss = panel.title == "Loss";
    let best = panel.validation.iter().filter(|point| point.1.is_finite()).reduce(|best, point| {
        let better = if is_loss { point.1 < best.1 } else { point.1 > best.1 };
        if better { point } else { best }
    });
    match (best, panel.validation.last(), panel.training.last()) {
        (Some(best), Some(last), _) => format!(
            "Validation {}: {} {} at epoch {}, last {}.",
            panel.title.to_lowercase(),
            if is_loss { "lowest" } else { "highest" },
            metric(best.1),
            best.0,
            metric(last.1)
        ),
        (_, _, Some(last)) => {
            format!("Last training {}: {}.", panel.title.to_lowercase(), metric(last.1))
        }
        _ => "No epochs.".to_owned(),
    }
}
